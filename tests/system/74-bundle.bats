#!/usr/bin/env bats
# Runtimes that berth brings along, or finds: started, waited for by their socket, restarted, replaced.
# shellcheck disable=SC2030,SC2031,SC2119,SC2120 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	PACKER=$BERTH
	FILE=$BATS_TEST_TMPDIR/site
	MADE=$BATS_TEST_TMPDIR/made
	mkdir -p "$MADE"
}
finish() {
	stop_supervise
	memfd_noexec 0 || true
	for dir in "$STATE" "$RUNTIME" "$MADE/state" "$MADE/run"; do
		while mountpoint -q "$dir"; do umount -l "$dir"; done
	done
	rm -rf /run/berth-appliance
}

# A packed file brings its own configuration.
options() {
	OPTIONS=()
	[ "$BERTH" = "$FILE" ] || OPTIONS=(--config "$UNITS" --run-dir "$RUNTIME")
}
berth() {
	options
	"$BERTH" "${OPTIONS[@]}" "$@"
}
spawn_supervise() {
	options
	"$BERTH" "${OPTIONS[@]}" supervise "$@" 2>>"$BATS_TEST_TMPDIR/supervise.log" >&2 3>&- 4>&- &
	# shellcheck disable=SC2034 # for system.bash
	SUPERVISOR=$!
}
# pack NAME=PROGRAM…: what runs from here on is the packed file.
pack() {
	local bundles=()
	for bundle in "$@"; do bundles+=(--bundle "$bundle"); done
	"$PACKER" --config "$UNITS" pack "${bundles[@]}" -o "$FILE"
	BERTH=$FILE
}
# A new boot, as far as /run is concerned.
reboot_run() {
	stop_supervise
	rm -rf /run/berth-appliance "${RUNTIME:?}"/*
}
exe_of() { readlink "/proc/$(pid_of "$1")/exe"; }

# tool CONTENT: a program that says it, and sleeps; and a unit that runs it out of a bundle.
tool() {
	# shellcheck disable=SC2016 # for the program
	printf '#!/bin/sh\necho %s; exec "${0%%/*}/nap" 1000\n' "$1" >"$MADE/tool"
	cp "$(command -v sleep)" "$MADE/nap"
	chmod 755 "$MADE/tool" "$MADE/nap"
	unit tool.service <<-EOT
		[Service]
		ExecStart=tool
		Restart=always
		[X-Berth]
		Bundle=kit
		[Install]
		WantedBy=default.target
	EOT
}
contents() { find "$STATE/bundles" "$RUNTIME/bundles" -mindepth 1 -maxdepth 1 -type d -name 'kit-*' 2>/dev/null; }
naps() { [[ "$(exe_of tool)" == */nap* ]]; }

# listener NAME [TIMEOUT [PROBED]]: a unit that listens on /run/NAME.sock half a second after its start.
listener() {
	command -v socat >/dev/null || skip "socat is not installed"
	unit "$1.service" <<-EOT
		[Service]
		ExecStart=/bin/sh -c "sleep 0.5; rm -f /run/$1.sock; exec socat UNIX-LISTEN:/run/$1.sock,fork /dev/null"
		Restart=always
		TimeoutStartSec=${2:-20s}
		[X-Berth]
		Probe=unix:/run/${3:-$1}.sock
		ProbeInterval=200ms
		[Install]
		WantedBy=default.target
	EOT
}
health_of() { row "$1" | jq -r .health; }
has_health() { [ "$(health_of "$2")" = "$1" ]; }

