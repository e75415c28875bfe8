#!/usr/bin/env bash
# TPC-C against two private MariaDB servers: the same run on both leaves them consistent and equal, and
# damage is found and named.
# Usage: run.sh FOLDER_OF_THE_PROGRAMS SOURCE_FOLDER
set -euo pipefail

programs=$1
source=$2
work=$(mktemp -d /tmp/tpcc-it.XXXXXX)
mariadb_sh=$source/deploy/mariadb.sh
one=$work/1/mysqld.sock
two=$work/2/mysqld.sock

finish() {
    local status=$?
    "$mariadb_sh" kill "$work/1" >/dev/null 2>&1 || true
    "$mariadb_sh" kill "$work/2" >/dev/null 2>&1 || true
    rm -rf "$work"
    [ $status = 0 ] && echo "passed" || echo "FAILED with status $status"
    exit $status
}
trap finish EXIT

step() { echo "--- $*"; }
fail() { echo "run.sh: $*" >&2; exit 1; }
sql() { mariadb --no-defaults --user=root --socket="$1" --batch --skip-column-names tpcc --execute="$2"; }

load() {
    "$programs/tpcc_load" --socket "$one" --socket "$two" --app "$source/config/apps/tpcc" \
        --warehouses 3 --scale 0.01 --seed 11 "$@"
}
drive() { # SOCKET MORE...
    local socket=$1
    shift
    "$programs/tpcc_drive" --direct "$socket" --warehouses 3 --scale 0.01 --seconds 200 --seed 5 "$@" >"$work/drive" 2>&1 ||
        { tail -n 30 "$work/drive"; fail "the driver failed"; }
}
check() { "$programs/tpcc_check" --socket "$one" --socket "$two" >"$work/check" 2>&1; }
must_pass() { check || { cat "$work/check"; fail "the check must pass: $1"; }; }
must_name() { # PATTERN, after a change
    ! check || fail "the check did not see: $1"
    grep -qE "$1" "$work/check" || { cat "$work/check"; fail "the check did not name: $1"; }
}

step "start two servers"
"$mariadb_sh" start "$work/1" --pool-mb 64 --flush 0
"$mariadb_sh" start "$work/2" --pool-mb 64 --flush 0

step "the fresh population is consistent and equal"
load
must_pass "fresh population"
! load >"$work/again" 2>&1 || fail "a loaded database was loaded again"
grep -q "has rows already" "$work/again" || { cat "$work/again"; fail "no reason given"; }

step "the same run on both: no failure, consistent, equal"
drive "$one" --clients 1 --transactions 1500 --counted-time --json "$work/one.json"
drive "$two" --clients 1 --transactions 1500 --counted-time
must_pass "after the same run"
grep -q '"failed":0' "$work/one.json" || { cat "$work/one.json"; fail "failures"; }
[ "$(sql "$one" "SELECT COUNT(*) FROM orders WHERE o_all_local = 0")" -gt 0 ] || fail "no remote order"

step "parallel terminals keep one database consistent"
drive "$one" --clients 8 --transactions 1500
"$programs/tpcc_check" --socket "$one" >"$work/check" || { cat "$work/check"; fail "not consistent"; }

step "different runs are different databases"
must_name "DIFFERENT stock of warehouse [123]"

step "damage is found and named"
load --replace
sql "$two" "UPDATE stock SET s_data = 'x' WHERE s_w_id = 2 AND s_i_id = 77"
must_name "DIFFERENT stock of warehouse 2: .*first: \(2, 77"
load --replace >/dev/null
sql "$two" "DELETE FROM order_line WHERE ol_w_id = 3 AND ol_d_id = 4 AND ol_o_id = 5 AND ol_number = 2"
must_name "^6 .*holds +1 broken"
must_name "DIFFERENT order_line of warehouse 3: .*first: \(3, 4, 5, 2"
load --replace >/dev/null
sql "$two" "UPDATE warehouse SET w_ytd = w_ytd + 0.01 WHERE w_id = 1"
must_name "^1 .*holds +1 broken"
must_name "^8 .*holds +1 broken"
load --replace >/dev/null
sql "$one" "INSERT INTO cbft_part VALUES (3, 17)"
! "$programs/tpcc_check" --wait 0 --socket "$one" --socket "$two" >"$work/check" || fail "cbft_part was not compared"
grep -q "DIFFERENT cbft_part" "$work/check" || { cat "$work/check"; fail "cbft_part is not named"; }

step "a driver that cannot work says so"
! "$programs/tpcc_drive" --direct "$work/nowhere" --seconds 1 >"$work/drive" 2>&1 || fail "no error"
grep -q "cannot connect to the database server at $work/nowhere" "$work/drive" || { cat "$work/drive"; fail "no reason"; }
! "$programs/tpcc_drive" --direct "$one" --warehouses 9 --scale 0.01 --clients 9 --seconds 200 --transactions 100 \
    >"$work/drive" 2>&1 || fail "calls for warehouses that do not exist must be failures"
grep -q "failure: .* aborted 131002" "$work/drive" || { cat "$work/drive"; fail "the abort code is not shown"; }
