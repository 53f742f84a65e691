#!/bin/sh
# sbom.sh BUILD_DIR VERSION: the programs and every library they are linked with, as SPDX 2.3 (tag-value) on
# standard output. Versions and packages are those of this machine's dpkg, where it has one: then the same
# build gives the same text, its date being SOURCE_DATE_EPOCH, or that of the last commit.
set -eu
cd "$(dirname "$0")/.."
O=$1 version=$2
table=supervisor/cmd/libraries.def
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
programs=$(awk '!/^#/ && $1 != "*" { sub(/\?$/, "", $1); print $1 }' tests/lint/links.txt)
built=$(for program in $programs; do [ ! -x "$O/$program" ] || echo "$program"; done)

# field WORD N: of the library's line in the table.
field() { sed -n "s/^LIBRARY(\"$1\", \"\(.*\)\", \"\(.*\)\", \"\(.*\)\")\$/\\$2/p" $table; }

# libraries PROGRAM: HOW WORD FILE for each; the worker may have libarchive inside.
libraries() {
	needed=$(readelf -d "$O/$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | grep -v '^ld-linux') || true
	for file in $needed; do
		echo "DYNAMIC_LINK ${file%%.so*} $file"
	done
	case "$1 $needed" in
	'berth-worker '*libarchive*) ;;
	'berth-worker '*) echo "STATIC_LINK libarchive libarchive.a" ;;
	esac
}

# package FILE: "NAME VERSION ARCHITECTURE" of the Debian package that has it; nothing where none is known.
package() {
	command -v dpkg-query >/dev/null || return 0
	dpkg-query -S "*/$(${CC:-cc} -print-multiarch)/$1" 2>/dev/null | sed -n "s|^\([^ ,]*\): .*/$1\$|\1|p" | sort | while read -r name; do
		dpkg-query -W -f '${Architecture} ${Package} ${Version}\n' "$name"
	done | awk -v native="$(dpkg --print-architecture)" '$1 == native { print $2, $3, $1; exit }'
}

# entry ID NAME VERSION LICENSE
entry() {
	printf '\nPackageName: %s\nSPDXID: SPDXRef-%s\nPackageVersion: %s\n' "$2" "$1" "$3"
	printf 'PackageDownloadLocation: NOASSERTION\nFilesAnalyzed: false\nPackageLicenseConcluded: %s\n' "$4"
	printf 'PackageLicenseDeclared: %s\nPackageCopyrightText: NOASSERTION\n' "$4"
}

all=$(for program in $built; do libraries "$program"; done | sort -u)
sums=$(for program in $built; do sha256sum "$O/$program"; done | sed "s| .*/| |")
cat <<END
SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
SPDXID: SPDXRef-DOCUMENT
DocumentName: berth-$version
DocumentNamespace: urn:berth:spdx:$version:$(echo "$sums$all" | sha256sum | cut -c1-32)
Creator: Tool: packaging/sbom.sh
Created: $(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
END
for program in $built; do
	entry "$program" "$program" "$version" MIT | sed "/^FilesAnalyzed/a PackageChecksum: SHA256: $(echo "$sums" | sed -n "s/ *$program\$//p")"
done
echo "$all" | while read -r _ word file; do
	# shellcheck disable=SC2046 # up to three words
	set -- $(package "$file")
	# What only the compiler asked for (libgcc_s, the sanitizers) has no line in the table.
	terms=$(field "$word" 3)
	name=$(field "$word" 1)
	entry "$word" "${name:-$word}" "${2:-NOASSERTION}" "${terms:-NOASSERTION}"
	[ -z "${1:-}" ] ||
		echo "ExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/$1@$(echo "$2" | sed 's/+/%2B/g; s/:/%3A/g')?arch=$3"
done
echo
for program in $built; do
	echo "Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-$program"
	libraries "$program" | sort | while read -r how word _; do
		echo "Relationship: SPDXRef-$program $how SPDXRef-$word"
	done
done
cat <<'END'

LicenseID: LicenseRef-public-domain
LicenseName: public domain
ExtractedText: <text>liblzma is in the public domain (COPYING of XZ Utils 5.4).</text>
END
