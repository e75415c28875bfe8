#!/usr/bin/env bash
# Builds the image bftnode:VERSION with buildah, podman or docker, whichever is there.
# Usage: deploy/oci/build.sh [PACKAGES]      PACKAGES: folder of the .deb files (build/packages, built when missing)
# BFT_BASE_IMAGE: another Debian 12 image than docker.io's.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
packages=$(realpath -m "${1:-$root/build/packages}")
compgen -G "$packages/bftnode_*.deb" >/dev/null || "$root/deploy/packages/build.sh" "$packages"
newest=$(find "$packages" -name 'bftnode_*.deb' | sort -V | tail -n 1)
version=$(dpkg-deb -f "$newest" Version)
for tool in buildah podman docker; do
    command -v $tool >/dev/null || continue
    # OCI's own format has no place for HEALTHCHECK.
    format=(--format docker)
    [ $tool != docker ] || format=()
    $tool build "${format[@]}" --file "$root/deploy/oci/Containerfile" ${BFT_BASE_IMAGE:+--build-arg "BASE=$BFT_BASE_IMAGE"} \
        --tag "bftnode:$version" "$packages"
    exit
done
echo "build.sh: install buildah, podman or docker" >&2
exit 1
