#!/usr/bin/env bats
# The configuration read anew by the supervisor that runs: all of it, or nothing. (6 s)
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

# web NAME [LINE…]: a container that says at SIGTERM that it was asked; the lines are of [Container].
web() {
	local name=$1
	shift
	unit "$name.container" <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c 'trap "echo asked >>/said/$name; exit 0" TERM; while :; do sleep 0.1; done'
		Volume=$BATS_TEST_TMPDIR/said:/said
		Network=net.network
		$(printf '%s\n' "$@")
		[Service]
		Restart=on-failure
		RestartSec=20ms
		[Install]
		WantedBy=default.target
	EOT
}
prepare() {
	need_root_fs busybox
	mkdir -p "$BATS_TEST_TMPDIR/said"
	printf '[Network]\nSubnet=10.88.8.0/24\n' | unit net.network
	web kept
	web changed
	web gone
	start_supervise
	for name in kept changed gone; do wait_for ready $name; done
	pid=$(pid_of kept) old=$(pid_of changed) where=$(address kept)
}
said() { cat "$BATS_TEST_TMPDIR/said/$1" 2>/dev/null; }

@test "what is gone is stopped, what is new starts, what changed is restarted, the rest goes on" {
	rm "$UNITS/gone.container"
	web changed Environment=NEW=1
	web added
	run -0 berth reload
	has 'gone: is gone, and stopped'
	has 'changed: is defined otherwise, and restarted'
	has 'added: is new'
	[[ $output != *kept* ]]
	# The next one answers already, and it is the same process.
	wait_restarted changed "$old"
	wait_for ready changed
	wait_for ready added
	[ "$(said gone) $(said changed) $(said kept)" = 'asked asked ' ]
	[ "$(pid_of kept) $(address kept)" = "$pid $where" ]
	kill -0 "$SUPERVISOR"
	[ "$(row gone)" = '' ]
	[ ! -e "$(cgroup_top)/berth/c/gone" ]
	run -0 berth exec changed env
	has NEW=1
	run -0 berth reload --json
	[ "$(jq -c . <<<"$output")" = '{"added":[],"removed":[],"changed":[],"updated":[]}' ]
	# Its own child still: how it ends is known on every kernel.
	kill -KILL "$pid"
	wait_restarted kept "$pid"
	run berth why kept
	has SIGKILL
}

# says DESCRIPTOR: the server at its other end gives back what it is told.
says() {
	local line
	echo hello >&"$1"
	read -r -t 5 line <&"$1"
	[ "$line" = hello ]
}
@test "ports and names change while the container goes on, and so does a connection" {
	inside kept socat TCP4-LISTEN:80,fork,reuseaddr EXEC:cat 3>&- &
	web kept PublishPort=8080:80
	run -0 berth reload
	has 'kept: its ports, names or walls are others, and it goes on'
	[[ $output != *restarted* ]]
	open() { exec 7<>/dev/tcp/127.0.0.1/"$1"; }
	wait_until 5 open 8080
	exec 7<>/dev/tcp/127.0.0.1/8080
	says 7
	web kept PublishPort=8080:80 PublishPort=8081:80 NetworkAlias=shop
	berth reload
	says 7
	exec 8<>/dev/tcp/127.0.0.1/8081
	says 8
	run -0 berth exec changed cat /etc/hosts
	has shop
	# Taken away again: no new connection, and those that are there go on.
	web kept PublishPort=8080:80
	run -0 berth reload --json
	[ "$(jq -c .updated <<<"$output")" = '["kept"]' ]
	says 7
	says 8
	wait_until 5 sh -c '! bash -c "exec 9<>/dev/tcp/127.0.0.1/8081" 2>/dev/null'
	run -0 berth exec changed cat /etc/hosts
	[[ $output != *shop* ]]
	exec 7>&- 8>&-
	[ "$(pid_of kept) $(address kept)" = "$pid $where" ]
}
@test "what a unit itself says of hosts and servers: the first line restarts it, the next are written into it" {
	web kept AddHost=db:10.9.9.9
	berth reload
	wait_restarted kept "$pid"
	wait_for ready kept
	pid=$(pid_of kept)
	web kept AddHost=db:10.9.9.8
	printf '[Network]\nSubnet=10.88.8.0/24\nDNS=10.9.9.53\n' | unit net.network
	run -0 berth reload
	has 'kept: its ports'
	[ "$(pid_of kept)" = "$pid" ]
	[ "$(berth exec kept head -n 1 /etc/hosts)" = $'10.9.9.8\tdb' ]
	[ "$(berth exec kept cat /etc/resolv.conf)" = 'nameserver 10.9.9.53' ]
}

