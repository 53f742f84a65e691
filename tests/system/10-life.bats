#!/usr/bin/env bats
# One container's life: started, killed, stopped, failing in every way the documentation names. While
# it goes wrong, `berth ps` answers at once.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() { need_root_fs busybox; }

sleeper() {
	unit "$1.container" <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sleep infinity
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
}

@test "a container starts, is listed, and stops without a trace" {
	sleeper a
	start_supervise
	wait_for ready a
	run berth ps
	has a
	run -0 berth is-active a
	berth stop a
	run -3 berth is-active a
	run -4 berth is-active no-such-unit
}

@test "start and stop are harmless to repeat, and a stop by hand lasts" {
	sleeper a
	start_supervise
	wait_for ready a
	pid=$(pid_of a)
	berth start a
	[ "$(pid_of a)" = "$pid" ]
	berth stop a
	berth stop a
	end_supervise
	start_supervise
	sleep 0.5
	[ "$(state_of a)" != ready ]
	berth start a
	wait_for ready a
}

@test "a container that is killed comes back, in a new leaf, with the same address" {
	unit net.network <<-EOT
		[Network]
		Subnet=10.88.7.0/24
	EOT
	unit web.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=httpd -f -p 80 -h /www
		Network=net.network
		[Service]
		Restart=always
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready web
	pid=$(pid_of web) number=$(run_of web) where=$(address web)
	[ -n "$where" ]
	kill -KILL "$pid"
	wait_restarted web "$pid"
	wait_for ready web
	[ "$(address web)" = "$where" ]
	[ "$(run_of web)" -gt "$number" ]
	run wait_until 5 curl -fsS "http://${where%/*}/"
	has "hello from a container"
}

@test "a hundred restarts leak no descriptor" {
	unit a.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sleep infinity
		Network=none
		[Service]
		Restart=always
		RestartSec=1ms
		RestartMaxDelaySec=1ms
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready a
	before=$(supervisor_fds)
	for _ in $(seq 20); do
		pid=$(pid_of a)
		kill -KILL "$pid"
		wait_restarted a "$pid"
	done
	wait_for ready a
	sleep 0.3
	[ "$(supervisor_fds)" -eq "$before" ]
}

@test "an entrypoint that ignores SIGTERM is killed after StopTimeout, and why says so" {
	unit deaf.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c "trap '' TERM; while :; do sleep 1; done"
		Network=none
		StopTimeout=1
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready deaf
	begun=$(date +%s%N)
	berth stop deaf
	took=$((($(date +%s%N) - begun) / 1000000))
	[ "$took" -ge 900 ]
	[ "$took" -lt $((4000 * SLOW)) ]
	run berth why deaf
	has SIGKILL
}

@test "one that dies at once, for ever, is tried again with growing delays" {
	unit mayfly.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c "echo no luck; exit 7"
		Network=none
		[Service]
		Restart=always
		RestartSec=50ms
		RestartSteps=5
		RestartMaxDelaySec=30s
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_until 10 in_state backoff mayfly
	sleep 3
	[ "$(run_of mayfly)" -ge 2 ]
	[ "$(run_of mayfly)" -lt 20 ]
	ps_answers_at_once
	run berth why mayfly
	has 7
	run berth logs mayfly
	has "no luck"
}

@test "a missing binary is named, with the stage it was missed in" {
	unit typo.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=/bin/no-such-program
		Network=none
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_until 10 in_one_of "failed backoff" typo
	run berth why typo
	has "no-such-program"
	has "No such file or directory"
	run -1 berth start typo
	has "no-such-program"
}

@test "a flood on stdout stays within its segments and slows nobody" {
	unit flood.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=yes this line is written as fast as the pipe takes it
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready flood
	for _ in 1 2 3 4 5; do
		ps_answers_at_once
		sleep 0.5
	done
	berth stop flood
	# 10 MiB x 3, and what one segment may run over.
	[ "$(du -sk "$STATE/logs" | cut -f1)" -lt 42000 ]
	run berth logs -n 3 flood # the last one is cut where the stop met it
	has "as fast as the pipe takes it"
}

@test "a health probe that hangs is killed at its timeout and counts as a failure" {
	unit sick.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sleep infinity
		Network=none
		StopSignal=SIGKILL
		HealthCmd=sleep 1000
		HealthInterval=200ms
		HealthTimeout=300ms
		HealthRetries=2
		[Service]
		Restart=always
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_until 10 in_state ready sick # wait_for waits for health, which does not come
	pid=$(pid_of sick)
	wait_restarted sick "$pid" 15
	ps_answers_at_once
	run berth logs
	has unhealthy
}

@test "a volume on a file system that never answers stops nobody else" {
	dead_begins
	sleeper well
	unit stuck.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sleep infinity
		Network=none
		Volume=$DEAD/data:/data
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready well
	for _ in 1 2 3; do
		ps_answers_at_once
		sleep 0.3
	done
	[ "$(state_of stuck)" = starting ]
	run timeout 5 "$BERTH" --config "$UNITS" --run-dir "$RUNTIME" why stuck
	[ "$status" -eq 0 ]
	pid=$(pid_of well)
	berth restart well
	wait_for ready well
	[ "$(pid_of well)" != "$pid" ]
	# When the server is dead for good, what waited for it is told, and can be stopped.
	dead_ends
	wait_until 10 in_one_of "failed backoff inactive" stuck
}

@test "a oneshot job ends in done, and what requires it waits for that" {
	unit job.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c "sleep 1; echo finished"
		Network=none
		[Service]
		Type=oneshot
	EOT
	unit after.container <<-EOT
		[Unit]
		Requires=job.service
		After=job.service
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sleep infinity
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_until 5 in_state waiting after
	wait_for ready after
	in_state "done" job
}

@test "a container without a job is held open for exec" {
	unit hold.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Network=none
		[X-Berth]
		HoldOpen=true
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_until 10 in_one_of "ready held running" hold
	run -0 berth exec hold cat /www/index.html
	has "hello from a container"
	run -9 berth exec hold sh -c "exit 9"
	run -127 berth exec hold no-such-program
}

@test "a native service runs on the host and is supervised like the rest" {
	unit native.service <<-EOT
		[Service]
		ExecStart=/bin/sleep 1000
		Restart=always
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready native
	pid=$(pid_of native)
	[ "$(readlink /proc/"$pid"/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ]
	kill -KILL "$pid"
	wait_restarted native "$pid"
}
