#!/usr/bin/env bash
# A whole cluster on this machine's loopback, in a directory of its own: every host has its TPM (swtpm),
# its USIG service, its database server and its daemon, all real processes.
#
#   deploy/cluster.sh init DIR [OPTIONS]      make keys, TPMs and all files of a new cluster in DIR
#   deploy/cluster.sh start DIR               start whatever does not run, wait until it is ready
#   deploy/cluster.sh start-databases DIR     only the database servers (to load data before `start`)
#   deploy/cluster.sh stop DIR                orderly stop of everything
#   deploy/cluster.sh kill-host DIR HOST      kill -9 of every process of one host, database and TPM too
#   deploy/cluster.sh kill-daemons DIR HOST   kill -9 of its daemons only; database and TPM stay up
#   deploy/cluster.sh start-host DIR HOST     start whatever of one host does not run
#   deploy/cluster.sh prepare-host DIR NEW [OLD]   a new host with its own TPM, and an empty database if OLD has
#                                             one, to replace it; without OLD, with one more database; with
#                                             `--counters N` instead, for seats of new groups:
#                                             `bftctl member prepare`; start-host starts it
#   deploy/cluster.sh status DIR [OPTIONS]    `bftctl status`
#   deploy/cluster.sh sockets DIR             the database servers' sockets, one a line
#   deploy/cluster.sh pids DIR                every process: PID; daemon, usig, tpm or database; host
#   deploy/cluster.sh hosts DIR               the hosts' names, one a line
#
# Options of init:
#   --groups N         groups of replicas (2)
#   --spare-counters N counters of each host with replicas for `bftctl group add` (0)
#   --partitions N     partitions 1..N, dealt out to the groups in turn; 0 goes to the first (5)
#   --f N              hosts that may fail: 2f+1 hosts with replicas, voter and database (1)
#   --replica-hosts N  hosts with replicas, of which the first 2f+1 have databases, too (2f+1)
#   --primaries N      hosts that can order requests; one leads, f+1 are needed (f+1)
#   --timing LINE      a line for the [timing] section of every node.toml, as in
#                      'silence_patience_ms = 500'; may be given several times
#   --app FOLDER       the application (config/apps/tpcc); one of kind "ordering" has no databases
#   --pool-mb N        buffer pool of each database server (64)
#   --workers N        database sessions of each voter (1)
#   --batch N          ordered transactions that share an SQL transaction, at most (the daemon's default)
#   --tpm-delay-ms N   make the TPMs slower (0)
#   --software-usig yes   counters without TPM, which whoever breaks into a host can forge: for trials
#   --http tls|plain   an HTTP front for each host with replicas (none)
#   --origins "A B"    whose pages may use the fronts, such as http://127.0.0.1:8080 (none)
#   --clients "A B"    further clients beside bench and admin (none)
#   --web-clients N    and web1..webN with P-256 keys (0)
#   --client-keys "NAME=HEX ..."   and clients whose keys were made elsewhere, such as by a browser
#   --scan-slots N     slots between two comparisons of all databases, a multiple of 32 (4096)
#   --snapshot FILE --snapshot-cluster FILE   the databases begin with a snapshot: see `bftctl init --help`
#
# BFT_BUILD names the folder of the built programs (build/release). BFT_NODE_ARGS_<host> holds further
# arguments for that host's daemon. Only what these commands started is ever stopped: each process has a
# pid file under DIR/hosts/HOST/run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/processes.sh
. "$root/deploy/processes.sh"
build=$(realpath -m "${BFT_BUILD:-$root/build/release}")
ready_seconds=${BFT_READY_SECONDS:-60}

fail() { echo "cluster.sh: $*" >&2; exit 1; }
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

program() { # NAME
    local found
    for found in "$build/src/node/$1" "$build/bench/tpcc/$1" "$build/bin/$1"; do
        [ ! -x "$found" ] || { echo "$found"; return; }
    done
    fail "$1 is not built in $build; build it, or name its folder: BFT_BUILD=..."
}

