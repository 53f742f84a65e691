#!/usr/bin/env bats
# Limits, where the controllers are; where they are not, a written limit is refused in words.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	need_root_fs busybox
	[ -x "$ROOTS/busybox/bin/probe" ] || skip "the probe is not built (make tests)"
}

limited() {
	unit "$1.container" <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=$2
		Network=none
		StopSignal=SIGKILL
		${4:-}
		[Service]
		$3
		Restart=no
		[Install]
		WantedBy=default.target
	EOT
}

@test "a fork bomb is held by PidsLimit=64, and ps answers throughout" {
	need_controller pids
	limited bomb "probe forkbomb" "" PidsLimit=64
	limited calm "sleep infinity" ""
	start_supervise
	wait_for ready calm
	for _ in 1 2 3 4 5; do
		ps_answers_at_once
		sleep 0.5
	done
	top=$(cgroup_top)
	find "$top" -path '*/c/bomb/*' -name pids.current -exec cat {} + >"$BATS_TEST_TMPDIR/now"
	[ -s "$BATS_TEST_TMPDIR/now" ]
	awk '$1 > 64 { exit 1 }' "$BATS_TEST_TMPDIR/now"
	berth stop bomb
	run -0 berth is-active calm
}

@test "one that takes more memory than MemoryMax is killed; why says OOM and the peak" {
	need_controller memory
	limited greedy "probe alloc 100000000" MemoryMax=16M
	limited calm "sleep infinity" ""
	start_supervise
	wait_for ready calm
	pid=$(pid_of calm)
	wait_until 20 in_one_of "failed backoff" greedy
	run berth why greedy
	has memory
	has 16
	[ "$(pid_of calm)" = "$pid" ]
}

@test "a written limit that cannot be enforced refuses the start and names the cure" {
	if [ -n "$(cgroup_top)" ] && grep -qw memory "$(cgroup_top)/cgroup.controllers"; then
		skip "this machine has a memory controller"
	fi
	limited greedy "sleep infinity" MemoryMax=16M
	limited calm "sleep infinity" ""
	start_supervise
	wait_for ready calm
	run -1 berth start greedy
	has memory
	[ "$(state_of greedy)" != ready ]
}

@test "LimitsPolicy=best-effort starts it all the same, and status says what is missing" {
	if [ -n "$(cgroup_top)" ] && grep -qw memory "$(cgroup_top)/cgroup.controllers"; then
		skip "this machine has a memory controller"
	fi
	limited greedy "sleep infinity" MemoryMax=16M
	mkdir -p "$UNITS/greedy.container.d"
	printf '[X-Berth]\nLimitsPolicy=best-effort\n' >"$UNITS/greedy.container.d/box.conf"
	start_supervise
	wait_for ready greedy
	run berth status greedy
	has memory
}

# 2^31 descriptors: fs.nr_open cannot be so large.
@test "a resource limit above what this machine allows is refused once, and not tried for ever" {
	limited greedy "sleep infinity" LimitNOFILE=2147483648
	sed -i 's/^Restart=.*/Restart=always\nRestartSec=20ms/' "$UNITS/greedy.container"
	limited calm "sleep infinity" LimitNOFILE=100:200
	limited most "sleep infinity" LimitNOFILE=infinity
	start_supervise
	wait_for failed greedy
	run berth why greedy
	has "LimitNOFILE=: "
	run -1 berth start greedy
	has "lower it, or raise"
	[ "$(state_of greedy)" = failed ]
	wait_for ready calm
	wait_for ready most
	[ "$(berth exec calm sh -c 'ulimit -n; ulimit -Hn')" = $'100\n200' ]
	run berth check
	has "greedy.container: note: this machine will not start it: LimitNOFILE="
	mkdir -p "$UNITS/greedy.container.d"
	printf '[X-Berth]\nLimitsPolicy=best-effort\n' >"$UNITS/greedy.container.d/box.conf"
	berth reload
	wait_for ready greedy
	run berth status greedy
	has "LimitNOFILE= is "
}