@test "a service is ready when its socket answers, and unhealthy when it stops to" {
	listener echo
	start_supervise
	wait_for ready echo
	[ -S /run/echo.sock ]
	# It ran for the half second in which nobody listened.
	[ "$(number_of echo ready_usec)" -gt $(($(number_of echo start_usec) + 400000)) ]
	pid=$(pid_of echo)
	# The process lives, its socket does not: the third failure in a row restarts it.
	rm /run/echo.sock
	wait_restarted echo "$pid"
	wait_for ready echo
	grep -q 'echo: unhealthy: 3 probes in a row failed, the last one: unix:/run/echo.sock: No such file' \
		"$BATS_TEST_TMPDIR/supervise.log"
	# Adopted, it is asked again.
	pid=$(pid_of echo)
	end_supervise
	start_supervise
	wait_until 5 has_health healthy echo
	[ "$(pid_of echo)" = "$pid" ]
	rm /run/echo.sock
	wait_restarted echo "$pid"
}

@test "a start that never answers names the socket" {
	listener deaf 1s nobody
	sed -i s/Restart=always/Restart=no/ "$UNITS/deaf.service"
	start_supervise
	wait_for failed deaf
	run berth why deaf
	has 'last probe: unix:/run/nobody.sock: No such file or directory'
}

@test "a TCP port will do as well" {
	command -v socat >/dev/null || skip "socat is not installed"
	unit web.service <<-EOT
		[Service]
		ExecStart=$(command -v socat) TCP-LISTEN:8081,bind=127.0.0.1,fork /dev/null
		[X-Berth]
		Probe=tcp:127.0.0.1:8081
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready web
}

# ---- bundles --------------------------------------------------------------------------------------

@test "a program of the appliance file is extracted once, and runs with its siblings beside it" {
	tool one
	pack "kit=$MADE/tool" "kit=$MADE/nap"
	run -0 berth bundle ls
	has 'kit/tool'
	has 'kit/nap'
	start_supervise
	wait_for ready tool
	wait_until 5 naps
	dir=$(contents)
	[[ "$dir" == "$STATE/bundles/kit-"* ]]
	[ "$(exe_of tool)" = "$dir/nap" ]
	[ "$(stat -c '%a %U' "$dir" "$dir/tool" "$dir/nap" | sort -u | tr '\n' ' ')" = '500 root 700 root ' ]
	cmp "$MADE/nap" "$dir/nap"
	run berth status tool
	has 'bundle: kit'
	# A second start makes nothing anew.
	inode=$(stat -c %i "$dir/tool")
	berth restart tool
	[ "$(stat -c %i "$dir/tool")" = "$inode" ]
	# Nor does a boot, also where modes are the file system's own; what others may write is made anew.
	reboot_run
	chmod 755 "$dir/tool"
	chmod 775 "$dir/nap"
	nap=$(stat -c %i "$dir/nap")
	start_supervise
	wait_for ready tool
	[ "$(stat -c %i "$dir/tool")" = "$inode" ]
	[ "$(stat -c %i "$dir/nap")" != "$nap" ]
}

@test "what was damaged on the disk is mended after a boot; what is damaged in the file is refused" {
	tool one
	pack "kit=$MADE/tool" "kit=$MADE/nap"
	start_supervise
	wait_for ready tool
	dir=$(contents)
	reboot_run
	# Cut short, changed, and what a power cut left of a write.
	truncate -s 100 "$dir/nap"
	chmod 700 "$dir/tool"
	echo exit >>"$dir/tool"
	echo half >"$dir/.tmp"
	start_supervise
	wait_for ready tool
	wait_until 5 naps
	cmp "$MADE/nap" "$dir/nap"
	cmp "$MADE/tool" "$dir/tool"
	[ ! -e "$dir/.tmp" ]
	reboot_run
	rm -r "$dir"
	offset=$("$PACKER" bundle ls --json "$FILE" | jq '.[] | select(.name == "kit/nap") | .offset')
	printf 'X' | dd of="$FILE" bs=1 seek=$((offset + 5000)) conv=notrunc status=none
	start_supervise
	wait_for backoff tool
	run berth why tool
	has 'prepare the program: bundle kit: program kit/nap: it is not what was packed'
	[ ! -e "$dir/nap" ]
}

