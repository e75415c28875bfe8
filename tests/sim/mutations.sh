#!/bin/sh
# Takes one rule of src/consensus/rules.hpp away at a time and says how many seeds the simulator needs
# until a checker notices.
# Twice: in any seeds, and in seeds whose liars work together on the rule's counter-example.
# usage: mutations.sh BUILD_DIR SEEDS [MUTATION...]    (BUILD_DIR: sim_run is built there, release)
set -eu
build=$(cd "$1" && pwd)
seeds=$2
shift 2
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The rules as they stand, but read from the environment: one build serves all mutations.
mkdir "$work/consensus"
python3 - "$source/src/consensus/rules.hpp" >"$work/consensus/rules.hpp" <<'EOF'
import re, sys
text = open(sys.argv[1]).read()
def runtime(match):
    name, without, kept = match.groups()
    if "constexpr bool" in without:
        rule = re.search(r"bool (\w+) = false", without).group(1)
        return f'inline const bool {rule} = std::getenv("MUT_{name}") == nullptr;'
    rule = re.search(r"uint32_t (\w+)\(", without).group(1)
    return (f'inline std::uint32_t {rule}(const Membership& m) {{\n'
            f'    static const bool away = std::getenv("MUT_{name}") != nullptr;\n'
            f'    return away ? m.f : m.quorum();\n}}')
text = re.sub(r"#ifdef MUT_(\w+)\n(.*?)#else\n(.*?)#endif", runtime, text, flags=re.S)
assert "MUT_" in text and "#ifdef" not in text
print(text.replace("#pragma once", "#pragma once\n#include <cstdlib>", 1))
EOF
[ $# -gt 0 ] || set -- $(grep -o 'getenv("MUT_[a-z_]*' "$work/consensus/rules.hpp" | cut -d_ -f2-)
cp "$build/src/consensus/libbft_consensus.a" "$work/lib.a"
for file in $(grep -l 'rules::' "$source"/src/consensus/*.cpp \
    "$source"/src/consensus/minbft/*.cpp); do
    c++ -std=c++20 -O2 -I"$work" -I"$source/src" -c "$file" -o "$work/$(basename "$file").o"
    ar r "$work/lib.a" "$work/$(basename "$file").o"
done
link=$(ninja -C "$build" -t commands sim_run | tail -1)
(cd "$build" && eval "$(echo "$link" |
    sed "s|src/consensus/libbft_consensus.a|$work/lib.a|g; s|-o tests/sim/sim_run|-o $work/sim_run|")")

# The plot (tests/sim/plan.hpp) that is the counter-example to a rule; "-": any seed shows it.
plot_of() {
    case $1 in
    null_free | claim_lvonly | null_notsticky | timers_run) echo loyal ;;
    commit_after_vc) echo late ;;
    nonmono) echo back ;;
    self_base | vouch_f | vc_nolog) echo rebase ;;
    prep_equiv | nv_noorder) echo two_prepares ;;
    no_viewcert) echo forged_view ;;
    *) echo - ;;
    esac
}
# Rules of reconfiguration show where partitions move.
mode_of() {
    case $1 in
    no_barrier | barrier_not_shown | config_not_final | windows_left | owners_fixed) echo --moves ;;
    removed_counts | barrier_of_removed | one_elder) echo --reconfigure ;;
    no_joint_quorum | new_group_early | count_replaced | member_check_off | keys_ignored | keys_of_today) echo --reconfigure ;;
    esac
}
# notice MUTATION [--plot P]: the seed that noticed, and what noticed it
notice() {
    rule=$1
    shift
    status=0
    env "MUT_$rule=1" timeout 3600 "$work/sim_run" $(mode_of "$rule") "$@" --count "$seeds" --failures 1 \
        >"$work/log" 2>&1 || status=$?
    if grep -q '^FAILED' "$work/log"; then
        seed=$(grep -m1 '^FAILED' "$work/log" | sed 's/.*seed=\([0-9]*\).*/\1/')
        property=$(grep -A1 -m1 '^FAILED' "$work/log" | tail -1 | sed 's/^ *\([^:]*\):.*/\1/')
        echo "$seed | $property"
    elif [ $status -ge 128 ]; then # an invariant of the engine itself
        ran=$(tr '\r' '\n' <"$work/log" | grep -E '^[0-9]+ of' | tail -1 | cut -d' ' -f1)
        echo "about ${ran:-1} | an invariant of the engine"
    else
        echo "not in $seeds | -"
    fi
}

echo "| mutation | seeds until noticed | by | in its plot | seeds | by |"
echo "|---|---|---|---|---|---|"
for mutation in "$@"; do
    plot=$(plot_of "$mutation")
    directed="| "
    [ "$plot" = - ] || directed=$(notice "$mutation" --plot "$plot")
    echo "| $mutation | $(notice "$mutation") | $plot | $directed |"
done
