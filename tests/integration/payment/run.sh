#!/usr/bin/env bash
# Payments on two private MariaDB servers: what each procedure does and refuses, that parallel payments keep the
# sum, and that the check sees each kind of damage.
# Usage: run.sh SOURCE_FOLDER
set -euo pipefail

source=$1
app=$source/config/apps/payment
work=$(mktemp -d /tmp/payment-it.XXXXXX)
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
mode="SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO'"
sql() { mariadb --no-defaults --user=root --socket="$1" --batch --skip-column-names payment --execute="$2"; }
call() { sql "$one" "$mode; SET TIMESTAMP = 1700000000; BEGIN; CALL $1; COMMIT" 2>"$work/error"; }
must_abort() { # CODE CALL
    ! call "$2" >/dev/null || fail "no abort of $2"
    grep -q "ERROR $1 (45000)" "$work/error" || { cat "$work/error"; fail "not $1: $2"; }
}
must_answer() { # CALL ANSWER
    local answer
    answer=$(call "$1" | tr '\t\n' ' ;') || { cat "$work/error"; fail "aborted: $1"; }
    [ "$answer" = "$2" ] || fail "$1 answered '$answer', not '$2'"
}
check() { "$app/check.sh" --wait 0 "$@" >"$work/check" 2>&1; }
must_pass() { check "$@" || { cat "$work/check"; fail "the check must pass"; }; }
must_name() { # PATTERN, after a change
    ! check "$one" || fail "the check did not see: $1"
    grep -qE "^$1.*BROKEN" "$work/check" || { cat "$work/check"; fail "the check did not name: $1"; }
}
install_app() { # SOCKET
    mariadb --no-defaults --user=root --socket="$1" --execute="DROP DATABASE IF EXISTS payment;
        CREATE DATABASE payment CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    { echo "$mode;"; cat "$app/schema.sql" "$app/procedures.sql"; } |
        mariadb --no-defaults --user=root --socket="$1" payment
}
fill() { # SOCKET: four accounts in two branches, some payments
    local n
    for n in 1 2; do
        sql "$1" "SET TIMESTAMP = 1700000000; CALL create_account($n, 1, 'ann', 100.00); CALL create_account($n, 2, 'bob', 0.00)"
    done >/dev/null
    sql "$1" "SET TIMESTAMP = 1700000001; CALL send_payment(1, 1, 2, 2, 30.00, 'rent'); CALL send_payment(2, 2, 1, 2, 12.50, 'tea')" >/dev/null
}

step "start two servers"
"$mariadb_sh" start "$work/1" --pool-mb 32 --flush 0
"$mariadb_sh" start "$work/2" --pool-mb 32 --flush 0
install_app "$one"
install_app "$two"
must_pass "$one" "$two"

step "what the procedures do"
must_answer "create_account(1, 7, 'Zoë', 10.00)" "1 7 10.00 2023-11-14 22:13:20;"
must_answer "create_account(2, 7, 'bob', 0.00)" "2 7 0.00 2023-11-14 22:13:20;"
must_answer "send_payment(1, 7, 2, 7, 2.50, 'tea')" "1 2.50 7.50 2023-11-14 22:13:20;"
must_answer "send_payment(1, 7, 2, 7, 7.50, '')" "2 7.50 0.00 2023-11-14 22:13:20;"
must_answer "query_account(2, 7)" "2 7 bob 10.00 2 2023-11-14 22:13:20;"
must_answer "statement(2, 7, 1)" "2 7 bob 10.00 2 2023-11-14 22:13:20;2 7.50 10.00 1 7 2023-11-14 22:13:20 ;"
must_answer "branch_totals(1)" "1 0.00 10.00;"
must_answer "branch_totals(2)" "1 10.00 0.00;"
must_answer "branch_totals(9)" "0 0.00 0.00;"
must_pass "$one"