@test "killed at any system call, extracting leaves no file that is not whole, and goes on" {
	[ -x "$O/tests/stepper" ] || skip "the stepper is not built"
	tool one
	pack "kit=$MADE/tool" "kit=$MADE/nap"
	extract() { "$@" "$O/berth-worker" extract kit "$MADE/to" <"$FILE"; }
	mkdir "$MADE/to"
	extract "$O/tests/stepper" -k 0 -n "$MADE/count"
	calls=$(sed 's/.*calls=\([0-9]*\).*/\1/' "$MADE/count")
	[ "$calls" -gt 50 ]
	killed=0
	for k in $(seq 1 3 "$calls"); do
		rm -r "$MADE/to"
		mkdir "$MADE/to"
		extract "$O/tests/stepper" -k "$k" -n "$MADE/count"
		for file in "$MADE"/to/*; do
			[ ! -e "$file" ] || cmp "$file" "$MADE/${file##*/}"
		done
		[ -e "$MADE/to/tool" ] || killed=$((killed + 1))
		extract env
		cmp "$MADE/to/tool" "$MADE/tool"
		cmp "$MADE/to/nap" "$MADE/nap"
		[ "$(find "$MADE/to" -type f | wc -l)" = 2 ]
	done
	echo "# $calls system calls, every third one" >&3
	[ "$killed" -gt 10 ]
}

@test "a slow extraction blocks nobody, counts against no timeout, and survives the death of berth" {
	tool one
	sed -i 's/^Restart=.*/&\nTimeoutStartSec=300ms/' "$UNITS/tool.service"
	pack "kit=$MADE/tool" "kit=$MADE/nap"
	# The worker beside the file comes before the one in it.
	# shellcheck disable=SC2016 # for that one
	printf '#!/bin/sh\nwhile [ "$1" = extract ] && [ ! -e %s/go ]; do sleep 0.05; done\nexec %s/berth-worker "$@"\n' \
		"$MADE" "$O" >"$BATS_TEST_TMPDIR/berth-worker"
	chmod 755 "$BATS_TEST_TMPDIR/berth-worker"
	start_supervise
	wait_for starting tool
	run berth status tool
	has 'starting (prepare the program)'
	before=$(date +%s%N)
	berth ps -a >/dev/null
	[ $(($(date +%s%N) - before)) -lt $((500000000 * SLOW)) ]
	# Longer than the timeout.
	sleep 0.6
	in_state starting tool
	kill_supervise
	touch "$MADE/go"
	start_supervise
	wait_for ready tool
	wait_until 5 naps
	[ "$(row tool | jq '.prepare_usec > 0')" = true ]
	run ! grep -q TimeoutStartSec "$BATS_TEST_TMPDIR/supervise.log"
}

@test "with Verify=always it is compared before each start; a directory is a bundle, too" {
	tool one
	echo 'Verify=always' >>"$UNITS/berth.conf"
	mkdir "$MADE/kit"
	mv "$MADE/tool" "$MADE/nap" "$MADE/kit/"
	: >"$MADE/kit/.hidden"
	pack "kit=$MADE/kit"
	[ "$("$FILE" bundle ls | grep -c ' kit/')" = 2 ]
	start_supervise
	wait_for ready tool
	wait_until 5 naps
	printf 'X' | dd of="$(contents)/tool" bs=1 seek=3 conv=notrunc status=none
	berth restart tool
	wait_until 5 naps
	cmp "$MADE/kit/tool" "$(contents)/tool"
}

