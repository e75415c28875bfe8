#!/usr/bin/env bash
# Shows it all on this machine: builds, starts a real cluster on loopback, loads TPC-C, runs it, checks
# that every database kept TPC-C's promises and that all are equal row for row, and stops everything.
#
#   deploy/demo.sh [OPTIONS]
#
#   --groups N       groups of replicas (2)
#   --warehouses N   TPC-C warehouses; each is a partition (5)
#   --clients N      terminals that call without pause (64)
#   --seconds N      length of the measured run (60)
#   --f N            hosts that may fail or lie: 2f+1 hosts, each with its own database (1)
#   --scale X        size of a warehouse, 0 < X <= 1; 1 is the specification's (1)
#   --tpm-delay-ms N make the software TPMs as slow as chips (0)
#   --kill-host NAME@SECONDS   kill -9 every process of a host in the middle, as in host2@20
#   --elastic        load rises and falls (--profile), and a controller lets as many groups serve as the target needs: from
#                    one up to one for each warehouse, and back. A table and a picture show it; it is checked that nothing
#                    acknowledged was lost or ran twice, and that partitions which moved waited for a moment only. Takes
#                    three minutes, and smaller warehouses (--scale 0.1) unless told otherwise
#   --profile STEPS  terminals x seconds, for --elastic (2x20,10x40,20x40,10x30,2x50)
#   --target-ms N    for 95 of 100 transactions, for --elastic (1000)
#   --page-cost-ms N time that a replica takes for an answer, one after the other, for --elastic (200, as in the thesis:
#                    groups are the bottleneck then, and not this machine's processors)
#   --pause-ms N     how long a partition may wait at most when it moves, for --elastic (250)
#   --results FOLDER for what --elastic measured, and its picture, elastic.svg (build/demo)
#   --dir DIR        where the cluster lives (a fresh folder under /tmp, removed at the end)
#   --keep           leave it running, and say how to talk to it
#   --web            instead of all this: print a link to a page that shows a cluster live and calls it, until
#                    Ctrl-C; further options are those of deploy/demo-web.sh
#
# Ctrl-C stops everything, too. Exit status: 0 all checks passed; 1 one did not, or something failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
groups=2 warehouses=5 clients=64 seconds=60 f=1 scale="" tpm_delay_ms=0 kill_host="" dir="" keep=""
elastic="" profile=2x20,10x40,20x40,10x30,2x50 target_ms=1000 page_cost_ms=200 pause_ms=250 results=""

fail() { echo "demo.sh: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }

if [ "${1:-}" = --web ]; then
    shift
    cd "$root"
    case " $* " in *" -h "* | *" --help "*) exec deploy/demo-web.sh --help ;; esac
    deploy/install-packages.sh build run
    export BFT_BUILD=${BFT_BUILD:-$root/build/release}
    [ -e "$BFT_BUILD/build.ninja" ] || cmake --preset release -B "$BFT_BUILD"
    cmake --build "$BFT_BUILD" --target bftnode bftctl tpcc_load tpcc_drive
    exec deploy/demo-web.sh "$@"
fi

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --keep) keep=yes; shift; continue ;;
        --elastic) elastic=yes; shift; continue ;;
        --groups | --warehouses | --clients | --seconds | --f | --scale | --tpm-delay-ms | --kill-host | --dir | --profile | --target-ms | --page-cost-ms | --pause-ms | --results) ;;
        *) echo "demo.sh: unknown option '$1'; see: deploy/demo.sh --help" >&2; exit 2 ;;
    esac
    [ $# -ge 2 ] || { echo "demo.sh: $1 needs a value" >&2; exit 2; }
    name=${1#--}
    case "$1" in
        --scale) [[ $2 =~ ^(0?\.[0-9]+|1(\.0*)?)$ ]] || fail "--scale must be above 0 and at most 1" ;;
        --dir | --results) ;;
        --profile) [[ $2 =~ ^[0-9]+x[0-9]+(,[0-9]+x[0-9]+)*$ ]] || fail "--profile wants steps of CLIENTSxSECONDS, as in 4x30,64x60" ;;
        --kill-host) [[ $2 =~ ^[A-Za-z0-9_-]+@[0-9]+$ ]] || fail "--kill-host wants NAME@SECONDS, as in host2@20" ;;
        *) [[ $2 =~ ^[0-9]+$ ]] || fail "$1 must be a number, not '$2'" ;;
    esac
    printf -v "${name//-/_}" %s "$2"
    shift 2
done
for name in groups warehouses clients seconds f; do
    [ "${!name}" -ge 1 ] || fail "--$name must be at least 1"
