#!/usr/bin/env bash
# The whole suite: measures, prints tables, draws the figures.
#
#   bench/run.sh [OPTIONS]
#
#   --only "A B .."   parts: micro ordering tpcc thesis elastic growth (all) paced (a part of thesis); what other parts left in DIR stays
#   --quick           a pass of some minutes instead of most of an hour
#   --rounds N        of TPC-C, whose table shows medians (3; with --quick 1)
#   --out DIR         results: JSON and CSV files, report.md, *.svg (build/bench/results)
#   --docs            put tables and figures into docs/benchmarks.md and docs/images/bench
#   --report-only     measure nothing; make tables and figures of what DIR has
#
# micro      codec, digests, signatures, counters, engines (bench/micro)
# ordering   agreement alone, without a database (bench/cluster/ordering.sh)
# tpcc       the whole system against one unreplicated server (bench/cluster/tpcc.sh)
# thesis     1 to 5 groups, pages of 200 ms (bench/cluster/thesis.sh)
# elastic    groups that come and go with the load (deploy/demo.sh --elastic)
# growth     against groups, faults, size of values, crowds (bench/growth.sh)
#
# Builds what it needs in build/release, or in BFT_BUILD. Run it on a quiet machine: it says how busy it was. Ctrl-C
# stops everything; what is measured by then is kept. Exit status: 0 when no request failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
parts="micro ordering tpcc thesis elastic growth" quick="" rounds="" out=$root/build/bench/results docs="" report_only=""
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --quick) quick=yes; shift; continue ;;
        --docs) docs=yes; shift; continue ;;
        --report-only) report_only=yes; shift; continue ;;
        --only | --out | --rounds) [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; } ;;
        *) echo "run.sh: unknown option '$1'; see: bench/run.sh --help" >&2; exit 2 ;;
    esac
    case "$1" in --only) parts=$2 ;; --rounds) rounds=$2 ;; --out) out=$2 ;; esac
    shift 2
done
for name in $parts; do
    case "$name" in
        micro | ordering | tpcc | thesis | paced | elastic | growth) ;;
        *) echo "run.sh: no part is called '$name'" >&2; exit 2 ;;
    esac
done

[ -n "$rounds" ] || { if [ -n "$quick" ]; then rounds=1; else rounds=3; fi; }
cd "$root"
mkdir -p "$out"
out=$(realpath "$out")
failed=""
# Whichever Python has the drawing library: Debian's package belongs to Debian's Python.
python=python3
"$python" -c 'import matplotlib' 2>/dev/null || python=/usr/bin/python3

# Seconds that a part takes, about, for the line of progress.
expected() { # PART
    local full quick_time
    case "$1" in
        micro) full=60 quick_time=15 ;;
        ordering) full=180 quick_time=130 ;;
        tpcc) full=$((90 + 190 * rounds)) quick_time=$((90 + 100 * rounds)) ;;
        thesis) full=900 quick_time=260 ;;
        paced) full=100 quick_time=100 ;;
        elastic) full=210 quick_time=210 ;;
        growth) full=420 quick_time=30 ;;
    esac
    if [ -n "$quick" ]; then echo "$quick_time"; else echo "$full"; fi
}

conditions() {
    printf '{"commit": "%s", "date": "%s", "cores": %d, "cpu": "%s", "memory_gib": %d, "mariadb": "%s", "load": %s, "profile": "%s"}\n' \
        "$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)" "$(date -u '+%F %H:%M')" "$(nproc)" \
        "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
        "$(awk '/MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo)" \
        "$(mariadb --version | sed 's/.*Distrib \([^-,]*\).*/\1/')" "$(cut -d' ' -f1 /proc/loadavg)" \
        "${quick:+quick}"
}

# A part goes on when one of its runs fails, and has failed then.
bad=0
try() { "$@" || bad=1; }

