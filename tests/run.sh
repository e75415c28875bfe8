#!/usr/bin/env bash
# Installs what is missing, builds with sanitizers, and runs every test: format, lint, unit, scenario,
# simulation, integration on real processes.
#
#   tests/run.sh [CTEST ARGUMENTS]     as in: tests/run.sh -R 'consensus|voter'   tests/run.sh -LE integration
#
# BFT_BUILD names the build folder (build/dev). With CI=true warnings are errors. Exit status 0: all passed.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
build=${BFT_BUILD:-$root/build/dev}
passed=0
failed=0

case "${1:-}" in -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
count() { # PASSED FAILED
    passed=$((passed + $1))
    failed=$((failed + $2))
}
finish() {
    say "done"
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
    exit
}
give_up() { echo "tests/run.sh: $*" >&2; count 0 1; finish; }

deploy/install-packages.sh build run test || give_up "packages are missing"

say "lint"
if python3 tests/lint/lint.py --self-test && python3 tests/lint/lint.py; then count 1 0; else count 0 1; fi

say "format"
if find src include tests bench -name node_modules -prune -o \( -name '*.cpp' -o -name '*.hpp' \) -print0 | sort -z |
    xargs -0 -P "$(nproc)" -n 16 clang-format --dry-run --Werror; then
    count 1 0
else
    echo "run: clang-format -i FILE" >&2
    count 0 1
fi

say "configure"
werror=OFF
[ "${CI:-}" != true ] || werror=ON
cmake --preset dev -B "$build" -DBFT_WERROR=$werror >"$log" 2>&1 ||
    { cat "$log" >&2; give_up "cmake failed"; }

say "build"
cmake --build "$build" -j "$(nproc)" || give_up "the build failed"

say "tests"
# Two sanitized programs at once; tests that start whole clusters are alone (RUN_SERIAL).
BFT_BUILD=$build ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" --timeout 1800 "$@" |
    tee "$log"
# "97% tests passed, 1 tests failed out of 33"
summary=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log" | tail -n 1)
[ -n "$summary" ] || give_up "ctest did not come to its end"
read -r bad total <<<"$summary"
count $((total - bad)) "$bad"
finish
