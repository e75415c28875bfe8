#!/usr/bin/env bash
# Runs browser tests: Debian's Chromium, playwright-core and Caliper from npm (installed when they are missing).
# Usage: run.sh TEST.js...
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../../../deploy/install-packages.sh" web
cd "$here"
for package in . ../../../bench/caliper; do
    [ -e "$package/node_modules" ] || (cd "$package" && npm ci --ignore-scripts --no-audit --no-fund >&2)
done
exec node --test --test-concurrency=1 "$@"
