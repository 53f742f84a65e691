#!/usr/bin/env bats
# One file with everything in it: packed, started where it lies, changed, cut, replaced.
# shellcheck disable=SC2030,SC2031,SC2119,SC2120 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	need_root_fs busybox
	command -v mkfs.erofs >/dev/null || skip "mkfs.erofs is not installed"
	PACKER=$BERTH
	FILE=$BATS_TEST_TMPDIR/site
	MADE=$BATS_TEST_TMPDIR/made
	mkdir -p "$MADE"
}
finish() {
	local dir
	stop_supervise
	for dir in "$BATS_TEST_TMPDIR"/on/*; do
		mountpoint -q "$dir" && umount "$dir"
	done
	umount /dev/loop-control 2>/dev/null || true
	rm -rf /run/berth-appliance
}

# The packed file is the berth of the rest of the test, and brings its own configuration.
berth() { "$BERTH" "$@"; }
spawn_supervise() {
	"$BERTH" supervise "$@" 2>>"$BATS_TEST_TMPDIR/supervise.log" >&2 3>&- 4>&- &
	SUPERVISOR=$!
}

web() {
	unit web.container <<-EOT
		[Container]
		Image=web
		Exec=httpd -f -p 80 -h /www
		Network=none
		StopSignal=SIGKILL
		[Service]
		Restart=always
		[Install]
		WantedBy=default.target
	EOT
}
pack() { "$PACKER" pack --config "$UNITS" --image web="$ROOTS/busybox" -o "$FILE" "$@"; }
serves() { inside web busybox wget -q -O - http://127.0.0.1/ | grep -qx 'hello from a container'; }
way() { berth bundle ls --json | jq -r '.[] | select(.kind == "image") | .mounted'; }
# at KIND KEY: a number of the first entry of that kind.
at() { "$PACKER" bundle ls --json "$FILE" | jq -r --arg kind "$1" --arg key "$2" '[.[] | select(.kind == $kind)][0][$key]'; }
# flip OFFSET: one bit of the file.
flip() {
	local byte
	byte=$(od -An -tu1 -j "$1" -N 1 "$FILE")
	# shellcheck disable=SC2059 # an octal escape
	printf "\\$(printf %03o $((byte ^ 1)))" | dd of="$FILE" bs=1 seek="$1" conv=notrunc status=none
}

@test "one file holds berth, the units and the image, and starts where it lies" {
	web
	pack
	BERTH=$FILE
	run -0 berth check
	has '1 unit, 0 errors, 0 warnings'
	run -0 berth bundle ls
	has 'localhost/web:latest'
	has 'web.container'
	start_supervise
	wait_for ready web
	serves
	run berth ps
	has 'localhost/web:latest'
	run -0 way
	[[ $output == file || $output == loop ]]
	# A second start does nothing that the first has done: it is the same mount.
	mount=$(grep "$RUNTIME/img/" /proc/self/mountinfo)
	berth restart web
	serves
	[ "$(grep "$RUNTIME/img/" /proc/self/mountinfo)" = "$mount" ]
	run -0 berth bundle verify
	has 'every entry is what was packed'
}

@test "the same input gives the same bytes" {
	web
	export SOURCE_DATE_EPOCH=1000000000
	pack
	FILE=$MADE/other pack
	cmp "$FILE" "$MADE/other"
	# Packed out of an appliance, its own payload is left away.
	# The payload of a stub is left away; its worker is the one beside it.
	cp "$O/berth-worker" "$MADE/"
	"$PACKER" pack --config "$UNITS" --image web="$ROOTS/busybox" --stub "$MADE/other" -o "$MADE/third"
	cmp "$FILE" "$MADE/third"
	# Of two images ext4 takes one as it lies, and makes room before and behind it; a tmpfs copies both.
	unit second.container <<-'EOT'
		[Container]
		Image=second
		Exec=true
	EOT
	mkdir -p "$BATS_TEST_TMPDIR"/on/{ext4,tmpfs}
	truncate -s 40M "$MADE/ext4"
	mke2fs -q -t ext4 "$MADE/ext4"
	mount -o loop "$MADE/ext4" "$BATS_TEST_TMPDIR/on/ext4"
	mount -t tmpfs tmpfs "$BATS_TEST_TMPDIR/on/tmpfs"
	for fs in ext4 tmpfs; do
		FILE=$BATS_TEST_TMPDIR/on/$fs/site pack --image second="$UNITS"
	done
	cmp "$BATS_TEST_TMPDIR"/on/{ext4,tmpfs}/site
	"$PACKER" bundle verify "$BATS_TEST_TMPDIR/on/ext4/site"
}

@test "it starts from ext4, vfat, tmpfs and an overlay" {
	web
	pack
	mkdir -p "$BATS_TEST_TMPDIR"/on/{ext4,vfat,tmpfs,overlay}
	on=$BATS_TEST_TMPDIR/on
	truncate -s 40M "$MADE/ext4" "$MADE/vfat"
	mke2fs -q -t ext4 "$MADE/ext4"
	mount -o loop "$MADE/ext4" "$on/ext4"
	if command -v mkfs.vfat >/dev/null && mkfs.vfat "$MADE/vfat" >/dev/null &&
		mount -o loop "$MADE/vfat" "$on/vfat" 2>/dev/null; then
		vfat=vfat
	fi
	mount -t tmpfs tmpfs "$on/tmpfs"
	mkdir -p "$on/tmpfs/"{upper,work}
	mount -t overlay -o "lowerdir=$UNITS,upperdir=$on/tmpfs/upper,workdir=$on/tmpfs/work" o "$on/overlay"
	for fs in ext4 ${vfat:-} tmpfs overlay; do
		cp "$FILE" "$on/$fs/site"
		[ "$fs" = tmpfs ] || [ "$fs" = overlay ] || mount -o remount,ro "$on/$fs"
		BERTH=$on/$fs/site
		start_supervise
		wait_for ready web
		serves
		echo "# $fs: $(way)" >&3
		case $fs in tmpfs | overlay) [ "$(way)" = loop ] ;; esac
		stop_supervise
		rm -rf /run/berth-appliance
	done
	umount "$on/overlay"
}

# The kernel mounts nothing out of the file, which is on a tmpfs, and there are no loop devices.
no_way() {
	mkdir -p "$BATS_TEST_TMPDIR/on/tmpfs"
	mountpoint -q "$BATS_TEST_TMPDIR/on/tmpfs" || mount -t tmpfs tmpfs "$BATS_TEST_TMPDIR/on/tmpfs"
	mount --bind /dev/null /dev/loop-control
	cp "$1" "$BATS_TEST_TMPDIR/on/tmpfs/site"
	BERTH=$BATS_TEST_TMPDIR/on/tmpfs/site
}

@test "where the kernel has no way to mount it, it is unpacked by its own tool" {
	web
	mksquashfs "$ROOTS/busybox" "$MADE/web.squashfs" -quiet -no-progress >/dev/null
	for kind in erofs squashfs; do
		case $kind in
		erofs) pack ;;
		squashfs) "$PACKER" pack --config "$UNITS" --image web="$MADE/web.squashfs" -o "$FILE" ;;
		esac
		no_way "$FILE"
		start_supervise
		wait_for ready web
		serves
		[ "$(way)" = unpacked ]
		# The second start does nothing that the first has done.
		tree=$(stat -c %i-%z "$RUNTIME"/img/*.made)
		berth restart web
		serves
		[ "$(stat -c %i-%z "$RUNTIME"/img/*.made)" = "$tree" ]
		[ "$(find "$RUNTIME/img" -name '*.part' -o -name '.tmp-*')" = '' ]
		stop_supervise
		umount /dev/loop-control
		rm -rf /run/berth-appliance "$RUNTIME/img"
	done
}

@test "where there is no tool for that either, the cure is named" {
	web
	# One try, for each has files of its own on the way.
	printf '[Service]\nRestartSec=1h\n' | unit web.container.d/once.conf
	pack
	no_way "$FILE"
	mkdir "$MADE/bin"
	PATH=$MADE/bin "$BERTH" supervise 2>>"$BATS_TEST_TMPDIR/supervise.log" >&2 3>&- 4>&- &
	SUPERVISOR=$!
	wait_until 10 answers
	wait_for backoff web
	run berth why web
	has 'get a loop device'
	has 'erofs-utils'
	[ -z "$(find "$RUNTIME/img" -mindepth 1 ! -name '.lock-*' ! -name '.verified-*')" ]
}

@test "eight images at once get a loop device each, and give it back" {
	mkdir -p "$MADE/images" "$BATS_TEST_TMPDIR/on/tmpfs"
	mount -t tmpfs tmpfs "$BATS_TEST_TMPDIR/on/tmpfs"
	for i in 1 2 3 4 5 6 7 8; do
		mkdir -p "$MADE/root/bin"
		cp "$ROOTS/busybox/bin/busybox" "$MADE/root/bin/"
		echo "$i" >"$MADE/root/number"
		mkfs.erofs "$MADE/images/image$i.erofs" "$MADE/root" >/dev/null
		printf '[Container]\nImage=image%s\nExec=busybox sleep 100\nNetwork=none\nStopSignal=SIGKILL\n[Install]\nWantedBy=default.target\n' \
			$i >"$UNITS/unit$i.container"
	done
	"$PACKER" pack --config "$UNITS" --images "$MADE/images" -o "$BATS_TEST_TMPDIR/on/tmpfs/site"
	BERTH=$BATS_TEST_TMPDIR/on/tmpfs/site
	start_supervise
	for i in 1 2 3 4 5 6 7 8; do
		wait_for ready unit$i
		[ "$(berth exec unit$i busybox cat /number)" = $i ]
	done
	[ "$(way | sort | uniq -c | tr -s ' ')" = ' 8 loop' ]
	stop_supervise
	umount "$RUNTIME"/img/* 2>/dev/null || true
	given_back() { ! losetup -n -l -O BACK-FILE | grep -qF "$BATS_TEST_TMPDIR/on/tmpfs/"; }
	wait_until 5 given_back
}

@test "once is once for a boot and a file, also when the supervisor starts anew" {
	web
	pack
	BERTH=$FILE
	# Beside the file it comes before that of the payload.
	# shellcheck disable=SC2016 # for the script that is written
	printf '#!/bin/sh\necho "$1 $2" >>%s/worked\nexec %s/berth-worker "$@"\n' "$MADE" "$O" >"$BATS_TEST_TMPDIR/berth-worker"
	chmod 755 "$BATS_TEST_TMPDIR/berth-worker"
	verified() { grep -c '^verify image' "$MADE/worked"; }
	start_supervise
	wait_for ready web
	[ "$(verified)" = 1 ]
	end_supervise
	start_supervise
	wait_for ready web
	stop_supervise
	umount "$RUNTIME"/img/* 2>/dev/null || true
	start_supervise
	wait_for ready web
	[ "$(way)" != null ]
	[ "$(verified)" = 1 ]
	stop_supervise
	umount "$RUNTIME"/img/* 2>/dev/null || true
	# Not even a touch that changes nothing goes unnoticed.
	cp "$FILE" "$MADE/copy" && mv "$MADE/copy" "$FILE"
	start_supervise
	wait_for ready web
	[ "$(verified)" = 2 ]
}

@test "it starts where /run is mounted noexec, as Debian does" {
	web
	pack
	BERTH=$FILE
	mount --bind /run /run
	mount -o remount,bind,noexec /run
	run "$FILE" check
	[ "$status" = 0 ]
	start_supervise
	wait_for ready web
	serves
	stop_supervise
	umount -l /run
}

@test "a changed byte is refused with the name of the entry" {
	web
	pack
	cp "$FILE" "$MADE/good"
	flip $(($(at image offset) + $(at image size) / 2))
	BERTH=$FILE
	run -1 berth bundle verify
	has 'image localhost/web:latest is not what was packed'
	start_supervise
	wait_for backoff web
	run berth why web
	has 'image localhost/web:latest is not what was packed'
	stop_supervise

	# What was compared and put into /run is not compared again: as after a boot.
	rm -rf /run/berth-appliance
	cp "$MADE/good" "$FILE"
	flip "$(at config offset)"
	run -1 timeout 10 "$BERTH" supervise
	has 'is not what was packed'
	has "$FILE"

	cp "$MADE/good" "$FILE"
	flip $(($(stat -c %s "$FILE") - 70))
	run -1 timeout 10 "$BERTH" supervise
	has 'payload'
}

@test "Verify=never starts what was changed, Verify=always looks each time" {
	web
	echo 'Verify=never' >>"$UNITS/berth.conf"
	pack
	# Behind the last block that is used: it harms nobody.
	BERTH=$FILE
	flip $(($(at image offset) + 16))
	start_supervise
	wait_for ready web
	stop_supervise

	sed -i s/never/always/ "$UNITS/berth.conf"
	BERTH=$PACKER
	pack
	BERTH=$FILE
	start_supervise
	wait_for ready web
	berth restart web
	serves
}

@test "cut anywhere, it is no appliance or a broken one, and never a half one" {
	web
	pack
	size=$(stat -c %s "$FILE")
	cp "$FILE" "$MADE/whole"
	for percent in 1 10 30 50 70 90 99; do
		head -c $((size * percent / 100)) "$MADE/whole" >"$FILE"
		run "$PACKER" bundle ls "$FILE"
		[ "$status" = 1 ]
		has 'no payload'
	done
	# The end is there, something in the middle is missing.
	{ head -c $((size / 2)) "$MADE/whole" && tail -c $((size / 2 - 4096)) "$MADE/whole"; } >"$FILE"
	run -1 "$PACKER" bundle ls "$FILE"
	has 'broken'
}

@test "the running file can be replaced, and the new one is what starts next" {
	web
	pack
	BERTH=$FILE
	start_supervise
	wait_for ready web
	pid=$(pid_of web)
	mkdir "$MADE/root"
	cp -a "$ROOTS/busybox/." "$MADE/root/"
	echo 'hello from the next one' >"$MADE/root/www/index.html"
	FILE=$MADE/next
	"$PACKER" pack --config "$UNITS" --image web="$MADE/root" -o "$FILE"
	mv "$MADE/next" "$BERTH"
	serves
	# A start out of the file that runs, which has no name any more.
	kill -KILL "$pid"
	wait_restarted web "$pid"
	wait_for ready web
	serves
	end_supervise
	start_supervise
	wait_for ready web
	berth restart web
	inside web busybox wget -q -O - http://127.0.0.1/ | grep -qx 'hello from the next one'
	[ "$(grep -c "$RUNTIME/img/" /proc/self/mountinfo)" = 1 ]
}

# next WORDS: another appliance, whose page says so.
next() {
	rm -rf "$MADE/root"
	cp -a "$ROOTS/busybox" "$MADE/root"
	echo "$*" >"$MADE/root/www/index.html"
	"$PACKER" pack --config "$UNITS" --image web="$MADE/root" -o "$MADE/next"
}
key() { minisign -GWf -p "$MADE/$1.pub" -s "$MADE/$1.key" >/dev/null; }
sign() { minisign -SW -s "$MADE/$1.key" -m "$MADE/next" </dev/null >/dev/null; }
says_page() { inside web busybox wget -q -O - http://127.0.0.1/ | grep -qx "$1"; }
# As it was: the file, and nothing beside it.
untouched() { cmp "$FILE" "$MADE/whole" && [ "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '*site*')" = "$FILE" ]; }

@test "a disk that is full or cannot be written keeps the running file, and says why the new one is not there" {
	web
	pack
	mkdir -p "$BATS_TEST_TMPDIR/on/disk"
	truncate -s 40M "$MADE/disk"
	mke2fs -q -t ext4 -m 0 "$MADE/disk"
	mount -o loop "$MADE/disk" "$BATS_TEST_TMPDIR/on/disk"
	BERTH=$BATS_TEST_TMPDIR/on/disk/site
	cp "$FILE" "$BERTH"
	dd if=/dev/zero of="$BATS_TEST_TMPDIR/on/disk/filler" bs=64k status=none 2>/dev/null || true
	truncate -s -1M "$BATS_TEST_TMPDIR/on/disk/filler"
	start_supervise
	wait_for ready web
	next 'hello from the next one'
	run -1 berth bundle install "$MADE/next"
	has "$MADE/next is not installed: copy $MADE/next to $BATS_TEST_TMPDIR/on/disk/.site.new: No space left on device"
	cmp "$FILE" "$BERTH"
	[ "$(ls -A "$BATS_TEST_TMPDIR/on/disk")" = $'filler\nlost+found\nsite' ]
	mount -o remount,ro "$BATS_TEST_TMPDIR/on/disk"
	run -1 berth bundle install "$MADE/next"
	has "make $BATS_TEST_TMPDIR/on/disk/.site.new: Read-only file system"
	serves
	mount -o remount,rw "$BATS_TEST_TMPDIR/on/disk"
	rm "$BATS_TEST_TMPDIR/on/disk/filler"
	run -0 berth bundle install "$MADE/next"
	cmp "$MADE/next" "$BERTH"
}

@test "with UpdateKey= only what that key signed replaces the running file, whole or not at all" {
	command -v minisign >/dev/null || skip "minisign is not installed"
	web
	key ours
	key old
	key theirs
	printf 'UpdateKey=%s %s\n' "$(tail -n 1 "$MADE/old.pub")" "$(tail -n 1 "$MADE/ours.pub")" >>"$UNITS/berth.conf"
	pack
	cp "$FILE" "$MADE/whole"
	BERTH=$FILE
	start_supervise
	wait_for ready web
	pid=$(pid_of web)
	next 'hello from the next one'

	run -1 berth bundle install "$MADE/next"
	has 'it is not signed'
	untouched
	sign theirs
	run -1 berth bundle install "$MADE/next"
	has 'none of UpdateKey='
	untouched
	sign ours
	# Every byte is covered: of the program, of an entry, of what lies between them, of the end.
	cp "$MADE/next" "$MADE/good"
	for at in 5000 $(($(stat -c %s "$O/berth") + 1)) $(($(at image offset) + 5000)) $(($(stat -c %s "$MADE/next") - 1)); do
		cp "$MADE/good" "$MADE/next"
		FILE=$MADE/next flip "$at"
		run -1 berth bundle install "$MADE/next"
		has 'the file is not what was signed'
		untouched
	done
	head -c 4096 /dev/zero | cat "$MADE/good" - >"$MADE/next"
	run -1 berth bundle install "$MADE/next"
	has 'the file is not what was signed'
	cp "$MADE/good" "$MADE/next"
	sed -i 's/^trusted comment: .*/trusted comment: newer/' "$MADE/next.minisig"
	run -1 berth bundle install "$MADE/next"
	has 'trusted comment was changed'
	head -c 100 "$MADE/next.minisig" >"$MADE/cut"
	run -1 berth bundle install --signature "$MADE/cut" "$MADE/next"
	has 'no signature of minisign'
	if command -v signify-openbsd >/dev/null; then
		signify-openbsd -Gn -p "$MADE/s.pub" -s "$MADE/s.sec"
		signify-openbsd -S -s "$MADE/s.sec" -m "$MADE/next" -x "$MADE/next.sig"
		run -1 berth bundle install --signature "$MADE/next.sig" "$MADE/next"
		has "a signature of signify's"
	fi
	minisign -SWl -s "$MADE/ours.key" -m "$MADE/next" -x "$MADE/old-form" </dev/null >/dev/null
	run -1 berth bundle install --signature "$MADE/old-form" "$MADE/next"
	has 'of the older form'
	untouched

	sign ours
	run -0 berth bundle install "$MADE/next"
	has 'from the next start of its supervisor on'
	cmp "$FILE" "$MADE/next"
	[ "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '*site*')" = "$FILE" ]
	# What runs goes on, the next start has the new one; the older key signs as well.
	[ "$(pid_of web)" = "$pid" ]
	says_page 'hello from a container'
	end_supervise
	start_supervise
	wait_for ready web
	berth restart web
	says_page 'hello from the next one'
	sign old
	run -0 berth bundle install "$MADE/next"
}

