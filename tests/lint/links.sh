#!/bin/sh
# links.sh BUILD_DIR: each program that links.txt names is there and links nothing but what stands
# there. Prints each library too many; exit 1 if any.
set -eu
words() {
	awk -v name="$1" '$1 == name { for (i = 2; i <= NF; i++) print $i }' "$list"
}
list=$(dirname "$0")/links.txt
bad=0
programs=$(awk '!/^#/ && $1 != "*" { print $1 }' "$list")
for row in $programs; do
	program=${row%\?}
	[ "$row" = "$program" ] || [ -e "$1/$program" ] || continue
	if [ ! -x "$1/$program" ]; then
		echo "$1/$program is not there: build it first"
		bad=1
		continue
	fi
	may=$(words "$row")
	[ "$may" = - ] || may="$may
$(words '*')"
	for library in $(readelf -d "$1/$program" |
		sed -n 's/.*(NEEDED).*\[\(.*\)\.so.*\]$/\1/p'); do
		printf '%s\n' "$may" | grep -qxF -e "$library" && continue
		echo "$1/$program links $library, which tests/lint/links.txt does not allow it"
		bad=1
	done
done
# shellcheck disable=SC2013 # words
for library in $(awk '!/^#/ && $1 != "*" { for (i = 2; i <= NF; i++) if ($i != "-") print $i }' "$list" | sort -u); do
	grep -q "^LIBRARY(\"$library\", " "$(dirname "$0")/../../supervisor/cmd/libraries.def" && continue
	echo "$library has no line in supervisor/cmd/libraries.def"
	bad=1
done
exit $bad
