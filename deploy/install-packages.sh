#!/usr/bin/env bash
# Installs the Debian packages that building, testing or running the demo needs and that are missing.
# Usage: deploy/install-packages.sh build|run|test|web|package|bench ...   (several sets may be named; default: build run test)
set -euo pipefail

build="g++ cmake ninja-build ccache pkg-config libboost1.81-dev libssl-dev libsodium-dev libtss2-dev libmariadb-dev
       libspdlog-dev libfmt-dev libprotobuf-dev protobuf-compiler libtomlplusplus-dev librocksdb-dev libcli11-dev
       prometheus-cpp-dev libjemalloc-dev libkainjow-mustache-dev libsystemd-dev libgtest-dev libgmock-dev libbenchmark-dev"
run="mariadb-server-core mariadb-client-core swtpm libtss2-tctildr0 libtss2-tcti-swtpm0 libtss2-tcti-mssim0
     libtss2-tcti-device0 openssl curl"
test="clang-format clang-tidy python3 spin swtpm-tools gnutls-bin"
package="help2man dpkg-dev file lintian"
bench="python3-matplotlib python3"
web="chromium"  # the tests in a browser; Node 20 and npm are not of Debian 12

[ $# -gt 0 ] || set -- build run test
wanted=""
for set_name in "$@"; do
    case "$set_name" in
        build | run | test | web | package | bench) wanted="$wanted ${!set_name}" ;;
        *) echo "install-packages: unknown set '$set_name' (build, run, test, web, package or bench)" >&2; exit 2 ;;
    esac
done

missing=""
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "install-packages: run as root, or install:$missing" >&2; exit 1; }
    as_root=sudo
fi
echo "installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# A service that a package would start is not ours to run.
$as_root apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $missing >/dev/null
