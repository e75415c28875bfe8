#!/usr/bin/env bash
# A private MariaDB server in a directory of its own, for the demo and the tests.
#
#   deploy/mariadb.sh start DIR [--pool-mb N] [--flush 0|1|2] [--user NAME] [--connections N]
#                                        make DIR when it is missing, start its server, wait until it answers
#   deploy/mariadb.sh stop DIR           orderly shutdown
#   deploy/mariadb.sh kill DIR           kill -9, as a crash would
#   deploy/mariadb.sh remove DIR         stop, and delete DIR
#
# Clients connect as root, without password, to DIR/mysqld.sock; the directory is closed to other users
# and there is no TCP port. Commits are durable (--flush 1). Only directories made by this script are
# ever touched: they hold a file named .bftnode-mariadb.
set -euo pipefail

fail() { echo "mariadb.sh: $*" >&2; exit 1; }
usage() { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }

marker=.bftnode-mariadb
start_seconds=60
stop_seconds=120

server_program() {
    command -v mariadbd || { [ -x /usr/sbin/mariadbd ] && echo /usr/sbin/mariadbd; } ||
        fail "mariadbd is not installed: run deploy/install-packages.sh run"
}

# The pid of the server of directory $1, if it runs. A pid file may be stale and its number reused.
server_pid() {
    local pid
    [ -r "$1/mysqld.pid" ] || return 1
    pid=$(cat "$1/mysqld.pid")
    [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] || return 1
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "--datadir=$1/data" || return 1
    echo "$pid"
}

# A data directory with the system tables only, made once per server version and cloned from then on.
template() {
    local server=$1 version cache work
    version=$("$server" --no-defaults --version | sed -n 's/.*Ver \([^ ]*\).*/\1/p')
    [ -n "$version" ] || fail "cannot tell the version of $server"
    cache=${BFT_MARIADB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/bftnode}
    if [ ! -e "$cache/mariadb-$version/$marker" ]; then
        mkdir -p "$cache"
        work=$(mktemp -d "$cache/making.XXXXXX")
        mkdir "$work/data" "$work/tmp"
        {
            echo "CREATE DATABASE mysql;"
            echo "USE mysql;"
            echo "SET @auth_root_socket=NULL;"
            cat "$share/mysql_system_tables.sql" "$share/mysql_system_tables_data.sql"
            echo "DELETE FROM global_priv WHERE User='' OR Host<>'localhost';"
        } | "$server" --no-defaults --bootstrap --datadir="$work/data" --tmpdir="$work/tmp" --log-warnings=0 \
            "${run_as_root[@]}" --innodb-data-file-path=ibdata1:12M:autoextend --innodb-log-file-size=48M \
            --innodb-buffer-pool-size=16M --character-set-server=utf8mb4 --collation-server=utf8mb4_bin \
            --loose-enforce-storage-engine= >"$work/log" 2>&1 ||
            { cat "$work/log" >&2; rm -rf "$work"; fail "the system tables could not be made"; }
        rm -rf "$work/tmp" "$work/log"
        touch "$work/$marker"
        # Somebody else may have been faster: theirs is as good.
        mv -T "$work" "$cache/mariadb-$version" 2>/dev/null || rm -rf "$work"
    fi
    echo "$cache/mariadb-$version"
}

# Prefer the distribution's user; root only where that user cannot reach the directory.
server_user() {
    if [ "$(id -u)" != 0 ]; then
        [ -z "$wanted_user" ] || [ "$wanted_user" = "$(id -un)" ] || fail "only root can choose --user"
        id -un
    elif [ -n "$wanted_user" ]; then
        id -u "$wanted_user" >/dev/null 2>&1 || fail "there is no user '$wanted_user'"
        echo "$wanted_user"
    elif id -u mysql >/dev/null 2>&1 && setpriv --reuid mysql --clear-groups test -x "$(dirname "$1")"; then
        echo mysql
    else
        echo root
    fi
}

wait_for_answer() {
    local dir=$1 pid=$2 end=$((SECONDS + start_seconds))
    until mariadb --no-defaults --socket="$dir/mysqld.sock" --user=root --execute="DO 0" >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null ||
            { tail -n 20 "$dir/error.log" >&2; fail "the server in $dir ended while it started: see $dir/error.log"; }
        [ $SECONDS -lt $end ] || fail "the server in $dir does not answer after ${start_seconds}s: see $dir/error.log"
        sleep 0.02
    done
}

