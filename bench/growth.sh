#!/usr/bin/env bash
# How the cost grows: with groups, faults, size of values, crowds, and time.
#
#   bench/growth.sh [OPTIONS]
#
#   --quick            the counted part only, few requests: seconds
#   --only "A B"       model, real (both); what the other left in DIR stays
#   --seconds N        of each run on real processes (6)
#   --out DIR          model-*.csv and real-*.json (build/bench/growth)
#
# model   bench/engine/growth_bench: real engines, codec and signatures of a whole cluster in one process, so that
#         groups and faults end where memory does, not where two cores do: frames, bytes, certificates, syncs, CPU
# real    bench/cluster/ordering.sh: real processes, f = 1 to 3, groups, values up to 64 KB, slow TPMs
#
# BFT_BUILD names the folder of the built programs (build/release).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export BFT_BUILD=${BFT_BUILD:-$root/build/release}
quick="" only="model real" seconds=6 out=$root/build/bench/growth
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --quick) quick=yes; shift; continue ;;
        --only | --seconds | --out) [ $# -ge 2 ] || { echo "growth.sh: $1 needs a value" >&2; exit 2; } ;;
        *) echo "growth.sh: unknown option '$1'; see: bench/growth.sh --help" >&2; exit 2 ;;
    esac
    printf -v "${1#--}" %s "$2"
    shift 2
done
mkdir -p "$out"

requests=20000
[ -z "$quick" ] || requests=4000
model() { # NAME ARGUMENTS...
    local name=$1
    shift
    echo "== growth, counted: $name"
    "$BFT_BUILD/bench/engine/growth_bench" --requests "$requests" "$@" >"$out/model-$name.csv"
}
real() { # NAME ARGUMENTS...
    local name=$1
    shift
    echo "== growth, real processes: $name"
    "$root/bench/cluster/ordering.sh" --seconds "$seconds" --json "$out/real-$name.json" "$@"
}

if [[ " $only " == *" model "* ]]; then
    rm -f "$out"/model-*.csv
    model groups --groups 1,2,3,4,5,6,7,8
    model groups-databases --groups 1,2,3,4,5,6,7,8 --databases
    model faults --f 1,2,3
    requests=$((requests / 8)) model bytes --bytes 0,64,256,1024,4096,16384,65536 --crowd 64
    model crowd --crowd 1,4,16,64,256,1000
fi
if [ -z "$quick" ] && [[ " $only " == *" real "* ]]; then
    rm -f "$out"/real-*.json
    for f in 1 2 3; do real "f-$f" --f "$f" --clients 2 --outstanding 1024; done
    for bytes in 0 256 1024 4096 16384 65000; do
        real "bytes-$bytes" --bytes "$bytes" --clients 2 --outstanding $((bytes > 4096 ? 32 : 256))
    done
    # The same number of requests under way for each group, so that TPMs and not clients set the pace. Groups on
    # the same hosts share the TPMs.
    slow=(--clients 1 --tpm-delay-ms 50)
    for groups in 1 2 3 4 5; do
        real "slow-tpm-$groups" --groups "$groups" --outstanding $((256 * groups)) "${slow[@]}" --own-hosts
    done
    for groups in 2 5; do
        real "shared-tpm-$groups" --groups "$groups" --outstanding $((256 * groups)) "${slow[@]}"
    done
fi
python3 "$root/bench/growth_table.py" "$out"
