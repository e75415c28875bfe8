#!/usr/bin/env bash
# The experiment of the CloudBFT thesis (sections 5.1 to 5.4): pages of 200 ms, five warehouses, 1 to 5 groups, against
# as many unreplicated page servers before one database. Throughput and latency against groups and clients. One cluster
# does it all: groups come and go between the rows while it runs, and partitions move to as many as the next row has.
#
#   bench/cluster/thesis.sh [OPTIONS]
#
#   --page-cost-ms N   time for one page; a server or replica makes one at a time (200)
#   --page-workers N   pages that a replica makes at once; unreplicated servers stay at one (1)
#   --groups "A B .."  numbers of groups (1 2 3 4 5)
#   --clients "A B .." numbers of clients (15)
#   --seconds N        of each run, after --warmup (20)
#   --warmup N         seconds before it (5)
#   --per-minute N     calls a minute of all clients, due whatever is answered; latency counts from when a call
#                      is due (0: each answer makes the client's next call)
#   --tpm-delay-ms N   make the TPMs as slow as chips (0)
#   --scale X          size of a warehouse (0.1)
#   --timing LINE      for [timing] of every node.toml; may be given several times
#   --out DIR          where the results go, one JSON file a run (build/bench/thesis)
#
# BFT_BUILD names the folder of the built programs (build/release). Exit status: 0 when no request failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export BFT_BUILD=${BFT_BUILD:-$root/build/release}
page_cost_ms=200 page_workers=1 groups="1 2 3 4 5" clients=15 seconds=20 warmup=5 per_minute=0 tpm_delay_ms=0 scale=0.1
out=$root/build/bench/thesis warehouses=5 timing=()

