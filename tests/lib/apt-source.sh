#!/bin/sh
# apt-source.sh [SUITE]: prints the machine's own Debian archive as one-line apt sources, the suite
# replaced by SUITE when one is given. No archive is named here: the machine's apt knows its own.
# Exit 1 with words when apt is not there or has no Debian source.
set -u
command -v apt-get >/dev/null 2>&1 || {
	echo "no apt on this machine" >&2
	exit 1
}
suite=${1:-}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
option=
[ -e "$keyring" ] && option="[signed-by=$keyring] "

# shellcheck disable=SC2016 # apt expands these
targets=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' \
	'Created-By: Packages' 2>/dev/null | awk -F'|' '$1 == "Debian" && $5 == "main"')
[ -n "$targets" ] || {
	echo "apt on this machine has no Debian source, or no lists yet (apt-get update)" >&2
	exit 1
}
if [ -n "$suite" ]; then
	printf '%s\n' "$targets" | awk -F'|' -v option="$option" -v suite="$suite" '
		$2 == "Debian" { print "deb " option $3 " " suite " main"; exit }'
else
	printf '%s\n' "$targets" | awk -F'|' -v option="$option" '
		{ line = "deb " option $3 " " $4 " main" }
		!(line in seen) { seen[line] = 1; print line }'
fi