step "what they refuse, and that it leaves nothing"
before=$(sql "$one" "SELECT * FROM account; SELECT * FROM entry; SELECT * FROM branch")
must_abort 32001 "send_payment(1, 7, 2, 8, 1.00, '')"
must_abort 32001 "send_payment(1, 8, 2, 7, 1.00, '')"
must_abort 32001 "query_account(3, 7)"
must_abort 32001 "statement(3, 7, 10)"
must_abort 32002 "create_account(1, 7, 'eve', 5.00)"
must_abort 32003 "send_payment(1, 7, 2, 7, 0.01, '')"
must_abort 32003 "send_payment(2, 7, 1, 7, 10.01, '')"
must_abort 32004 "send_payment(2, 7, 1, 7, 0.00, '')"
must_abort 32004 "send_payment(2, 7, 1, 7, -5.00, '')"
must_abort 32004 "create_account(1, 8, 'eve', -1.00)"
must_abort 32005 "send_payment(2, 7, 2, 7, 1.00, '')"
[ "$(sql "$one" "SELECT * FROM account; SELECT * FROM entry; SELECT * FROM branch")" = "$before" ] || fail "something was left"
! sql "$one" "UPDATE account SET balance = -0.01 WHERE branch = 1" 2>"$work/error" || fail "a negative balance was stored"
grep -q "4025" "$work/error" || { cat "$work/error"; fail "not the constraint"; }

step "parallel payments keep the sum and never overdraw"
for n in $(seq 1 8); do sql "$one" "CALL create_account($((n % 3 + 1)), 10$n, 'p$n', 20.00)"; done >/dev/null
payer() { # SEED
    local i from to
    RANDOM=$1
    for ((i = 0; i < 60; ++i)); do
        from=$((RANDOM % 8 + 1)) to=$((RANDOM % 8 + 1))
        echo "BEGIN; CALL send_payment($((from % 3 + 1)), 10$from, $((to % 3 + 1)), 10$to, $((RANDOM % 15)).$((RANDOM % 90 + 10)), 'x'); COMMIT;"
    done | mariadb --no-defaults --user=root --socket="$one" --force --batch --skip-column-names payment >>"$work/paid.$1" 2>>"$work/refused.$1" || true
}
payers=()
for seed in 1 2 3 4; do payer $seed & payers+=($!); done
wait "${payers[@]}"
[ "$(cat "$work"/paid.* | wc -l)" -gt 50 ] || fail "too few payments went through"
grep -q "ERROR 32003" "$work"/refused.* || fail "nobody ran out of money: the test shows nothing"
must_pass "$one"
[ "$(sql "$one" "SELECT SUM(balance) FROM account")" = 170.00 ] || fail "money was made or lost"

step "the same calls make the same database, others do not"
install_app "$one"; fill "$one"; fill "$two"
must_pass "$one" "$two"
sql "$one" "CALL send_payment(1, 1, 2, 2, 0.01, 'more')" >/dev/null
! check "$one" "$two" || fail "different databases passed"
grep -q "^5 .*BROKEN" "$work/check" || { cat "$work/check"; fail "not named"; }

step "damage is found and named"
while IFS='|' read -r name statement; do
    install_app "$one"; fill "$one"
    sql "$one" "$statement"
    must_name "$name"
done <<'DAMAGE'
1 |UPDATE account SET balance = balance + 1 WHERE branch = 1 AND account = 1
1 |UPDATE branch SET issued = issued - 1 WHERE branch = 2
  the same for the opening|UPDATE branch SET issued = issued + IF(branch = 1, 1, -1)
2 |ALTER TABLE account DROP CONSTRAINT balance_is_never_negative; UPDATE account SET balance = -5 WHERE branch = 2 AND account = 1
3 |UPDATE account SET balance = balance + IF(branch = 1, 1, -1) WHERE account = 1
3 |DELETE FROM entry WHERE branch = 1 AND account = 1 AND number = 1
  each entry has the balance|UPDATE entry SET balance = balance + 1 WHERE branch = 2 AND account = 2 AND number = 1
4 |UPDATE entry SET other_account = 1 WHERE branch = 1 AND account = 1
DAMAGE
