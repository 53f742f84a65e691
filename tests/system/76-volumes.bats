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
volumes_whole() { [ -z "$(find "$VOLUMES" -name '.*.new' -o -name '.berth-copy*' -o -name '.*.trash')" ]; }

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

@test "a full disk makes no volume, and is given back what half of one took" {
	mount -t tmpfs -o size=2m tmpfs "$STATE"
	head -c 4M /dev/zero | tr '\\0' x >"$IMAGE/srv/big"
	mkdir -p "$VOLUMES/empty"
	container web Volume=data:/srv
	container two Volume=empty:/srv
	start_supervise
	wait_for failed web
	wait_for failed two
	run berth why web
	has 'copy /srv of the image into the volume data: No space left on device'
	[ "$(ls -A "$VOLUMES")" = empty ]
	[ -z "$(ls -A "$VOLUMES/empty")" ]
	mount -o remount,size=16m "$STATE"
	berth start web two
	[ "$(stat -c %s "$VOLUMES/data/big" "$VOLUMES/empty/big" | sort -u)" = 4194304 ]
	stop_supervise
	umount "$STATE"
}

# ---- mounts -------------------------------------------------------------------------------------

# ext4 FILE: a file with a file system in it.
ext4() {
	truncate -s 8M "$1"
	mke2fs -q -t ext4 -L "${2:-data}" "$1"
}
# mount_unit DIR LINE…: the unit of a directory below the test's own.
mount_unit() {
	local where=$1
	shift
	MOUNT=$(escaped "$where").mount
	{
		printf '[Mount]\nWhere=%s\n' "$where"
		printf '%s\n' "$@"
	} >"$UNITS/$MOUNT"
}
# As systemd-escape --path, which not every machine has.
escaped() {
	local text=${1#/} out='' c i
	for ((i = 0; i < ${#text}; i++)); do
		c=${text:i:1}
		case $c in
		/) out+=- ;;
		[A-Za-z0-9:_.]) out+=$c ;;
		*) out+=$(printf '\\x%02x' "'$c") ;;
		esac
	done
	echo "$out"
}
mounted() { awk -v where="$1" '$5 == where { found = 1 } END { exit !found }' /proc/self/mountinfo; }
not_mounted() { ! mounted "$1"; }

@test "a container waits for the ext4 that its volume lies on, and outlives berth with it" {
	disk=$BATS_TEST_TMPDIR/disk
	ext4 "$disk"
	mnt=/tmp/m$BATS_TEST_NUMBER
	mount_unit "$mnt/a-b" What="$disk" Type=ext4 Options=noatime,nofail,x-systemd.device-timeout=5 DirectoryMode=0700
	container web "Volume=$mnt/a-b:/srv" Volume=named:/named
	run -0 berth check
	has '0 errors'
	start_supervise
	wait_for ready web
	name=${MOUNT//\\/_}
	wait_for ready "$name"
	mounted "$mnt/a-b"
	[ "$(stat -c %a "$mnt")" = 700 ]
	grep -q "$mnt/a-b .*noatime.* - ext4 /dev/loop" /proc/self/mountinfo
	within web sh -c 'echo kept >/srv/file'
	[ "$(cat "$mnt/a-b/file")" = kept ]
	run berth status "$MOUNT"
	has ready
	# It is in use: a stop of the mount stops who needs it first.
	pid=$(pid_of "$name")
	kill_supervise
	mounted "$mnt/a-b"
	start_supervise
	[ "$(pid_of "$name")" = "$pid" ]
	[ "$(state_of "$name")" = ready ]
	berth stop "$MOUNT"
	not_mounted "$mnt/a-b"
	[ "$(state_of web)" = inactive ]
	# Restart: it is the same file system.
	berth start web
	[ "$(within web cat /srv/file)" = kept ]
	# Killed: what is mounted already is taken as it is.
	kill -KILL "$(pid_of "$name")"
	wait_for failed "$name"
	mounted "$mnt/a-b"
	berth start "$MOUNT"
	wait_for ready "$name"
	# Unmounted by somebody else: it is seen, and said. Mounted anew it is the same file system, not a
	# second one of the same file beside the one that the container still has.
	umount "$mnt/a-b"
	wait_for failed "$name"
	berth start "$MOUNT"
	within web sh -c 'echo again >/srv/file'
	[ "$(cat "$mnt/a-b/file")" = again ]
	# Defined otherwise, it is mounted so, and who uses it begins anew.
	run=$(run_of web)
	sed -i s/noatime/noatime,ro/ "$UNITS/$MOUNT"
	berth reload
	web_anew() { [ "$(run_of web)" != "$run" ] && [ "$(state_of web)" = ready ]; }
	wait_until 15 web_anew
	run within web touch /srv/file
	has 'Read-only'
	sed -i s/,ro// "$UNITS/$MOUNT"
	run=$(run_of web)
	berth reload
	wait_until 15 web_anew
	[ "$(within web cat /srv/file)" = again ]
	berth stop web
	umount "$mnt/a-b"
	wait_for failed "$name"
	run berth why "$MOUNT"
	has 'not mounted any more: somebody else unmounted it'
	berth start web
	mounted "$mnt/a-b"
	stop_supervise
	not_mounted "$mnt/a-b"
	run losetup -n -O BACK-FILE
	[[ $output != *"$disk"* ]]
	rm -r "$mnt"
}

@test "a volume on a device: tmpfs, a labelled ext4, a directory, for two containers" {
	ext4 "$BATS_TEST_TMPDIR/disk" labelled
	mkdir -p "$BATS_TEST_TMPDIR/given"
	printf '[Volume]\nDevice=tmpfs\nType=tmpfs\nOptions=size=1m,noexec\nUser=70\nLabel=a=b\n' | unit mem.volume
	printf '[Volume]\nVolumeName=store\nDevice=%s\n' "$BATS_TEST_TMPDIR/disk" | unit disk.volume
	printf '[Volume]\nDevice=%s\nType=none\nOptions=bind\nCopy=no\n' "$BATS_TEST_TMPDIR/given" | unit given.volume
	container one Volume=mem.volume:/mem Volume=disk.volume:/srv
	container two Volume=mem.volume:/mem Volume=disk.volume:/srv Volume=given.volume:/srv/deep:ro
	start_supervise
	wait_for ready one
	wait_for ready two
	# Empty but for lost+found, the new file system has what the image has there.
	[ "$(within two cat /srv/file)" = one ]
	[ "$(stat -c %u "$VOLUMES/store/file")" = 70 ]
	[ "$(stat -c %u:%g "$VOLUMES/mem")" = 70:70 ]
	[ -z "$(ls -A "$BATS_TEST_TMPDIR/given")" ]
	within one sh -c 'echo x >/mem/file'
	[ "$(within two cat /mem/file)" = x ]
	berth restart one
	[ "$(within one cat /mem/file)" = x ]
	run within one dd if=/dev/zero of=/mem/big bs=64k count=32
	has 'No space'
	grep -q "$VOLUMES/mem .*noexec.*size=1024k" /proc/self/mountinfo
	mounted "$VOLUMES/store"
	run -0 berth ps
	has disk.volume
	# The label alone, where a loop device is what has it.
	stop_supervise
	not_mounted "$VOLUMES/store"
	not_mounted "$VOLUMES/mem"
	loop=$(losetup -f --show "$BATS_TEST_TMPDIR/disk")
	sed -i 's/^Device=.*/Device=LABEL=labelled/' "$UNITS/disk.volume"
	start_supervise
	wait_for ready one
	[ "$(within one cat /srv/file)" = one ]
	stop_supervise
	losetup -d "$loop"
}

@test "mounts come one after the other, and go in reverse" {
	mnt=/tmp/m$BATS_TEST_NUMBER
	ext4 "$BATS_TEST_TMPDIR/disk"
	mount_unit "$mnt/low" What="$BATS_TEST_TMPDIR/disk" DirectoryMode=0755
	mount_unit "$mnt/low/high" What=tmpfs Type=tmpfs
	mkdir -p "$BATS_TEST_TMPDIR/src"
	mount_unit "$mnt/bound" What="$mnt/low/high" Options=bind,ro
	printf '[Install]\nWantedBy=local-fs.target\n' >>"$UNITS/$MOUNT"
	printf '[Unit]\nRequiresMountsFor=%s/bound/x\n[Service]\nExecStart=/bin/sleep 1000000\n[Install]\nWantedBy=default.target\n' "$mnt" |
		unit native.service
	start_supervise
	wait_for ready native
	[ "$(awk -v m="$mnt" 'index($5, m) == 1 { printf "%s ", $5 }' /proc/self/mountinfo)" = "$mnt/low $mnt/low/high $mnt/bound " ]
	run touch "$mnt/bound/file"
	has 'Read-only'
	stop_supervise
	run ! grep -q " $mnt" /proc/self/mountinfo
	rm -r "$mnt"
}

@test "what cannot be mounted has words, and holds up nobody else" {
	mnt=/tmp/m$BATS_TEST_NUMBER
	mkdir -p "$mnt/other" "$mnt/link-to"
	ln -s link-to "$mnt/link"
	mount_unit "$mnt/absent" What=/dev/disk/by-label/nowhere TimeoutSec=1
	absent=$MOUNT
	container needs "Volume=$mnt/absent/x:/x"
	echo garbage >"$BATS_TEST_TMPDIR/garbage"
	mount_unit "$mnt/bad" What="$BATS_TEST_TMPDIR/garbage"
	bad=$MOUNT
	mount_unit "$mnt/link/in" What=tmpfs Type=tmpfs
	link=$MOUNT
	mount -t tmpfs other "$mnt/other"
	ext4 "$BATS_TEST_TMPDIR/disk"
	mount_unit "$mnt/other" What="$BATS_TEST_TMPDIR/disk"
	other=$MOUNT
	mount_unit "$mnt/opt" What=tmpfs Type=tmpfs Options=nosuchoption
	opt=$MOUNT
	mount_unit "$mnt/sloppy" What=tmpfs Type=tmpfs Options=nosuchoption SloppyOptions=yes
	sloppy=$MOUNT
	for unit in "$bad" "$link" "$other" "$opt" "$sloppy"; do printf '[Install]\nWantedBy=local-fs.target\n' >>"$UNITS/$unit"; done
	container well
	start_supervise
	wait_for ready well
	wait_for ready "$sloppy"
	wait_for failed "$bad"
	run berth why "$bad"
	has 'no file system that is known is on it'
	has 'DefaultRestart=on-failure in berth.conf'
	wait_for failed "$link"
	run berth why "$link"
	has 'a part of the path is a link'
	wait_for failed "$other"
	run berth why "$other"
	has "other is mounted on $mnt/other (tmpfs)"
	wait_for failed "$opt"
	run berth why "$opt"
	has nosuchoption
	wait_for failed "$absent"
	run berth why "$absent"
	has 'not mounted within 1s (at: wait for the device /dev/disk/by-label/nowhere)'
	wait_for failed needs
	run berth why needs
	has "dependency"
	# In use when it is stopped: it says so, and stays.
	sed -i 's/^\[Mount\]/[Mount]\nTimeoutSec=1/' "$UNITS/$sloppy"
	stop_supervise
	start_supervise
	wait_for ready "$sloppy"
	cd "$mnt/sloppy"
	berth stop "$sloppy"
	run berth why "$sloppy"
	has 'stays mounted: it was in use'
	cd /
	umount "$mnt/sloppy" "$mnt/other"
	stop_supervise
	rm -r "$mnt"
}

# A server of FUSE that never answers, and a mount.TYPE that never ends.
@test "a hanging mount stops nobody else, and is given up in time" {
	dead_begins
	mnt=/tmp/m$BATS_TEST_NUMBER
	mkdir -p "$mnt"
	mount_unit "$mnt/hung" What="$DEAD/data" Options=bind TimeoutSec=1
	hung=$MOUNT
	container needs "Volume=$mnt/hung/x:/x"
	container well
	start_supervise
	wait_for ready well
	[ "$(state_of needs)" = waiting ]
	# The kernel does not let go of who waits for that server: it is said, and nothing else is done.
	wait_until 15 in_one_of "failed unkillable" "$hung"
	run berth logs
	has 'not mounted within 1s (at: mount the file system'
	pid=$(pid_of well)
	berth restart well
	[ "$(pid_of well)" != "$pid" ]
	dead_ends
	wait_for failed "$hung" 15
	stop_supervise
	rm -r "$mnt"
}

# What mount(8) leaves to a program of the type, so does berth: its words are the reason, its server
# lives in the unit's cgroup, and one that never ends is ended.
@test "a type with a mount.TYPE is mounted by it" {
	mnt=/tmp/m$BATS_TEST_NUMBER
	mount -t tmpfs helpers /usr/local/sbin
	cat >/usr/local/sbin/mount.good <<-EOT
		#!/bin/sh
		echo "\$*" >$BATS_TEST_TMPDIR/said
		sleep 1000001 >/dev/null 2>&1 </dev/null &
		exec mount -t tmpfs "\$1" "\$2"
	EOT
	printf '#!/bin/sh\necho "mount.bad: access denied by server" >&2\nexit 32\n' >/usr/local/sbin/mount.bad
	printf '#!/bin/sh\nexec sleep 1000002\n' >/usr/local/sbin/mount.slow
	chmod +x /usr/local/sbin/mount.*
	mount_unit "$mnt/good" What=server:/x Type=good.sub Options=ro,nofail,vers=4
	good=$MOUNT
	mount_unit "$mnt/bad" What=server:/x Type=bad
	bad=$MOUNT
	mount_unit "$mnt/slow" What=server:/x Type=slow TimeoutSec=1
	late=$MOUNT
	for unit in "$good" "$bad" "$late"; do printf '[Install]\nWantedBy=remote-fs.target\n' >>"$UNITS/$unit"; done
	start_supervise
	wait_for ready "$good"
	[ "$(cat "$BATS_TEST_TMPDIR/said")" = "server:/x $mnt/good -o ro,vers=4 -t good.sub" ]
	pgrep -f 'sleep 1000001' | xargs -I{} grep -h "/c/$good/" "/proc/{}/cgroup"
	wait_for failed "$bad"
	run berth why "$bad"
	has 'mount.bad failed: mount.bad: access denied by server'
	wait_for failed "$late"
	run berth why "$late"
	has 'not mounted within 1s (at: mount the file system server:/x)'
	run pgrep -f 'sleep 1000002'
	[ "$status" = 1 ]
	# Another berth finds it as it is.
	kill_supervise
	start_supervise
	[ "$(state_of "$good")" = ready ]
	stop_supervise
	not_mounted "$mnt/good"
	run pgrep -f 'sleep 1000001'
	[ "$status" = 1 ]
	umount /usr/local/sbin
	rm -r "$mnt"
}

@test "a dead server of FUSE is seen: the mount fails, is unmounted, and comes back by DefaultRestart=" {
	[ -x "$O/tests/hang" ] || skip "no libfuse3 here when the tests were built"
	[ -e /dev/fuse ] || skip "no /dev/fuse on this machine"
	mnt=/tmp/m$BATS_TEST_NUMBER
	mount -t tmpfs helpers /usr/local/sbin
	cat >/usr/local/sbin/mount.empty <<-EOT
		#!/bin/sh
		exec $O/tests/hang -a "\$2"
	EOT
	chmod +x /usr/local/sbin/mount.empty
	mount_unit "$mnt/empty" What=server:/x Type=empty
	printf '[Install]\nWantedBy=remote-fs.target\n' >>"$UNITS/$MOUNT"
	echo DefaultRestart=on-failure >>"$UNITS/berth.conf"
	start_supervise
	wait_for ready "$MOUNT"
	keeper=$(pid_of "$MOUNT")
	kill -KILL "$(pgrep -f "hang -a $mnt/empty")"
	wait_restarted "$MOUNT" "$keeper"
	wait_for ready "$MOUNT"
	grep -q "$mnt/empty was unmounted: the server of its file system is dead" "$BATS_TEST_TMPDIR/supervise.log"
	[ "$(grep -c " $mnt/empty " /proc/self/mountinfo)" = 1 ]
	stat "$mnt/empty"
	stop_supervise
	run pgrep -f "hang -a $mnt/empty"
	[ "$status" = 1 ]
	umount /usr/local/sbin
	rm -r "$mnt"
}

# ---- berth volume -------------------------------------------------------------------------------

of_volume() { berth volume inspect "$1" | jq -r ".[0].$2"; }

@test "berth volume lists, makes and removes, and never what is in use or not meant" {
	echo '{"config":{"Volumes":{"/own":{}}}}' >"$IMAGE.image.json"
	printf '[Volume]\nLabel=site=north\n' | unit data.volume
	printf '[Volume]\nDevice=tmpfs\nType=tmpfs\nOptions=size=1m\n' | unit mem.volume
	container web Volume=data.volume:/srv Volume=mem.volume:/mem Volume='odd name:/odd'
	run -1 berth check
	sed -i 's/odd name/odd-name/' "$UNITS/web.container"
	berth volume create spare --uid 70 --mode 0700
	berth volume create forgotten
	[ "$(stat -c %u:%a "$VOLUMES/spare")" = 70:700 ]
	run -1 berth volume create spare
	has 'spare is there already'
	run -1 berth volume create ../up
	has 'is not a name'
	run -0 berth volume ls
	has 'data'
	has 'not made yet'
	start_supervise
	wait_for ready web
	[ "$(of_volume data.volume in_use)" = true ]
	[ "$(of_volume data user)" = web ]
	[ "$(of_volume data labels.site)" = north ]
	[ "$(of_volume data named_by[0])" = web.container ]
	[ "$(of_volume mem mounted)" = true ]
	[ "$(of_volume mem device.type)" = tmpfs ]
	[ "$(berth volume ls --json | jq -r '.[] | select(.kind == "anonymous") | .named_by[0]')" = web.container ]
	run -1 berth volume rm --force data
	has 'data is in use by web (process'
	[ -f "$VOLUMES/data/file" ]
	run -4 berth volume rm nothing
	has 'there is no volume nothing'

	# A container of nobody's: the kernel knows.
	berth stop web
	run -1 berth volume rm mem
	has 'mem is mounted: stop it first'
	unshare -m sh -c "mount --bind $VOLUMES/spare /mnt && exec sleep 1000000" 3>&- 4>&- &
	other=$!
	wait_until 5 grep -qs " /mnt " /proc/$other/mountinfo
	run -1 berth volume rm --force spare
	has 'spare is in use by sleep'
	run -1 berth volume prune </dev/null
	has 'no unit names these volumes'
	has forgotten
	[[ "$output" != *"  spare"* ]]
	[[ "$output" != *"  data"* ]]
	kill -KILL $other
	wait $other 2>/dev/null || true

	run -1 berth volume rm data </dev/null
	has 'data is not empty: with --force'
	[ -f "$VOLUMES/data/file" ]
	berth volume rm --force data
	[ ! -e "$VOLUMES/data" ]
	echo x >"$VOLUMES/forgotten/x"
	run -0 berth volume prune --force --json
	[ "$(jq -rc <<<"$output")" = '["forgotten","spare"]' ]
	[ "$(find "$VOLUMES" -mindepth 1 -maxdepth 1 -name 'web-anon-*' | wc -l)" = 1 ]
	# What a removal that was cut off has left is no volume, and goes at the next start.
	mkdir -p "$VOLUMES/.data.trash/x" "$VOLUMES/.data.new/x"
	run -0 berth volume ls
	[[ "$output" != *trash* ]]
	berth start web
	[ "$(within web cat /srv/file)" = one ]
	kill_supervise
	start_supervise
	wait_until 5 volumes_whole
	echo 'Memroy=1' >>"$UNITS/web.container"
	run -1 berth volume prune --force
	has 'the configuration has errors'
	run -2 berth volume
	has 'usage: berth volume'
	run -2 berth volume rm
	has 'a name is expected'
	sed -i /Memroy/d "$UNITS/web.container"
}
