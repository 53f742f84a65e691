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

# ---- who may ask ----------------------------------------------------------------------------------

@test "a container that has the control socket is refused, a native service is not" {
	sleeper web "Volume=$RUNTIME:/run/berth"
	unit agent.service <<-EOT
		[Service]
		Type=oneshot
		ExecStart=$BERTH --config $UNITS --run-dir $RUNTIME ps
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready web
	wait_for "done" agent
	# A process of root's in the container's leaf, whatever else it sees, is one of the container.
	# shellcheck disable=SC2016 # $$ is the inner shell's
	run timeout 10 sh -c 'echo $$ >"$1"; shift; exec "$@"' - \
		"$(echo "$(cgroup_top)"/berth-*/c/web/1)/cgroup.procs" \
		"$BERTH" --config "$UNITS" --run-dir "$RUNTIME" stop web
	echo "inside: $status $output"
	[ "$status" -ne 0 ]
	[ "$(state_of web)" = ready ]
	run berth logs
	has "wants to command berth: refused"
	# From the host the same call is answered.
	answers
}

# ---- starts at once -------------------------------------------------------------------------------

@test "no more starts at once than processors, and a start that hangs holds nobody" {
	dead_begins
	slots=$(nproc --all)
	[ "$slots" -ge 2 ] || slots=2
	for i in $(seq $((slots + 2))); do sleeper "a$i" "Volume=$DEAD/data:/data"; done
	sleeper well
	start_supervise
	berth ps -a
	[ "$(berth ps -a --json | jq '[.. | objects | select(.state? == "starting")] | length')" -le "$slots" ]
	wait_until 2 waits_for_its_turn
	wait_for ready well 20
	for i in $(seq $((slots + 2))); do wait_for starting "a$i"; done
	dead_ends
}
waits_for_its_turn() { berth ps -a --json | grep -q 'for its turn'; }

# ---- the service manager --------------------------------------------------------------------------

@test "systemd is told when it is ready and when it ends" {
	command -v python3 >/dev/null || skip "no python3"
	sleeper web
	python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True: print(s.recv(100).decode(), flush=True)
' "$BATS_TEST_TMPDIR/notify" >"$BATS_TEST_TMPDIR/told" 3>&- 4>&- &
	manager=$!
	wait_until 5 test -S "$BATS_TEST_TMPDIR/notify"
	NOTIFY_SOCKET=$BATS_TEST_TMPDIR/notify start_supervise
	wait_until 5 grep -qx READY=1 "$BATS_TEST_TMPDIR/told"
	wait_for ready web
	run grep -a NOTIFY_SOCKET= "/proc/$(pid_of web)/environ"
	[ "$status" -eq 1 ]
	stop_supervise
	wait_until 5 grep -qx STOPPING=1 "$BATS_TEST_TMPDIR/told"
	kill "$manager"
	wait "$manager" 2>/dev/null || true
	[ "$(sort "$BATS_TEST_TMPDIR/told")" = "$(printf 'READY=1\nSTOPPING=1')" ]
}

# ---- what is kept ---------------------------------------------------------------------------------

@test "what was wanted by hand of a unit that is gone is forgotten" {
	sleeper web
	sleeper gone
	start_supervise
	wait_for ready gone
	berth stop gone
	berth stop web
	wait_until 5 test -e "$STATE/wanted/gone"
	wait_until 5 test -e "$STATE/wanted/web"
	end_supervise
	rm "$UNITS/gone.container"
	start_supervise
	[ ! -e "$STATE/wanted/gone" ]
	[ ! -e "$RUNTIME/wanted/gone" ]
	[ -e "$STATE/wanted/web" ]
	[ "$(state_of web)" = inactive ]
}

@test "logs --since: from a time, for a span, and never from a riddle" {
	unit talk.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c 'echo one; sleep infinity'
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready talk
	says() { [ "$(berth logs --since "$1" talk)" = "$2" ]; }
	wait_until 5 says 1h one
	says 2020-01-01 one
	says "2020-01-01 10:20" one
	says 2020-01-01T10:20:30.5Z one
	says 2099-01-01T00:00:00Z ""
	for riddle in yesterday 2020-01-01X10 2020/01/01 -1s ""; do
		run berth logs --since "$riddle" talk
		[ "$status" -eq 2 ]
		has "2026-11-22T10:20"
	done
}

# ---- the price of idleness ------------------------------------------------------------------------

# Each sleep of the supervisor is a voluntary context switch, so a wake-up is one more of them.
switches() { awk '/^voluntary/ { print $2 }' "/proc/$SUPERVISOR/status"; }

@test "idle with containers, and 20 probes an hour away: not one wake-up in 10 s" {
	for i in $(seq 20); do
		sleeper "p$i" 'HealthCmd=true' 'HealthInterval=1h' 'Notify=healthy'
	done
	sleeper once 'HealthCmd=true' 'HealthInterval=disable' 'Notify=healthy'
	for i in $(seq 10); do sleeper "s$i"; done
	start_supervise
	wait_for ready once 60
	for i in $(seq 20); do wait_for ready "p$i" 60; done
	for i in $(seq 10); do wait_for ready "s$i"; done
	sleep 1
	before=$(switches)
	sleep 10
	[ "$(switches)" = "$before" ]
}

# ---- the end --------------------------------------------------------------------------------------

@test "Ctrl-C at a terminal is for the supervisor alone, not for a worker of it" {
	dead_begins
	sleeper web
	start_supervise
	wait_for ready web
	ln -s "$DEAD/data" "$UNITS/more.container"
	kill -HUP "$SUPERVISOR"
	wait_until 5 reads_it
	[ "$(cut -d' ' -f6 "/proc/$worker/stat")" = "$worker" ]
	dead_ends
}
# The sixth of its stat is the session.
reads_it() {
	worker=$(pgrep -P "$SUPERVISOR" | while read -r pid; do
		grep -qs 'fuse\|request_wait' "/proc/$pid/wchan" && echo "$pid"
	done)
	[ -n "$worker" ]
}

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
