#!/bin/sh
# unit.sh TEST…: run the unit tests, each program's time in a line; the last line is
# "N passed, N failed, N skipped".
set -u
passed=0 failed=0 skipped=0
for t; do
	begun=$(date +%s%N)
	log=$(timeout 300 "$t" 2>&1)
	rc=$?
	echo "unit: ${t##*/} in $((($(date +%s%N) - begun) / 1000000))ms"
	p=$(printf '%s\n' "$log" | grep -c '^\[       OK \]')
	f=$(printf '%s\n' "$log" | grep '^\[  FAILED  \] [a-z_0-9]*$' | sort -u | wc -l)
	s=$(printf '%s\n' "$log" | grep '^\[  SKIPPED \] [a-z_0-9]*$' | sort -u | wc -l)
	if [ "$rc" -ne 0 ]; then
		printf '%s\n' "$log"
		[ "$f" -gt 0 ] || f=1
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