@test "of older contents only what still runs is kept" {
	tool one
	pack "kit=$MADE/tool" "kit=$MADE/nap"
	start_supervise
	wait_for ready tool
	wait_until 5 naps
	old=$(contents)
	pid=$(pid_of tool)
	# Something else runs out of the same bundle, and goes on after it is replaced.
	"$old/nap" 1000 3>&- 4>&- &
	other=$!
	end_supervise
	tool two
	"$PACKER" --config "$UNITS" pack --bundle "kit=$MADE/tool" --bundle "kit=$MADE/nap" -o "$MADE/next"
	mv "$MADE/next" "$FILE"
	start_supervise
	wait_restarted tool "$pid"
	wait_for ready tool
	wait_until 5 naps
	[ "$(contents | wc -l)" = 2 ]
	kill "$other"
	wait "$other" || true
	berth restart tool
	[ "$(contents | wc -l)" = 1 ]
	[ "$(contents)" != "$old" ]
	berth logs tool | grep -qx two
	# The next file does without.
	end_supervise
	rm "$UNITS/tool.service"
	"$PACKER" --config "$UNITS" pack -o "$MADE/next"
	mv "$MADE/next" "$FILE"
	start_supervise
	nothing_is_kept() { [ -z "$(contents)" ]; }
	wait_until 5 nothing_is_kept
}

@test "a state directory that cannot be written or executed leaves RunDir, or memory" {
	cp "$(command -v sleep)" "$MADE/nap"
	unit tool.service <<-EOT
		[Service]
		ExecStart=nap 1000
		[X-Berth]
		Bundle=kit
		[Install]
		WantedBy=default.target
	EOT
	pack "kit=$MADE/nap"
	mount --bind "$STATE" "$STATE"
	mount -o remount,bind,noexec "$STATE"
	start_supervise
	wait_for ready tool
	[[ "$(exe_of tool)" == "$RUNTIME/bundles/kit-"*/nap ]]
	reboot_run
	mount -t tmpfs -o noexec tmpfs "$RUNTIME"
	start_supervise
	wait_for ready tool
	[[ "$(exe_of tool)" == '/memfd:nap (deleted)' ]]
	stop_supervise
	umount "$RUNTIME"
	mount -o remount,bind,exec,ro "$STATE"
	start_supervise
	wait_for ready tool
	[[ "$(exe_of tool)" == "$RUNTIME/bundles/kit-"*/nap ]]
}

# Of this pid namespace only. It cannot be written where the kernel is older than 6.3.
memfd_noexec() { echo "$1" 2>/dev/null >/proc/sys/vm/memfd_noexec; }

