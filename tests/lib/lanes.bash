# lanes.bash: jobs side by side, each with counts of its own, which add up in $passed, $failed and
# $skipped. Sourced by a suite. Needs $SAID, a directory for what they say.
# shellcheck shell=bash disable=SC2030,SC2031 # each job has counts of its own
passed=0 failed=0 skipped=0
# As many as there are processors; more than four of a kind would want too much memory.
LANES=$(nproc)
[ "$LANES" -le 4 ] || LANES=4
declare -A lane_of=()
mkdir -p "$SAID"

# The next that ends: what it said, and its counts, which are the last line of that.
lane_harvest() {
	local pid name counts
	wait -n -p pid "${!lane_of[@]}"
	name=${lane_of[$pid]}
	unset "lane_of[$pid]"
	counts=$(sed -n 's/^counts //p' "$SAID/$name.said" | tail -n 1)
	grep -v '^counts ' "$SAID/$name.said"
	[ -n "$counts" ] || echo "not ok $name: it ended without a result"
	# shellcheck disable=SC2086 # three words
	set -- ${counts:-0 1 0}
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# lane NAME COMMAND…: as soon as there is a lane for it, in a process group of its own, which goes with
# us. It sets $passed, $failed and $skipped, which are 0 at its begin.
lane() {
	local name=$1
	shift
	while [ ${#lane_of[@]} -ge "$LANES" ]; do lane_harvest; done
	set -m
	(
		set +m
		passed=0 failed=0 skipped=0
		"$@"
		echo "counts $passed $failed $skipped"
	) >"$SAID/$name.said" 2>&1 &
	lane_of[$!]=$name
	set +m
}

lanes_wait() {
	while [ ${#lane_of[@]} -gt 0 ]; do lane_harvest; done
}

# Waits for all and exits; the last line is "N passed, N failed, N skipped".
lanes_finish() {
	lanes_wait
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}

trap 'for pid in "${!lane_of[@]}"; do kill -- "-$pid"; done' EXIT
