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
below() { # COMMAND...: "name description" of each command below it
    "$programs/bftctl" "$@" --help | sed -n '/^Subcommands:/,/^$/{s/^  \([a-z-]*\)  *\(.*\)/\1 \2/p}'
}
page_of() { # DESCRIPTION COMMAND...: under the page's own name, which help2man takes from the program's
    local description=$1 name
    shift
    name=bftctl-$(tr ' ' '-' <<<"$*")
    printf '#!/bin/sh\nexec "%s/bftctl" %s "$@"\n' "$programs" "$*" >"$out/$name"
    chmod +x "$out/$name"
    page man-bftctl "$name" "$description" "$out/$name"
    rm "$out/$name"
}
below | while read -r command description; do
    page_of "$description" "$command"
    below "$command" | while read -r part about; do page_of "$about" "$command" "$part"; done
done
