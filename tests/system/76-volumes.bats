#!/usr/bin/env bats
# Volumes: made and filled once and whole, whoever dies meanwhile; mounted where a unit says so.
load ../lib/system.bash

prepare() {
	need_root_fs busybox
	IMAGE=$BATS_TEST_TMPDIR/image
	VOLUMES=$STATE/volumes
	CANARY=$BATS_TEST_TMPDIR/canary
	mkdir -p "$IMAGE" "$CANARY"
	cp -a "$ROOTS/busybox/." "$IMAGE/"
	mkdir -p "$IMAGE/srv/deep"
	echo one >"$IMAGE/srv/file"
	echo two >"$IMAGE/srv/deep/file"
	ln -s "$CANARY" "$IMAGE/srv/out"
	chown -hR 70:80 "$IMAGE/srv"
	chmod 2750 "$IMAGE/srv"
	echo canary >"$CANARY/file"
}
finish() {
	stop_supervise
	if [ -n "${HANG:-}" ]; then
		kill -KILL "$HANG" 2>/dev/null || true
		wait "$HANG" 2>/dev/null || true
		umount -l "$BATS_TEST_TMPDIR/dead" 2>/dev/null || true
	fi
}

# container NAME LINE…: sleeps; the lines are of its [Container].
container() {
	local name=$1
	shift
	{
		printf '[Container]\nRootfs=%s\nNetwork=none\nStopSignal=SIGKILL\n' "$IMAGE"
		printf 'Exec=busybox sleep 1000000\n'
		printf '%s\n' "$@"
		printf '[Install]\nWantedBy=default.target\n'
	} | unit "$name.container"
}
within() { berth exec "$@"; }
canary_lives() { [ "$(cat "$CANARY/file")" = canary ] && [ "$(stat -c %u:%g "$CANARY" "$CANARY/file" | sort -u)" = 0:0 ]; }
volumes_whole() { [ -z "$(find "$VOLUMES" -name '.*.new' -o -name '.berth-copy*')" ]; }

@test "a new volume is filled from the image, with owners and modes, and shared" {
	container first Volume=data:/srv
	container second Volume=data:/srv/deep Volume=data:/elsewhere:ro
	printf '[Unit]\nAfter=first.service\n' >>"$UNITS/second.container"
	container third Volume=bare:/srv:nocopy
	start_supervise
	for name in first second third; do wait_for ready $name; done
	[ "$(stat -c %u:%g:%a "$VOLUMES/data" "$VOLUMES/data/file")" = $'70:80:2750\n70:80:644' ]
	[ "$(within second cat /elsewhere/file /elsewhere/deep/file)" = $'one\ntwo' ]
	run within second touch /elsewhere/x
	has 'Read-only'
	[ -z "$(ls -A "$VOLUMES/bare")" ]
	# What it holds is its own from now on, over restarts and a death of berth.
	within first sh -c 'echo mine >/srv/file; rm -r /srv/deep'
	kill_supervise
	start_supervise
	berth restart first
	[ "$(within first cat /srv/file)" = mine ]
	[ ! -e "$VOLUMES/data/deep" ]
	volumes_whole
	canary_lives
}

@test "VOLUME of the image keeps its data, unless the unit says what is there" {
	echo '{"config":{"Volumes":{"/srv":{},"/www":{},"/../up":{}}}}' >"$IMAGE.image.json"
	container web Volume=/own Tmpfs=/www
	start_supervise
	wait_for ready web
	[ "$(find "$VOLUMES" -mindepth 1 -maxdepth 1 -name 'web-anon-*' | wc -l)" = 2 ]
	within web sh -c 'echo kept >/srv/file; echo kept >/own/file; echo lost >/www/file'
	berth restart web
	[ "$(within web cat /srv/file /own/file)" = $'kept\nkept' ]
	run within web cat /www/file
	has 'No such file'
	run berth check
	has 'Volumes: "/../up" of the image is left out'
}

@test "an image whose VOLUME is a link to / or into /proc mounts nothing there" {
	ln -s / "$IMAGE/root-link"
	ln -s /proc "$IMAGE/proc-link"
	ln -s "$CANARY" "$IMAGE/out-link"
	echo '{"config":{"Volumes":{"/root-link":{}}}}' >"$IMAGE.image.json"
	container web
	container proc Volume=data:/proc-link
	container out Volume=other:/out-link
	start_supervise
	wait_for failed web
	run berth why web
	has 'mount on /root-link: the image has a link to its root there'
	[ -z "$(find "$VOLUMES"/web-anon-* -mindepth 1)" ]
	wait_for failed proc
	run berth why proc
	has 'a link into /proc or /sys there'
	wait_for failed out
	canary_lives
}

