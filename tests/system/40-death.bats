#!/usr/bin/env bats
# berth may die at any instruction, and nothing else does.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	need_root_fs busybox
	unit net.network <<-EOT
		[Network]
		Subnet=10.88.8.0/24
	EOT
	for name in a b; do
		unit $name.container <<-EOT
			[Container]
			Rootfs=$ROOTS/busybox
			Exec=httpd -f -p 80 -h /www
			Network=net.network
			StopSignal=SIGKILL
			[Service]
			Restart=always
			RestartSec=20ms
			[Install]
			WantedBy=default.target
		EOT
	done
}

# Everything declared runs once, and once only.
declared_state() {
	wait_for ready a 15
	wait_for ready b 15
	local name
	for name in a b; do
		local pids
		pids=$(find "$(cgroup_top)" -path "*/c/$name/*" -name cgroup.procs -exec cat {} + 2>/dev/null |
			sort -u | grep -c .)
		[ "$pids" = 1 ] || {
			echo "$name: $pids processes in its cgroups"
			return 1
		}
	done
	curl -fsS --max-time 5 "http://$(address a | cut -d/ -f1)/" >/dev/null
}

@test "kill -9 of berth: the next one adopts the same processes" {
	start_supervise
	declared_state
	a=$(pid_of a) b=$(pid_of b) where=$(address a)
	kill_supervise
	curl -fsS --max-time 5 "http://${where%/*}/" >/dev/null
	start_supervise
	declared_state
	[ "$(pid_of a) $(pid_of b)" = "$a $b" ]
}

@test "what somebody has mounted on RunDir= stays, and one mount of ours at most is on it" {
	mount -t tmpfs -o mode=755 somebody "$RUNTIME"
	touch "$RUNTIME/theirs"
	mounts() { awk -v at="$RUNTIME" '$5 == at' /proc/self/mountinfo | wc -l; }
	start_supervise
	declared_state
	kill_supervise
	start_supervise
	[ "$(mounts)" = 2 ]
	stop_supervise
	[ "$(mounts)" = 1 ]
	[ -e "$RUNTIME/theirs" ]
	umount "$RUNTIME"
}

@test "SIGTERM ends berth and leaves the containers" {
	start_supervise
	declared_state
	a=$(pid_of a) b=$(pid_of b)
	end_supervise
	[ -d "/proc/$a" ]
	start_supervise
	declared_state
	[ "$(pid_of a) $(pid_of b)" = "$a $b" ]
}

@test "what died while berth was dead is seen and started again" {
	start_supervise
	declared_state
	a=$(pid_of a) b=$(pid_of b)
	kill_supervise
	kill -KILL "$a"
	start_supervise
	wait_restarted a "$a"
	declared_state
	[ "$(pid_of b)" = "$b" ]
}

# One of these at random, on its way into the kernel for the Nth time, is where berth dies.
calls=(openat read write close clone3 renameat unlinkat mkdirat epoll_wait epoll_ctl recvmsg sendmsg
	sendto ioctl fcntl waitid pidfd_send_signal timerfd_settime accept4 newfstatat)

# die_at CALL N: supervise under a tracer that kills it there.
die_at() {
	strace -D -qq -o /dev/null -e trace="$1" -e "inject=$1:signal=KILL:when=$2" \
		"$BERTH" --config "$UNITS" --run-dir "$RUNTIME" supervise \
		2>>"$BATS_TEST_TMPDIR/supervise.log" >&2 3>&- 4>&- &
	SUPERVISOR=$!
}

