#!/usr/bin/env bash
# Hyperledger Caliper against a real cluster on this machine (TPMs in software, MariaDB), as AuditChain was measured.
# Each combination gets a cluster of its own; afterwards every database is checked.
#
#   bench/caliper/run.sh [OPTIONS]
#
#   --scenario local|global|tpcc|all   all nodes in one region; two regions; TPC-C instead of payments; local and global (all)
#   --mode direct|gateway|both         Caliper's workers are clients of the cluster; or one gateway is (both)
#   --workers N        Caliper's worker processes (2)
#   --outstanding N    transactions on the way at once, of all workers (what the scenario says)
#   --tps N            send at this rate (as fast as --outstanding allows)
#   --seconds N        length of the measured round (120), --from N and --window N: what of it counts (30, 60)
#   --rtt N            milliseconds between the regions of `global` (182: Seoul and N. Virginia)
#   --groups N         groups of replicas (2); --partitions N: branches or warehouses (5); --accounts N (2000)
#   --scale X          size of a warehouse for tpcc (0.1)
#   --out DIR          where reports go (build/caliper)
#
# BFT_BUILD names the folder of the built programs (build/release). Exit status: 0 all runs and checks passed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/bench/caliper
# shellcheck source=../../deploy/processes.sh
. "$root/deploy/processes.sh"
export BFT_BUILD=${BFT_BUILD:-$root/build/release}
scenario=all mode=both workers=2 outstanding="" tps="" seconds="" from="" window="" rtt=182 groups=2 partitions=5 accounts=2000
scale=0.1 out=$root/build/caliper

fail() { echo "run.sh: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --scenario | --mode | --workers | --outstanding | --tps | --seconds | --from | --window | --rtt | --groups | --partitions | --accounts | --scale | --out)
            printf -v "${1#--}" %s "${2:?$1 needs a value}"; shift 2 ;;
        *) fail "unknown option '$1'; see: bench/caliper/run.sh --help" ;;
    esac
done
case "$scenario" in all) scenarios="local global" ;; local | global | tpcc) scenarios=$scenario ;; *) fail "--scenario is local, global, tpcc or all" ;; esac
case "$mode" in both) modes="direct gateway" ;; direct | gateway) modes=$mode ;; *) fail "--mode is direct, gateway or both" ;; esac
command -v node >/dev/null || fail "Node 20 is needed (nodejs.org)"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || fail "Node 20 is needed, this is $(node --version)"
"$root/deploy/install-packages.sh" run
[ -e "$here/node_modules" ] || (cd "$here" && npm ci --ignore-scripts --no-audit --no-fund)

dir=""
finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM
    [ -z "$dir" ] || end_cluster
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

end_cluster() {
    process_stop 10 "$dir/gateway.pid"
    [ ! -e "$dir/cluster.env" ] || "$root/deploy/cluster.sh" stop "$dir" || true
    process_stop 5 "$dir/regions.pid"
    rm -rf "$dir"
    dir=""
}

begin_cluster() { # SCENARIO MODE
    local app=payment i clients=""
    [ "$1" != tpcc ] || app=tpcc
    for ((i = 1; i <= workers; ++i)); do clients+="caliper$i "; done
    dir=$(mktemp -d /tmp/bft-cal.XXXXXX)
    "$root/deploy/cluster.sh" init "$dir" --app "$root/config/apps/$app" --groups "$groups" --partitions "$partitions" --pool-mb 128 \
        --http plain --clients "${clients% }" >/dev/null
    if [ "$1" = global ]; then
        process_start "$dir/regions.pid" "$dir/regions.log" node "$here/regions.js" --dir "$dir" --far host2,host3 --rtt "$rtt"
        wait_until 20 "the way between the regions, see $dir/regions.log" grep -q ready "$dir/regions.log" || fail "$(cat "$dir/regions.log")"
    fi
    if [ "$1" = tpcc ]; then
        local sockets
        "$root/deploy/cluster.sh" start-databases "$dir"
        mapfile -t sockets < <("$root/deploy/cluster.sh" sockets "$dir" | sed 's/^/--socket=/')
        "$BFT_BUILD/bench/tpcc/tpcc_load" "${sockets[@]}" --user root --warehouses "$partitions" --scale "$scale" --app "$root/config/apps/tpcc"
    fi
    "$root/deploy/cluster.sh" start "$dir"
    [ "$2" = gateway ] || return 0
    gateway=127.0.0.1:$(free_ports 1)
    printf '[gateway]\nclient = "%s"\n[http]\nlisten = "%s"\n' "$dir/clients/bench" "$gateway" >"$dir/gateway.toml"
    process_start "$dir/gateway.pid" "$dir/gateway.log" "$BFT_BUILD/src/node/bftnode" --role=gateway --config "$dir/gateway.toml"
    wait_until 30 "the gateway, see $dir/gateway.log" curl -fsS "http://$gateway/readyz" || fail "$(tail -n 5 "$dir/gateway.log")"
}

measure() { # SCENARIO MODE
    local more=() name
    for name in outstanding tps seconds from window; do [ -z "${!name}" ] || more+=("--$name" "${!name}"); done
    if [ "$1" = tpcc ]; then more+=(--warehouses "$partitions" --scale "$scale"); else more+=(--branches "$partitions" --accounts "$accounts"); fi
    if [ "$2" = gateway ]; then more+=(--gateway "http://$gateway"); else more+=(--cluster "$dir"); fi
    [ "$1 $2" != "global direct" ] || more+=(--manifest "$dir/manifest.near.json")
    node "$here/run.js" --benchmark "$here/benchmarks/$1.yaml" --out "$out/$1-$2" --workers "$workers" "${more[@]}"
}

check_databases() { # SCENARIO
    local sockets
    mapfile -t sockets < <("$root/deploy/cluster.sh" sockets "$dir")
    if [ "$1" = tpcc ]; then "$BFT_BUILD/bench/tpcc/tpcc_check" "${sockets[@]/#/--socket=}" --user root
    else "$root/config/apps/payment/check.sh" "${sockets[@]}"; fi
}

failures=0
for one in $scenarios; do
    for how in $modes; do
        say "$one, $how mode"
        begin_cluster "$one" "$how"
        measure "$one" "$how" || { failures=$((failures + 1)); echo "FAILED: $one, $how" >&2; }
        say "the databases afterwards"
        check_databases "$one" || { failures=$((failures + 1)); echo "FAILED: the databases after $one, $how" >&2; }
        end_cluster
    done
done
[ "$failures" = 0 ] || fail "$failures of the runs or checks failed; reports and logs are in $out"
say "all runs and checks passed; reports: $out/*/report.html"
