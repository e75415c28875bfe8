#!/usr/bin/env bash
# What always holds for payments (README.md), on each database and between them.
# Usage: check.sh [--user NAME] [--database NAME] [--wait SECONDS] SOCKET...
#   --wait   how long the databases may take to become equal (30): a replica may still be executing
# Prints one line per condition; exit status 1 when one is broken.
set -euo pipefail

user=root database=payment patience=30 sockets=() broken=0
while [ $# -gt 0 ]; do
    case "$1" in
        --user | --database) printf -v "${1#--}" %s "${2:?$1 needs a value}"; shift 2 ;;
        --wait) patience=${2:?--wait needs a value}; shift 2 ;;
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        -*) echo "check.sh: unknown option '$1'" >&2; exit 2 ;;
        *) sockets+=("$1"); shift ;;
    esac
done
[ ${#sockets[@]} -gt 0 ] || { echo "check.sh: name at least one socket" >&2; exit 2; }

sql() { # SOCKET STATEMENT
    mariadb --no-defaults --batch --skip-column-names --user="$user" --socket="$1" "$database" --execute="$2"
}

digest() { # SOCKET: of every row of the application and of the order in which they came about
    local socket=$1
    for table in "branch ORDER BY branch" "account ORDER BY branch, account" \
        "entry ORDER BY branch, account, number" "cbft_part ORDER BY 1"; do
        [ -z "$(sql "$socket" "SHOW TABLES LIKE '${table%% *}'")" ] || sql "$socket" "SELECT * FROM $table"
    done | sha256sum | cut -c1-16
}

check() { # SOCKET NAME CONDITION: the query gives what is wrong, one a row
    local rows
    rows=$(sql "$1" "$3")
    if [ -z "$rows" ]; then
        printf '%-58s holds\n' "$2"
    else
        printf '%-58s BROKEN: %s\n' "$2" "$(head -n 3 <<<"$rows" | tr '\t\n' ' ;')"
        broken=1
    fi
}

equal() { [ "$(for socket in "${sockets[@]}"; do digest "$socket"; done | sort -u | wc -l)" = 1 ]; }

deadline=$((SECONDS + patience))
until equal || [ $SECONDS -ge $deadline ]; do sleep 0.2; done

for socket in "${sockets[@]}"; do
    echo "$socket: $(sql "$socket" "SELECT CONCAT(COUNT(*), ' accounts, sum of balances ', COALESCE(SUM(balance), 0)) FROM account"), $(sql "$socket" "SELECT COUNT(*) DIV 2 FROM entry") payments, digest $(digest "$socket")"
    check "$socket" "1 sum of balances is what was paid in" "
        SELECT balances, issued FROM (SELECT COALESCE(SUM(balance), 0) AS balances FROM account) AS a,
            (SELECT COALESCE(SUM(issued), 0) AS issued FROM branch) AS b WHERE balances <> issued"
    check "$socket" "  the same for the opening balances of each branch" "
        SELECT branch.branch, issued, SUM(opening) FROM branch LEFT JOIN account USING (branch)
        GROUP BY branch.branch, issued HAVING NOT issued <=> SUM(opening)"
    check "$socket" "2 no balance is negative" "SELECT branch, account, balance FROM account WHERE balance < 0"
    check "$socket" "3 balance is opening balance plus entries" "
        SELECT a.branch, a.account, a.balance, a.opening, a.entries, COUNT(number), SUM(amount)
        FROM account AS a LEFT JOIN entry AS e ON e.branch = a.branch AND e.account = a.account
        GROUP BY a.branch, a.account, a.balance, a.opening, a.entries
        HAVING a.balance <> a.opening + COALESCE(SUM(amount), 0) OR a.entries <> COUNT(number)
            OR a.entries <> COALESCE(MAX(number), 0)"
    check "$socket" "  each entry has the balance before it plus its amount" "
        SELECT branch, account, number FROM (
            SELECT e.branch, e.account, e.number, e.amount, e.balance,
                   COALESCE(LAG(e.balance) OVER (PARTITION BY e.branch, e.account ORDER BY e.number), a.opening) AS before_it
            FROM entry AS e JOIN account AS a USING (branch, account)) AS lines_
        WHERE balance <> before_it + amount"
    check "$socket" "4 each entry has its opposite" "
        SELECT e.branch, e.account, e.number FROM entry AS e
        LEFT JOIN entry AS o ON o.branch = e.other_branch AND o.account = e.other_account AND o.number = e.other_number
        WHERE o.amount IS NULL OR o.amount <> -e.amount OR o.other_branch <> e.branch OR o.other_account <> e.account
            OR o.other_number <> e.number OR o.paid <> e.paid OR o.memo <> e.memo"
done
if equal; then
    printf '%-58s holds\n' "5 all ${#sockets[@]} databases hold the same rows"
else
    printf '%-58s BROKEN\n' "5 all ${#sockets[@]} databases hold the same rows"
    broken=1
fi
exit $broken