@test "kill -9 of berth at seeded points of start, restart and stop" {
	command -v strace >/dev/null || skip "no strace on this machine"
	points=${BERTH_TEST_POINTS:-12}
	RANDOM=${BERTH_TEST_SEED:-4711}
	echo "seed ${BERTH_TEST_SEED:-4711}, $points points"
	for point in $(seq "$points"); do
		call=${calls[RANDOM % ${#calls[@]}]} count=$((1 + RANDOM % 30))
		echo "point $point: $call, time $count"
		die_at "$call" "$count"
		case $((point % 4)) in
		0) ;; # while it starts or adopts
		1) timeout 2 "$BERTH" --run-dir "$RUNTIME" restart a >/dev/null 2>&1 || true ;;
		2)
			timeout 2 "$BERTH" --run-dir "$RUNTIME" stop a >/dev/null 2>&1 || true
			timeout 2 "$BERTH" --run-dir "$RUNTIME" start a >/dev/null 2>&1 || true
			;;
		3)
			# Everything is new: what ran is gone when berth comes back.
			pid=$(pid_of b) # 0, or nothing: it does not run; to kill 0 is to kill oneself
			[ "${pid:-0}" -le 1 ] || kill -KILL "$pid" 2>/dev/null || true
			;;
		esac
		wait_until 1 gone "$SUPERVISOR" || true
		kill_supervise
		[ $((point % 8)) -ne 0 ] || {
			start_supervise
			berth start a
			declared_state
			kill_supervise
		}
	done
	start_supervise
	berth start a
	declared_state
}

@test "a second supervise on the same state is refused, naming the first" {
	start_supervise
	declared_state
	run -1 timeout 10 "$BERTH" --config "$UNITS" --run-dir "$RUNTIME" supervise
	has "$SUPERVISOR"
	declared_state
}

@test "a container that is not called as its file is taken up too" {
	rm "$UNITS"/[ab].container
	unit web.container <<-EOT
		[Container]
		ContainerName=other
		Rootfs=$ROOTS/busybox
		Exec=httpd -f -p 80 -h /www
		Network=none
		StopSignal=SIGKILL
		HealthCmd=true
		HealthInterval=100ms
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready other
	pid=$(pid_of other)
	kill_supervise
	start_supervise
	wait_for ready other
	[ "$(pid_of other)" = "$pid" ]
	[ "$(find "$(cgroup_top)" -path '*/c/*' -prune -type d -printf '%f\n')" = other ]
	stop_supervise
}

@test "our cgroup removed and made anew by a service manager: the next start is in the new one" {
	rm "$UNITS"/[ab].container
	top=$(cgroup_top)
	[ -n "$top" ] || skip "no cgroup2 here"
	unit web.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c 'echo hello; exec sleep infinity'
		Network=none
		StopSignal=SIGKILL
		[Service]
		Restart=always
		RestartSec=100ms
		[Install]
		WantedBy=default.target
	EOT
	mkdir "$top/unit"
	export BERTH_CGROUP=$top/unit
	start_supervise
	wait_for ready web
	grep -q "/unit/c/web/" "/proc/$(pid_of web)/cgroup"
	# All that is in it dies, then it goes.
	kill -STOP "$SUPERVISOR"
	find "$top/unit" -name cgroup.procs -exec cat {} + | while read -r pid; do kill -KILL "$pid"; done
	wait_until 5 emptied "$top/unit"
	kill -CONT "$SUPERVISOR"
	gone_is_told() { berth why web | grep -q 'the cgroup that was made for berth is gone: start its unit'; }
	wait_until 5 gone_is_told
	mkdir "$top/unit"
	wait_for ready web
	grep -q "/unit/c/web/" "/proc/$(pid_of web)/cgroup"
	grep -q "the cgroup $top/unit was removed and made anew" "$BATS_TEST_TMPDIR/supervise.log"
	logged() { [ "$(berth logs web | grep -c hello)" -ge 2 ]; }
	wait_until 5 logged
	# And so is the next log writer.
	writers() { pgrep -x berth-log; }
	kill -KILL "$(writers)"
	in_place() { writers | grep -qx "$(cat "$top/unit/workers/log/cgroup.procs")"; }
	wait_until 5 in_place
	run -0 berth reload
	berth stop web
	stop_supervise
	find "$top/unit" -depth -type d -exec rmdir {} +
}
emptied() { find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; }