@test "where nothing may be run from memory, vm.memfd_noexec=2, what must be runs all the same" {
	need_root_fs busybox
	memfd_noexec 2 || skip "this kernel has no vm.memfd_noexec"
	cp "$(command -v sleep)" "$MADE/nap"
	unit tool.service <<-EOT
		[Service]
		ExecStart=nap 1000
		[X-Berth]
		Bundle=kit
		[Install]
		WantedBy=default.target
	EOT
	unit web.container <<-EOT
		[Container]
		Image=web
		Exec=sleep 1000
		RunInit=yes
		Network=none
		[Install]
		WantedBy=default.target
	EOT
	sed -i "s|^RunDir=.*|RunDir=$MADE/run|" "$UNITS/berth.conf"
	mkdir "$MADE/run"
	"$PACKER" --config "$UNITS" pack --bundle "kit=$MADE/nap" --image "web=$ROOTS/busybox" -o "$FILE"
	BERTH=$FILE
	mount --bind "$STATE" "$STATE"
	mount -o remount,bind,noexec "$STATE"
	mount -t tmpfs -o noexec tmpfs "$MADE/run"
	start_supervise
	wait_for ready tool
	wait_for ready web
	[ "$(exe_of tool)" = /nap ]
	[ "$(berth exec web cat /proc/1/comm)" = berth-init ]
	# Nobody changes it, who is root in there either.
	run -1 berth exec web sh -c ': >/proc/1/exe'
	has 'Read-only file system'
	stop_supervise
	umount "$MADE/run"/img/* 2>/dev/null || true
}

@test "a disk that is too small for a bundle is left as it was, and RunDir= serves" {
	tool one
	head -c 4M /dev/urandom >"$MADE/big"
	pack "kit=$MADE/tool" "kit=$MADE/nap" "kit=$MADE/big"
	mount -t tmpfs -o size=2M tmpfs "$STATE"
	start_supervise
	wait_for ready tool
	wait_until 5 naps
	[[ "$(contents)" == "$RUNTIME/bundles/kit-"* ]]
	[ -z "$(find "$STATE/bundles" -mindepth 1)" ]
	# Nor is there room in RunDir=: it says so, and leaves nothing there either, between two tries.
	reboot_run
	mount -t tmpfs -o size=3M tmpfs "$RUNTIME"
	start_supervise
	wait_for backoff tool
	run berth why tool
	has 'No space left on device'
	nothing() { [ -z "$(contents)" ]; }
	wait_until 5 nothing
}

@test "without an appliance file, bundles are directories; what is not there is told by the check" {
	tool one
	run -1 berth check
	has 'Bundle: kit was not found: pack it with'
	echo "BundlePath=$MADE/bundles" >>"$UNITS/berth.conf"
	run -1 berth check
	has "Bundle: kit was not found; searched $MADE/bundles/kit"
	mkdir -p "$MADE/bundles/kit"
	cp "$MADE/nap" "$MADE/bundles/kit/"
	run -1 berth check
	has "ExecStart: the bundle kit in $MADE/bundles/kit has no program tool"
	cp "$MADE/tool" "$MADE/bundles/kit/"
	start_supervise
	wait_for ready tool
	wait_until 5 naps
	[ "$(exe_of tool)" = "$MADE/bundles/kit/nap" ]
	run -1 "$PACKER" --config "$UNITS" pack --bundle "kti=$MADE/tool" -o "$FILE"
	has 'no unit has [X-Berth] Bundle=kti'
	run -1 "$PACKER" --config "$UNITS" pack --bundle "kit=$MADE/nowhere" -o "$FILE"
	has 'NAME=PROGRAM is expected'
	# What it names is packed from there, too.
	"$PACKER" --config "$UNITS" pack -o "$FILE"
	run -0 "$FILE" bundle ls
	has 'kit/tool'
}

# ---- the host's own ---------------------------------------------------------------------------------

@test "the host's own is found by its socket, and when it is gone ours is started" {
	listener rt
	sed -i 's|^\[X-Berth\]|&\nPreferHost=unix:/run/nobody.sock unix:/run/host.sock|' "$UNITS/rt.service"
	unit user.service <<-EOT
		[Unit]
		Requires=rt.service
		After=rt.service
		[Service]
		ExecStart=$(command -v sleep) 1000
		[Install]
		WantedBy=default.target
	EOT
	socat UNIX-LISTEN:/run/host.sock,fork /dev/null 3>&- 4>&- &
	host=$!
	wait_until 5 test -S /run/host.sock
	start_supervise
	wait_for external rt
	wait_for ready user
	[ "$(pid_of rt)" = 0 ]
	[ ! -e /run/rt.sock ]
	run -0 berth status rt
	has "external (the host's own answers: unix:/run/host.sock)"
	run -0 berth why rt
	has 'rt is not started: PreferHost='
	pid=$(pid_of user)
	end_supervise
	start_supervise
	wait_for external rt
	[ "$(pid_of user)" = "$pid" ]
	berth stop rt
	wait_for inactive rt
	berth start rt user
	wait_for external rt
	kill -KILL "$host"
	wait "$host" || true
	wait_for ready rt
	[ "$(pid_of rt)" != 0 ]
	[ -S /run/rt.sock ]
	grep -q "rt: the host's own is gone: unix:/run/host.sock: Connection refused" "$BATS_TEST_TMPDIR/supervise.log"
	wait_for ready user
}

@test "a program of the host is taken before the bundle, while it is there" {
	tool one
	sed -i "s|^Bundle=.*|&\nPreferHost=/nowhere/tool $MADE/host/tool|" "$UNITS/tool.service"
	pack "kit=$MADE/tool" "kit=$MADE/nap"
	mkdir "$MADE/host"
	cp "$MADE/nap" "$MADE/host/nap"
	sed 's/one/host/' "$MADE/tool" >"$MADE/host/tool"
	chmod 755 "$MADE/host/tool"
	start_supervise
	wait_for ready tool
	wait_until 5 naps
	[ "$(exe_of tool)" = "$MADE/host/nap" ]
	rm "$MADE/host/tool"
	berth restart tool
	wait_until 5 naps
	[[ "$(exe_of tool)" == "$STATE/bundles/kit-"*/nap ]]
}

