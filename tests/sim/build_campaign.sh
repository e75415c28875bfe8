#!/usr/bin/env bash
# Builds the simulator for long campaigns: it runs once under observation, and is compiled again for what it does
# most, as one program, for this machine's processor. A third faster than the release preset, whose profile is flat.
#
#   tests/sim/build_campaign.sh [BUILD_DIR]      (build/campaign)
#
# Then `BUILD_DIR/tests/sim/sim_run --plain 60` says what a simulated slot costs, and
# `tests/sim/nightly.sh BUILD_DIR` runs seeds. After changes of the code, run it again.
# Exit status: 0 built; 2 wrong use or it does not build.
set -euo pipefail
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; }
case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${1:-build/campaign}
mkdir -p "$build"
build=$(cd "$build" && pwd)
sim=$build/tests/sim/sim_run

compile() { # FLAGS: the same folder both times, since profiles are found by the objects' paths
    if ! {
        cmake --preset release -B "$build" -DCMAKE_AR="$(command -v gcc-ar)" -DCMAKE_RANLIB="$(command -v gcc-ranlib)" \
            -DCMAKE_CXX_FLAGS_RELEASE="-O3 -march=native $1" && cmake --build "$build" --target sim_run
    } >"$build/log" 2>&1; then
        tail -n 20 "$build/log" >&2
        exit 2
    fi
}

rm -rf "$build/profile"
echo "[1/3] compiling for observation"
compile "-fprofile-generate -fprofile-update=single -fprofile-dir=$build/profile"
echo "[2/3] observing: a minute of steady load, and some seeds"
"$sim" --plain 60
"$sim" --seeds 1..6 >/dev/null
echo "[3/3] compiling for what was seen"
compile "-flto=$(nproc) -fprofile-use=$build/profile -fprofile-correction -Wno-missing-profile"
"$sim" --plain 60
