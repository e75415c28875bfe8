#!/bin/sh
# Takes one rule of src/consensus/rules.hpp away at a time and says which test notices, if any.
# usage: mutations.sh BUILD_DIR SEEDS [MUTATION...]    (BUILD_DIR: configured and built, release)
set -eu
build=$(cd "$1" && pwd)
seeds=$2
shift 2
source=$(cd "$(dirname "$0")/../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- cq_f vcq_f vouch_f one_group null_free prep_equiv nv_exec vc_nolog \
    commit_after_vc nonmono nv_noorder null_notsticky claim_lvonly barrier_not_shown no_joint_quorum new_group_early
for mutation in "$@"; do
    objects=$(find "$build/tests/unit/consensus" "$build/src/base" -name '*.o')
    for file in "$source"/src/consensus/*.cpp "$source"/src/consensus/minbft/*.cpp; do
        relative=${file#"$source/src/consensus/"}
        if grep -q 'rules::' "$file"; then
            object=$work/$(basename "$file").o
            c++ -std=c++20 -O1 -DMUT_"$mutation" -I"$source/src" -c "$file" -o "$object"
        else
            object=$build/src/consensus/CMakeFiles/bft_consensus.dir/$relative.o
        fi
        [ -f "$object" ] && objects="$objects $object"
    done
    # shellcheck disable=SC2086
    c++ $objects -o "$work/test" -lgtest -lgtest_main -lspdlog -lfmt -lssl -lcrypto -lpthread
    start=$(date +%s)
    if BFT_SEEDS=$seeds BFT_FAILURES=1 timeout 900 "$work/test" --gtest_brief=1 \
        >"$work/log" 2>&1; then
        echo "$mutation: NOT noticed in $seeds seeds ($(($(date +%s) - start)) s)"
    else
        echo "$mutation: $(grep -E '^seed|FAILED|invariant|broken' "$work/log" | head -3 | cut -c1-150 | tr '\n' ';')"
    fi
done
