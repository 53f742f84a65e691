#!/usr/bin/env bats
# Images out of a registry: `berth image pull`, and containers that start from what it got. What can go
# wrong on the way is tests/suite/27-pull's. Cost: 20 s.
# shellcheck disable=SC2030,SC2031,SC2034 # bats runs a test in the shell that set its variables
load ../lib/system

prepare() {
	[ -x "$O/berth-fetch" ] || skip "berth-fetch is not built"
	need_root_fs busybox
	registry &
	REGISTRY=$!
	wait_until 30 test -s "$BATS_TEST_TMPDIR/port"
	HOST=127.0.0.1:$(<"$BATS_TEST_TMPDIR/port")
	echo "RegistryMirror=registry.invalid http://$HOST" >>"$UNITS/berth.conf"
}

finish() {
	! mountpoint -q "$STATE" || umount -l "$STATE"
	[ -z "${REGISTRY:-}" ] || kill "$REGISTRY" 2>/dev/null || true
}

# Our registry, in which busybox lies as x/box:1 and x/box:2 (which has /two); a request writes a line.
registry() {
	exec 3>&- 4>&-
	exec env PYTHONPATH="$REPO/tests/lib" python3 - "$ROOTS/busybox" "$BATS_TEST_TMPDIR" <<-'EOT'
		import gzip, io, os, sys, tarfile, time
		from registry import Image, OCI, Registry, compact, digest
		root, here = sys.argv[1:]
		def layer(*add):
		    out = io.BytesIO()
		    with tarfile.open(fileobj=out, mode="w") as tar:
		        for name, path in add:
		            tar.add(path, name)
		    return out.getvalue()
		def image(*tars):
		    made = Image()
		    made.config = compact({"os": "linux", "architecture": os.uname().machine.replace(
		        "x86_64", "amd64").replace("aarch64", "arm64"), "config": {"Cmd": ["sleep", "1000"]},
		        "rootfs": {"type": "layers", "diff_ids": [digest(t) for t in tars]}})
		    made.blobs.clear()
		    made.manifest["config"] = made.add(made.config, OCI + "config.v1+json")
		    made.manifest["layers"] = [made.add(gzip.compress(t, 1), OCI + "layer.v1.tar+gzip")
		                               for t in tars]
		    return made
		box, two = layer((".", root)), layer(("two", "/etc/hostname"))
		server = Registry()
		server.put(image(box), "x/box", "1")
		server.put(image(box, two), "x/box", "2")
		server.put(image(box), "x/moving", "latest")
		def hook(handler, path):
		    open(here + "/requests", "a").write(path + "\n")
		    server.auth = "basic" if os.path.exists(here + "/auth") else None
		    if os.path.exists(here + "/moved"):
		        server.put(image(box, two), "x/moving", "latest")
		    while os.path.exists(here + "/hold") and "/blobs/" in path:
		        time.sleep(0.02)
		    return False
		server.hook = hook
		open(here + "/port", "w").write(str(server.server_address[1]))
		time.sleep(1000)
	EOT
}

requests() { grep -c . "$BATS_TEST_TMPDIR/requests" 2>/dev/null || true; }
pull() { berth image pull "$@"; }

@test "an image is pulled, by its mirror, and a container starts from it" {
	run -0 pull registry.invalid/x/box:1
	has "registry.invalid/x/box:1: "
	unit web.container <<-EOT
		[Container]
		Image=registry.invalid/x/box:1
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready web
	[ -z "$(ls "$STATE/store/tmp")" ]
}

@test "what is there is not fetched again, and what has changed is" {
	run -0 pull registry.invalid/x/moving
	before=$(requests)
	run -0 pull registry.invalid/x/moving
	has ", as before"
	[ "$(requests)" = $((before + 1)) ]
	run -0 pull --policy missing registry.invalid/x/moving
	[ "$(requests)" = $((before + 1)) ]
	touch "$BATS_TEST_TMPDIR/moved"
	run -0 pull --json registry.invalid/x/moving
	[ "$(jq -r '.names[0].previous | length' <<<"${lines[-1]}")" = 64 ]
	# Of the two layers there was one.
	run -0 berth image verify registry.invalid/x/moving
}

