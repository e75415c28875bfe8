#!/usr/bin/env bash
# The whole suite: measures, prints tables, draws the figures.
#
#   bench/run.sh [OPTIONS]
#
#   --only "A B .."   parts: ordering tpcc thesis (all)
#   --quick           short runs, 15 clients only: minutes instead of an hour
#   --out DIR         results: JSON files, report.md, *.svg (build/bench/results)
#
# ordering   agreement alone, without a database (bench/cluster/ordering.sh)
# tpcc       the whole system against one unreplicated server (bench/cluster/tpcc.sh)
# thesis     1 to 5 groups, pages of 200 ms (bench/cluster/thesis.sh)
#
# Builds what it needs in build/release, or in BFT_BUILD. Run it on a quiet machine: it says how busy it was. Ctrl-C
# stops everything; what is measured by then is kept. Exit status: 0 when no request failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
parts="ordering tpcc thesis" quick="" out=$root/build/bench/results
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --quick) quick=yes; shift; continue ;;
        --only | --out) [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; } ;;
        *) echo "run.sh: unknown option '$1'; see: bench/run.sh --help" >&2; exit 2 ;;
    esac
    if [ "$1" = --only ]; then parts=$2; else out=$2; fi
    shift 2
done

cd "$root"
deploy/install-packages.sh build run bench
export BFT_BUILD=${BFT_BUILD:-$root/build/release}
if [ -e "$BFT_BUILD/build.ninja" ] || [ "$BFT_BUILD" = "$root/build/release" ]; then
    [ -e "$BFT_BUILD/build.ninja" ] || cmake --preset release -B "$BFT_BUILD"
    cmake --build "$BFT_BUILD" --target bftnode bftctl tpcc_load tpcc_drive tpcc_check ordering_bench
fi
mkdir -p "$out"
out=$(realpath "$out")
failed=""

conditions() {
    echo "commit $(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown), $(date -u +%F)," \
        "$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)," \
        "$(awk '/MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo)," \
        "$(mariadb --version | sed 's/.*Distrib \([^,]*\).*/MariaDB \1/'), load before it $(cut -d' ' -f1 /proc/loadavg)"
}

part() { # NAME COMMAND...
    local name=$1
    shift
    printf '\n#### %s (%s)\n' "$name" "$(date +%T)"
    { printf '\n## %s\n\n%s\n\n' "$name" "$(conditions)"; } >>"$out/report.md"
    "$@" | tee "$out/$name.log" || failed="$failed $name"
    sed -n '/^| *|\|^| groups\|^[0-9]* clients/,$p' "$out/$name.log" >>"$out/report.md"
}

ordering() {
    local seconds=10 size
    [ -z "$quick" ] || seconds=5
    mkdir -p "$out/ordering"
    for size in 0 1024; do
        bench/cluster/ordering.sh --bytes "$size" --seconds "$seconds" --json "$out/ordering/saturated-$size.json"
    done
    bench/cluster/ordering.sh --clients 1 --outstanding 1 --seconds "$seconds" --json "$out/ordering/alone.json"
    bench/cluster/ordering.sh --tpm-delay-ms 50 --seconds "$seconds" --json "$out/ordering/tpm-50.json"
    bench/cluster/ordering.sh --tpm-delay-ms 50 --clients 1 --outstanding 1 --seconds "$seconds" \
        --json "$out/ordering/tpm-50-alone.json"
    python3 bench/cluster/ordering_table.py "$out/ordering"
}
tpcc() {
    if [ -n "$quick" ]; then set -- --rounds 1 --seconds 10; else set --; fi
    bench/cluster/tpcc.sh "$@" --out "$out/tpcc"
}
thesis() {
    if [ -n "$quick" ]; then set -- --clients 15 --seconds 10; else set -- --clients "1 2 3 5 8 11 15 20"; fi
    bench/cluster/thesis.sh "$@" --out "$out/thesis"
}

echo "# Results of bench/run.sh" >"$out/report.md"
for name in $parts; do
    case "$name" in
        ordering | tpcc | thesis) part "$name" "$name" ;;
        *) echo "run.sh: no part is called '$name'" >&2; exit 2 ;;
    esac
done
bench/draw.py "$out" || failed="$failed draw"
echo
echo "report: $out/report.md"
[ -z "$failed" ] || { echo "run.sh: failed:$failed" >&2; exit 1; }