done
spare_counters=0
if [ -n "$elastic" ]; then
    spare_counters=$((2 * (warehouses - 1)))  # of each host: one for each group that comes, and comes again
    groups=1
    scale=${scale:-0.1}
    for ((i = 1; i <= 2 * f + 1; ++i)); do export "BFT_NODE_ARGS_host$i=--page-cost-ms $page_cost_ms"; done
fi
scale=${scale:-1}
results=$(realpath -m "${results:-$root/build/demo}")
[ "$warehouses" -ge "$groups" ] || fail "--warehouses must be at least --groups: each group owns one"

# Starting and stopping is short and must not break off in the middle: Ctrl-C is obeyed after it.
cluster() { (trap '' INT; exec "$root/deploy/cluster.sh" "$@"); }

# Long steps run in the background, so that a signal is obeyed at once and not when they are over.
child=""
run() {
    local status=0
    "$@" &
    child=$!
    wait "$child" || status=$?
    child=""
    return $status
}

made_dir=""
killer=""
finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM  # a second Ctrl-C must not leave processes behind
    [ -z "$killer" ] || kill "$killer" 2>/dev/null || true
    [ -z "${controller:-}" ] || kill "$controller" 2>/dev/null || true
    if [ -n "$child" ]; then
        kill -TERM "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    if [ -n "$dir" ] && [ -e "$dir/cluster.env" ]; then
        if [ -n "$keep" ] && [ "$status" -lt 128 ]; then
            say_how_to_talk
            exit $status
        fi
        say "stopping everything"
        cluster stop "$dir" || status=1
        if [ "$status" != 0 ] && [ "$status" -lt 128 ]; then
            echo "The logs are in $dir/hosts/*/log"
        elif [ -n "$made_dir" ]; then
            rm -rf "$dir"
        fi
    elif [ -n "$made_dir" ]; then
        rm -rf "$dir"
    fi
    exit $status
}

