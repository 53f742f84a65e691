#!/bin/sh
# check.sh BUILD_DIR: every suite in turn; the last line is "N passed, N failed, N skipped".
# Each suite is an executable tests/suite/NN-name that prints such a line of its own last. A line of
# theirs that ends in "in NNNms" is of one test: the slowest ten are shown at the end. So is, once more, what
# a failed suite said of its failures: "not ok" and the "#" lines below it, or else its last lines.
set -u
O=$1
export O
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0 skipped=0
tests=$(mktemp)
bad=$(mktemp)
trap 'rm -f "$tests" "$bad"' EXIT

# failures NAME LOG: of each at most 60 lines.
failures() {
	awk -v suite="$1" '
		/^not ok / { lines = 60 }
		!/^not ok / && !/^#/ { lines = 0 }
		lines-- > 0 { print suite ": " $0; found = 1 }
		{ last[NR % 20] = $0 }
		END { for (i = NR - 19; !found && i <= NR; i++) if (i > 0) print suite ": " last[i % 20] }' "$2"
}

for suite in tests/suite/[0-9]*; do
	name=${suite##*/}
	start=$(date +%s)
	log=$(mktemp)
	"$suite" "$O" 2>&1 | tee "$log"
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	sed -n "s|^\\(.*\\) in \\([0-9]*\\)ms\\( # .*\\)\\{0,1\\}\$|\\2 $name: \\1|p" "$log" >>"$tests"
	if [ -z "$line" ]; then
		echo "$name: ended without a result" | tee -a "$log"
		line='0 passed, 1 failed, 0 skipped'
	fi
	# shellcheck disable=SC2086 # the words of the line
	set -- $line
	passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
	[ "$3" -eq 0 ] || failures "$name" "$log" >>"$bad"
	rm -f "$log"
	minutes="${minutes:-}$name: $(($(date +%s) - start)) s
"
done
echo 'the slowest ten:'
sort -rn "$tests" | head -n 10 | sed 's/^\([0-9]*\) /  \1 ms  /'
printf 'minutes spent (of 2 for unit tests, 12 for the host, 15 for machines, 8 for walks):\n%s' "$minutes"
[ ! -s "$bad" ] || {
	echo 'what failed:'
	sed 's/^/  /' "$bad"
}
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
