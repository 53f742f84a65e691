#!/bin/sh
# tidy.sh: clang-tidy over every C file of compile_commands.json's tree, as many at once as there are
# processors. The analyser takes seconds for a file, so a file that was found clean is remembered in
# build/lint by the hash of all that its verdict hangs on: its text, the tree's headers that it sees,
# the checks, the compile command and the tool. Prints the findings; exit 1 if there are any.
set -eu
if [ "${1:-}" != one ]; then
	mkdir -p build/lint
	# A verdict that no run has asked for in a month is of a text that is gone.
	find build/lint -name '*.clean' -mtime +30 -delete
	LINT_COMMON=$({
		clang-tidy --version
		cat .clang-tidy
		sed -n '2s/"file":"[^"]*",//p' compile_commands.json | sed 's/ -c [^ ]*$//; s/"directory":"[^"]*",//'
	} | sha256sum)
	export LINT_COMMON
	# The probes and berth-init are built without the C library's rules, by commands of their own.
	git ls-files '*.c' | grep -v -e '^tests/probe' -e '^tests/fuse' -e '^supervisor/init' |
		xargs -P "$(nproc)" -n 1 "$0" one
	exit
fi

file=$2
# What the preprocessor reads of ours: "a.o: b.c c.h \" over several lines.
seen=$(cc -std=c17 -D_GNU_SOURCE -DBERTH_VERSION='""' -I. -MM -MG "$file" | tr -d '\\\n' | sed 's/^[^:]*://')
# shellcheck disable=SC2086 # a list of files
hash=$({
	echo "$LINT_COMMON $file"
	sha256sum $seen 2>/dev/null
} | sha256sum | cut -c 1-40)
clean=build/lint/$hash.clean
if [ -e "$clean" ]; then
	touch "$clean"
	exit 0
fi
clang-tidy --quiet -p . --warnings-as-errors='*' "$file" 2>/dev/null && : >"$clean"
