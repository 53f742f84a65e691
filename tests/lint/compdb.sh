#!/bin/sh
# compdb.sh 'COMPILE COMMAND': a compile_commands.json for every C file of the tree. The command is
# shell words, and stays so: in JSON only its backslashes and double quotes are written otherwise.
set -eu
first=1
command=$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')
echo '['
for f in $(git ls-files '*.c'); do
	[ "$first" ] || echo ','
	first=
	printf '{"directory":"%s","file":"%s","command":"%s -c %s"}' "$PWD" "$f" "$command" "$f"
done
echo ']'
