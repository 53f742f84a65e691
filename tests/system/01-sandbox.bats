#!/usr/bin/env bats
# The tests' own ground: what is left behind is really seen.
load ../lib/system.bash

setup() {
	[ "$(id -u)" = 0 ] || skip "needs root"
	leaks_before
}
teardown() { :; }

@test "nothing is left where nothing was done" {
	leaks_after
}

@test "a mount that is left is seen" {
	mkdir "$BATS_TEST_TMPDIR/m"
	mount -t tmpfs tmpfs "$BATS_TEST_TMPDIR/m"
	run no_leaks
	umount "$BATS_TEST_TMPDIR/m"
	[ "$status" -ne 0 ]
	no_leaks
}

@test "a link and a table that are left are seen" {
	ip link add leak0 type veth peer name leak1
	run no_leaks
	ip link del leak0
	[ "$status" -ne 0 ]
	nft add table inet leak
	run no_leaks
	nft delete table inet leak
	[ "$status" -ne 0 ]
	no_leaks
}

@test "a cgroup that is left is seen" {
	top=$(cgroup_top)
	[ -n "$top" ] || skip "no cgroup v2 hierarchy is mounted on this machine"
	mkdir "$top/leak"
	run no_leaks
	rmdir "$top/leak"
	[ "$status" -ne 0 ]
	no_leaks
}

@test "a process that lost its parent is seen" {
	pid=$(setsid sh -c 'sleep 100 >/dev/null 2>&1 3>&- 4>&- & echo $!')
	run no_leaks
	kill "$pid"
	[ "$status" -ne 0 ]
	wait_until 3 no_leaks
}

@test "killed, a sandbox takes with it what runs in it, and the next one removes its cgroup" {
	top=$(cgroup_top)
	[ -n "$top" ] || skip "no cgroup v2 hierarchy is mounted on this machine"
	"$REPO/tests/lib/sandbox.sh" sleep 100 3>&- 4>&- &
	inner=$!
	asleep() { [ -n "$(find "$top/berth-test.$inner/tests" -name cgroup.procs -exec cat {} + 2>/dev/null)" ]; }
	wait_until 10 asleep
	kill -KILL $inner
	wait $inner || true
	empty() { grep -q '^populated 0' "$top/berth-test.$inner/cgroup.events"; }
	wait_until 5 empty
	"$REPO/tests/lib/sandbox.sh" true
	[ ! -e "$top/berth-test.$inner" ]
	no_leaks
}
