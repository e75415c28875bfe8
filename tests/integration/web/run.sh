#!/usr/bin/env bash
# Runs browser tests: Debian's Chromium, playwright-core from npm (installed here when it is missing).
# Usage: run.sh TEST.js...
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../../../deploy/install-packages.sh" web
cd "$here"
[ -e node_modules/playwright-core/package.json ] || npm ci --ignore-scripts --no-audit --no-fund >&2
exec node --test --test-concurrency=1 "$@"
