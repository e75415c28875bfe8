#!/usr/bin/env bash
# Restarts the hosts of a cluster one after the other through ssh, each on a machine of its own, while the cluster
# goes on. On one machine `bftctl rolling-restart` does the same.
#
#   deploy/rolling-restart.sh [--drain SECONDS] [--timeout SECONDS] [--upgrade FOLDER] HOST=ADDRESS...
#
#   HOST=ADDRESS        the host's name in the cluster file, and where ssh reaches it (root, or who may sudo)
#   --drain SECONDS     /readyz says 503 for so long before the host is stopped (0)
#   --timeout SECONDS   for one host to be ready again (300)
#   --upgrade FOLDER    first copy and install the .deb files of FOLDER there
#
# Begins only when every host is ready, and stops at the first that does not become ready again. BFT_SSH: the command
# in place of ssh, BFT_SCP in place of scp. Exit status: 0 all were restarted; 1 one failed; 2 wrong use.
set -euo pipefail
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; }
drain=0 timeout=300 upgrade="" hosts=()
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) usage; exit 0 ;;
        --drain | --timeout | --upgrade)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        *=*) hosts+=("$1") ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
[ ${#hosts[@]} -gt 0 ] || { usage >&2; exit 2; }
[[ $drain =~ ^[0-9]+$ && $timeout =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }

fail() { echo "rolling-restart.sh: $*" >&2; exit 1; }
there() { # ADDRESS COMMAND...
    local address=$1
    shift
    ${BFT_SSH:-ssh -o BatchMode=yes} "$address" "$@"
}
# Ready: linked, in the view, caught up, database in service. 5 also means that somebody disagrees elsewhere.
ready() { # HOST ADDRESS SECONDS
    there "$2" bftctl status --quiet --wait "$3" "/etc/bftnode/$1" >/dev/null
}

for each in "${hosts[@]}"; do
    ready "${each%%=*}" "${each#*=}" 5 || fail "nothing was restarted: ${each%%=*} is not ready"
done
number=0
for each in "${hosts[@]}"; do
    host=${each%%=*} address=${each#*=} began=$SECONDS
    number=$((number + 1))
    printf '%d/%d %-12s ' "$number" ${#hosts[@]} "$host"
    if [ -n "$upgrade" ]; then
        ${BFT_SCP:-scp -q -o BatchMode=yes} "$upgrade"/*.deb "$address:/tmp/" || fail "$host: cannot copy the packages"
        there "$address" "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq /tmp/*.deb" >/dev/null ||
            fail "$host: the packages cannot be installed"
    fi
    if [ "$drain" -gt 0 ]; then
        there "$address" bftctl drain "/etc/bftnode/$host" >/dev/null && sleep "$drain"
    fi
    there "$address" systemctl restart "bftnode-usig@$host" "bftnode@$host" || fail "$host: systemctl failed"
    for other in "${hosts[@]}"; do
        ready "${other%%=*}" "${other#*=}" "$timeout" || fail "${other%%=*} is not ready; the rest was left alone"
    done
    printf 'ready after %d s\n' $((SECONDS - began))
done
