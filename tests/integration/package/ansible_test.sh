#!/usr/bin/env bash
# deploy/ansible run for real, through ssh, on four machines: clean Debians, each under its own systemd and with its own TPM
# of software. site.yml makes a cluster of them, and changes nothing the second time; a machine reboots and takes part
# again by itself; upgrade.yml brings a newer version, one machine after the other, while transactions run.
#
#   tests/integration/package/ansible_test.sh [PACKAGES]
#
# PACKAGES: folder of the .deb files (build/packages; made when missing). BFT_BUILD names the build whose bftctl makes the
# cluster. Needs root, ansible, ssh, debootstrap, systemd-nspawn, swtpm. BFT_PACKAGE_ROOT: as for install_test.sh.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
begin ansible ansible-playbook ssh ssh-keygen systemd-nspawn swtpm "$bftctl"
hosts="primary1 host1 host2 host3"  # host1 may lead, too
declare -A container=()
clean_up() { # STATUS
    local host
    for host in "${!container[@]}"; do
        [ "$1" = 0 ] || on "$host" journalctl --no-pager -n 15 -u 'bftnode*' -u mariadb 2>/dev/null | sed "s/^/$host: /" >&2
    done
    power_off "${container[@]}"
    for host in $hosts; do umount "$work/machines/$host/root" 2>/dev/null; done
}
first_port=$((20000 + RANDOM % 10000))
port_of() { # HOST: of its ssh; the next one is the daemon's
    local number
    case $1 in primary1) number=0 ;; *) number=${1#host} ;; esac
    echo $((first_port + 2 * number))
}
on() { # HOST COMMAND...
    local host=$1
    shift
    # shellcheck disable=SC2029
    ssh -n -q -i "$work/key" -p "$(port_of "$host")" -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no \
        -o ConnectTimeout=5 root@127.0.0.1 "$@"
}

say "four clean Debians that ssh reaches"
base=$work/base
clean_debian "$base"
settle_debian "$base"
ssh-keygen -q -t ed25519 -N "" -f "$work/key"
install -d -m 0700 "$base/root/.ssh"
install -m 0600 "$work/key.pub" "$base/root/.ssh/authorized_keys"
printf '#!/bin/sh\nexit 101\n' >"$base/usr/sbin/policy-rc.d"
chmod +x "$base/usr/sbin/policy-rc.d"
chroot "$base" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
    sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends openssh-server' >"$work/base.log" 2>&1 ||
    { tail "$work/base.log" >&2; fail "openssh-server cannot be installed"; }
rm "$base/usr/sbin/policy-rc.d"
[ ! -e "$base/usr/bin/python3" ] || fail "that Debian has Python already: nobody would notice that the playbook needs it"
# shellcheck disable=SC2086
start_tpms $hosts
for host in $hosts; do
    mkdir -p "$work/machines/$host"/{changes,merge,root}
    mount -t overlay overlay "$work/machines/$host/root" \
        -o "lowerdir=$base,upperdir=$work/machines/$host/changes,workdir=$work/machines/$host/merge"
    mkdir -p "$work/machines/$host/root/etc/ssh/sshd_config.d"
    printf 'ListenAddress 127.0.0.1\nPort %d\n' "$(port_of "$host")" >"$work/machines/$host/root/etc/ssh/sshd_config.d/test.conf"
    echo "$host" >"$work/machines/$host/root/etc/hostname"
    boot_machine "$work/machines/$host/root" "bft-$host" "$work/$host.log" --bind="$work/tpm/$host:/opt/tpm"
    container[$host]=$booted
done
for host in $hosts; do
    wait_until 60 "ssh to $host" on "$host" true
done

