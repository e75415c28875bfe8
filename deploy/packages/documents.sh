#!/usr/bin/env bash
# Makes what every Debian package carries besides its files: licence, history, man pages from --help.
# Usage: deploy/packages/documents.sh PROGRAMS_FOLDER OUT VERSION    (needs help2man)
set -euo pipefail
programs=$1 out=$2 version=$3

rm -rf "$out"
mkdir -p "$out/man-bftnode" "$out/man-bftctl"
{
    echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    echo "Upstream-Name: bftnode"
    echo
    echo "Files: *"
    echo "Copyright: 2026 The bftnode authors"
    echo "License: Expat"
    sed '1,/^Copyright/d; s/^$/./; s/^/ /' LICENSE | sed '1{/^ \.$/d}'
} >"$out/copyright"
{
    echo "bftnode ($version) unstable; urgency=medium"
    echo
    echo "  * See /usr/share/doc/bftnode and docs/CHANGELOG.md of the sources."
    echo
    echo " -- The bftnode authors <bftnode@users.noreply.github.com>  $(date -Ru -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}")"
} | gzip -9n >"$out/changelog.gz"

page() { # FOLDER NAME DESCRIPTION COMMAND...
    help2man --no-info --section 1 --version-string "$version" --source bftnode \
        --manual "bftnode manual" --name "$3" --output "$out/$1/$2.1" "$4"
    gzip -9n "$out/$1/$2.1"
}
page man-bftnode bftnode "host of a Byzantine fault-tolerant database cluster" "$programs/bftnode"
page man-bftctl bftctl "makes, watches and calls a bftnode cluster" "$programs/bftctl"
"$programs/bftctl" --help | sed -n '/^Subcommands:/,/^$/{s/^  \([a-z-]*\)  *\(.*\)/\1 \2/p}' |
    while read -r command description; do
        # Under the page's own name, which help2man takes from the program's.
        printf '#!/bin/sh\nexec "%s/bftctl" %s "$@"\n' "$programs" "$command" >"$out/bftctl-$command"
        chmod +x "$out/bftctl-$command"
        page man-bftctl "bftctl-$command" "$description" "$out/bftctl-$command"
        rm "$out/bftctl-$command"
    done
