#!/usr/bin/env bash
# Builds every fuzzer (clang, libFuzzer, sanitizers) and runs them one after the other, each for a while.
#
#   tests/fuzz/nightly.sh [--minutes N] [--jobs N] [--keep FOLDER] [--built] [FUZZER...]
#
#   --minutes N     for each fuzzer (10)
#   --jobs N        processes of each fuzzer at a time (1)
#   --keep FOLDER   where corpora grow from night to night, and findings are (build/fuzz/kept)
#   --built         they are: run what is there (several of these at a time, each with fuzzers of its own)
#   FUZZER          such as frame or engine_replica; all
#
# Exit status: 0 nothing was found; 1 a fuzzer crashed, leaked or hung: its input is in FOLDER/findings, and
# `build/fuzz/tests/fuzz/NAME_fuzz FILE` shows it again; 2 wrong use or it does not build.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BFT_FUZZ_BUILD:-$root/build/fuzz}
minutes=10 jobs=1 keep=$build/kept built=""
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; }
names=()
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) usage; exit 0 ;;
        --minutes | --jobs | --keep)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        --built) built=yes ;;
        -*) usage >&2; exit 2 ;;
        *) names+=("$1") ;;
    esac
    shift
done
# Of FOREACH loops, whose lists are the fuzzers' names.
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(sed -n 's/^foreach(entry \(.*\))$/\1/p' "$root/tests/fuzz/CMakeLists.txt" | tr ' ' '\n')

cd "$root"
if [ -z "$built" ]; then
    cmake --preset fuzz -B "$build" >/dev/null || exit 2
    cmake --build "$build" --target "${names[@]/%/_fuzz}" || exit 2
fi
mkdir -p "$keep/findings"
failed=0
for i in "${!names[@]}"; do
    name=${names[$i]}
    corpus=$keep/corpus/$name
    mkdir -p "$corpus"
    seeds=()
    [ ! -d "$root/tests/fuzz/corpus/$name" ] || seeds=("$root/tests/fuzz/corpus/$name")
    log=$keep/$name.log
    printf '[%d/%d] %-18s %s min ... ' $((i + 1)) ${#names[@]} "$name" "$minutes"
    status=0
    # A leak in one call, a call of 10 s, 2 GB of memory: all are findings.
    "$build/tests/fuzz/${name}_fuzz" "$corpus" "${seeds[@]}" -max_total_time=$((minutes * 60)) -max_len=65536 \
        -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$keep/findings/$name-" \
        -fork="$jobs" -ignore_crashes=0 >"$log" 2>&1 || status=$?
    last=$(grep -aoE '^#[0-9]+: cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -n 1 || true)  # executions first
    if [ $status = 0 ]; then
        printf 'clean   %s\n' "$last"
    else
        printf 'FOUND   %s (see %s)\n' "$(find "$keep/findings" -name "$name-*" | head -n 1)" "$log"
        failed=1
    fi
done
exit $failed