read_cluster() { # DIR: sets dir, hosts, replica_hosts, database_hosts, database, pool_mb
    dir=$(realpath -m "$1")
    [ -f "$dir/cluster.env" ] || fail "$dir is no cluster of 'cluster.sh init'"
    hosts=$(sed -n 's/^hosts=//p' "$dir/cluster.env")
    database_hosts=$(sed -n 's/^database_hosts=//p' "$dir/cluster.env")
    software=$(sed -n 's/^software=//p' "$dir/cluster.env")
    replica_hosts=$(sed -n 's/^replica_hosts=//p' "$dir/cluster.env")
    [ -n "$replica_hosts" ] || replica_hosts=$database_hosts
    pool_mb=$(sed -n 's/^pool_mb=//p' "$dir/cluster.env")
    database=$(sed -n 's/^database=//p' "$dir/cluster.env")
}

check_host() { # HOST
    case " $hosts " in *" $1 "*) ;; *) fail "there is no host '$1' here; there are: $hosts" ;; esac
}

has_database() { case " $database_hosts " in *" $1 "*) ;; *) return 1 ;; esac; }

has_replicas() { case " $replica_hosts " in *" $1 "*) ;; *) return 1 ;; esac; }

start_tpm() { # HOST
    local home=$dir/hosts/$1
    [ -z "$software" ] || return 0
    ! process_alive "$home/run/tpm.pid" || return 0
    mkdir -p "$home/run" "$home/log" "$home/tpm"
    rm -f "$home/tpm.sock" "$home/tpm.sock.ctrl"
    process_start "$home/run/tpm.pid" "$home/log/tpm.log" swtpm socket --tpm2 \
        --tpmstate "dir=$home/tpm" --flags not-need-init,startup-clear \
        --server "type=unixio,path=$home/tpm.sock" --ctrl "type=unixio,path=$home/tpm.sock.ctrl"
    wait_until 10 "the TPM of $1, see $home/log/tpm.log" test -S "$home/tpm.sock.ctrl"
}

start_database() { # HOST
    has_database "$1" || return 0
    "$root/deploy/mariadb.sh" start "$dir/hosts/$1/mariadb" --pool-mb "$pool_mb" >/dev/null
}