# ---- the whole, with a real one -----------------------------------------------------------------------

# ctr_works: what the bundle brought talks to what it brought.
ctr_works() {
	local ctr
	ctr=$(dirname "$(exe_of containerd)")/ctr
	"$ctr" -a /run/containerd-berth/containerd.sock version | grep -q '^Server:'
}
metric() { berth metrics | sed -n "s/^$1{unit=\"containerd.service\"} //p"; }

@test "containerd out of one file: started, used, killed, adopted, replaced, stopped" {
	command -v containerd >/dev/null && command -v ctr >/dev/null || skip "containerd is not installed"
	cp "$REPO"/examples/containerd.{service,toml} "$UNITS/"
	sed -i "s|%S|$BATS_TEST_TMPDIR/containerd|" "$UNITS/containerd.toml"
	pack "containerd=$(command -v containerd)" "containerd=$(command -v ctr)"
	start_supervise
	wait_for ready containerd 30
	ctr_works
	[ "$(stat -c %a "$RUNTIME/conf/containerd")" = 600 ]
	grep -qx '  address = "/run/containerd-berth/containerd.sock"' "$RUNTIME/conf/containerd"
	run berth status containerd
	has 'last start: ready in'
	echo "# $(berth status containerd | sed -n 's/^ *last start: //p')" >&3
	[ "$(metric berth_unit_running)" = 1 ]
	[ "$(metric berth_unit_restarts_total)" = 0 ]
	# Prepared, then started, then ready; the process is younger than a minute.
	awk -v a="$(metric berth_unit_prepare_seconds)" -v b="$(metric berth_unit_start_seconds)" \
		-v c="$(metric berth_unit_ready_seconds)" -v t="$(metric berth_unit_start_time_seconds)" -v now="$(date +%s)" \
		'BEGIN { exit !(a > 0 && b > 0 && b > a && c > b && now - t > -2 && now - t < 60) }'

	pid=$(pid_of containerd)
	kill -KILL "$pid"
	wait_restarted containerd "$pid"
	wait_for ready containerd 30
	ctr_works
	[ "$(metric berth_unit_restarts_total)" = 1 ]

	pid=$(pid_of containerd)
	kill_supervise
	start_supervise
	wait_for ready containerd
	[ "$(pid_of containerd)" = "$pid" ]
	[ -n "$(metric berth_unit_ready_seconds)" ]
	awk -v up="$(metric berth_unit_uptime_seconds)" 'BEGIN { exit !(up > 0 && up < 60) }'
	ctr_works

	# Another content: the running one is replaced, and what it left goes.
	old=$(dirname "$(exe_of containerd)")
	cp "$(command -v containerd)" "$MADE/containerd"
	echo >>"$MADE/containerd"
	"$PACKER" --config "$UNITS" pack --bundle "containerd=$MADE/containerd" --bundle "containerd=$(command -v ctr)" \
		-o "$MADE/next"
	end_supervise
	mv "$MADE/next" "$FILE"
	start_supervise
	wait_restarted containerd "$pid"
	wait_for ready containerd 30
	[ "$(exe_of containerd)" != "$old/containerd" ]
	cmp "$MADE/containerd" "$(exe_of containerd)"
	[ ! -e "$old" ]
	ctr_works

	berth stop containerd
	[ "$(row containerd | jq -c .last_exit.code)" = 0 ]
	[ "$(metric berth_unit_running)" = 0 ]
	stop_supervise
	run -1 berth metrics
	has 'no supervisor answers'
}
