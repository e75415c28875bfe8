#!/bin/sh
# Takes one rule of src/consensus/rules.hpp away at a time and says how many seeds the simulator needs
# until a checker notices.
# usage: mutations.sh BUILD_DIR SEEDS [MUTATION...]    (BUILD_DIR: sim_run is built there, release)
set -eu
build=$(cd "$1" && pwd)
seeds=$2
shift 2
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- cq_f vcq_f vouch_f one_group null_free prep_equiv nv_exec vc_nolog \
    commit_after_vc nonmono nv_noorder null_notsticky claim_lvonly
link=$(ninja -C "$build" -t commands sim_run | tail -1)
echo "| mutation | seeds until noticed | by | seconds |"
echo "|---|---|---|---|"
for mutation in "$@"; do
    cp "$build/src/consensus/libbft_consensus.a" "$work/lib.a"
    for file in $(grep -l 'rules::' "$source"/src/consensus/*.cpp \
        "$source"/src/consensus/minbft/*.cpp); do
        object=$work/$(basename "$file").o
        c++ -std=c++20 -O2 -DMUT_"$mutation" -I"$source/src" -c "$file" -o "$object"
        ar r "$work/lib.a" "$object"
    done
    (cd "$build" && eval "$(echo "$link" |
        sed "s|src/consensus/libbft_consensus.a|$work/lib.a|g; s|-o tests/sim/sim_run|-o $work/sim_run|")")
    start=$(date +%s)
    status=0
    timeout 3600 "$work/sim_run" --count "$seeds" --failures 1 >"$work/log" 2>&1 || status=$?
    took=$(($(date +%s) - start))
    if [ $status -ge 128 ]; then # an invariant of the engine itself
        ran=$(tr '\r' '\n' <"$work/log" | grep -E '^[0-9]+ of' | tail -1 | cut -d' ' -f1)
        echo "| $mutation | about ${ran:-1} | invariant | $took |"
    elif grep -q '^FAILED' "$work/log"; then
        seed=$(grep -m1 '^FAILED' "$work/log" | sed 's/.*seed=\([0-9]*\).*/\1/')
        property=$(grep -A1 -m1 '^FAILED' "$work/log" | tail -1 | sed 's/^ *\([^:]*\):.*/\1/')
        echo "| $mutation | $seed | $property | $took |"
    else
        echo "| $mutation | not in $seeds | - | $took |"
    fi
done
