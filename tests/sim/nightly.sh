#!/bin/sh
# Runs seeds on all cores until stopped (Ctrl-C), and says every ten seconds how far it is.
# usage: nightly.sh [BUILD_DIR] [FIRST_SEED] [OUT_DIR]
# OUT_DIR/failing: one line per failing seed (seed, property, what), and seed-N.log: what happened.
# A seed is replayed with
#   BUILD_DIR/tests/sim/sim_run --seed N --log
# build_campaign.sh makes a BUILD_DIR that runs a third faster.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$here/build/release}
first=${2:-1000001}
out=${3:-$here/build/nightly}
sim=$(cd "$build" && pwd)/tests/sim/sim_run
[ -x "$sim" ] || { echo "$sim is not there: cmake --build $build --target sim_run" >&2; exit 1; }
mkdir -p "$out"
chunk=500
cp "$sim" "$out/sim_run" # a build in the meantime must not change what runs
: >"$out/chunks"
touch "$out/failing"
before=$(wc -l <"$out/failing")
commit=$(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)
echo "commit $commit, $(nproc) cores, seeds from $first, results in $out"

worker() {
    at=$1
    while :; do
        "$out/sim_run" --seeds "$at..$((at + chunk - 1))" --failures "$chunk" \
            --failing "$out/failing" --logs "$out" 2>&1 | tr '\r' '\n' |
            grep -E '^[0-9]+ of [0-9]+ seeds' | tail -1 >>"$out/chunks"
        at=$((at + chunk * $(nproc)))
    done
}

start=$(date +%s)
pids=
for core in $(seq 0 $(($(nproc) - 1))); do
    worker $((first + chunk * core)) &
    pids="$pids $!"
done
summary() {
    awk -v seconds=$(($(date +%s) - start)) -v failed=$(($(wc -l <"$out/failing") - before)) '
        { seeds += $1; slots += $5; views += $7; answers += $9 }
        END { printf "%d seeds, %d slots, %d views, %d answers, %.0f slots/s, %d failed\n",
              seeds, slots, views, answers, slots / (seconds > 0 ? seconds : 1), failed }' \
        "$out/chunks"
}
# shellcheck disable=SC2086
trap 'kill $pids 2>/dev/null; summary; exit 0' INT TERM
while :; do
    sleep 10
    summary
done