@test "what would not start here is not installed" {
	web
	pack
	cp "$FILE" "$MADE/whole"
	BERTH=$FILE
	next 'hello'
	cp "$MADE/next" "$MADE/good"
	FILE=$MADE/next flip $(($(at image offset) + 5000))
	run -1 berth bundle install "$MADE/next"
	has 'image localhost/web:latest is not what was packed'
	cp "$MADE/good" "$MADE/next"
	FILE=$MADE/next flip 18 # e_machine
	run -1 berth bundle install "$MADE/next"
	has 'another architecture'
	run -1 berth bundle install /bin/busybox
	has 'has no payload'
	run -1 berth bundle install "$MADE/nowhere"
	has 'No such file'
	run -1 berth bundle install --signature "$MADE/next" "$MADE/good"
	has 'there is no UpdateKey='
	run -1 "$PACKER" bundle install "$MADE/good"
	has 'is not an appliance'
	mkdir "$MADE/units"
	cp "$UNITS"/* "$MADE/units/"
	printf 'UpdateKey=nonsense\n' >>"$MADE/units/berth.conf"
	run -1 "$PACKER" --config "$MADE/units" pack --image web="$ROOTS/busybox" -o "$MADE/bad"
	has 'no public key of minisign'
	# A program that cannot run: its loader is not there.
	mkdir "$MADE/stub"
	cp "$PACKER" "$O/berth-worker" "$MADE/stub/"
	sed -i 's|/ld-linux|/xx-linux|' "$MADE/stub/berth"
	"$PACKER" pack --config "$UNITS" --image web="$MADE/root" --stub "$MADE/stub/berth" -o "$MADE/next"
	run -1 berth bundle install "$MADE/next"
	has 'would not start here'
	untouched
	run -0 berth bundle install "$MADE/good"
	has 'there is no UpdateKey='
	cmp "$FILE" "$MADE/good"
}

@test "what the image says of itself goes along, out of a tar too" {
	cp "$ROOTS/busybox.tar" "$MADE/web.tar"
	echo '{"config":{"Cmd":["httpd","-f","-h","/www"],"WorkingDir":"/www"}}' >"$MADE/web.image.json"
	unit web.container <<-EOT
		[Container]
		Image=web
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	"$PACKER" pack --config "$UNITS" --images "$MADE" -o "$FILE"
	BERTH=$FILE
	start_supervise
	wait_for ready web
	serves
}

@test "--image comes before --images" {
	mkdir "$MADE/images" "$MADE/other"
	mkfs.erofs "$MADE/images/web.erofs" "$MADE/other" >/dev/null
	web
	pack --images "$MADE/images"
	BERTH=$FILE
	start_supervise
	wait_for ready web
	serves
}

@test "pack and verify tell how far they are" {
	web
	mkdir "$MADE/slow"
	cp "$PACKER" "$MADE/slow/berth"
	# A worker that takes its time before it works.
	# shellcheck disable=SC2016 # for that shell
	printf '#!/bin/sh\nfor i in 1 2 3 4 5 6 7; do echo "$i 10 words"; sleep 0.1; done\nexec %s "$@"\n' \
		"$O/berth-worker" >"$MADE/slow/berth-worker"
	chmod +x "$MADE/slow/berth-worker"
	"$MADE/slow/berth" pack --config "$UNITS" --image web="$ROOTS/busybox" --stub "$PACKER" \
		--json -o "$FILE" >"$MADE/said"
	[ "$(tail -n 1 "$MADE/said" | jq -c '[.file, .images]')" = "[\"$FILE\",1]" ]
	jq -e -s '[.[].progress | select(.) | .title] | index("pack")' "$MADE/said"
	"$MADE/slow/berth" bundle verify --json "$FILE" >"$MADE/said"
	jq -e '.progress.total == 10' <"$MADE/said" | grep -q true
	[ "$(tail -n 1 "$MADE/said")" = '{"whole":true}' ]
	# And what it says by itself.
	"$O/berth-worker" verify <"$FILE" >"$MADE/said"
	grep -Eqx '[0-9]+ [0-9]+ .+' "$MADE/said"
}

@test "an erofs or squashfs file is a root as it is" {
	mkfs.erofs "$MADE/web.erofs" "$ROOTS/busybox" >/dev/null
	web
	sed -i "s|^Image=.*|Rootfs=$MADE/web.erofs|" "$UNITS/web.container"
	BERTH=$PACKER
	berth() { "$BERTH" --config "$UNITS" "$@"; }
	# shellcheck disable=SC2034 # for system.bash
	start() {
		"$BERTH" --config "$UNITS" supervise 2>>"$BATS_TEST_TMPDIR/supervise.log" >&2 3>&- 4>&- &
		SUPERVISOR=$!
		wait_until 10 answers
		wait_for ready web
	}
	start
	serves
	stop_supervise
	command -v mksquashfs >/dev/null || skip "mksquashfs is not installed: erofs was tried alone"
	modprobe squashfs 2>/dev/null || true
	grep -qw squashfs /proc/filesystems || skip "no squashfs in this kernel: erofs was tried alone"
	mksquashfs "$ROOTS/busybox" "$MADE/web.squashfs" -quiet -no-progress >/dev/null
	sed -i "s|web.erofs|web.squashfs|" "$UNITS/web.container"
	start
	serves
}

@test "whoever is not root packs from images, and asks what is in the file" {
	web
	mkfs.erofs "$MADE/web.erofs" "$ROOTS/busybox" >/dev/null
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" 2>/dev/null || true
	chmod -R a+rX "$UNITS" "$MADE"
	chown 65534 "$MADE"
	out=$MADE/site
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
	as_nobody test -x "$PACKER" || skip "nobody cannot reach the build directory"
	as_nobody env TMPDIR="$MADE" "$PACKER" pack --config "$UNITS" --image web="$MADE/web.erofs" -o "$out"
	run -0 as_nobody env TMPDIR="$MADE" "$out" check
	has '1 unit, 0 errors'
	run -1 as_nobody "$PACKER" pack --config "$UNITS" --image web="$ROOTS/busybox.tar" -o "$out.tar"
	has 'only root can give files the owners'
	# Neither the private directory of `check` nor what was half made is left.
	[ "$(find "$MADE" -maxdepth 1 -name 'site*' -o -maxdepth 1 -name 'berth-*')" = "$out" ]
}

@test "an initramfs has the appliance, its libraries and the kernel's modules, and is made by nobody" {
	web
	export SOURCE_DATE_EPOCH=1000000000
	kernel=$MADE/boot/vmlinuz-9.9.9-box modules=$MADE/lib/modules/9.9.9-box
	mkdir -p "$MADE/boot" "$modules/kernel/fs"
	: >"$kernel"
	echo overlay | gzip >"$modules/kernel/fs/overlay.ko.gz"
	echo base >"$modules/kernel/base.ko"
	echo extra >"$modules/kernel/my-board.ko"
	echo unwanted >"$modules/kernel/unwanted.ko"
	printf '%s\n' 'kernel/fs/overlay.ko.gz: kernel/base.ko' kernel/base.ko: kernel/my-board.ko: kernel/unwanted.ko: \
		>"$modules/modules.dep"
	with=() programs=("$PACKER" "$O/berth-worker")
	[ ! -x "$O/berth-fetch" ] || with=(--fetch) programs+=("$O/berth-fetch")
	pack "${with[@]}" --initramfs --kernel "$kernel" --module my_board
	mkdir "$MADE/tree"
	(cd "$MADE/tree" && cpio --quiet -idu <"$FILE")
	cmp "$MADE/tree/init" <(pack "${with[@]}" -o "$MADE/site" >/dev/null && cat "$MADE/site")
	[ -c "$MADE/tree/dev/console" ]
	in=$MADE/tree/lib/modules/9.9.9-box
	[ "$(cat "$in/kernel/fs/overlay.ko" "$in/kernel/base.ko" "$in/kernel/my-board.ko")" = $'overlay\nbase\nextra' ]
	[ "$(cat "$in/modules.dep")" = $'kernel/fs/overlay.ko: kernel/base.ko\nkernel/base.ko:\nkernel/my-board.ko:' ]
	[ "$(cat "$MADE/tree/etc/modules-load.d/berth.conf")" = my_board ]
	# What the loader itself says that it needs, it finds there.
	for program in "${programs[@]}"; do
		ldd "$program" | awk '/\// { print ($2 == "=>") ? $3 : $1 }' | while read -r library; do
			cmp "$library" "$MADE/tree$library"
		done
	done
	chroot "$MADE/tree" /init version | grep -q '^berth '

	# The same by nobody, elsewhere: the same bytes. What nobody may not read he does not pack.
	mkfs.erofs -d1 -zlz4 -x2 "-U62657274-6800-4000-8000-000000000000" "$MADE/web.erofs" "$ROOTS/busybox" >/dev/null
	pack --image web="$MADE/web.erofs" --initramfs --kernel "$kernel"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" 2>/dev/null || true
	chmod -R a+rX "$UNITS" "$MADE"
	mkdir -m 777 "$MADE/theirs"
	setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$PACKER" || skip "nobody cannot reach the build directory"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$PACKER" pack --config "$UNITS" \
		--image web="$MADE/web.erofs" --initramfs --kernel "$kernel" -o "$MADE/theirs/box"
	cmp "$FILE" "$MADE/theirs/box"
}

@test "an initramfs that would not boot is refused with the cure" {
	web
	run -2 pack --kernel /boot/vmlinuz
	has 'go with --initramfs'
	run -1 pack --initramfs --kernel "$MADE/vmlinuz"
	has 'vmlinuz: No such file'
	: >"$MADE/vmlinuz-9.9.9-box"
	run -1 pack --initramfs --kernel "$MADE/vmlinuz-9.9.9-box"
	has 'there are no modules of 9.9.9-box'
	run -1 pack --initramfs --modules "$MADE"
	has 'depmod -b makes it'
	: >"$MADE/modules.dep"
	run -1 pack --initramfs --modules "$MADE" --module nosuch
	has 'there is no module nosuch'
	run -1 pack --initramfs --sysroot "$MADE"
	has 'there is none for its architecture'
	[ ! -e "$FILE" ]
}

@test "nothing is packed from what would not start" {
	run -2 "$PACKER" pack -o "$FILE"
	has 'usage: berth pack'
	web
	run -1 "$PACKER" pack --config "$UNITS" -o "$FILE"
	has 'localhost/web:latest was not found; searched'
	run -1 pack --image nonsense
	has 'REF=PATH is expected'
	run -1 pack --compress nosuch
	has 'mkfs.erofs'
	echo 'Memroy=1' >>"$UNITS/web.container"
	run -1 pack
	has 'web.container:10'
	run -1 "$PACKER" pack --config "$MADE/nowhere" -o "$FILE"
	has 'No such file'
	run -1 "$PACKER" pack --config "$UNITS" -o "$MADE/nowhere/site"
	has 'make a directory beside'
	[ ! -e "$FILE" ]
	[ -z "$(find "$BATS_TEST_TMPDIR" -name 'site.*')" ]
}

@test "an image of 2 GiB lies in the file, and another behind it" {
	large_unit "$MADE/tree"
	web
	pack --image large="$MADE/tree" --compress none
	"$PACKER" bundle verify "$FILE"
	BERTH=$FILE
	[ "$(berth bundle ls --json | jq '[.[] | select(.kind == "image" and (.name | contains("web")))][0].offset')" -gt $((2 << 30)) ]
	start_supervise
	wait_until 60 large_is_whole
	wait_until 10 serves
}
