#!/usr/bin/env bash
# The image of deploy/oci, built from the packages, and a whole cluster out of it: each process is a container, started
# as docs/operations.md says. Payments run, a host's containers are killed and come back, all stop in order.
#
#   tests/integration/package/image_test.sh [PACKAGES]
#
# PACKAGES: folder of the .deb files (build/packages; made when missing). BFT_BUILD names the build whose bftctl makes the cluster. Needs
# root, podman (buildah when it is there), debootstrap, swtpm and MariaDB; images and containers are in a folder of the test's
# own. BFT_PACKAGE_ROOT: as for install_test.sh. BFT_OCI_RUNTIME: crun or runc (what podman takes by itself).
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
begin image podman swtpm mariadbd "$bftctl"
hosts="primary1 primary2 host1 host2 host3"
with_database="host1 host2 host3"

# An engine with a store of its own, with limits that any machine can give.
mkdir "$work"/{lower,upper,work,merged}
driver=vfs
if mount -t overlay overlay "$work/merged" -o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/work" 2>/dev/null; then
    umount "$work/merged"
    driver=overlay
fi
export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$work/containers.conf BUILDAH_ISOLATION=chroot
printf '[storage]\ndriver = "%s"\ngraphroot = "%s/store"\nrunroot = "%s/run"\n' "$driver" "$work" "$work" >"$CONTAINERS_STORAGE_CONF"
{
    printf '[containers]\ndefault_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]\n'
    printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    [ -z "${BFT_OCI_RUNTIME:-}" ] || printf 'runtime = "%s"\n' "$BFT_OCI_RUNTIME"
} >"$CONTAINERS_CONF"

# The test asks for health itself: the engine's timers need a systemd out here.
export DISABLE_HC_SYSTEMD=true

clean_up() { # STATUS
    local host
    if [ "$1" != 0 ]; then
        for host in $hosts; do podman logs --tail 8 "$host" 2>&1 | sed "s/^/$host: /" >&2; done
    fi
    podman rm --force --all --time 5 >/dev/null 2>&1
    for host in $with_database; do "$root/deploy/mariadb.sh" kill "$work/db/$host" >/dev/null 2>&1; done
    podman volume prune --force >/dev/null 2>&1
}

say "a Debian to begin with"
debian=${BFT_PACKAGE_ROOT:-}
if [ ! -e "$debian" ]; then
    clean_debian "$work/debian"
    debian=${debian:-$work/debian.tar}
    [ -e "$debian" ] || tar -C "$work/debian" -cf "$debian" .
    rm -rf "$work/debian"
fi
podman import "$debian" bft-base >/dev/null

say "the image"
BFT_BASE_IMAGE=localhost/bft-base "$root/deploy/oci/build.sh" "$packages" >"$work/build.log" 2>&1 ||
    { tail -n 30 "$work/build.log" >&2; fail "the image cannot be built"; }
version=$(dpkg-deb -f "$(compgen -G "$packages/bftnode_*.deb" | sort -V | tail -n 1)" Version)
image=localhost/bftnode:$version
once=(podman run --rm --network none)
podman images --format '{{.Repository}}:{{.Tag}} {{.Size}}' "$image"
[ "$(podman inspect --format '{{.Config.User}}' "$image")" = bftnode ] || fail "it does not run as bftnode"
podman inspect --format '{{json .HealthCheck}}' "$image" | grep -q status || fail "it has no health check"
[ "$("${once[@]}" "$image" --version)" = "bftnode $version" ] || fail "it has another version than $version"
"${once[@]}" --entrypoint bftctl "$image" --help | grep -q '^Exit status:'
status=0
"${once[@]}" "$image" --role=network >"$work/none" 2>&1 || status=$?
[ $status = 2 ] || { cat "$work/none" >&2; fail "without a host's folder: exit status $status, not 2"; }
user=$("${once[@]}" --entrypoint id "$image" -u)

