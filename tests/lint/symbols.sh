#!/bin/sh
# symbols.sh LIBRARY: no global name is defined twice. In a static library the linker takes the first
# that it meets, without a word.
set -eu
twice=$(nm --defined-only -g "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort | uniq -d)
[ -z "$twice" ] && exit 0
for name in $twice; do
	echo "$name is defined by: $(nm -A --defined-only -g "$1" 2>/dev/null |
		awk -v name="$name" '$3 == name { split($1, part, ":"); printf "%s ", part[2] }')"
done
exit 1