# rising NAME: not ready before the file go-NAME is there.
rising() {
	unit "$1.container" <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c 'echo up >>/said/$1; until [ -e /said/go-$1 ]; do sleep 0.05; done; exec probe notify'
		Volume=$BATS_TEST_TMPDIR/said:/said
		Notify=yes
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	berth reload
	wait_until 10 test -s "$BATS_TEST_TMPDIR/said/$1"
}

told() { [ "$(grep -c "$2" "$BATS_TEST_TMPDIR/supervise.log")" -ge "$1" ]; }

@test "a reload waits for what is on its way up; a stop does not wait for either" {
	local up
	rising slow
	up=$(pid_of slow)
	web added
	berth reload &
	wait_until 5 told 2 'anew: 1 units added'
	ps_answers_at_once
	touch "$BATS_TEST_TMPDIR/said/go-slow"
	wait $!
	wait_for ready added
	wait_for ready slow
	[ "$(pid_of slow) $(said slow) $(pid_of kept)" = "$up up $pid" ]
	rising never
	rm "$UNITS/gone.container"
	kill -HUP "$SUPERVISOR"
	wait_until 5 told 1 'anew: 0 units added, 1 removed'
	stop_supervise
}

@test "with an error in it nothing changes, and the file and the line are named" {
	rm "$UNITS/gone.container"
	web changed 'Memroy=1
PodsLimit=2'
	run -1 berth reload
	has 'changed.container:6: Memroy: unknown key'
	has '(1 of 2 errors: berth check shows all)'
	[ "$(pid_of kept) $(pid_of changed)" = "$pid $old" ]
	in_state ready gone
	echo 'StateDir=/elsewhere' >>"$UNITS/berth.conf"
	web changed
	run -1 berth reload
	has 'takes a restart of berth'
	in_state ready gone
}

@test "SIGHUP does it too, again and again, and nothing is left behind by it" {
	reloaded() { [ "$(grep -c 'is read anew:' "$BATS_TEST_TMPDIR/supervise.log")" = "$1" ] && answers; }
	fds=$(supervisor_fds)
	for i in 1 2 3 4 5 6 7 8 9 10; do
		kill -HUP "$SUPERVISOR"
		wait_until 10 reloaded "$i"
	done
	[ "$(pid_of kept) $(pid_of changed)" = "$pid $old" ]
	[ "$(supervisor_fds)" -le "$fds" ]
	[ "$(find "$(cgroup_top)" -path '*/workers/*' -type d ! -name log | wc -l)" -le 1 ]
}

@test "while one that is gone takes its time, the others go on, and a second reload is refused" {
	unit slow.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c 'trap "" TERM; while :; do sleep 0.1; done'
		StopTimeout=2
		Network=none
		[Install]
		WantedBy=default.target
	EOT
	berth reload
	wait_for ready slow
	rm "$UNITS/slow.container"
	berth reload &
	wait_until 5 in_state stopping slow
	run -1 berth reload
	has 'being read already'
	run -1 berth start kept
	has 'ask again'
	ps_answers_at_once
	wait $!
	[ "$(row slow)" = '' ]
	[ "$(pid_of kept)" = "$pid" ]
}

@test "killed in the middle of it, the next berth makes what the files say" {
	web changed Environment=NEW=1
	rm "$UNITS/gone.container"
	for delay in 0 0.002 0.005 0.01 0.02 0.05; do
		kill -HUP "$SUPERVISOR"
		sleep $delay
		kill_supervise
		start_supervise
		wait_for ready kept
		wait_for ready changed
		[ "$(row gone)" = '' ]
	done
	[ "$(pid_of kept)" = "$pid" ]
	run -0 berth exec changed env
	has NEW=1
}