micro() {
    local name time=0.2
    [ -z "$quick" ] || time=0.05
    mkdir -p "$out/micro"
    for name in codec digests signatures engines; do
        echo "== micro: $name"
        "$BFT_BUILD/bench/micro/${name}_micro" --benchmark_min_time="$time" --benchmark_format=json \
            >"$out/micro/$name.json" 2>"$out/micro/$name.err" || { cat "$out/micro/$name.err" >&2; bad=1; }
    done
    echo "== micro: counters"
    try "$BFT_BUILD/bench/engine/usig_bench" --benchmark_min_time="$time" --benchmark_filter='verify|create_software' \
        --benchmark_format=json >"$out/micro/usig.json" 2>/dev/null
}
ordering() {
    local seconds=8
    [ -z "$quick" ] || seconds=4
    mkdir -p "$out/ordering"
    run_ordering() { # NAME ARGUMENTS...
        local name=$1
        shift
        echo "== ordering: $name"
        try bench/cluster/ordering.sh --seconds "$seconds" --json "$out/ordering/$name.json" "$@"
    }
    run_ordering saturated-0 --clients 4 --outstanding 1024
    run_ordering saturated-1024 --clients 4 --outstanding 512 --bytes 1024
    run_ordering alone --clients 1 --outstanding 1
    run_ordering alone-no-disk --clients 1 --outstanding 1 --dir "/dev/shm/bft-order.$$"
    rm -rf "/dev/shm/bft-order.$$"
    run_ordering alone-hmac-no-disk --clients 1 --outstanding 1 --software-usig --dir "/dev/shm/bft-order.$$"
    rm -rf "/dev/shm/bft-order.$$"
    run_ordering tpm-50 --clients 4 --outstanding 1024 --tpm-delay-ms 50
    run_ordering tpm-50-alone --clients 1 --outstanding 1 --tpm-delay-ms 50
    run_ordering open-loop-5000 --clients 2 --rate 5000
    python3 bench/cluster/ordering_table.py "$out/ordering"
}
tpcc() {
    local seconds=20
    [ -z "$quick" ] || seconds=10
    try bench/cluster/tpcc.sh --seconds "$seconds" --rounds "$rounds" --out "$out/tpcc"
    # The more clients, the more calls meet in a row of the executor.
    try bench/cluster/tpcc.sh --seconds "$seconds" --rounds "$rounds" --clients 256 --out "$out/tpcc-256"
}
thesis() {
    if [ -n "$quick" ]; then set -- --clients 15 --seconds 10; else set -- --clients "1 5 11 15" --seconds 12; fi
    try bench/cluster/thesis.sh "$@" --out "$out/thesis"
    paced
}
# Latency at the rate of the thesis's section 5.4, from when each call was due. Slots do not wait for company.
paced() {
    local workers
    for workers in 1 4; do
        try bench/cluster/thesis.sh --groups 5 --clients 15 --seconds 20 --per-minute 1000 --page-workers "$workers" \
            --timing 'busy_batch_interval_ms = 10' --timing 'gather_interval_ms = 5' --out "$out/thesis-paced-$workers"
    done
}
elastic() { try deploy/demo.sh --elastic --results "$out/elastic"; }
growth() { try bench/growth.sh ${quick:+--quick} --out "$out/growth"; }

if [ -z "$report_only" ]; then
    deploy/install-packages.sh build run bench
    export BFT_BUILD=${BFT_BUILD:-$root/build/release}
    if [ -e "$BFT_BUILD/build.ninja" ] || [ "$BFT_BUILD" = "$root/build/release" ]; then
        [ -e "$BFT_BUILD/build.ninja" ] || cmake --preset release -B "$BFT_BUILD"
        cmake --build "$BFT_BUILD" --target bftnode bftctl tpcc_load tpcc_drive tpcc_check ordering_bench growth_bench \
            usig_bench codec_micro digests_micro signatures_micro engines_micro
    fi
    mkdir -p "$out/conditions"
    left=0 number=0 count=$(wc -w <<<"$parts")
    for name in $parts; do left=$((left + $(expected "$name"))); done
    for name in $parts; do
        number=$((number + 1))
        printf '\n#### %s: part %d of %d, %s; about %d min left\n' "$name" "$number" "$count" "$(date +%T)" $(((left + 59) / 60))
        conditions >"$out/conditions/$name.json"
        { "$name"; exit "$bad"; } 2>&1 | tee "$out/$name.log" || failed="$failed $name"
        left=$((left - $(expected "$name")))
    done
fi
"$python" bench/draw.py "$out" || failed="$failed draw"
python3 bench/report.py "$out" ${docs:+--docs "$root/docs"} || failed="$failed report"
echo
echo "report: $out/report.md, $out/results.csv"
[ -z "$failed" ] || { echo "run.sh: failed:$failed" >&2; exit 1; }