start() {
    local dir=$1 server user source pid
    server=$(server_program)
    share=/usr/share/mysql
    [ -r "$share/mysql_system_tables.sql" ] || fail "$share/mysql_system_tables.sql is missing: install mariadb-server-core"
    run_as_root=()
    [ "$(id -u)" != 0 ] || run_as_root=(--user=root)
    if [ -d "$dir" ] && [ ! -e "$dir/$marker" ] && [ -n "$(ls -A "$dir")" ]; then
        fail "$dir is not empty and was not made by this script"
    fi
    if server_pid "$dir" >/dev/null; then
        echo "mariadb.sh: already running in $dir"
        return
    fi
    user=$(server_user "$dir")
    if [ ! -d "$dir/data" ]; then
        source=$(template "$server")
        mkdir -p "$dir"
        touch "$dir/$marker"
        rm -rf "$dir/data.making"
        cp -a --sparse=always "$source/data" "$dir/data.making"
        mkdir -p "$dir/tmp"
        mv -T "$dir/data.making" "$dir/data"
        [ "$(id -u)" != 0 ] || chown -R "$user" "$dir"
        chmod 0700 "$dir"
    fi
    [ "${#dir}" -le 90 ] || fail "$dir is too long for a unix socket's path: use a shorter one"
    rm -f "$dir/mysqld.sock" "$dir/mysqld.pid"
    # The server outlives this shell and holds none of its files.
    setsid "$server" --no-defaults --user="$user" --datadir="$dir/data" --tmpdir="$dir/tmp" \
        --socket="$dir/mysqld.sock" --pid-file="$dir/mysqld.pid" --log-error="$dir/error.log" \
        --skip-networking --skip-name-resolve --performance-schema=0 --skip-log-bin \
        --character-set-server=utf8mb4 --collation-server=utf8mb4_bin --default-storage-engine=InnoDB \
        --innodb-data-file-path=ibdata1:12M:autoextend --innodb-log-file-size="${log_mb}M" \
        --innodb-buffer-pool-size="${pool_mb}M" --innodb-buffer-pool-dump-at-shutdown=0 \
        --innodb-buffer-pool-load-at-startup=0 --innodb-flush-log-at-trx-commit="$flush" \
        --innodb-adaptive-hash-index=ON --innodb-stats-auto-recalc=ON --innodb-read-io-threads=1 \
        --innodb-write-io-threads=2 --query-cache-type=0 --query-cache-size=0 --key-buffer-size=1M \
        --aria-pagecache-buffer-size=1M --aria-log-file-size=8M --table-open-cache=$((6 * connections + 16)) --max-connections="$connections" --max-prepared-stmt-count=$((16384 + 256 * connections)) \
        --max-allowed-packet=64M --thread-cache-size=16 \
        </dev/null >>"$dir/error.log" 2>&1 9>&- &
    pid=$!
    wait_for_answer "$dir" "$pid"
}

wait_for_end() {
    local dir=$1 pid=$2 end=$((SECONDS + stop_seconds))
    while kill -0 "$pid" 2>/dev/null && [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)" != Z ]; do
        [ $SECONDS -lt $end ] || fail "the server in $dir (pid $pid) does not end"
        sleep 0.02
    done
}

end_with() {
    local signal=$1 dir=$2 pid
    [ -e "$dir/$marker" ] || fail "$dir was not made by this script"
    pid=$(server_pid "$dir") || return 0
    kill "-$signal" "$pid"
    wait_for_end "$dir" "$pid"
    rm -f "$dir/mysqld.sock" "$dir/mysqld.pid"
}

[ $# -ge 2 ] || usage
command=$1
directory=$(realpath -m -- "$2")
shift 2
pool_mb=16
log_mb=48
flush=1
wanted_user=""
connections=64
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case "$1" in
        --pool-mb) pool_mb=$2 ;;
        --flush) flush=$2 ;;
        --user) wanted_user=$2 ;;
        --connections) connections=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[[ $pool_mb =~ ^[0-9]+$ && $pool_mb -ge 5 ]] || fail "--pool-mb must be a number of at least 5"
[[ $connections =~ ^[0-9]+$ && $connections -ge 1 ]] || fail "--connections must be a number"
[[ $flush =~ ^[012]$ ]] || fail "--flush must be 0, 1 or 2"
# A small redo log makes a large pool flush all the time.
[ "$pool_mb" -lt 256 ] || log_mb=512

case "$command" in
    start) start "$directory" ;;
    stop) end_with TERM "$directory" ;;
    kill) end_with KILL "$directory" ;;
    remove)
        [ -d "$directory" ] || exit 0
        end_with TERM "$directory"
        rm -rf -- "$directory"
        ;;
    *) usage ;;
esac
