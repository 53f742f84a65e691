#!/bin/sh
# check.sh BUILD_DIR: every suite in turn; the last line is "N passed, N failed, N skipped".
# Each suite is an executable tests/suite/NN-name that prints such a line of its own last.
set -u
O=$1
export O
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0 skipped=0
for suite in tests/suite/[0-9]*; do
	name=${suite##*/}
	start=$(date +%s)
	log=$(mktemp)
	"$suite" "$O" 2>&1 | tee "$log"
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	rm -f "$log"
	if [ -z "$line" ]; then
		echo "$name: ended without a result"
		failed=$((failed + 1))
	else
		# shellcheck disable=SC2086 # the words of the line
		set -- $line
		passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
	fi
	minutes="${minutes:-}$name: $(($(date +%s) - start)) s
"
done
printf 'minutes spent:\n%s' "$minutes"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