@test "policies, when the registry is not there" {
	run -1 pull --policy never registry.invalid/x/box:1
	has "is never to be pulled"
	run -0 pull registry.invalid/x/box:1
	kill "$REGISTRY"
	wait_until 5 gone "$REGISTRY"
	run -0 pull --policy missing registry.invalid/x/box:1
	run -0 pull --policy never registry.invalid/x/box:1
	run -0 pull --policy newer registry.invalid/x/box:1
	has "what is there stays"
	run -1 pull registry.invalid/x/box:1
	has "does not resolve"
	run -1 pull --policy missing registry.invalid/x/box:2
	has "no connection"
	[ -z "$(ls "$STATE/store/tmp")" ]
	run -2 pull --policy sometimes registry.invalid/x/box:1
	run -1 pull "../x"
	has "is not the name of an image"
}

@test "without berth-fetch it is said, and all else works" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	cp "$O/berth" "$O/berth-worker" "$BATS_TEST_TMPDIR/bin/"
	# shellcheck disable=SC2030 # for this test
	BERTH=$BATS_TEST_TMPDIR/bin/berth
	run -1 pull registry.invalid/x/box:1
	has "berth-fetch is neither beside berth nor in ../libexec"
	run -0 berth image import --name box "$ROOTS/busybox"
	run -0 pull --policy missing localhost/box
}

@test "killed at any point, the next pull brings it whole" {
	for ms in 5 15 30 50 80 120; do
		# shellcheck disable=SC2031
		timeout -s KILL "$(printf '0.%03d' "$ms")" "$BERTH" --config "$UNITS" image pull -q \
			registry.invalid/x/box:2 || true
	done
	run -0 pull --policy missing registry.invalid/x/box:2
	run -0 berth image verify registry.invalid/x/box:2
	[ -z "$(ls "$STATE/store/tmp")" ]
}

box() {
	unit box.image <<-EOT
		[Image]
		Image=registry.invalid/x/$1
		$2
	EOT
	unit web.container <<-EOT
		[Container]
		Image=box.image
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
}

asked_for_blobs() { grep -q /blobs/ "$BATS_TEST_TMPDIR/requests"; }

@test "a disk that fills up during a pull loses nothing and keeps nothing of it" {
	mount -t tmpfs -o size=24M tmpfs "$STATE"
	mkdir "$BATS_TEST_TMPDIR/tiny"
	echo tiny >"$BATS_TEST_TMPDIR/tiny/file"
	berth image import --name tiny "$BATS_TEST_TMPDIR/tiny"
	touch "$BATS_TEST_TMPDIR/hold"
	pull registry.invalid/x/box:2 >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- 4>&- &
	pulling=$!
	wait_until 10 asked_for_blobs
	dd if=/dev/zero of="$STATE/filler" bs=64k status=none 2>/dev/null || true
	rm "$BATS_TEST_TMPDIR/hold"
	status=0
	wait "$pulling" || status=$?
	[ "$status" = 1 ]
	cat "$BATS_TEST_TMPDIR/said"
	grep -q -e 'No space left on device' -e 'no room in' "$BATS_TEST_TMPDIR/said"
	[ -z "$(find "$STATE/store/tmp" "$STATE/store/trash" -mindepth 1)" ]
	# Of the room that is there, some stays for other things; that is known before a layer comes.
	truncate -s -2M "$STATE/filler"
	rm "$BATS_TEST_TMPDIR/requests"
	run -1 pull registry.invalid/x/box:2
	has "are kept for berth's own state"
	[ -z "$(find "$STATE/store/tmp" "$STATE/store/trash" -mindepth 1)" ]
	run -0 berth image ls
	has tiny
	rm "$STATE/filler"
	run -0 pull registry.invalid/x/box:2
	run -0 berth image verify
	umount "$STATE"
}