extra_arguments() { # HOST: BFT_NODE_ARGS_<host>, one word a line
    local name=BFT_NODE_ARGS_${1//-/_}
    [ -z "${!name:-}" ] || xargs -n1 <<<"${!name}"
}

# The daemon brings tables and procedures into an empty database; the database itself is the operator's.
create_database() { # HOST
    has_database "$1" || return 0
    mariadb --no-defaults --socket="$dir/hosts/$1/mariadb/mysqld.sock" --user=root \
        -e "CREATE DATABASE IF NOT EXISTS \`$database\` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
}

start_daemons() { # HOST
    local home=$dir/hosts/$1 bftnode more roles
    bftnode=$(program bftnode)
    mapfile -t more < <(extra_arguments "$1")
    if has_replicas "$1"; then
        roles=replica
        ! has_database "$1" || roles=replica,voter
    elif has_database "$1"; then
        roles=voter
    else
        roles=primary
    fi
    mkdir -p "$home/run" "$home/log"
    if [ -e "$home/usig.tokens" ] && ! process_alive "$home/run/usig.pid"; then
        process_start "$home/run/usig.pid" "$home/log/usig.log" \
            "$bftnode" --role=usig --config "$home/node.toml" $software
    fi
    if ! process_alive "$home/run/node.pid"; then
        process_start "$home/run/node.pid" "$home/log/node.log" \
            "$bftnode" "--role=$roles" --config "$home/node.toml" $software "${more[@]}"
    fi
}

start_host() { # HOST
    start_tpm "$1"
    start_database "$1"
    create_database "$1"
    start_daemons "$1"
}

stop_host() { # HOST
    local run=$dir/hosts/$1/run
    process_stop 15 "$run/node.pid"
    process_stop 15 "$run/usig.pid"
    if has_database "$1" && [ -d "$dir/hosts/$1/mariadb" ]; then
        "$root/deploy/mariadb.sh" stop "$dir/hosts/$1/mariadb"
    fi
    process_stop 5 "$run/tpm.pid"
}

kill_host() { # HOST
    local run=$dir/hosts/$1/run name
    # All at once, as if the power went: nobody may say good-bye to anybody.
    for name in node usig tpm; do process_signal KILL "$run/$name.pid"; done
    ! has_database "$1" || "$root/deploy/mariadb.sh" kill "$dir/hosts/$1/mariadb"
    process_kill "$run/node.pid" "$run/usig.pid" "$run/tpm.pid"
}

prepare_host() { # NEW [OLD | --counters N]
    local home=$dir/hosts/$1 tcti ports options=() old=${2:-} like
    [ "$old" != --counters ] || old=
    like=${old:-${database_hosts%% *}}
    [[ $1 =~ ^[A-Za-z0-9-]+$ ]] || fail "a host's name has letters, digits and dashes, not '$1'"
    [ ! -e "$home/node.toml" ] || fail "$home is a host already"
    check_host "$like"
    if [ "${2:-}" = --counters ]; then
        options=(--counters "${3:?how many counters?}")
    elif has_database "$like"; then
        sed -i "s/^database_hosts=.*/& $1/" "$dir/cluster.env"
        options=(--database-socket "$home/mariadb/mysqld.sock" --database-user root --database-name "$database")
    fi
    sed -i "s/^hosts=.*/& $1/" "$dir/cluster.env"
    [ -z "$old" ] || options+=(--replaces "$old")
    if [ "${2:-}" = --counters ] || { [ -n "$old" ] && has_replicas "$old"; }; then
        sed -i "s/^replica_hosts=.*/& $1/" "$dir/cluster.env"
    fi
    read_cluster "$dir"
    mkdir -p "$home"
    start_tpm "$1"
    start_database "$1"
    create_database "$1"
    tcti=swtpm:path=$home/tpm.sock
    [ -z "$software" ] || tcti=software:usig.software
    mapfile -t ports < <(free_ports 2)
    "$(program bftctl)" member prepare "$1" --cluster "$dir/hosts/$like/cluster.toml" --dir "$home" \
        --address "127.0.0.1:${ports[0]}" --metrics "127.0.0.1:${ports[1]}" --tcti "$tcti" $software "${options[@]}"
}

# The first daemon that has ended, and why.
find_dead_daemon() {
    local host name
    for host in $hosts; do
        for name in usig node; do
            process_alive "$dir/hosts/$host/run/$name.pid" && continue
            [ $name != usig ] || [ -e "$dir/hosts/$host/usig.tokens" ] || continue
            echo "--- $host: the daemon '$name' has ended; the end of $dir/hosts/$host/log/$name.log:" >&2
            tail -n 5 "$dir/hosts/$host/log/$name.log" >&2 || true
            return 0
        done
    done
    return 1
}

# True also where hosts are ready and disagree (5): that is for `status` to tell.
is_ready() { # BFTCTL
    local status=0
    "$1" status "$dir" --wait 1 --quiet >/dev/null || status=$?
    [ $status = 0 ] || [ $status = 5 ]
}

wait_ready() {
    local deadline=$((SECONDS + ready_seconds)) bftctl
    bftctl=$(program bftctl)
    until is_ready "$bftctl"; do
        ! find_dead_daemon || fail "the cluster in $dir cannot start"
        if [ $SECONDS -ge $deadline ]; then
            "$bftctl" status "$dir" >&2 || true
            fail "the cluster in $dir is not ready after $ready_seconds s; the logs are in $dir/hosts/*/log"
        fi
    done
}

list_pids() {
    local host run name
    for host in $hosts; do
        run=$dir/hosts/$host/run
        ! process_alive "$run/node.pid" || echo "$(cut -d' ' -f1 "$run/node.pid") daemon $host"
        ! process_alive "$run/usig.pid" || echo "$(cut -d' ' -f1 "$run/usig.pid") usig $host"
        ! process_alive "$run/tpm.pid" || echo "$(cut -d' ' -f1 "$run/tpm.pid") tpm $host"
        ! [ -s "$dir/hosts/$host/mariadb/mysqld.pid" ] || echo "$(cat "$dir/hosts/$host/mariadb/mysqld.pid") database $host"
    done
}

quoted_list() { # WORD...: as TOML wants them
    local list="" word
    for word in "$@"; do list+="\"$word\", "; done
    echo "${list%, }"
}

write_topology() {
    local ports group partition list host known number=0
    mapfile -t ports < <(free_ports $((3 * (replicas + primaries))))
    echo "name = \"local\""
    echo "f = $f"
    echo "scan_slots = $scan_slots"
    echo "application = \"$app\""
    echo "clients = [$(quoted_list bench admin $more_clients)]"
    echo "origins = [$(quoted_list $origins)]"
    for ((number = 1; number <= web_clients; ++number)); do
        printf '\n[[client]]\nname = "web%d"\nkind = "p256"\n' "$number"
    done
    for known in $client_keys; do
        printf '\n[[client]]\nname = "%s"\nkey = "%s"\n' "${known%%=*}" "${known#*=}"
    done
    number=0
    for ((group = 1; group <= groups; ++group)); do
        list=""
        [ "$group" != 1 ] || list="0, "
        for ((partition = group; partition <= partitions; partition += groups)); do list+="$partition, "; done
        printf '\n[[group]]\nid = %d\npartitions = [%s]\n' "$group" "${list%, }"
    done
    for host in $hosts; do
        printf '\n[[host]]\nname = "%s"\naddress = "127.0.0.1:%d"\nmetrics = "127.0.0.1:%d"\n' \
            "$host" "${ports[$((3 * number))]}" "${ports[$((3 * number + 1))]}"
        case "$http" in
            tls) has_database "$host" && printf 'http = "https://127.0.0.1:%d"\n' "${ports[$((3 * number + 2))]}" ;;
            plain) has_database "$host" && printf 'http = "http://127.0.0.1:%d"\n' "${ports[$((3 * number + 2))]}" ;;
        esac || true
        if [ -n "$software" ]; then
            printf 'tcti = "software:usig.software"\n'
        else
            printf 'tcti = "swtpm:path=%s"\n' "$dir/hosts/$host/tpm.sock"
        fi
        printf 'tpm_delay_ms = %d\n' "$tpm_delay_ms"
        if has_database "$host"; then
            echo 'roles = ["replica", "voter"]'
            printf 'database = { socket = "%s", user = "root", name = "%s", workers = %d }\n' \
                "$dir/hosts/$host/mariadb/mysqld.sock" "$(basename "$app")" "$workers"
        else
            if has_replicas "$host"; then echo 'roles = ["replica"]'; else echo 'roles = ["primary"]'; fi
        fi
        ! has_replicas "$host" || printf 'spare_counters = %d\n' "$spare_counters"
        number=$((number + 1))
    done
}

