#!/usr/bin/env bash
# Model-checks docs/spec/view_change.pml with Spin.
#
#   docs/spec/check.sh          small configurations, all states of each, and every rule taken away once: half a minute
#   docs/spec/check.sh --full   also the larger one (all states, some minutes, 2 GiB), and ten minutes of two groups
#                               with a liar, whose states are too many to visit all
#
# Exit status 0: no violation with all rules, and one for each rule that is taken away.
set -euo pipefail
case "${1:-}" in
-h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
--full) full=1 ;;
"") full=0 ;;
*) echo "check.sh: unknown argument '$1' (--help)" >&2; exit 2 ;;
esac
model=$(cd "$(dirname "$0")" && pwd)/view_change.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

# check EXPECTED-ERRORS "MODEL OPTIONS" ["COMPILER OPTIONS"]
check() {
    spin -a $2 "$model"
    cc -O2 -w -DSAFETY -DNOFAIR ${3:--DCOLLAPSE} -o pan pan.c
    ./pan -m100000 -w${width:-22} ${minutes:+-Q$minutes} >out 2>&1 || { cat out; exit 1; }
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' out)
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
    ! grep -q 'max search depth too small' out || { echo "the search was cut short: $2" >&2; failed=1; }
    verdict=right
    [ "$errors" = "$1" ] || { verdict=WRONG failed=1; }
    printf '%-6s %-48s %s errors, %s states\n' "$verdict" "$2" "$errors" "$states"
}

check 0 "-DLOG=2"
for rule in NO_LOG SELF_BASE NO_PROMISE NULL_FREE UNSTICKY; do check 1 "-DLOG=3 -D$rule"; done
check 1 "-DGROUPS=2 -DLIARS=0 -DVIEWS=2 -DONE_GROUP"
if [ "$full" = 1 ]; then
    width=24 check 0 "-DLOG=3"
    minutes=10 width=31 check 0 "-DGROUPS=2 -DLIARS=1 -DLOG=2" "-DBITSTATE"
fi
exit $failed
