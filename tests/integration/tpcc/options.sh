#!/usr/bin/env bash
# What tpcc_drive refuses before it does anything: exit status 2, and a sentence that names the options.
# Usage: options.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail

programs=$1
work=$(mktemp -d /tmp/tpcc-options.XXXXXX)
trap 'rm -rf "$work"' EXIT
fail() { echo "options.sh: $*" >&2; exit 1; }

refused() { # SENTENCE ARGUMENTS...
    local sentence=$1 status=0
    shift
    "$programs/tpcc_drive" "$@" >"$work/out" 2>&1 || status=$?
    [ $status = 2 ] || { cat "$work/out"; fail "status $status instead of 2: $*"; }
    grep -qF -- "$sentence" "$work/out" || { cat "$work/out"; fail "it does not say '$sentence': $*"; }
}

# Nobody listens there: what is not refused fails with status 1.
direct=(--direct "$work/nowhere")
refused "--config or --direct is needed" --seconds 1
for other in "--per-minute 60" "--clients 4" "--seconds 5"; do
    refused "not with ${other% *}" "${direct[@]}" --profile 1x1,2x1 $other
    refused "not with ${other% *}" "${direct[@]}" $other --profile 1x1
done

status=0
"$programs/tpcc_drive" "${direct[@]}" --profile 1x1 >"$work/out" 2>&1 || status=$?
[ $status = 1 ] && grep -q "cannot connect" "$work/out" || { cat "$work/out"; fail "a profile alone is right"; }
echo passed
