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

echo "| mutation | seeds until noticed | by | seconds |"
echo "|---|---|---|---|"
for mutation in "$@"; do
    start=$(date +%s)
    status=0
    env "MUT_$mutation=1" timeout 3600 "$work/sim_run" --count "$seeds" --failures 1 \
        >"$work/log" 2>&1 || status=$?
    took=$(($(date +%s) - start))
    if grep -q '^FAILED' "$work/log"; then
        seed=$(grep -m1 '^FAILED' "$work/log" | sed 's/.*seed=\([0-9]*\).*/\1/')
        property=$(grep -A1 -m1 '^FAILED' "$work/log" | tail -1 | sed 's/^ *\([^:]*\):.*/\1/')
        echo "| $mutation | $seed | $property | $took |"
    elif [ $status -ge 128 ]; then # an invariant of the engine itself
        ran=$(tr '\r' '\n' <"$work/log" | grep -E '^[0-9]+ of' | tail -1 | cut -d' ' -f1)
        echo "| $mutation | about ${ran:-0} | an invariant of the engine | $took |"
    else
        echo "| $mutation | not in $seeds | - | $took |"
    fi
done
