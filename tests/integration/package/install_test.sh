#!/usr/bin/env bash
# From the built packages, in a clean Debian under its own systemd: install, make a cluster of five hosts, challenge
# its TPMs, run TPC-C, upgrade in place with a rolling restart under load, back up meanwhile, lose everything and
# begin a new cluster with the backup, remove: nothing is left but data.
#
#   tests/integration/package/install_test.sh [PACKAGES]
#
# PACKAGES: folder of the .deb files; made by deploy/packages/build.sh when missing. BFT_BUILD names the build
# whose TPC-C programs make the load. Needs root, debootstrap and systemd-nspawn. BFT_PACKAGE_ROOT keeps the clean
# Debian for the next run (a .tar file).
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
begin package systemd-nspawn lintian
machine=$work/machine
container=""
clean_up() { # STATUS
    if [ -n "$container" ]; then
        [ "$1" = 0 ] || explain >&2  # of what failed, the reason is in the container's journal
        inside pkill tpcc_drive  # systemd waits for it
        power_off "$container"
    fi
    [ "$1" = 0 ] || tail -n 5 "$work/boot.log" >&2
}
explain() {
    inside journalctl --no-pager -n 60 -u 'bftnode*' -u mariadb
    inside bftctl status /etc/bftnode
    for host in host1 host2 host3; do
        echo "$host: status, code, how many, first slot"
        sql $host "SELECT status, code, COUNT(*), MIN(slot) FROM tpcc.cbft_exec GROUP BY status, code"
    done
}
inside() { # COMMAND...
    nsenter --target "$(init_of "$container")" --all --wdns=/root env -i \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
}

