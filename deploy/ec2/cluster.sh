#!/usr/bin/env bash
# From nothing to a benchmarked cluster on EC2, and back to nothing. Costs money between `up` and `down`.
#
#   deploy/ec2/cluster.sh up NAME [OPTIONS]     image, network, machines, packages, cluster; waits until it is ready
#   deploy/ec2/cluster.sh bench NAME [-- ...]   TPC-C from the clients' machines; results into ec2-NAME/results
#   deploy/ec2/cluster.sh collect NAME          logs, status and debug bundles into ec2-NAME/results
#   deploy/ec2/cluster.sh down NAME             ends and deletes everything that carries the tag bftnode=NAME
#
# Options of up:
#   --regions "A B"    hosts are dealt out to these in turn (eu-central-1). Machines of several regions speak over the
#                      internet: links are TLS 1.3 and pinned, ports are open to the cluster's addresses alone
#   --f N              2f+1 hosts with replica, voter and database, and f+1 primaries (1)
#   --clients N        machines for the load (1)
#   --type T           of hosts (c7i.xlarge; Nitro with NitroTPM)
#   --client-type T    of the clients' machines (c7i.xlarge)
#   --disk-gb N        gp3 of each machine (40)
#   --packages FOLDER  of the .deb files (build/packages)
#   --tpcc FOLDER      of tpcc_load and tpcc_drive (build/release/bench/tpcc)
#   --warehouses N     that are loaded (10)
#
# --dry-run anywhere prints every command that would be run and runs none. Needs the AWS CLI 2 with credentials, ssh,
# and on this machine bftctl and libtss2-tcti-cmd0: the TPMs' counters are made from here, through ssh.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/deploy/ec2

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }
fail() { echo "cluster.sh: $*" >&2; exit 1; }
say() { printf '== %s\n' "$*" >&2; }

# Everything that changes something goes through here.
run() {
    if [ "$dry" = 1 ]; then
        printf '%q ' "$@" >&3
        printf '\n' >&3
    else
        "$@"
    fi
}
# The answer of a query, or a name that says what it would be.
ask() { # NAME COMMAND...
    local name=$1
    shift
    if [ "$dry" = 1 ]; then
        printf '%q ' "$@" >&3
        printf '\n' >&3
        echo "$name"
    else
        "$@"
    fi
}
ask_ec2() { # NAME REGION COMMAND...
    ask "$1" aws --region "$2" --output text ec2 "${@:3}"
}
change_ec2() { # REGION COMMAND...
    run aws --region "$1" --output text ec2 "${@:2}" >&2
}
tags() { # KIND NAME
    echo "ResourceType=$1,Tags=[{Key=bftnode,Value=$cluster},{Key=Name,Value=bft-$cluster-$2}]"
}
remote=(-o StrictHostKeyChecking=accept-new -o ConnectTimeout=10)
there() { run ssh "${remote[@]}" -i "$work/key" -o "UserKnownHostsFile=$work/known_hosts" "admin@$1" "${@:2}"; }
copy() { run rsync -a -e "ssh ${remote[*]} -i $work/key -o UserKnownHostsFile=$work/known_hosts" "$@"; }
wait_for() { # SECONDS WHAT COMMAND...
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$dry" = 0 ] || return 0
        [ $SECONDS -lt $deadline ] || fail "not within its time: $what"
        sleep 5
    done
}
address_of() { sed -n "s/^$1 [^ ]* \([^ ]*\).*/\1/p" "$work/machines"; }

# --- up ---

