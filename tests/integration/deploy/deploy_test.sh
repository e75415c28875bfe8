#!/usr/bin/env bash
# What deploy/ holds, as far as it can be checked without its targets: every script by shellcheck, cloud-init's file by
# its schema, the playbooks by Ansible, EC2 by a dry run whose topology must be right and whose `down` must delete every
# kind of thing that `up` has made.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
cd "$root"
fail() { echo "deploy_test: $*" >&2; exit 1; }
checked=0
have() { command -v "$1" >/dev/null || { echo "not checked for want of $1: $2"; return 1; }; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if have shellcheck "scripts"; then
    # Word splitting of lists of names is meant where it is done.
    shellcheck -x -S warning -e SC2046 deploy/rolling-restart.sh deploy/ec2/cluster.sh deploy/oci/build.sh \
        deploy/packages/*.sh tests/fuzz/nightly.sh tests/integration/deploy/*.sh tests/integration/package/*.sh
    checked=$((checked + 1))
fi
if have cloud-init "user-data.yaml"; then
    sed 's/@NAME@/host1/; s/@ROLE@/replica/' deploy/ec2/user-data.yaml >"$work/user-data.yaml"
    cloud-init schema --config-file "$work/user-data.yaml"
    checked=$((checked + 1))
fi
if have ansible-playbook "playbooks"; then
    for playbook in site upgrade; do
        ansible-playbook -i deploy/ansible/inventory.example.yml --syntax-check "deploy/ansible/$playbook.yml"
    done
    checked=$((checked + 1))
fi

export BFT_EC2_WORK=$work/ec2
have ssh-keygen "EC2" || exit 0
deploy/ec2/cluster.sh up demo --regions "eu-central-1 us-east-1" --f 2 --clients 2 --dry-run >"$work/up" 2>"$work/up.err" ||
    { cat "$work/up.err"; fail "up --dry-run failed"; }
[ "$(grep -c 'ec2 run-instances' "$work/up")" = 10 ] || fail "f = 2 are 5 hosts, 3 primaries, 2 clients"
[ "$(cut -d' ' -f3 "$BFT_EC2_WORK/machines" | sort -u | wc -l)" = 10 ] || fail "each machine has its address"
[ "$(grep -c 'tpm-support v2.0' "$work/up")" = 2 ] || fail "one image with a TPM for each region"
python3 - "$BFT_EC2_WORK/topology.toml" <<'PY'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    topology = tomllib.load(file)
assert topology["f"] == 2 and len(topology["host"]) == 8
parts = sorted(p for group in topology["group"] for p in group["partitions"])
assert parts == list(range(11)), parts
assert all(host["provision_tcti"].startswith("cmd:ssh ") for host in topology["host"])
PY
deploy/ec2/cluster.sh bench demo --dry-run >"$work/bench" 2>&1
deploy/ec2/cluster.sh collect demo --dry-run >"$work/collect" 2>&1
[ "$(grep -c 'debug bundle' "$work/collect")" = 8 ] || fail "a bundle of each host"
deploy/ec2/cluster.sh down demo --dry-run >"$work/down" 2>&1
for pair in run-instances:terminate-instances register-image:deregister-image copy-snapshot:delete-snapshot \
    create-security-group:delete-security-group import-key-pair:delete-key-pair; do
    grep -q " ec2 ${pair%:*} " "$work/up" || fail "up does not ${pair%:*}"
    [ "$(grep -c " ec2 ${pair#*:} " "$work/down")" = 2 ] || fail "down does not ${pair#*:} in both regions"
done
# Nothing is made that `down` would not find.
while read -r line; do
    [[ $line == *bftnode* ]] || fail "made without the tag: $line"
done < <(grep -E ' ec2 (run-instances|register-image|copy-snapshot|create-security-group|import-key-pair) ' "$work/up")
deploy/ec2/cluster.sh up 'Bad Name' --dry-run >/dev/null 2>&1 && fail "a wrong name was taken"
echo "deploy_test: passed ($checked of 3 tools at hand)"
