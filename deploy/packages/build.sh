#!/usr/bin/env bash
# Builds the Debian packages of this machine's architecture and prints where they are.
# Usage: deploy/packages/build.sh [--version N.N.N] [OUT]
# OUT: build/packages. BFT_PACKAGE_BUILD names the build folder: build/package.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
case "${1:-}" in -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
version=""
[ "${1:-}" != --version ] || { version=$2; shift 2; }
out=$(realpath -m "${1:-$root/build/packages}")
build=${BFT_PACKAGE_BUILD:-$root/build/package}

deploy/install-packages.sh build package
[ -e "$build/build.ninja" ] || cmake --preset package -B "$build"
cmake --build "$build" --target bftnode bftctl bftnode_client_archive package_documents
mkdir -p "$out"
rm -f "$out"/*.deb
(cd "$build" && cpack --config CPackConfig.cmake -B "$out/.work" ${version:+-R "$version"} >/dev/null)
mv "$out"/.work/*.deb "$out/"
rm -rf "$out/.work"
ls "$out"/*.deb
