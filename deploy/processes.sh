# Starting, finding and ending background processes by pid file; sourced by cluster.sh and demo.sh.
# A pid file holds "PID STARTTIME": a pid that the system has given to somebody else since is not ours.

process_start_time() { # PID
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The command's name is in parentheses and may hold anything; start time is the 20th field after it.
    set -- ${stat##*) }
    echo "${20}"
}

process_alive() { # PIDFILE
    local pid started state
    [ -f "$1" ] || return 1
    read -r pid started <"$1" 2>/dev/null || return 1
    [ "$(process_start_time "$pid")" = "$started" ] || return 1
    state=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) || return 1
    [ "${state%% *}" != Z ]
}

process_start() { # PIDFILE LOGFILE COMMAND...
    local pid_file=$1 log=$2 pid
    shift 2
    if process_alive "$pid_file"; then
        echo "$(basename "$pid_file" .pid) runs already (pid $(cut -d' ' -f1 "$pid_file"))" >&2
        return 1
    fi
    # A session of its own: Ctrl-C at the terminal reaches the script, which then stops all in order.
    setsid "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    echo "$pid $(process_start_time "$pid")" >"$pid_file"
    disown "$pid"
}

process_signal() { # SIGNAL PIDFILE
    process_alive "$2" || return 0
    kill "-$1" "$(cut -d' ' -f1 "$2")" 2>/dev/null || true
}

# Asks politely, and after SECONDS not any more. Removes the pid files.
process_stop() { # SECONDS PIDFILE...
    local seconds=$1 pid_file deadline
    shift
    for pid_file in "$@"; do process_signal TERM "$pid_file"; done
    deadline=$((SECONDS + seconds))
    for pid_file in "$@"; do
        while process_alive "$pid_file" && [ $SECONDS -lt $deadline ]; do sleep 0.05; done
        if process_alive "$pid_file"; then
            echo "$(basename "$pid_file" .pid) did not stop within $seconds s: killed" >&2
            process_kill "$pid_file"
        fi
        rm -f "$pid_file"
    done
}

process_kill() { # PIDFILE...
    local pid_file
    for pid_file in "$@"; do process_signal KILL "$pid_file"; done
    for pid_file in "$@"; do
        while process_alive "$pid_file"; do sleep 0.02; done
        rm -f "$pid_file"
    done
}

# wait_until SECONDS WHAT COMMAND...: true as soon as COMMAND is.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $deadline ]; then
            echo "gave up waiting: $what" >&2
            return 1
        fi
        sleep 0.05
    done
}

# free_ports N: N ports of 127.0.0.1 on which nobody listens, below those that the system hands out.
free_ports() {
    local wanted=$1 port used
    used=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '{print $2}')
    port=$((20000 + RANDOM % 10000))
    while [ "$wanted" -gt 0 ]; do
        if ! grep -q ":$(printf '%04X' $port)\$" <<<"$used"; then
            echo $port
            wanted=$((wanted - 1))
        fi
        port=$((port + 1))
        [ $port -lt 32000 ] || port=20000
    done
}