say "bftctl init, here"
{
    printf 'name = "ansible"\nf = 1\napplication = "%s/config/apps/payment"\nclients = ["admin"]\n' "$root"
    printf '[[group]]\nid = 1\npartitions = [0, 1, 2]\n'
    for host in $hosts; do
        printf '[[host]]\nname = "%s"\naddress = "127.0.0.1:%d"\n' "$host" $(($(port_of "$host") + 1))
        printf 'tcti = "swtpm:path=/opt/tpm/sock"\nprovision_tcti = "swtpm:path=%s/tpm/%s/sock"\n' "$work" "$host"
        case $host in
            primary1) echo 'roles = ["primary"]' ;;
            host1) echo 'roles = ["primary", "replica", "voter"]' ;;
            *) echo 'roles = ["replica", "voter"]' ;;
        esac
        [ "$host" = primary1 ] || echo 'database = { socket = "/run/mysqld/mysqld.sock", user = "bftnode", name = "payment" }'
    done
} >"$work/topology.toml"
"$bftctl" init --topology "$work/topology.toml" --dir "$work/cluster" >/dev/null
{
    printf 'all:\n  children:\n    bft_hosts:\n      vars:\n        ansible_user: root\n        ansible_host: 127.0.0.1\n'
    printf '        ansible_ssh_private_key_file: %s/key\n' "$work"
    printf '        ansible_ssh_common_args: "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no"\n      hosts:\n'
    for host in $hosts; do
        printf '        %s: {ansible_port: %d%s}\n' "$host" "$(port_of "$host")" \
            "$([ "$host" = primary1 ] || echo ", bft_database: payment")"
    done
} >"$work/inventory.yml"
touch "$work/ansible.cfg"
play() { # PLAYBOOK PACKAGES LOG
    ANSIBLE_CONFIG=$work/ansible.cfg ANSIBLE_HOME=$work/ansible ANSIBLE_LOCAL_TEMP=$work/ansible ANSIBLE_SSH_CONTROL_PATH_DIR=$work/cp \
        ANSIBLE_NOCOLOR=1 LC_ALL=C.UTF-8 ansible-playbook -i "$work/inventory.yml" "$root/deploy/ansible/$1" \
        -e "bft_packages=$2" -e "bft_cluster=$work/cluster" >"$3" 2>&1 || { tail -n 40 "$3" >&2; fail "$1 failed"; }
    sed -n '/^PLAY RECAP/,$p' "$3"
}

say "site.yml"
play site.yml "$packages" "$work/first"
for host in $hosts; do
    on "$host" systemctl is-enabled --quiet "bftnode-usig@$host" "bftnode@$host" || fail "$host would not start after a reboot"
    [ -z "$(on "$host" ls -d '/root/bftnode-*' 2>/dev/null)" ] || fail "secrets of $host lie about"
    [ "$(on "$host" ls /etc/bftnode)" = "$host" ] || fail "$host has more than its own folder"
done
! on primary1 test -e /usr/sbin/mariadbd || fail "a host without voter has a database server"
call() { "$bftctl" call --client "$work/cluster/clients/admin" "$@" 2>>"$work/calls"; }
call create_account 1 1 ann 1000.00
call create_account 2 1 bob 0.00

say "site.yml again: nothing to do"
started() { for host in $hosts; do on "$host" systemctl show --value --property=MainPID "bftnode@$host" mariadb; done; }
before=$(started)
play site.yml "$packages" "$work/second"
[ "$(grep -c 'changed=0 .*failed=0' "$work/second")" = 4 ] ||
    { grep -A 1 '^changed:' "$work/second" >&2; fail "the second run changed something"; }
[ "$(started)" = "$before" ] || fail "the second run restarted something"

say "a machine reboots"
boot=$(on host3 cat /proc/sys/kernel/random/boot_id; on host3 systemctl show --value --property=UserspaceTimestampMonotonic)
on host3 systemctl reboot || true
rebooted() { [ "$(on host3 cat /proc/sys/kernel/random/boot_id; on host3 systemctl show --value --property=UserspaceTimestampMonotonic)" != "$boot" ]; }
call send_payment 1 1 2 1 1.00 away
wait_until 180 "host3 has rebooted" eval 'on host3 true && rebooted'
wait_until 120 "host3 takes part again" on host3 bftctl status --quiet /etc/bftnode/host3

say "upgrade.yml, while payments run"
BFT_PACKAGE_BUILD="${BFT_PACKAGE_BUILD:-}" "$root/deploy/packages/build.sh" --version 0.1.1 "$work/newer" >/dev/null
touch "$work/paying"
(
    paid=0
    while [ -e "$work/paying" ]; do
        call send_payment 1 1 2 1 1.00 more >/dev/null || exit 1
        paid=$((paid + 1))
        echo $paid >"$work/paid"
    done
) &
payer=$!
processes+=("$payer")
before=$(started)
play upgrade.yml "$work/newer" "$work/upgrade"
rm "$work/paying"
wait "$payer" || { tail -n 3 "$work/calls" >&2; fail "a payment failed in the upgrade"; }
echo "$(cat "$work/paid") payments meanwhile, none failed"
for host in $hosts; do
    # shellcheck disable=SC2016
    [ "$(on "$host" dpkg-query -W -f='\${Version}' bftnode)" = 0.1.1 ] || fail "$host has the old version"
    [ "$(on "$host" bftctl status --json "/etc/bftnode/$host" | grep -c '"version": *"')" != 0 ] || fail "$host tells no version"
done
balances() { on "$1" mariadb --batch --skip-column-names payment -e "'SELECT branch, balance FROM account ORDER BY 1'" | tr '\t\n' ' ;'; }
expected="1 $((999 - $(cat "$work/paid"))).00;2 $((1 + $(cat "$work/paid"))).00;"
for host in host1 host2 host3; do
    wait_until 30 "$host has all payments, once: $expected" eval '[ "$(balances '$host')" = "$expected" ]'
done

say "passed"