@test "a disk that cannot be written says so before anything is fetched" {
	mount -t tmpfs -o size=24M tmpfs "$STATE"
	run -0 pull registry.invalid/x/box:1
	# The kernel lets go of a directory that Landlock had a rule for a moment after the last process.
	wait_until 5 mount -o remount,ro "$STATE"
	: >"$BATS_TEST_TMPDIR/requests"
	run -1 pull registry.invalid/x/box:2
	has 'mounted read-only: remount it'
	[ ! -s "$BATS_TEST_TMPDIR/requests" ]
	run -0 berth image ls
	has 'registry.invalid/x/box:1'
	run -1 berth image rm registry.invalid/x/box:1
	has 'mounted read-only: remount it'
	umount "$STATE"
}

@test "a container waits for the pull of its .image, and starts" {
	touch "$BATS_TEST_TMPDIR/hold"
	box box:1
	run -0 berth check
	start_supervise
	# The pull hangs; nothing else does, and no start timeout runs.
	wait_until 10 grep -q /blobs/ "$BATS_TEST_TMPDIR/requests"
	in_state waiting web
	run berth why web
	has box.image
	ps_answers_at_once
	# Who speaks with the network is held to a cgroup with limits, and to the calls of a client.
	fetcher=$(pgrep -x berth-fetch)
	grep -qE '^0::.*/workers/import-[0-9]+$' "/proc/$fetcher/cgroup"
	grep -q '^Seccomp:.2$' "/proc/$fetcher/status"
	rm "$BATS_TEST_TMPDIR/hold"
	wait_for ready web 20
	wait_for 'done' box.image
	run -0 berth image ls
	has registry.invalid/x/box
}

@test "an appliance file pulls by itself what was not packed" {
	box box:1
	file=$BATS_TEST_TMPDIR/alone/site
	mkdir "${file%/*}"
	run -1 berth pack -o "$file"
	has 'by --fetch'
	run -0 berth pack --fetch -o "$file"
	run -0 "$file" bundle ls
	has berth-fetch
	mv "$UNITS" "$UNITS.away"
	berth() { "$file" "$@"; }
	spawn_supervise() {
		"$file" supervise "$@" 2>>"$BATS_TEST_TMPDIR/supervise.log" >&2 3>&- 4>&- &
		SUPERVISOR=$!
	}
	# /run, from where it would run, is without exec on some.
	mkdir -p /run/berth-appliance
	mount -t tmpfs -o noexec,mode=700 tmpfs /run/berth-appliance
	start_supervise
	wait_for ready web 20
	run -0 berth image pull registry.invalid/x/box:2
	stop_supervise
	umount /run/berth-appliance
	# Without it the words say how to have it.
	mv "$UNITS.away" "$UNITS"
	run -0 "$BERTH" --config "$UNITS" pack -o "$file"
	run -1 "$file" image pull --policy always registry.invalid/x/other
	has '--fetch'
	rm -rf /run/berth-appliance
}

@test "Pull= is a .image of the container's own" {
	unit web.container <<-EOT
		[Container]
		Image=registry.invalid/x/moving
		Pull=missing
		Retry=1
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	run -0 berth check
	start_supervise
	wait_for ready web 20
	stop_supervise
	before=$(requests)
	# missing: what is there is not asked for, nor is anything started for it.
	start_supervise
	wait_for ready web
	in_state inactive web.image
	stop_supervise
	[ "$(requests)" = "$before" ]
	# newer: it is asked for at each start, and what is new is what runs.
	sed -i s/Pull=missing/Pull=newer/ "$UNITS/web.container"
	touch "$BATS_TEST_TMPDIR/moved"
	start_supervise
	wait_for 'done' web.image 20
	wait_for ready web 20
	inside_root web test -e /two
	stop_supervise
	kill "$REGISTRY"
	wait_until 5 gone "$REGISTRY"
	start_supervise
	wait_for ready web 30
	# never, which is what it is without the key.
	sed -i s/Pull=newer/Pull=never/ "$UNITS/web.container"
	run -0 berth check
	sed -i s/moving/other/ "$UNITS/web.container"
	run -1 berth check
	has "registry.invalid/x/other:latest was not found"
}
inside_root() {
	local pid
	pid=$(pid_of "$1")
	shift
	nsenter -t "$pid" -m -r "$@"
}

