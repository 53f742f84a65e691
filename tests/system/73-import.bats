#!/usr/bin/env bats
# berth image import, from the outside: what people have becomes an image, runs, and can be looked at;
# what is broken, or has no room, leaves nothing. The forms themselves: tests/suite/26-import. Cost: 8 s.
load ../lib/system

prepare() {
	need_root_fs busybox
	STORE=$STATE/store
	MADE=$BATS_TEST_TMPDIR/made
	mkdir "$MADE"
}

image() { berth image "$@"; }
nothing_in() { [ -z "$(cd "$STORE" && find layers images names tmp trash -mindepth 1)" ]; }
id_of() { image ls -a --json | jq -r ".[] | select(.name == \"localhost/$1\").id"; }

web() {
	unit web.container <<-EOT
		[Container]
		Image=${1:-web}
		Exec=httpd -f -h /www
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
}
serves() { inside web busybox wget -q -O - http://127.0.0.1/ | grep -q .; }

@test "a directory, an archive, a pipe and a file system become images that run" {
	command -v mkfs.erofs >/dev/null || skip "mkfs.erofs is not installed"
	tar -C "$ROOTS/busybox" -czf "$MADE/packed.tar.gz" .
	mkfs.erofs "$MADE/whole.erofs" "$ROOTS/busybox" >/dev/null
	run -0 image import --name tree "$ROOTS/busybox"
	has 'localhost/tree:latest: '
	has 'in 1 layer'
	run -0 image import "$MADE/packed.tar.gz"
	has 'localhost/packed:latest'
	image import --name piped - <"$MADE/packed.tar.gz"
	run -0 image import "$MADE/whole.erofs"
	has 'localhost/whole:latest'
	[ "$(id_of whole:latest)" = "$(sha256sum "$MADE/whole.erofs" | cut -c1-64)" ]
	[ "$(id_of piped:latest)" = "$(id_of packed:latest)" ]
	run -0 image verify
	[ "$(grep -c whole <<<"$output")" = 3 ]
	for name in tree packed whole; do
		web $name
		start_supervise
		wait_for ready web
		serves
		pid=$(pid_of web)
		kill -KILL "$pid"
		stop_supervise
	done
	# A file system of the store is mounted once.
	start_supervise
	wait_for ready web
	mounts=$(grep -c "$RUNTIME/img/" /proc/self/mountinfo)
	berth restart web
	[ "$(grep -c "$RUNTIME/img/" /proc/self/mountinfo)" = "$mounts" ]
}

@test "an import replaces, keeps the one before, and removes the one before that" {
	for n in 1 2 3; do
		mkdir "$MADE/$n"
		echo "$n" >"$MADE/$n/file"
	done
	image import --name web "$MADE/1"
	first=$(id_of web:latest)
	run -0 image import --name web "$MADE/2"
	has "before: ${first:0:12} (berth image rollback)"
	has 'berth reload'
	second=$(id_of web:latest)
	run -0 image import --name web --json "$MADE/3"
	[ "$(jq -r '.names[0].previous' <<<"$output")" = "$second" ]
	[ ! -e "$STORE/images/$first" ]
	[ -e "$STORE/images/$second" ]
	# The same once more changes nothing.
	third=$(id_of web:latest)
	run -0 image import --name web "$MADE/3"
	[ "$(cat "$STORE/names/localhost+web:latest")" = "sha256:$third
sha256:$second" ]
	image rm web
	nothing_in
}

@test "what an import removes goes in the background, at idle priority, or by the next one" {
	command -v strace >/dev/null || skip "strace is not installed"
	for n in 1 2 3 4; do
		mkdir "$MADE/$n"
		echo "$n" >"$MADE/$n/file"
	done
	image import --name web "$MADE/1"
	image import --name web "$MADE/2"
	# Stopped before it begins to remove.
	strace -f -qq -o "$MADE/trace" -e trace=sched_setscheduler,ioprio_set \
		-e inject=sched_setscheduler:signal=STOP \
		"$BERTH" --config "$UNITS" --run-dir "$RUNTIME" image import --name web "$MADE/3" \
		>"$MADE/said" 2>&1 3>&- 4>&- &
	tracer=$!
	said() { grep -q 'removed 1 image' "$MADE/said" && grep -q SCHED_IDLE "$MADE/trace"; }
	wait_until 10 said
	remover=$(awk '/SCHED_IDLE/ { print $1 }' "$MADE/trace")
	grep -q "^$remover *ioprio_set(.*IOPRIO_CLASS_IDLE" "$MADE/trace"
	only_remover() { [ "$(pgrep -P "$tracer" | wc -l)" = 0 ] && grep -q '^State:.[tT]' "/proc/$remover/status"; }
	wait_until 10 only_remover
	[ -n "$(ls -A "$STORE/trash")" ]
	run -0 image ls
	kill -KILL "$remover"
	wait "$tracer" || true
	[ -n "$(ls -A "$STORE/trash")" ]
	# The next one takes that along.
	image import --name web "$MADE/4"
	emptied() { [ -z "$(ls -A "$STORE/trash")" ]; }
	wait_until 10 emptied
	run -0 image verify web
}

@test "what is broken in the source leaves nothing" {
	tar -C "$ROOTS/busybox" -czf "$MADE/good.tar.gz" .
	size=$(stat -c %s "$MADE/good.tar.gz")
	head -c $((size / 2)) "$MADE/good.tar.gz" >"$MADE/cut.tar.gz"
	run -1 image import "$MADE/cut.tar.gz"
	has 'image import'
	nothing_in
	echo nonsense >"$MADE/nonsense.tar"
	run -1 image import "$MADE/nonsense.tar"
	run -1 image import "$MADE/nowhere.tar"
	has 'No such file'
	run -1 image import --name 'a b' "$MADE/good.tar.gz"
	has 'is not the name of an image'
	# It has no name: nobody could ask for it.
	run -1 image import - <"$MADE/good.tar.gz"
	has '--name'
	nothing_in
	run -2 image import
	run -2 image nix
	# What a file cannot be called, an image can.
	cp "$MADE/good.tar.gz" "$MADE/-x y.tar.gz"
	cd "$MADE"
	run -1 image import -- '-x y.tar.gz'
	has '--name'
	run -0 image import --name odd -- '-x y.tar.gz'
}

@test "a byte that changes on the disk is found, discarded and brought anew" {
	mkdir "$MADE/root"
	seq 10000 >"$MADE/root/file"
	image import --name web "$MADE/root"
	run -0 image verify web
	has 'whole'
	layer=$(echo "$STORE"/layers/*)
	printf X | dd of="$layer/file" bs=1 seek=5000 conv=notrunc 2>/dev/null
	run -1 image verify
	has 'it is not what was imported'
	has 'verify --discard'
	# A layer that is there is taken for what it is called.
	image import --name web "$MADE/root"
	run -1 image verify
	run -1 image verify --discard
	[ ! -e "$layer" ]
	image import --name web "$MADE/root"
	run -0 image verify --json
	[ "$(jq '.[0].broken | length' <<<"$output")" = 0 ]
	cmp "$MADE/root/file" "$layer/file"
	# The same of what an image says of itself.
	chmod 700 "$layer/file"
	run -1 image verify web
}

@test "setuid programs of an image are out of reach of the users of the host" {
	mkdir "$MADE/root"
	cp "$ROOTS/busybox/bin/busybox" "$MADE/root/su"
	chmod 4755 "$MADE/root/su"
	image import --name web "$MADE/root"
	su=$(find "$STORE/layers" -name su)
	[ "$(stat -c %a "$su")" = 4755 ]
	chmod 755 "$STATE" # where the store is, is for root alone by itself
	run ! setpriv --reuid 65534 --regid 65534 --clear-groups "$su" true
	run ! setpriv --reuid 65534 --regid 65534 --clear-groups ls "$STORE/layers"
}

@test "no room: refused before the work, or ended, and nothing stays" {
	umount "$STATE" 2>/dev/null || true
	mount -t tmpfs -o size=40M tmpfs "$STATE"
	mkdir "$MADE/large"
	head -c 45M /dev/urandom >"$MADE/large/file"
	run -1 image import "$MADE/large"
	has 'are missing'
	has 'kept for berth'
	nothing_in
	# From a pipe it is not known how much comes.
	tar -C "$MADE/large" -cf "$MADE/large.tar" .
	run -1 image import --name large - <"$MADE/large.tar"
	nothing_in
	# The reserve is not touched while it works: 5 % of 40 M.
	mkdir "$MADE/fits"
	head -c 30M /dev/urandom >"$MADE/fits/file"
	run -0 image import "$MADE/fits"
	head -c 9M /dev/urandom >"$MADE/fits/file"
	run -1 image import --name other "$MADE/fits"
	has 'are missing'
	run -0 image df --json
	[ "$(jq .reserve <<<"$output")" = $((40 * 1024 * 1024 / 20)) ]
	umount "$STATE"
}

@test "an image of 2 GiB comes through a pipe, and runs" {
	large_unit "$MADE/tree"
	tar -C "$MADE/tree" -c . | zstd -q -1 | image import --name large -
	run -0 image verify
	start_supervise
	wait_until 60 large_is_whole
}

@test "it tells how far it is: lines, a bar, JSON" {
	mkfifo "$MADE/pipe"
	tar -C "$ROOTS/busybox" -cf "$MADE/root.tar" .
	slowly() {
		local size half
		size=$(stat -c %s "$MADE/root.tar")
		half=$((size / 2 / 512 * 512))
		head -c $half "$MADE/root.tar"
		sleep 1.3
		tail -c +$((half + 1)) "$MADE/root.tar" | head -c 300000
		sleep 0.3
		tail -c +$((half + 300001)) "$MADE/root.tar"
	}
	slowly | image import --name lines - >"$MADE/out" 2>"$MADE/err"
	grep -q '^berth: image import -: [0-9]*%, ' "$MADE/err"
	grep -q 'localhost/lines' "$MADE/out"
	slowly | image import --name json --json - >"$MADE/out" 2>"$MADE/err"
	[ "$(jq -s '[.[] | select(.progress.done > 0)] | length > 0' "$MADE/out")" = true ]
	[ "$(tail -n 1 "$MADE/out" | jq -r '.names[0].name')" = localhost/json:latest ]
	command -v script >/dev/null || skip "script is not installed: no terminal to draw on"
	slowly >"$MADE/pipe" 3>&- 4>&- &
	TERM=xterm script -qec "'$BERTH' --config '$UNITS' image import --name bar - <'$MADE/pipe'" "$MADE/typed" >/dev/null
	wait
	grep -q "$(printf '\r\033\\[K')image import - " "$MADE/typed"
	# It is gone when the result is there.
	tail -n 3 "$MADE/typed" | grep -q 'localhost/bar:latest'
}
