#!/bin/sh
# compdb.sh 'COMPILE COMMAND': a compile_commands.json for every C file of the tree.
set -eu
first=1
echo '['
for f in $(git ls-files '*.c'); do
	[ "$first" ] || echo ','
	first=
	printf '{"directory":"%s","file":"%s","command":"%s -c %s"}' "$PWD" "$f" \
		"$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')" "$f"
done
echo ']'