@test ":U gives a volume to the user, follows no link and crosses no mount" {
	mkdir -p "$VOLUMES/data/sub" "$VOLUMES/data/mounted"
	ln -s "$CANARY/file" "$VOLUMES/data/link"
	ln -s "$CANARY" "$VOLUMES/data/dir"
	echo x >"$VOLUMES/data/sub/file"
	mount -t tmpfs tmpfs "$VOLUMES/data/mounted"
	touch "$VOLUMES/data/mounted/not-ours"
	# As a database changes its uid between two releases of its image.
	container db User=70:80 Volume=data:/data:U
	start_supervise
	wait_for ready db
	[ "$(stat -c %u:%g "$VOLUMES"/data{,/sub,/sub/file,/link,/dir} | sort -u)" = 70:80 ]
	[ "$(stat -c %u "$VOLUMES/data/mounted/not-ours")" = 0 ]
	within db sh -c 'echo new >/data/sub/new'
	stop_supervise
	sed -i 's/^User=.*/User=999:999/' "$UNITS/db.container"
	start_supervise
	wait_for ready db
	[ "$(stat -c %u "$VOLUMES"/data/sub/{file,new} | sort -u)" = 999 ]
	within db sh -c 'echo newer >/data/sub/new'
	umount "$VOLUMES/data/mounted"
	canary_lives
}

# Returns as soon as somebody fills the volume, or has filled it.
filling() {
	local end=$((SECONDS + 10 * SLOW))
	until [ -e "$VOLUMES/.data.new/deep" ] || [ -e "$VOLUMES/data/.berth-copy.new/deep" ] || [ -e "$VOLUMES/data/file" ]; do
		[ $SECONDS -lt $end ] || return 1
	done
}

# at_point MS|whole
at_point() {
	case $1 in whole) wait_until 20 test -e "$VOLUMES/data/file" ;; *) sleep "0.$1" ;; esac
}

# The supervisor, and whoever fills the volume.
kill_both() {
	kill_supervise
	find "$(cgroup_top)" -path '*/c/web/*' -name cgroup.kill -exec sh -c 'for f; do echo 1 >"$f"; done' sh {} +
}

@test "killed anywhere in its first start, a volume is there wholly or not at all" {
	for i in $(seq 2000); do echo "$i" >"$IMAGE/srv/deep/$i"; done
	container web Volume=data:/srv
	printf '[Service]\nRestart=always\n' >>"$UNITS/web.container"
	whole=0 none=0
	for point in 000 002 004 007 010 015 030 060 120 whole; do
		rm -rf "$VOLUMES/data"
		# Every second time into a volume that was made by hand.
		by_hand=$((1 - ${by_hand:-0}))
		[ $by_hand = 0 ] || mkdir -p "$VOLUMES/data"
		spawn_supervise
		filling
		at_point "$point"
		kill_both
		if [ -e "$VOLUMES/data/file" ]; then
			whole=$((whole + 1))
			[ "$(find "$VOLUMES/data/deep" -type f | wc -l)" = 2001 ]
			[ "$(stat -c %u:%g:%a "$VOLUMES/data")" = 70:80:2750 ]
		else
			none=$((none + 1))
			[ ! -e "$VOLUMES/data/deep" ]
		fi
	done
	echo "# whole at $whole points of 10" >&3
	start_supervise
	wait_for ready web
	[ "$(within web sh -c 'ls /srv/deep | wc -l')" = 2001 ]
	[ "$none" -gt 0 ] && [ "$whole" -gt 0 ]
	volumes_whole
}

# Each process that is there for the disk of the machine goes with a power cut; so does what no sync
# has brought to it: the image of the disk as it is, mounted as after a boot.
@test "at a power cut a volume is there wholly or not at all" {
	for i in $(seq 500); do echo "$i" >"$IMAGE/srv/deep/$i"; done
	truncate -s 32M "$BATS_TEST_TMPDIR/disk"
	mke2fs -q -t ext4 "$BATS_TEST_TMPDIR/disk"
	mkdir "$BATS_TEST_TMPDIR/after"
	mount -o loop "$BATS_TEST_TMPDIR/disk" "$STATE"
	container web Volume=data:/srv
	printf '[Service]\nRestart=always\n' >>"$UNITS/web.container"
	whole=0
	for point in 000 002 004 008 015 whole; do
		spawn_supervise
		filling
		at_point "$point"
		kill_both
		cp --sparse=always "$BATS_TEST_TMPDIR/disk" "$BATS_TEST_TMPDIR/cut"
		mount -o loop "$BATS_TEST_TMPDIR/cut" "$BATS_TEST_TMPDIR/after"
		if [ -e "$BATS_TEST_TMPDIR/after/volumes/data" ]; then
			whole=$((whole + 1))
			[ "$(find "$BATS_TEST_TMPDIR/after/volumes/data/deep" -type f -size +0 | wc -l)" = 501 ]
			[ "$(cat "$BATS_TEST_TMPDIR/after/volumes/data/file")" = one ]
		fi
		umount "$BATS_TEST_TMPDIR/after"
		rm -rf "$VOLUMES/data"
	done
	echo "# whole at $whole points of 6" >&3
	start_supervise
	wait_for ready web
	cp --sparse=always "$BATS_TEST_TMPDIR/disk" "$BATS_TEST_TMPDIR/cut"
	mount -o loop "$BATS_TEST_TMPDIR/cut" "$BATS_TEST_TMPDIR/after"
	[ "$(find "$BATS_TEST_TMPDIR/after/volumes/data/deep" -type f -size +0 | wc -l)" = 501 ]
	umount "$BATS_TEST_TMPDIR/after"
	stop_supervise
	umount "$STATE"
}