say_how_to_talk() {
    local bin=$BFT_BUILD/src/node
    cat <<TEXT

== The cluster is up in $dir
  who is up, who disagrees   $bin/bftctl status $dir
  one transaction            $bin/bftctl call --client $dir/clients/admin stock_level 1 1 15
  a database, by itself      mariadb --socket=$dir/hosts/host1/mariadb/mysqld.sock --user=root tpcc
  a host dies, comes back    deploy/cluster.sh kill-host $dir host2; deploy/cluster.sh start-host $dir host2
  more load                  $BFT_BUILD/bench/tpcc/tpcc_drive --config $dir/clients/bench --warehouses $warehouses --scale $scale
  logs                       $dir/hosts/*/log
  stop it                    deploy/cluster.sh stop $dir
TEXT
}

show_elastic() {
    local status=0 python=python3
    mkdir -p "$results"
    "$root/bench/elastic.py" "$dir" --profile "$profile" --partitions "$warehouses" --target-ms "$target_ms" --faults "$f" \
        --page-cost-ms "$page_cost_ms" --peak "$warehouses" --pause-ms "$pause_ms" --json "$results/elastic.json" ||
        { status=1; echo "FAILED: the groups did not follow the load as they should" >&2; }
    # Whichever Python has the drawing library: Debian's package belongs to Debian's Python.
    "$python" -c 'import matplotlib' 2>/dev/null || python=/usr/bin/python3
    if "$python" -c 'import matplotlib' 2>/dev/null; then
        "$python" "$root/bench/draw.py" "$results" || { status=1; echo "FAILED: no picture" >&2; }
    else
        echo "no picture for want of python3-matplotlib"
    fi
    return $status
}

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$root"
deploy/install-packages.sh build run
[ -z "$elastic" ] || deploy/install-packages.sh bench || true  # only the picture needs it

say "building (build/release)"
export BFT_BUILD=${BFT_BUILD:-$root/build/release}
if [ ! -e "$BFT_BUILD/build.ninja" ]; then
    run cmake --preset release -B "$BFT_BUILD"
fi
run cmake --build "$BFT_BUILD" --target bftnode bftctl tpcc_load tpcc_drive tpcc_check

if [ -z "$dir" ]; then
    dir=$(mktemp -d /tmp/bft-demo.XXXXXX)
    made_dir=yes
fi
dir=$(realpath -m "$dir")
replicas=$((2 * f + 1))
say "a new cluster in $dir: $((f + 1)) primary-capable hosts, $replicas hosts (f = $f), $groups groups${elastic:+ and counters for $spare_counters more}, $warehouses warehouses"
memory_mb=$(awk '/MemAvailable/ {print int($2 / 1024)}' /proc/meminfo)
pool_mb=$((128 + 110 * warehouses))
[ "$pool_mb" -lt $((memory_mb / 2 / replicas)) ] || pool_mb=$((memory_mb / 2 / replicas))
[ "$pool_mb" -ge 64 ] || pool_mb=64
cluster init "$dir" --groups "$groups" --spare-counters "$spare_counters" --partitions "$warehouses" --f "$f" --pool-mb "$pool_mb" \
    --tpm-delay-ms "$tpm_delay_ms"
if [ -n "$kill_host" ] && ! cluster hosts "$dir" | grep -qx "${kill_host%@*}"; then
    fail "there is no host '${kill_host%@*}'; there are: $(cluster hosts "$dir" | tr '\n' ' ')"
fi

say "starting $replicas database servers and loading TPC-C"
cluster start-databases "$dir"
mapfile -t sockets < <(cluster sockets "$dir" | sed 's/^/--socket=/')
run "$BFT_BUILD/bench/tpcc/tpcc_load" "${sockets[@]}" --user root --warehouses "$warehouses" --scale "$scale" \
    --app "$root/config/apps/tpcc"

say "starting the cluster"
cluster start "$dir"
"$BFT_BUILD/src/node/bftctl" status "$dir"

load=(--clients "$clients" --seconds "$seconds")
controller=""
if [ -n "$elastic" ]; then
    load=(--profile "$profile" --timeline "$dir/timeline" --record "$dir/acknowledged")
    "$root/bench/tpcc/acknowledged.py" begin "$dir/loaded" "${sockets[0]}"
    # A demonstration has less time than a service, which would rather wait for some minutes.
    printf '%s\n' "target_p95_ms = $target_ms" "sample_ms = 1000" "samples = 3" "cool_down_ms = 6000" "shrink_percent = 50" \
        "spare_groups = 0" >"$dir/controller.toml"
    say "running TPC-C with $profile terminals x seconds; 95 of 100 answers shall take $target_ms ms at most"
    # A key that may move partitions, add groups on the counters to spare and remove empty ones, and do nothing else.
    "$BFT_BUILD/src/node/bftctl" key grant "$dir/admins/controller.key" --client "$dir/clients/admin" --key "$dir/admins/admin.key" >/dev/null
    "$BFT_BUILD/src/node/bftctl" controller "$dir" --client "$dir/clients/admin" --key "$dir/admins/controller.key" \
        --cluster "$dir/hosts/host1/cluster.toml" --policy "$dir/controller.toml" 2>"$dir/controller.log" &
    controller=$!
else
    say "running TPC-C for $seconds s with $clients clients"
fi
cluster pids "$dir" >"$dir/pids"
if [ -n "$kill_host" ]; then
    # `read` waits inside the shell: no process is left when it is killed.
    (read -r -t "${kill_host#*@}" <> <(:) || cluster kill-host "$dir" "${kill_host%@*}" &&
        printf '\n== kill -9 of every process of %s\n' "${kill_host%@*}") &
    killer=$!
fi
failures=0
run "$BFT_BUILD/bench/tpcc/tpcc_drive" --config "$dir/clients/bench" --warehouses "$warehouses" --scale "$scale" \
    "${load[@]}" --pids-file "$dir/pids" --json "$dir/result.json" ||
    { failures=$((failures + 1)); echo "FAILED: requests failed" >&2; }
if [ -n "$killer" ]; then wait "$killer" || true; killer=""; fi

if [ -n "$elastic" ]; then
    kill "$controller" 2>/dev/null || true
    wait "$controller" 2>/dev/null || true
    controller=""
    say "what the controller did"
    cat "$dir/controller.log"
    say "load, latency and groups over time"
    show_elastic || failures=$((failures + 1))
fi

say "checking the databases"
if [ -n "$kill_host" ]; then
    mapfile -t sockets < <(cluster sockets "$dir" | grep -v "/hosts/${kill_host%@*}/" | sed 's/^/--socket=/')
fi
run "$BFT_BUILD/bench/tpcc/tpcc_check" "${sockets[@]}" --user root ||
    { failures=$((failures + 1)); echo "FAILED: the check of the databases" >&2; }
if [ -n "$elastic" ]; then
    "$root/bench/tpcc/acknowledged.py" check "$dir/loaded" "$dir/acknowledged" "${sockets[0]}" ||
        { failures=$((failures + 1)); echo "FAILED: what was acknowledged is not what is there" >&2; }
fi
if [ -z "$kill_host" ] && ! "$BFT_BUILD/src/node/bftctl" status "$dir" --quiet; then
    failures=$((failures + 1))
    echo "FAILED: a host is down or disagrees" >&2
fi
[ "$failures" = 0 ] || fail "$failures check(s) failed"
say "all checks passed"