fail() { echo "thesis.sh: $*" >&2; exit 1; }
say() { printf '== %s\n' "$*"; }

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --page-cost-ms | --page-workers | --groups | --clients | --seconds | --warmup | --per-minute | --tpm-delay-ms | --scale | --timing | --out) ;;
        *) echo "thesis.sh: unknown option '$1'; see: bench/cluster/thesis.sh --help" >&2; exit 2 ;;
    esac
    [ $# -ge 2 ] || { echo "thesis.sh: $1 needs a value" >&2; exit 2; }
    if [ "$1" = --timing ]; then timing+=(--timing "$2"); shift 2; continue; fi
    name=${1#--}
    printf -v "${name//-/_}" %s "$2"
    shift 2
done

bin=$BFT_BUILD/bench/tpcc
for program in "$bin"/tpcc_{load,drive,check} "$BFT_BUILD"/src/node/{bftnode,bftctl}; do
    [ -x "$program" ] || fail "$program is not built: cmake --build $BFT_BUILD"
done
mkdir -p "$out"
rm -f "$out"/*.json
dir=$(mktemp -d /tmp/bft-bench.XXXXXX)
finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM
    [ ! -e "$dir/cluster/cluster.env" ] || "$root/deploy/cluster.sh" stop "$dir/cluster" || status=1
    [ ! -d "$dir/one" ] || "$root/deploy/mariadb.sh" remove "$dir/one" || status=1
    if [ "$status" = 0 ] || [ "$status" -gt 128 ]; then rm -rf "$dir"; else echo "logs: $dir" >&2; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

failures=0
drive() { # NAME CLIENTS ARGUMENTS...
    local name=$1 count=$2
    shift 2
    printf '   %-22s' "$name"
    "$bin/tpcc_drive" --warehouses "$warehouses" --scale "$scale" --clients "$count" --seconds "$seconds" \
        --warmup "$warmup" --per-minute "$per_minute" --json "$out/$name.json" "$@" >"$dir/drive.log" 2>&1 ||
        { failures=$((failures + 1)); echo; tail -n 20 "$dir/drive.log" >&2; }
    [ -s "$out/$name.json" ] || fail "the run '$name' gave no result"
    python3 - "$out/$name.json" <<'PRINT'
import json, sys
run = json.load(open(sys.argv[1]))
print(f"{run['per_second'] * 60:6.0f} a minute   p50 {run['latency_us']['p50'] / 1000:6.0f}   "
      f"p95 {run['latency_us']['p95'] / 1000:6.0f} ms", flush=True)
PRINT
}

for hosts in host1 host2 host3; do
    export "BFT_NODE_ARGS_$hosts=--page-cost-ms $page_cost_ms --page-workers $page_workers"
done
"$root/deploy/mariadb.sh" start "$dir/one" --pool-mb 128
"$bin/tpcc_load" --socket "$dir/one/mysqld.sock" --user root --warehouses "$warehouses" --scale "$scale" \
    --app "$root/config/apps/tpcc" >"$dir/load.log" 2>&1 || { cat "$dir/load.log" >&2; fail "cannot load"; }

most=$(printf '%s\n' $groups | sort -n | tail -n 1)
[ "$most" -le "$warehouses" ] || fail "each group owns a warehouse: at most $warehouses"
"$root/deploy/cluster.sh" init "$dir/cluster" --groups 1 --spare-counters $((most - 1)) --partitions "$warehouses" --pool-mb 64 \
    --tpm-delay-ms "$tpm_delay_ms" "${timing[@]}" >"$dir/init.log" 2>&1 || { cat "$dir/init.log" >&2; fail "cannot make a cluster"; }
"$root/deploy/cluster.sh" start-databases "$dir/cluster"
mapfile -t sockets < <("$root/deploy/cluster.sh" sockets "$dir/cluster" | sed 's/^/--socket=/')
"$bin/tpcc_load" "${sockets[@]}" --user root --warehouses "$warehouses" --scale "$scale" \
    --app "$root/config/apps/tpcc" >"$dir/load.log" 2>&1 || { cat "$dir/load.log" >&2; fail "cannot load"; }
"$root/deploy/cluster.sh" start "$dir/cluster"

for ((p = 1; p <= warehouses; ++p)); do owner[p]=1; done
there=1
reconfigure() { # COMMAND ARGUMENTS...: of bftctl
    "$BFT_BUILD/src/node/bftctl" "$@" --client "$dir/cluster/clients/admin" --key "$dir/cluster/admins/admin.key" |
        sed 's/^/   /' || fail "refused: $*"
}
spread_over() { # GROUPS
    local to p moving
    for ((; there < $1; ++there)); do reconfigure group add --cluster "$dir/cluster/hosts/host1/cluster.toml"; done
    for ((to = 1; to <= most; ++to)); do
        moving=()
        for ((p = to; to <= $1 && p <= warehouses; p += $1)); do
            [ "${owner[p]}" = "$to" ] || moving+=("$p")
            owner[p]=$to
        done
        [ ${#moving[@]} = 0 ] || reconfigure partition move "${moving[@]}" --to "$to"
    done
    for ((; there > $1; --there)); do reconfigure group remove "$there"; done
}

# From most to least: what a cluster has counted when its first rows are done is of one number of groups.
for g in $(printf '%s\n' $groups | sort -rn); do
    say "$g group(s), and $g unreplicated server(s)"
    spread_over "$g"
    for c in $clients; do
        drive "unreplicated.$g.$c" "$c" --direct "$dir/one/mysqld.sock" --user root --servers "$g" \
            --page-cost-ms "$page_cost_ms"
        drive "groups.$g.$c" "$c" --config "$dir/cluster/clients/bench"
        "$root/deploy/cluster.sh" status "$dir/cluster" --json >"$out/groups.$g.$c.status" || true
    done
done
"$bin/tpcc_check" "${sockets[@]}" --user root >"$dir/check.log" ||
    { cat "$dir/check.log" >&2; failures=$((failures + 1)); }
python3 "$root/bench/cluster/thesis_table.py" "$out" --page-cost-ms "$page_cost_ms"
[ "$failures" = 0 ] || fail "$failures run(s) or check(s) failed"
