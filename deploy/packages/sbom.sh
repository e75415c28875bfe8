#!/usr/bin/env bash
# What the programs link, with versions and licences, as an SPDX 2.3 document (JSON) on standard output.
# Usage: deploy/packages/sbom.sh PROGRAM...        such as build/release/src/node/bftnode
#
# Shared libraries come from the dynamic linker and the package manager. What is compiled in (header-only
# libraries, static ones) comes from the compiler's list of files, if the build folder has it (ninja -t deps).
# Licences are what /usr/share/doc/PACKAGE/copyright says.
set -euo pipefail
case "${1:-}" in -h | --help | "") sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; [ -n "${1:-}" ] && exit 0 || exit 2 ;; esac
for program in "$@"; do
    [ -x "$program" ] || { echo "sbom.sh: there is no program $program" >&2; exit 2; }
done

# /tmp/b/src/node/bftnode -> /tmp/b
build_folder() {
    local folder
    folder=$(dirname "$(realpath "$1")")
    while [ "$folder" != / ]; do
        [ ! -e "$folder/build.ninja" ] || { echo "$folder"; return; }
        folder=$(dirname "$folder")
    done
}

files=$(mktemp)
trap 'rm -f "$files"' EXIT
for program in "$@"; do
    ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p'
    folder=$(build_folder "$program")
    [ -z "$folder" ] || ninja -C "$folder" -t deps 2>/dev/null |
        awk '/^[^ ]/ { ours = /^src\// } ours && /^ +\/usr\/include\// { print $1 }'
done | sort -u >"$files"

# One pass over the package manager's lists. Libraries that the merged /usr holds are listed under the path that
# their package has.
packages=$(xargs -r realpath <"$files" | awk '
    NR == FNR { wanted[$0]; sub("^/usr", ""); wanted[$0]; next }
    ($0 in wanted) { name = FILENAME; sub(".*/", "", name); sub("\\.list$", "", name); sub(":.*", "", name); print name; nextfile }
' - /var/lib/dpkg/info/*.list | sort -u)
[ -n "$packages" ] || { echo "sbom.sh: no package owns what is linked: this needs a Debian system" >&2; exit 1; }

# Names of licences as the copyright file has them: the machine-readable form, or those that it points to.
licence() { # PACKAGE
    local file=/usr/share/doc/$1/copyright names
    [ -r "$file" ] || { echo NOASSERTION; return; }
    names=$(sed -n 's/^License: *\([^ ].*\)$/\1/p' "$file" | sort -u | paste -sd ';' | sed 's/;/; /g')
    [ -n "$names" ] || names=$(grep -oE '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$file" | sed 's/.*\///' |
        sort -u | paste -sd ';' | sed 's/;/; /g')
    echo "${names:-see $file}"
}

created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)
{
    printf 'bftnode\t%s\tMIT\t\n' "$("$1" --version | awk '{print $2; exit}')"
    for package in $packages; do
        printf '%s\t%s\t%s\t%s\n' "$package" "$(dpkg-query -W -f='${Version}' "$package" 2>/dev/null | head -c 100)" \
            "$(licence "$package")" "$(dpkg-query -W -f='${Architecture}' "$package" 2>/dev/null | head -c 20)"
    done
} | jq -Rn --arg created "$created" '
    [inputs | split("\t") | {name: .[0], version: .[1], licence: .[2], architecture: .[3]}] as $all
    | ($all[0].version) as $version
    | def id: "SPDXRef-" + (.name | gsub("[^A-Za-z0-9.-]"; "-"));
    {
      spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
      name: ("bftnode-" + $version),
      documentNamespace: ("https://spdx.org/spdxdocs/bftnode-" + $version + "-" + $created),
      creationInfo: {created: $created, creators: ["Tool: deploy/packages/sbom.sh"]},
      packages: [$all[] | {
        SPDXID: id, name, versionInfo: .version, downloadLocation: "NOASSERTION", filesAnalyzed: false,
        licenseConcluded: "NOASSERTION",
        licenseDeclared: (if .name == "bftnode" then "MIT" else "NOASSERTION" end),
        licenseComments: ("copyright file: " + .licence), copyrightText: "NOASSERTION"
      } + (if .name == "bftnode" then {} else {externalRefs: [{
        referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
        referenceLocator: ("pkg:deb/debian/" + .name + "@" + (.version | @uri) + "?arch=" + .architecture)}]} end)],
      relationships: ([{spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: "SPDXRef-bftnode"}]
        + [$all[1:][] | {spdxElementId: "SPDXRef-bftnode", relationshipType: "DEPENDS_ON", relatedSpdxElement: id}])
    }'
