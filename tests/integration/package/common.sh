# shellcheck shell=bash disable=SC2034
# What the tests of this folder share; they source it with their own arguments, and call `begin PREFIX PROGRAM...`.
#
#   root, packages, build, bftctl    this checkout, the .deb files, what is built (BFT_BUILD), its bftctl
#   work                             a fresh folder, removed at the end
#   processes                        process ids that are ended at the end
#   clean_up STATUS                  a test's own function: says why when STATUS is not 0, stops the rest
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
packages=$(realpath -m "${1:-$root/build/packages}")
build=$(realpath "${BFT_BUILD:-$root/build/release}")
bftctl=$build/src/node/bftctl
processes=()

say() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
fail() { echo "$(basename "$0" .sh): $*" >&2; exit 1; }
wait_until() { # SECONDS WHAT COMMAND...
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "not within its time: $what"
        sleep 0.2
    done
}

finish() {
    local status=$?
    trap '' INT TERM  # a second Ctrl-C leaves nothing behind, either
    set +e
    clean_up $status
    [ ${#processes[@]} = 0 ] || kill "${processes[@]}" 2>/dev/null
    rm -rf "$work"
    exit $status
}
begin() { # PREFIX PROGRAM...
    local prefix=$1 program
    shift
    [ "$(id -u)" = 0 ] || fail "needs root: it starts containers"
    for program in "$@"; do command -v "$program" >/dev/null || fail "$program is missing"; done
    work=$(mktemp -d "/var/tmp/bft-$prefix.XXXXXX")
    trap finish EXIT
    trap 'exit 130' INT TERM
    compgen -G "$packages/bftnode_*.deb" >/dev/null || "$root/deploy/packages/build.sh" "$packages"
}

# A minimal Debian in a folder; BFT_PACKAGE_ROOT names the .tar file that keeps it for the next run.
clean_debian() { # FOLDER
    local keep=${BFT_PACKAGE_ROOT:-}
    mkdir -p "$1"
    if [ -n "$keep" ] && [ -e "$keep" ]; then
        tar -C "$1" -xf "$keep"
        return 0
    fi
    command -v debootstrap >/dev/null || fail "debootstrap is missing"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates bookworm "$1" \
        http://deb.debian.org/debian >"$work/debootstrap.log"
    [ -z "$keep" ] || tar -C "$1" -cf "$keep" .
}
# As Debian's installer leaves it, and debootstrap does not. With its security updates: MariaDB 10.11.18 of the plain
# release gives answers that depend on how old a session is (docs/operations.md).
settle_debian() { # FOLDER
    cp /etc/resolv.conf "$1/etc/resolv.conf"
    printf '127.0.0.1 localhost\n' >"$1/etc/hosts"
    {
        echo "deb http://deb.debian.org/debian bookworm main"
        echo "deb http://deb.debian.org/debian bookworm-updates main"
        echo "deb http://deb.debian.org/debian-security bookworm-security main"
    } >"$1/etc/apt/sources.list"
}

# TPMs outside of machines and containers, as chips are: $work/tpm/HOST/sock.
start_tpms() { # HOST...
    local host
    for host in "$@"; do
        mkdir -p "$work/tpm/$host/state"
        swtpm socket --tpm2 --tpmstate "dir=$work/tpm/$host/state" --flags not-need-init,startup-clear \
            --server "type=unixio,path=$work/tpm/$host/sock,mode=0666" \
            --ctrl "type=unixio,path=$work/tpm/$host/sock.ctrl,mode=0666" >/dev/null 2>&1 &
        processes+=($!)
    done
    for host in "$@"; do wait_until 30 "TPM of $host" test -S "$work/tpm/$host/sock.ctrl"; done
}

# Machines are systemd-nspawn's, each with its own systemd. One that reboots ends with status 133 and is started again.
boot_machine() { # FOLDER NAME LOG OPTION...: its process id is in `booted`
    local folder=$1 name=$2 log=$3
    shift 3
    (
        status=133
        while [ $status = 133 ]; do
            status=0
            systemd-nspawn --directory "$folder" --register=no --keep-unit --boot --machine="$name" "$@" || status=$?
        done
    ) >"$log" 2>&1 </dev/null &
    booted=$!
}
nspawn_of() { pgrep -x -P "$1" systemd-nspawn; }
init_of() { pgrep -P "$(nspawn_of "$1")" | head -n 1; } # PID
power_off() { # PID...
    local machine
    for machine in "$@"; do kill -RTMIN+4 "$(init_of "$machine")" 2>/dev/null || true; done
    for machine in "$@"; do
        for _ in $(seq 150); do kill -0 "$machine" 2>/dev/null || break; sleep 0.2; done
        kill -9 "$machine" "$(nspawn_of "$machine")" 2>/dev/null || true
    done
}