# Debian's own image, registered again with a NitroTPM: an image says whether its machines have one.
image() { # REGION
    local region=$1 debian snapshot found
    found=$(ask_ec2 ami-none "$region" describe-images --owners self --filters "Name=tag:bftnode,Values=image" --query 'Images[0].ImageId')
    case "$found" in ami-none | None) ;; *) echo "$found"; return ;; esac
    debian=$(ask_ec2 ami-debian "$region" describe-images --owners 136693071363 --filters "Name=name,Values=debian-12-amd64-*" \
        --query 'sort_by(Images,&CreationDate)[-1].ImageId')
    snapshot=$(ask_ec2 snap-debian "$region" describe-images --image-ids "$debian" \
        --query 'Images[0].BlockDeviceMappings[0].Ebs.SnapshotId')
    # Snapshots of others cannot be registered: a copy can.
    snapshot=$(ask_ec2 snap-copy "$region" copy-snapshot --source-region "$region" --source-snapshot-id "$snapshot" \
        --tag-specifications "$(tags snapshot image)" --query SnapshotId)
    change_ec2 "$region" wait snapshot-completed --snapshot-ids "$snapshot"
    ask_ec2 ami-nitrotpm "$region" register-image --name "bftnode-$cluster-$RANDOM" --architecture x86_64 --ena-support \
        --virtualization-type hvm --boot-mode uefi --tpm-support v2.0 --root-device-name /dev/xvda \
        --block-device-mappings "DeviceName=/dev/xvda,Ebs={SnapshotId=$snapshot}" --tag-specifications "$(tags image image)" \
        --query ImageId
}
network() { # REGION: the security group
    local region=$1 group
    group=$(ask_ec2 sg-new "$region" create-security-group --group-name "bft-$cluster" --description "bftnode-$cluster" \
        --tag-specifications "$(tags security-group group)" --query GroupId)
    change_ec2 "$region" authorize-security-group-ingress --group-id "$group" --protocol tcp --port 22 --cidr "$my_address/32"
    change_ec2 "$region" import-key-pair --key-name "bft-$cluster" --public-key-material "fileb://$work/key.pub" \
        --tag-specifications "$(tags key-pair key)"
    echo "$group"
}
machine() { # NAME ROLE REGION IMAGE GROUP TYPE
    local id address
    sed "s/@NAME@/$1/g; s/@ROLE@/$2/g" "$here/user-data.yaml" >"$work/user-data-$1"
    id=$(ask_ec2 "i-$1" "$3" run-instances --image-id "$4" --instance-type "$6" --key-name "bft-$cluster" --security-group-ids "$5" \
        --user-data "file://$work/user-data-$1" --tag-specifications "$(tags instance "$1")" "$(tags volume "$1")" \
        --metadata-options HttpTokens=required --block-device-mappings "DeviceName=/dev/xvda,Ebs={VolumeSize=$disk_gb,VolumeType=gp3}" \
        --query 'Instances[0].InstanceId')
    change_ec2 "$3" wait instance-running --instance-ids "$id"
    dry_addresses=$((dry_addresses + 1))
    address=$(ask_ec2 "192.0.2.$dry_addresses" "$3" describe-instances --instance-ids "$id" \
        --query 'Reservations[0].Instances[0].PublicIpAddress')
    echo "$1 $2 $address $3 $id $5" >>"$work/machines"
}
write_topology() {
    local i p client partitions name role address
    echo "name = \"$cluster\""
    echo "f = $f"
    echo 'application = "/usr/share/bftnode/apps/tpcc"'
    printf 'clients = ["admin"'
    for ((client = 1; client <= clients; ++client)); do printf ', "bench%d"' "$client"; done
    printf ']\n'
    for ((i = 1; i <= f + 1; ++i)); do
        partitions=""
        [ "$i" != 1 ] || partitions="0, "
        for ((p = i; p <= warehouses; p += f + 1)); do partitions+="$p, "; done
        printf '\n[[group]]\nid = %d\npartitions = [%s]\n' "$i" "${partitions%, }"
    done
    while read -r name role address _; do
        [ "$role" != client ] || continue
        printf '\n[[host]]\nname = "%s"\naddress = "%s:7000"\nmetrics = "127.0.0.1:7001"\ntcti = "device:/dev/tpmrm0"\n' "$name" "$address"
        # The counters are made from here: the TPM's commands go through ssh.
        printf 'provision_tcti = "cmd:ssh %s -i %s -o UserKnownHostsFile=%s admin@%s sudo tpm2_send -T device:/dev/tpmrm0"\n' \
            "${remote[*]}" "$work/key" "$work/known_hosts" "$address"
        if [ "$role" = primary ]; then
            echo 'roles = ["primary"]'
        else
            echo 'roles = ["replica", "voter"]'
            echo 'database = { socket = "/run/mysqld/mysqld.sock", user = "bftnode", name = "tpcc" }'
        fi
    done <"$work/machines"
}
up() {
    local i name region list n=0 address
    [ ! -e "$work/machines" ] || fail "$work holds a cluster: take it down first"
    [ "$dry" = 1 ] || compgen -G "$packages/bftnode_*.deb" >/dev/null || fail "there are no packages in $packages"
    mkdir -p "$work/results"
    chmod 700 "$work"
    [ -e "$work/key" ] || ssh-keygen -q -t ed25519 -N "" -C "bft-$cluster" -f "$work/key"
    my_address=$(ask 198.51.100.1 curl -fsS https://checkip.amazonaws.com)
    read -ra list <<<"$regions"
    declare -A image_of group_of
    for region in "${list[@]}"; do
        say "image and network in $region"
        image_of[$region]=$(image "$region")
        group_of[$region]=$(network "$region")
    done
    : >"$work/machines"
    echo "$regions" >"$work/regions"
    for ((i = 1; i <= 3 * f + 2 + clients; ++i)); do
        region=${list[$((n++ % ${#list[@]}))]}
        if [ "$i" -le $((f + 1)) ]; then name="primary$i primary"
        elif [ "$i" -le $((3 * f + 2)) ]; then name="host$((i - f - 1)) replica"
        else name="client$((i - 3 * f - 2)) client"; fi
        say "machine ${name% *} in $region"
        case "$name" in *client) type_now=$client_type ;; *) type_now=$type ;; esac
        machine "${name% *}" "${name#* }" "$region" "${image_of[$region]}" "${group_of[$region]}" "$type_now"
    done
    say "only the cluster's own machines may reach its ports"
    while read -r _ _ address _; do
        for region in "${list[@]}"; do
            change_ec2 "$region" authorize-security-group-ingress --group-id "${group_of[$region]}" --protocol tcp --port 7000 --cidr "$address/32"
        done
    done <"$work/machines"
    install_machines
    say "keys and counters"
    write_topology >"$work/topology.toml"
    run bftctl init --topology "$work/topology.toml" --dir "$work/cluster"
    start_cluster
}
install_machines() {
    local name role address
    while read -r name role address _ <&4; do
        say "packages on $name"
        wait_for 600 "$name boots" there "$address" test -e /run/bftnode-booted
        there "$address" test ! -e /run/bftnode-no-tpm || fail "$name has no TPM: is $type a Nitro type with NitroTPM?"
        copy "$packages"/*.deb "admin@$address:"
        there "$address" sudo apt-get install -y -qq "./*.deb"
        [ "$role" != client ] || copy "$tpcc/tpcc_drive" "admin@$address:"
        [ "$role" = replica ] || continue
        copy "$tpcc/tpcc_load" "admin@$address:"
        there "$address" sudo mariadb -e "'CREATE DATABASE IF NOT EXISTS tpcc CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
            CREATE USER IF NOT EXISTS bftnode@localhost IDENTIFIED VIA unix_socket; GRANT ALL ON tpcc.* TO bftnode@localhost'"
        there "$address" sudo ./tpcc_load --app /usr/share/bftnode/apps/tpcc --warehouses "$warehouses" --replace \
            --socket /run/mysqld/mysqld.sock --database tpcc
    done 4<"$work/machines"
}
start_cluster() {
    local name role address
    while read -r name role address _ <&4; do
        [ "$role" != client ] || { copy "$work/cluster/clients/" "admin@$address:clients/"; continue; }
        say "start $name"
        # A machine does not have the address by which the others know it.
        run sed -i 's/^\[host\]$/[host]\nlisten = "0.0.0.0:7000"/' "$work/cluster/hosts/$name/node.toml"
        copy "$work/cluster/hosts/$name" "admin@$address:"
        there "$address" "sudo bftctl install $name && rm -rf $name && sudo systemctl daemon-reload && sudo systemctl enable --now bftnode-usig@$name bftnode@$name"
    done 4<"$work/machines"
    while read -r name role address _ <&4; do
        [ "$role" != client ] || continue
        there "$address" sudo bftctl status --wait 120 --quiet "/etc/bftnode/$name" || fail "$name is not ready"
        there "$address" sudo bftctl check --measure "/etc/bftnode/$name" || true
    done 4<"$work/machines"
}

# --- bench, collect, down ---

bench() {
    local name role address n=0 jobs=()
    while read -r name role address _ <&4; do
        [ "$role" = client ] || continue
        n=$((n + 1))
        there "$address" ./tpcc_drive --config "clients/bench$n" --warehouses "$warehouses" --json result.json "$@" \
            >"$work/results/$name.log" 2>&1 &
        jobs+=($!)
    done 4<"$work/machines"
    for job in "${jobs[@]}"; do wait "$job" || fail "a driver failed, see $work/results"; done
    while read -r name role address _ <&4; do
        [ "$role" = client ] || continue
        copy "admin@$address:result.json" "$work/results/$name.json"
    done 4<"$work/machines"
    say "results are in $work/results"
}
collect() {
    local name role address
    while read -r name role address _ <&4; do
        [ "$role" != client ] || continue
        there "$address" sudo bftctl debug bundle --out /tmp/bundle.tar.gz "/etc/bftnode/$name"
        there "$address" sudo chown admin /tmp/bundle.tar.gz
        copy "admin@$address:/tmp/bundle.tar.gz" "$work/results/$name.tar.gz"
    done 4<"$work/machines"
}
# By tag: also what an `up` that broke off left behind.
down() {
    local region ids filter="Name=tag:bftnode,Values=$cluster"
    for region in $(cat "$work/regions" 2>/dev/null || echo "$regions"); do
        say "delete in $region"
        ids=$(ask_ec2 i-all "$region" describe-instances --filters "$filter" "Name=instance-state-name,Values=pending,running,stopping,stopped" --query 'Reservations[].Instances[].InstanceId')
        if [ -n "$ids" ]; then
            change_ec2 "$region" terminate-instances --instance-ids $ids
            change_ec2 "$region" wait instance-terminated --instance-ids $ids
        fi
        for ids in $(ask_ec2 ami-all "$region" describe-images --owners self --filters "$filter" --query 'Images[].ImageId'); do
            change_ec2 "$region" deregister-image --image-id "$ids"
        done
        for ids in $(ask_ec2 snap-all "$region" describe-snapshots --owner-ids self --filters "$filter" --query 'Snapshots[].SnapshotId'); do
            change_ec2 "$region" delete-snapshot --snapshot-id "$ids"
        done
        for ids in $(ask_ec2 sg-all "$region" describe-security-groups --filters "$filter" --query 'SecurityGroups[].GroupId'); do
            change_ec2 "$region" delete-security-group --group-id "$ids"
        done
        change_ec2 "$region" delete-key-pair --key-name "bft-$cluster"
    done
    # Results stay; keys of what is no more do not.
    run rm -rf "$work/key" "$work/key.pub" "$work/machines" "$work/cluster" "$work/known_hosts"
}

dry=0 words=()
for word in "$@"; do
    case "$word" in --dry-run) dry=1 ;; *) words+=("$word") ;; esac
done
set -- "${words[@]}"
case "${1:-}" in "" | -h | --help) usage; exit 0 ;; esac
[ $# -ge 2 ] || { usage >&2; exit 2; }
command=$1 cluster=$2
shift 2
[[ $cluster =~ ^[a-z0-9-]{1,20}$ ]] || fail "a name has lower-case letters, digits and '-', not '$cluster'"
regions=eu-central-1 f=1 clients=1 type=c7i.xlarge client_type=c7i.xlarge disk_gb=40 warehouses=10
packages=$root/build/packages tpcc=$root/build/release/bench/tpcc my_address="" dry_addresses=0 type_now=""
while [ $# -gt 0 ] && [ "$command" = up ]; do
    case "$1" in
        --regions | --f | --clients | --type | --client-type | --disk-gb | --packages | --tpcc | --warehouses)
            [ $# -ge 2 ] || fail "$1 needs a value"
            name=${1#--}
            printf -v "${name//-/_}" %s "$2"
            shift 2
            ;;
        *) fail "unknown option '$1'" ;;
    esac
done
[ "${1:-}" != -- ] || shift
work=${BFT_EC2_WORK:-$PWD/ec2-$cluster}
exec 3>&1
[ "$dry" = 1 ] || command -v aws >/dev/null || fail "install the AWS CLI 2"
case "$command" in
    up) up ;;
    bench) bench "$@" ;;
    collect) collect ;;
    down) down ;;
    *) usage >&2; exit 2 ;;
esac
