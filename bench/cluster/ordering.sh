#!/usr/bin/env bash
# What agreement costs without a database: a cluster of real processes on this machine (TLS, TPM
# certificates by swtpm, signed requests), loaded and measured.
#
#   bench/cluster/ordering.sh [OPTIONS]
#
#   --clients N        client identities, each with connections and a key of its own (2)
#   --outstanding N    requests of each client under way (2048)
#   --bytes N          of each operation (0)
#   --seconds N        length of the measured run (10)
#   --warmup N         seconds before it (3)
#   --rate N           requests per second, sent whatever is answered (0: each answer makes the next)
#   --groups N         groups of replicas (1)
#   --own-hosts        each group on hosts of its own, with TPMs of their own; else all share 2f+1 hosts
#   --f N              hosts that may lie (1)
#   --tpm-delay-ms N   make the TPMs as slow as chips (0)
#   --timing LINE      for [timing] of every node.toml; may be given several times
#   --software-usig    counters of the HMAC kind instead of TPMs: for comparison, not secure
#   --json FILE        the result; with it FILE less .json and .status.json (stages), .footprint.json
#                      (memory, disk, CPU of each daemon; of all requests, warm-up included)
#   --dir DIR          where the cluster lives (a fresh folder under /tmp, removed at the end)
#   --profile FILE     record all processes with `perf` during the measured run
#   --keep             leave the cluster running
#
# BFT_BUILD names the folder of the built programs (build/release).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export BFT_BUILD=${BFT_BUILD:-$root/build/release}
clients=2 outstanding=2048 bytes=0 seconds=10 warmup=3 rate=0 groups=1 f=1 tpm_delay_ms=0
json="" dir="" profile="" keep="" made_dir="" own_hosts="" init=()

fail() { echo "ordering.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --keep) keep=yes; shift; continue ;;
        --own-hosts) own_hosts=yes; shift; continue ;;
        --software-usig) init+=(--software-usig yes); shift; continue ;;
    esac
    [ $# -ge 2 ] || fail "$1 needs a value"
    case "$1" in
        --clients | --outstanding | --bytes | --seconds | --warmup | --rate | --groups | --f | --tpm-delay-ms)
            [[ $2 =~ ^[0-9]+$ ]] || fail "$1 must be a number, not '$2'"
            name=${1#--}
            printf -v "${name//-/_}" %s "$2"
            ;;
        --timing) init+=(--timing "$2") ;;
        --json) json=$2 ;;
        --dir) dir=$2 ;;
        --profile) profile=$2 ;;
        *) echo "ordering.sh: unknown option '$1'; see: $0 --help" >&2; exit 2 ;;
    esac
    shift 2
done

cluster() { "$root/deploy/cluster.sh" "$@"; }

finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM
    if [ -n "$keep" ] && [ $status = 0 ]; then
        echo "the cluster is up in $dir; stop it with: deploy/cluster.sh stop $dir"
        exit 0
    fi
    if [ -n "$dir" ] && [ -e "$dir/cluster.env" ]; then cluster stop "$dir" || status=1; fi
    if [ -n "$made_dir" ] && [ $status = 0 ]; then rm -rf "$dir"; fi
    [ $status = 0 ] || [ -z "$dir" ] || echo "the logs are in $dir/hosts/*/log" >&2
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -z "$dir" ]; then
    dir=$(mktemp -d /tmp/bft-order.XXXXXX)
    made_dir=yes
fi
dir=$(realpath -m "$dir")
# A client has at most 256 requests under way in one partition.
partitions=$(((outstanding + 255) / 256))
[ "$partitions" -ge "$groups" ] || partitions=$groups
if [ ! -e "$dir/cluster.env" ]; then
    [ -z "$own_hosts" ] || init+=(--replica-hosts $((groups * (2 * f + 1))))
    names=$(for ((i = 1; i <= clients; ++i)); do printf 'load%d ' "$i"; done)
    cluster init "$dir" --app "$root/config/apps/ordering" --groups "$groups" --f "$f" --partitions "$partitions" \
        --tpm-delay-ms "$tpm_delay_ms" --clients "$names" "${init[@]}" >/dev/null
fi
cluster start "$dir"
cluster pids "$dir" >"$dir/pids"
arguments=()
for ((i = 1; i <= clients; ++i)); do arguments+=(--config "$dir/clients/load$i"); done
if [ -n "$json" ]; then
    arguments+=(--json "$json")
    python3 "$root/bench/cluster/footprint.py" "$dir" "$dir/pids" >"$dir/before.json"
fi
"$BFT_BUILD/bench/cluster/ordering_bench" "${arguments[@]}" --outstanding "$outstanding" --partitions "$partitions" \
    --bytes "$bytes" --seconds "$seconds" --warmup "$warmup" --rate "$rate" --pids-file "$dir/pids" &
load=$!
if [ -n "$profile" ]; then
    sleep "$((warmup + 1))"
    perf record -q -e cpu-clock -F 997 -g -o "$profile" \
        -p "$load,$(awk '{printf "%s%s", sep, $1; sep=","}' "$dir/pids")" -- sleep "$((seconds > 4 ? seconds - 3 : 1))" || true
fi
wait "$load"
if [ -n "$json" ]; then
    python3 "$root/bench/cluster/footprint.py" "$dir" "$dir/pids" >"$dir/after.json"
    all=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["answered_at_all"])' "$json")
    python3 "$root/bench/cluster/footprint.py" --difference "$dir/before.json" "$dir/after.json" "$all" \
        >"${json%.json}.footprint.json"
    "$root/deploy/cluster.sh" status "$dir" --json >"${json%.json}.status.json" || true
fi
