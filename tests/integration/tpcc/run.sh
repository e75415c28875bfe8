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

step "statement by statement leaves the same rows as the procedures"
for way in text prepared; do
    load --replace >/dev/null
    drive "$one" --clients 1 --transactions 600 --counted-time --way call
    drive "$two" --clients 1 --transactions 600 --counted-time --way $way
    must_pass "$way statements"
done

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

step "an item on several lines counts line by line"
load --replace >/dev/null
sql "$one" "UPDATE stock SET s_quantity = 12 WHERE s_w_id = 1 AND s_i_id IN (7, 8)"
# 12 - 3 is fewer than ten, so 100, and then 100 - 10, 90 - 10; the item 8 alone: 12 - 2.
sql "$one" "BEGIN; CALL new_order(1, 1, 1, '[[7,1,3],[8,1,2],[7,1,10],[7,1,10],[8,2,1]]'); COMMIT" >"$work/lines"
stock=$(sql "$one" "SELECT s_w_id, s_i_id, s_quantity, s_ytd, s_order_cnt, s_remote_cnt FROM stock
                    WHERE s_ytd > 0 ORDER BY s_w_id, s_i_id" | sed -E 's/^(2\t8\t)[0-9]+/\1x/' | tr '\t\n' ' ;')
[ "$stock" = "1 7 80 23 3 0;1 8 10 2 1 0;2 8 x 1 1 1;" ] || fail "wrong stock: $stock"
[ "$(wc -l <"$work/lines")" = 6 ] || { cat "$work/lines"; fail "new_order must answer with one row and five"; }

step "an aborted order is undone, and an unknown customer is an abort"
! sql "$one" "BEGIN; CALL new_order(1, 1, 1, '[[7,1,3],[999999,1,2]]'); COMMIT" 2>"$work/error" || fail "no abort"
grep -q "ERROR 31001 (45000)" "$work/error" || { cat "$work/error"; fail "not the unused item's code"; }
[ "$(sql "$one" "SELECT d_next_o_id FROM district WHERE d_w_id = 1 AND d_id = 1")" = 32 ] || fail "not undone"
for call in "new_order(1, 1, 31, '[[7,1,3]]')" "payment(1, 1, 1, 1, 31, '', 1.00)" \
    "payment(1, 1, 1, 1, 0, 'NOBODY', 1.00)" "order_status(1, 1, 0, 'NOBODY')"; do
    ! sql "$one" "BEGIN; CALL $call; COMMIT" 2>"$work/error" || fail "no abort of $call"
    grep -q "ERROR 31002 (45000)" "$work/error" || { cat "$work/error"; fail "not the customer's code: $call"; }
done

step "procedures write to declared warehouses only"
while read -r table column; do
    for event in INSERT:NEW UPDATE:NEW DELETE:OLD; do
        echo "CREATE TRIGGER guard_${table}_${event%:*} BEFORE ${event%:*} ON $table FOR EACH ROW
              IF NOT FIND_IN_SET(${event#*:}.$column, @declared) THEN
                  SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31999; END IF//"
    done
done <<'TABLES' | { echo "DELIMITER //"; cat; } | mariadb --no-defaults --user=root --socket="$one" tpcc
warehouse w_id
district d_w_id
customer c_w_id
history h_w_id
orders o_w_id
new_order no_w_id
order_line ol_w_id
stock s_w_id
TABLES
guarded() { sql "$one" "SET @declared = '$1'; BEGIN; CALL $2; COMMIT" >/dev/null 2>"$work/error"; }
for allowed in "1 new_order(1,2,3,'[[7,1,3]]')" "1,2 new_order(1,2,3,'[[7,2,3],[8,1,1]]')" \
    "2 payment(2,1,2,1,5,'',7.00)" "1,3 payment(3,1,1,2,0,'BARBARPRI',7.00)" "3 delivery(3,4)" \
    "none order_status(1,2,3,'')" "none stock_level(1,2,15)"; do
    guarded "${allowed%% *}" "${allowed#* }" || { cat "$work/error"; fail "refused: $allowed"; }
done
for refused in "1 new_order(1,2,3,'[[7,2,3]]')" "3 payment(3,1,1,2,5,'',7.00)" "1 delivery(2,4)"; do
    ! guarded "${refused%% *}" "${refused#* }" || fail "the guard saw nothing: $refused"
    grep -q 31999 "$work/error" || { cat "$work/error"; fail "not the guard's code: $refused"; }
done

step "a driver that cannot work says so"
! "$programs/tpcc_drive" --direct "$work/nowhere" --seconds 1 >"$work/drive" 2>&1 || fail "no error"
grep -q "cannot connect to the database server at $work/nowhere" "$work/drive" || { cat "$work/drive"; fail "no reason"; }
! "$programs/tpcc_drive" --direct "$one" --warehouses 9 --scale 0.01 --clients 9 --seconds 200 --transactions 100 \
    >"$work/drive" 2>&1 || fail "calls for warehouses that do not exist must be failures"
grep -q "failure: .* aborted 131002" "$work/drive" || { cat "$work/drive"; fail "the abort code is not shown"; }
