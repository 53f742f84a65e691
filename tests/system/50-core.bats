#!/usr/bin/env bats
# The supervisor's edges: commands at once, starts at once, who may ask, what idleness costs.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() { need_root_fs busybox; }

# sleeper NAME [LINE…]: a container that sleeps. Each LINE is a section's name or a line of one.
sleeper() {
	local name=$1 line
	shift
	{
		printf '%s\n' '[Container]' "Rootfs=$ROOTS/busybox" 'Exec=sleep infinity' \
			'StopSignal=SIGKILL' 'Network=none'
		for line in "$@"; do printf '%s\n' "$line"; done
		printf '%s\n' '[Install]' 'WantedBy=default.target'
	} | unit "$name.container"
}

# ---- berth exec -----------------------------------------------------------------------------------

# Each prints its number and exit code when the code is not what was asked for, or after 20 seconds.
exec_batch() {
	local i pids=
	for i in $(seq "$1"); do
		{
			timeout 20 "$BERTH" --config "$UNITS" --run-dir "$RUNTIME" exec web \
				sh -c "exit $((i % 3))" </dev/null && code=0 || code=$?
			[ "$code" = $((i % 3)) ] || echo "exec $i: exit code $code"
		} >>"$BATS_TEST_TMPDIR/exec.log" 2>&1 3>&- &
		pids="$pids $!"
	done
	# shellcheck disable=SC2086
	wait $pids
}

@test "300 commands in one container, 15 at a time, each with its exit code" {
	sleeper web
	start_supervise
	wait_for ready web
	: >"$BATS_TEST_TMPDIR/exec.log"
	for _ in $(seq 20); do exec_batch 15; done
	cat "$BATS_TEST_TMPDIR/exec.log"
	[ ! -s "$BATS_TEST_TMPDIR/exec.log" ]
}

# ---- the end --------------------------------------------------------------------------------------

@test "SIGINT leaves no cgroup, also when the log writer takes its time" {
	sleeper web
	start_supervise
	wait_for ready web
	writer=$(cat "$(cgroup_top)"/berth-*/workers/log/cgroup.procs)
	kill -STOP "$writer"
	pid=$SUPERVISOR SUPERVISOR=
	kill -INT "$pid"
	sleep 1
	kill -CONT "$writer"
	wait_until 10 gone "$pid"
	run find "$(cgroup_top)" -maxdepth 1 -name 'berth-*'
	[ -z "$output" ]
}