init() { # DIR OPTIONS...
    local primaries=0 timing=() groups=2 spare_counters=0 partitions=5 f=1 app=$root/config/apps/tpcc workers=1 batch="" tpm_delay_ms=0 scan_slots=4096 replica_hosts=0 replicas host name
    local snapshot="" snapshot_cluster="" begin=()
    local http=none origins="" more_clients="" web_clients=0 client_keys=""
    software=""
    dir=$(realpath -m "$1")
    pool_mb=64
    shift
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || fail "$1 needs a value"
        name=${1#--}
        case "$1" in
            --groups | --spare-counters | --partitions | --f | --replica-hosts | --primaries | --pool-mb | --workers | --batch | --tpm-delay-ms | --scan-slots | --web-clients)
                [[ $2 =~ ^[0-9]+$ ]] || fail "$1 must be a number, not '$2'"
                printf -v "${name//-/_}" %s "$2"
                ;;
            --app) app=$(realpath "$2") ;;
            --software-usig)
                [ "$2" = yes ] || fail "--software-usig must be yes, not '$2'"
                software=--insecure-software-usig
                ;;
            --timing) timing+=("$2") ;;
            --http)
                case "$2" in tls | plain) http=$2 ;; *) fail "--http must be tls or plain, not '$2'" ;; esac
                ;;
            --origins) origins=$2 ;;
            --snapshot) snapshot=$2 ;;
            --snapshot-cluster) snapshot_cluster=$2 ;;
            --clients) more_clients=$2 ;;
            --client-keys)
                for name in $2; do
                    [[ $name =~ ^[A-Za-z0-9_-]+=[0-9a-f]+$ ]] || fail "--client-keys wants NAME=HEX, not '$name'"
                done
                client_keys=$2
                ;;
            *) fail "unknown option '$1'; see: deploy/cluster.sh --help" ;;
        esac
        shift 2
    done
    [ "$groups" -ge 1 ] || fail "--groups must be at least 1"
    [ "$partitions" -ge "$groups" ] || fail "--partitions must be at least --groups: each group owns one"
    [ "${#dir}" -le 60 ] || fail "$dir is too long: unix sockets under it could not be named; take a shorter path"
    [ ! -e "$dir/cluster.env" ] || fail "$dir holds a cluster already; take another folder, or delete it"
    [ "$replica_hosts" != 0 ] || replica_hosts=$((2 * f + 1))
    replicas=$replica_hosts
    [ "$replicas" -ge $((2 * f + 1)) ] || fail "--replica-hosts must be at least 2f+1, $((2 * f + 1))"
    replica_hosts=$(for ((i = 1; i <= replicas; ++i)); do printf 'host%d ' "$i"; done)
    database_hosts=$(for ((i = 1; i <= 2 * f + 1; ++i)); do printf 'host%d ' "$i"; done)
    ! grep -q '^kind *= *"ordering"' "$app/catalog.toml" || database_hosts=""
    [ "$primaries" != 0 ] || primaries=$((f + 1))
    hosts="$(for ((i = 1; i <= primaries; ++i)); do printf 'primary%d ' "$i"; done)${replica_hosts% }"
    mkdir -p "$dir"
    chmod 700 "$dir"
    write_topology >"$dir/topology.toml"
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'for host in $hosts; do process_stop 5 "$dir/hosts/$host/run/tpm.pid"; done' EXIT
    for host in $hosts; do start_tpm "$host"; done
    [ -z "$snapshot$snapshot_cluster" ] || begin=(--snapshot "$snapshot" --snapshot-cluster "$snapshot_cluster")
    "$(program bftctl)" init --topology "$dir/topology.toml" --dir "$dir" $software "${begin[@]}"
    if [ -n "$batch" ]; then
        for host in $database_hosts; do
            sed -i "s/^batch = .*/batch = $batch/" "$dir/hosts/$host/node.toml"
        done
    fi
    if [ ${#timing[@]} -gt 0 ]; then
        for host in $hosts; do
            printf '\n[timing]\n' >>"$dir/hosts/$host/node.toml"
            printf '%s\n' "${timing[@]}" >>"$dir/hosts/$host/node.toml"
        done
    fi
    printf 'software=%s\n' "$software" >"$dir/cluster.env"
    printf 'hosts=%s\nreplica_hosts=%s\ndatabase_hosts=%s\ndatabase=%s\npool_mb=%s\n' "$hosts" \
        "${replica_hosts% }" "${database_hosts% }" \
        "$(basename "$app")" "$pool_mb" >>"$dir/cluster.env"
}

case "${1:-}" in
    "" | help | -h | --help) usage; exit 0 ;;