@test "Pull= where it cannot be" {
	box box:1
	sed -i '2a Pull=always' "$UNITS/web.container"
	run -1 berth check
	has "box.image says by Policy= when it is pulled"
	mkdir "$BATS_TEST_TMPDIR/bin"
	cp "$O/berth" "$O/berth-worker" "$BATS_TEST_TMPDIR/bin/"
	# shellcheck disable=SC2030 # for this test
	BERTH=$BATS_TEST_TMPDIR/bin/berth
	rm "$UNITS/box.image"
	sed -i s/box.image/box/ "$UNITS/web.container"
	run -0 berth check
	has "this machine will not pull docker.io/library/box:latest: berth-fetch is neither"
	# Nobody asks for it.
	sed -i s/Pull=always/Pull=never/ "$UNITS/web.container"
	run -0 berth image import --name box "$ROOTS/busybox"
	sed -i '2a Exec=true' "$UNITS/web.container"
	run -0 berth check
	[[ "$output" != *berth-fetch* ]]
}

@test "what is there needs no network" {
	run -0 pull registry.invalid/x/box:1
	kill "$REGISTRY"
	wait_until 5 gone "$REGISTRY"
	box box:1
	start_supervise
	wait_for ready web
	stop_supervise
	box box:1 Policy=newer
	start_supervise
	wait_for ready web
}

@test "a pull that fails is told, and tried again" {
	box nosuch:1
	start_supervise
	wait_for backoff box.image
	in_state waiting web
	run berth why box.image
	has "exit"
	run berth logs box.image
	has "it does not have that"
}

@test "a reload that fails after a pull is tried again" {
	touch "$BATS_TEST_TMPDIR/hold"
	box box:1
	start_supervise
	wait_until 10 grep -q /blobs/ "$BATS_TEST_TMPDIR/requests"
	echo nonsense >"$UNITS/wrong.container"
	rm "$BATS_TEST_TMPDIR/hold"
	wait_for backoff box.image
	run -0 berth image ls
	has registry.invalid/x/box:1
	rm "$UNITS/wrong.container"
	wait_for ready web 20
}

@test "Creds= reach the registry and no list of processes" {
	touch "$BATS_TEST_TMPDIR/auth" "$BATS_TEST_TMPDIR/hold"
	box box:1 "Creds=ann:pass:word"
	sed -i "s|registry.invalid|$HOST|; \$ a TLSVerify=no" "$UNITS/box.image"
	start_supervise
	wait_until 10 grep -q /blobs/ "$BATS_TEST_TMPDIR/requests"
	run ! grep -lz pass:word /proc/[0-9]*/cmdline /proc/[0-9]*/environ
	[ "$(stat -c %a "$RUNTIME/conf/box.image")" = 600 ]
	rm "$BATS_TEST_TMPDIR/hold"
	wait_for ready web 20
	stop_supervise
	berth image rm -f "$HOST/x/box:1"
	sed -i s/pass:word/other/ "$UNITS/box.image"
	start_supervise
	wait_for backoff box.image
	run berth logs box.image
	has "berth: image pull"
}

@test "a .image that cannot be, and a container of one" {
	box box:1 "Creds=secret"
	run -1 berth check
	has "box.image:3: Creds: write USER:PASSWORD"
	box box:1 ImageTag=x
	run -1 berth check
	has "box.image:3: ImageTag: is for an archive"
	box "../x"
	run -1 berth check
	has "is not the name of an image"
	box box:1 Policy=never
	run -1 berth check
	has "web.container:2: Image: registry.invalid/x/box:1 was not found"
	rm "$UNITS/box.image"
	run -1 berth check
	has "there is no box.image"
}