say "a cluster of five hosts"
# TPMs and databases are the machine's, as chips and servers are; the containers see their sockets.
port=$((20000 + RANDOM % 10000))
{
    printf 'name = "image"\nf = 1\napplication = "%s/config/apps/payment"\nclients = ["admin"]\n' "$root"
    printf '[[group]]\nid = 1\npartitions = [0, 1, 2]\n'
    for host in $hosts; do
        printf '[[host]]\nname = "%s"\naddress = "127.0.0.1:%d"\ntcti = "swtpm:path=/run/tpm/sock"\n' "$host" $port
        printf 'provision_tcti = "swtpm:path=%s/tpm/%s/sock"\n' "$work" "$host"
        case $host in
            primary*) echo 'roles = ["primary"]' ;;
            *)
                echo 'roles = ["replica", "voter"]'
                printf 'database = { socket = "/run/mysqld/mysqld.sock", user = "bftnode", name = "payment", '
                printf 'password_file = "%s.password" }\n' "$host"
                ;;
        esac
        port=$((port + 1))
    done
} >"$work/topology.toml"
# shellcheck disable=SC2086
start_tpms $hosts
for host in $with_database; do (umask 077 && head -c 18 /dev/urandom | base64 >"$work/$host.password"); done
"$bftctl" init --topology "$work/topology.toml" --dir "$work/cluster" >/dev/null
chmod 0711 "$work"
sql() { mariadb --no-defaults --user=root --socket="$work/db/$1/mysqld.sock" --batch --skip-column-names -e "$2"; } # HOST SQL
mkdir -m 0711 "$work/db"
for host in $with_database; do
    "$root/deploy/mariadb.sh" start "$work/db/$host"
    chmod 0711 "$work/db/$host"
    sql "$host" "CREATE DATABASE payment CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        CREATE USER bftnode@localhost IDENTIFIED BY '$(<"$work/$host.password")'; GRANT ALL ON payment.* TO bftnode@localhost"
done
run_host() { # HOST
    local mounts=(-v "$work/cluster/hosts/$1:/etc/bftnode/host:ro" -v "$1-state:/var/lib/bftnode/host" -v "$1-run:/run/bftnode/host")
    local database=() run=(podman run -d --network host)
    "${run[@]}" --name "$1-usig" -v "$work/tpm/$1:/run/tpm" "${mounts[@]}" "$image" --role=usig >/dev/null
    [[ $1 == primary* ]] || database=(-v "$work/db/$1:/run/mysqld")
    "${run[@]}" --name "$1" "${database[@]}" "${mounts[@]}" "$image" --role=network >/dev/null
}
for host in $hosts; do
    chown -R "$user:$user" "$work/cluster/hosts/$host"
    run_host "$host"
done
ready() { podman exec "$1" bftctl status --quiet /etc/bftnode/host; } # HOST
for host in $hosts; do wait_until 120 "$host is ready" ready "$host"; done
for host in $hosts; do podman healthcheck run "$host" || fail "$host is not healthy"; done
call() { "$bftctl" call --client "$work/cluster/clients/admin" "$@" 2>>"$work/calls"; }
call create_account 1 1 ann 100.00
call create_account 2 1 bob 0.00
call send_payment 1 1 2 1 30.00 rent

say "a host's containers are killed, and come back"
podman kill --signal KILL host2 host2-usig >/dev/null
call send_payment 1 1 2 1 30.00 rent
status=0
call send_payment 1 1 2 1 50.00 "too much" || status=$?
[ $status = 3 ] || fail "a payment of more than there is: exit status $status, not 3"
podman start host2-usig host2 >/dev/null
wait_until 120 "host2 is ready again" ready host2
# The next primary takes over when the first one's machine is gone.
podman kill --signal KILL primary1 primary1-usig >/dev/null
call send_payment 1 1 2 1 15.00 tea
podman start primary1-usig primary1 >/dev/null
for host in $hosts; do wait_until 120 "$host is ready" ready "$host"; done
balance() { sql "$1" "SELECT branch, account, balance FROM payment.account ORDER BY 1, 2" | tr '\t\n' ' ;'; } # HOST
for host in $with_database; do
    wait_until 30 "$host has all payments" eval '[ "$(balance '$host')" = "1 1 25.00;2 1 75.00;" ]'
done

say "all stop in order"
# shellcheck disable=SC2086
podman stop --time 30 $hosts >/dev/null
for host in $hosts; do
    podman stop --time 30 "$host-usig" >/dev/null
    for name in $host $host-usig; do
        [ "$(podman inspect --format '{{.State.ExitCode}}' "$name")" = 0 ] || fail "$name did not end in order"
    done
done
say "passed"