esac
[ $# -ge 2 ] || { usage >&2; exit 2; }
command=$1
shift
case "$command" in
    init) init "$@" ;;
    start)
        read_cluster "$1"
        for host in $hosts; do start_tpm "$host"; start_database "$host"; create_database "$host"; done
        for host in $hosts; do start_daemons "$host"; done
        wait_ready
        ;;
    start-databases)
        read_cluster "$1"
        for host in $database_hosts; do start_database "$host"; done
        ;;
    stop)
        read_cluster "$1"
        # Daemons first, everywhere: nobody needs to complain about a neighbour that leaves.
        for host in $hosts; do process_signal TERM "$dir/hosts/$host/run/node.pid"; done
        for host in $hosts; do stop_host "$host"; done
        ;;
    kill-host) read_cluster "$1"; check_host "${2:?which host?}"; kill_host "$2" ;;
    kill-daemons)
        read_cluster "$1"
        check_host "${2:?which host?}"
        process_kill "$dir/hosts/$2/run/node.pid" "$dir/hosts/$2/run/usig.pid"
        ;;
    prepare-host) read_cluster "$1"; prepare_host "${2:?which new host?}" "${@:3}" ;;
    start-host) read_cluster "$1"; check_host "${2:?which host?}"; start_host "$2" ;;
    status) read_cluster "$1"; shift; "$(program bftctl)" status "$dir" "$@" ;;
    sockets)
        read_cluster "$1"
        for host in $database_hosts; do echo "$dir/hosts/$host/mariadb/mysqld.sock"; done
        ;;
    pids) read_cluster "$1"; list_pids ;;
    hosts) read_cluster "$1"; printf '%s\n' $hosts ;;
    *) echo "cluster.sh: unknown command '$command'" >&2; usage >&2; exit 2 ;;
esac
