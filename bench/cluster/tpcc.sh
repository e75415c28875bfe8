#!/usr/bin/env bash
# TPC-C on a whole cluster against one unreplicated, durable MariaDB, run in turns on the same machine: the
# same terminals, population and server settings. Prints rates, CPU time per transaction, and the ratios.
#
#   bench/cluster/tpcc.sh [OPTIONS]
#
#   --rounds N       times that each of the four is run, in turns (3)
#   --seconds N      of each run, after --warmup (20)
#   --warmup N       seconds before it (3)
#   --clients N      terminals that call without pause (64)
#   --warehouses N   each is a partition (5)
#   --scale X        size of a warehouse (1)
#   --groups N       groups of replicas (1: where databases set the pace, more groups are more certificates)
#   --workers N      database sessions of each voter (1)
#   --batch N        ordered transactions that share an SQL transaction, at most (the daemon's default)
#   --ways "A B .."  which of the four: call text prepared cluster (all)
#   --out DIR        where the results go, one JSON file a run (build/bench/tpcc)
#   --timing LINE    a line for [timing] of every node.toml; may be given several times
#
# The unreplicated server is driven in three ways: one CALL per transaction of the same procedures (call),
# and statement by statement, as text or prepared once per connection. BFT_BUILD names the folder of the
# built programs (build/release). Exit status: 0 when no request failed and the cluster's databases are equal.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export BFT_BUILD=${BFT_BUILD:-$root/build/release}
rounds=3 seconds=20 warmup=3 clients=64 warehouses=5 scale=1 groups=1 workers=1 batch="" ways="call text prepared cluster" out=$root/build/bench/tpcc
timing=()

fail() { echo "tpcc.sh: $*" >&2; exit 1; }
say() { printf '== %s\n' "$*"; }

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --rounds | --seconds | --warmup | --clients | --warehouses | --scale | --groups | --workers | --batch | --ways | --out | --timing) ;;
        *) echo "tpcc.sh: unknown option '$1'; see: bench/cluster/tpcc.sh --help" >&2; exit 2 ;;
    esac
    [ $# -ge 2 ] || { echo "tpcc.sh: $1 needs a value" >&2; exit 2; }
    if [ "$1" = --timing ]; then timing+=(--timing "$2"); else printf -v "${1#--}" %s "$2"; fi
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

pool_mb=$((128 + 110 * warehouses))
say "a cluster of $groups groups, and one server without replication; $warehouses warehouses"
"$root/deploy/cluster.sh" init "$dir/cluster" --groups "$groups" --partitions "$warehouses" --pool-mb "$pool_mb" \
    --workers "$workers" ${batch:+--batch "$batch"} "${timing[@]}"
"$root/deploy/cluster.sh" start-databases "$dir/cluster"
"$root/deploy/mariadb.sh" start "$dir/one" --pool-mb "$pool_mb" --connections $((2 * clients + 16))
one=$dir/one/mysqld.sock
mapfile -t sockets < <("$root/deploy/cluster.sh" sockets "$dir/cluster" | sed 's/^/--socket=/')
"$bin/tpcc_load" "${sockets[@]}" --socket "$one" --user root --warehouses "$warehouses" --scale "$scale" \
    --app "$root/config/apps/tpcc"
"$root/deploy/cluster.sh" start "$dir/cluster"
"$root/deploy/cluster.sh" pids "$dir/cluster" >"$dir/pids"
echo "$(cat "$dir/one/mysqld.pid") database" >"$dir/one.pids"

failures=0
drive() { # NAME ARGUMENTS...
    local name=$1
    shift
    printf '   %-10s' "$name"
    "$bin/tpcc_drive" --warehouses "$warehouses" --scale "$scale" --clients "$clients" --seconds "$seconds" \
        --warmup "$warmup" --seed "$seed" --json "$out/$name.$round.json" "$@" >"$dir/drive.log" 2>&1 ||
        { failures=$((failures + 1)); echo; tail -n 20 "$dir/drive.log" >&2; }
    [ -s "$out/$name.$round.json" ] || fail "the run '$name' gave no result"
    python3 - "$out/$name.$round.json" <<'PRINT'
import json, sys
run = json.load(open(sys.argv[1]))
cpu = run["cpu_us_per_transaction"]
print(f"{run['per_second']:7.0f} /s   p50 {run['latency_us']['p50'] / 1000:6.1f} ms   CPU us: "
      + ", ".join(f"{role} {value:.0f}" for role, value in cpu.items() if role != "percent_of_databases"), flush=True)
PRINT
}
for ((round = 1; round <= rounds; round++)); do
    say "round $round of $rounds, $((warmup + seconds)) s each"
    seed=$round
    for way in $ways; do
        if [ "$way" = cluster ]; then
            drive cluster --config "$dir/cluster/clients/bench" --pids-file "$dir/pids"
            "$root/deploy/cluster.sh" status "$dir/cluster" --json >"$out/status.$round.json" || true
        else
            drive "$way" --direct "$one" --user root --way "$way" --pids-file "$dir/one.pids"
        fi
    done
done

say "checking the databases"
"$bin/tpcc_check" "${sockets[@]}" --user root >"$dir/check.log" || { cat "$dir/check.log" >&2; failures=$((failures + 1)); }
"$bin/tpcc_check" --socket "$one" --user root >"$dir/check.log" || { cat "$dir/check.log" >&2; failures=$((failures + 1)); }
python3 "$root/bench/cluster/tpcc_table.py" "$out"
[ "$failures" = 0 ] || fail "$failures run(s) or check(s) failed"