say "packages"
lintian --allow-root --fail-on error "$packages"/*.deb
for unit in "$root"/deploy/systemd/*.service; do
    systemd-analyze security --offline=yes --threshold=20 "$unit" | tail -n 1
done

say "a clean Debian"
clean_debian "$machine"
settle_debian "$machine"
mkdir -p "$machine/packages"
cp "$packages"/*.deb "$machine/packages/"
boot_machine "$machine" bft-package "$work/boot.log" --bind-ro="$build/bench/tpcc:/opt/tpcc" --bind-ro="$root/config:/opt/config"
container=$booted
wait_until 60 "systemd runs" eval 'inside systemctl is-system-running --wait | grep -E "running|degraded"'

say "install"
inside apt-get update -qq
inside sh -c 'apt-get install -y -qq --no-install-recommends /packages/*.deb mariadb-server swtpm' >"$work/apt.log" 2>&1 ||
    { tail "$work/apt.log" >&2; fail "the packages cannot be installed"; }
inside bftnode --version
inside bftctl --version
for page in init snapshot snapshot-save snapshot-verify snapshot-restore enroll; do
    inside test -s /usr/share/man/man1/bftctl-$page.1.gz || fail "no man page bftctl-$page"
done
inside bash -c '. /usr/share/bash-completion/completions/bftctl
    COMP_WORDS=(bftctl snapshot "") COMP_CWORD=2; _bftctl; [ "${COMPREPLY[*]}" = "save verify restore" ]' ||
    fail "the completion does not know the commands below snapshot"
inside id bftnode

say "a cluster of five hosts"
{
    printf 'name = "package"\nf = 1\napplication = "/usr/share/bftnode/apps/tpcc"\nclients = ["bench", "admin"]\n'
    printf '[[group]]\nid = 1\npartitions = [0, 1, 2]\n'
    port=7000
    for host in primary1 primary2 host1 host2 host3; do
        printf '[[host]]\nname = "%s"\naddress = "127.0.0.1:%d"\nmetrics = "127.0.0.1:%d"\n' $host $port $((port + 1))
        printf 'tcti = "swtpm:path=/run/swtpm-%s/sock"\n' $host
        case $host in
            primary*) echo 'roles = ["primary"]' ;;
            *)
                echo 'roles = ["replica", "voter"]'
                printf 'http = "https://localhost:%d"\n' $((port + 2))
                printf 'database = { socket = "/run/mariadb-%s/sock", user = "bftnode", name = "tpcc" }\n' $host
                ;;
        esac
        port=$((port + 10))
    done
} >"$machine/root/topology.toml"
hosts="primary1 primary2 host1 host2 host3"
for host in $hosts; do
    # A TPM of software: its socket belongs to the daemon's user, as a chip's device to the group tss.
    inside systemd-run --quiet --unit="swtpm-$host" --uid=bftnode \
        --property=RuntimeDirectory="swtpm-$host" --property=StateDirectory="swtpm-$host" --property=UMask=0077 \
        swtpm socket --tpm2 --tpmstate "dir=/var/lib/swtpm-$host" --flags not-need-init,startup-clear \
        --server "type=unixio,path=/run/swtpm-$host/sock" --ctrl "type=unixio,path=/run/swtpm-$host/sock.ctrl"
done
for host in $hosts; do wait_until 30 "TPM of $host" inside test -S "/run/swtpm-$host/sock.ctrl"; done
# A server for each host, as on machines of their own, with the distribution's settings.
for host in host1 host2 host3; do
    inside mariadb-install-db --user=mysql --datadir="/var/lib/mariadb-$host" --skip-test-db >"$work/mariadb.log" 2>&1
    inside systemd-run --quiet --unit="mariadb-$host" --uid=mysql --property=RuntimeDirectory="mariadb-$host" \
        mariadbd --datadir="/var/lib/mariadb-$host" --socket="/run/mariadb-$host/sock" --skip-networking \
        --pid-file="/run/mariadb-$host/pid"
done
sql() { inside mariadb --socket="/run/mariadb-$1/sock" -e "$2"; } # HOST SQL
for host in host1 host2 host3; do
    wait_until 60 "database of $host" sql $host "DO 0"
    sql $host "CREATE USER bftnode@localhost IDENTIFIED VIA unix_socket; GRANT ALL ON tpcc.* TO bftnode@localhost"
done
inside bftctl init --topology topology.toml --dir cluster
# These TPMs have no certificates: nobody vouches for them until somebody who knows says so.
known=()
for host in $hosts; do
    status=0
    inside bftctl enroll "cluster/hosts/$host" >"$work/enroll" 2>&1 || status=$?
    [ $status = 5 ] || { cat "$work/enroll" >&2; fail "enroll of $host without an authority: status $status"; }
    known+=(--tpm-ek "$(grep -o "$host=[0-9a-f]\{64\}" "$work/enroll" | head -n 1)")
done
inside bftctl enroll cluster "${known[@]}"
for host in $hosts; do inside bftctl install "cluster/hosts/$host"; done
inside sh -c '! su -s /bin/sh bftnode -c "cat /etc/bftnode/host1/identity.key" 2>/dev/null'
for host in host1 host2 host3; do
    inside /opt/tpcc/tpcc_load --app /usr/share/bftnode/apps/tpcc --warehouses 2 --scale 0.02 --replace \
        --socket "/run/mariadb-$host/sock"
done
inside systemctl daemon-reload
units=$(for host in $hosts; do echo "bftnode-usig@$host bftnode@$host"; done)
# shellcheck disable=SC2086
inside systemctl enable --quiet --now $units
wait_until 120 "all hosts are ready" inside bftctl status --wait 5 /etc/bftnode
inside bftctl status /etc/bftnode
inside systemctl status --no-pager bftnode@host1 | grep -E 'Active:|Status:'
inside bftctl call --client cluster/clients/admin stock_level 1 1 15

say "TPC-C, and an upgrade under load, one host after the other"
inside sh -c 'exec /opt/tpcc/tpcc_drive --config cluster/clients/bench --warehouses 2 --scale 0.02 --clients 8 \
    --seconds 600 --json /root/result.json >/root/drive.log 2>&1' &
driver=$!
# Also while a host is not ready, which status says by its exit status.
executed() { { inside bftctl status --json /etc/bftnode || true; } | grep -o '"executed": *[0-9]*' | grep -o '[0-9]*' | sort -n | tail -n 1; }
wait_until 60 "transactions run" eval '[ "$(executed)" -gt 100 ]'
"$root/deploy/packages/build.sh" --version 0.1.1 "$work/newer" >/dev/null
cp "$work"/newer/*.deb "$machine/packages/"
inside sh -c 'apt-get install -y -qq /packages/*_0.1.1_*.deb' >"$work/upgrade.log" 2>&1 ||
    { tail "$work/upgrade.log" >&2; fail "the upgrade failed"; }
[ "$(inside dpkg-query -W -f='${Version}' bftnode)" = 0.1.1 ]
for host in $hosts; do
    inside systemctl restart "bftnode-usig@$host" "bftnode@$host"
    wait_until 120 "$host is back" inside bftctl status --wait 5 /etc/bftnode
    # shellcheck disable=SC2034  # in the condition below
    reached=$(executed)
    wait_until 60 "transactions run after $host" eval '[ "$(executed)" -gt $((reached + 50)) ]'
    echo "$host restarted; executed $(executed)"
done
inside bftctl snapshot save /etc/bftnode --out /root/package.snapshot
kill -0 $driver || fail "the driver has ended: $(tail -n 3 "$machine/root/drive.log")"
inside pkill -INT tpcc_drive
wait $driver || true
grep -a '^all ' "$machine/root/drive.log" && grep -a '^failures' "$machine/root/drive.log"
grep -aq '^failures 0 ' "$machine/root/drive.log" || fail "requests failed in the upgrade"

say "the backup"
inside bftctl snapshot verify package.snapshot --cluster /etc/bftnode/host1/cluster.toml
inside grep -hc '"act":"snapshot' /var/lib/bftnode/host{1,2,3}/admin.log | grep -qv '^0$' || fail "no admin log knows of it"
inside sh -c '! su -s /bin/sh bftnode -c "cat /root/package.snapshot" 2>/dev/null'

say "all is lost but the backup and the old cluster file"
inside cp /etc/bftnode/host1/cluster.toml old.toml
# shellcheck disable=SC2086
inside systemctl stop $units
inside sh -c 'rm -r /etc/bftnode/* /var/lib/bftnode/* cluster'
for host in host1 host2 host3; do sql $host "DROP DATABASE tpcc; CREATE DATABASE tpcc COLLATE utf8mb4_bin"; done
inside bftctl init --topology topology.toml --dir cluster --snapshot package.snapshot --snapshot-cluster old.toml --force "${known[@]}"
for host in $hosts; do inside bftctl install "cluster/hosts/$host"; done
inside install -o bftnode -m 0600 package.snapshot /var/tmp/package.snapshot
for host in host1 host2 host3; do
    inside su -s /bin/sh bftnode -c "bftctl snapshot restore /var/tmp/package.snapshot /etc/bftnode/$host"
done
inside systemctl daemon-reload
# shellcheck disable=SC2086
inside systemctl start $units
wait_until 120 "the new cluster is ready" inside bftctl status --wait 5 /etc/bftnode
inside bftctl audit /etc/bftnode
inside bftctl call --client cluster/clients/admin stock_level 1 1 15

say "remove"
inside apt-get purge -y -qq bftnode bftctl libbftnode-client-dev >/dev/null 2>&1
inside sh -c '! pgrep -x bftnode' || fail "daemons still run"
for file in /usr/bin/bftnode /usr/bin/bftctl /lib/systemd/system/bftnode@.service /usr/share/bftnode /usr/include/bftnode; do
    inside test ! -e $file || fail "$file was left behind"
done
for host in $hosts; do
    inside test -s "/etc/bftnode/$host/identity.key" || fail "the identity of $host is gone"
    inside test -d "/var/lib/bftnode/$host" || fail "the log of $host is gone"
done
say "passed"
