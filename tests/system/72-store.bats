#!/usr/bin/env bats
# The store of images: containers start from its layers, names are given, taken back and removed, what
# is needed stays and the rest goes. The store is written by hand here, as images/store_find.h has it;
# 73-import has what comes out of archives. Cost: 6 s.
load ../lib/system

prepare() {
	need_root_fs busybox
	STORE=$STATE/store
	mkdir -p "$STORE"/{layers,images,names,tmp,trash}
}

hex() { printf "%0$2d" "$1"; }

# layer N FILE=TEXT…: a layer, which has these files; number 1 is all of busybox.
layer() {
	local dir file
	dir=$STORE/layers/$(hex "$1" 32)
	if [ "$1" = 1 ]; then
		cp -a "$ROOTS/busybox" "$dir"
	else
		mkdir "$dir"
	fi
	shift
	for file; do
		mkdir -p "$(dirname "$dir/${file%%=*}")"
		echo "${file#*=}" >"$dir/${file%%=*}"
	done
}

# image N LAYER…: an image of these layers, the lowest first.
image() {
	local dir n
	dir=$STORE/images/$(hex "$1" 64)
	mkdir "$dir"
	echo "{\"created\":\"2026-01-02T03:04:05Z\",\"config\":{\"Cmd\":[\"httpd\",\"-f\",\"-h\",\"/www\"],
		\"Labels\":{\"maker\":\"us\"},\"ExposedPorts\":{\"80\":{}}}}" >"$dir/config.json"
	shift
	for n; do
		echo "$(hex "$n" 32) sha256:$(hex "$n" 64) 1000 3 sha256:$(hex "$n" 64)" >>"$dir/layers"
	done
	touch -a -d @0 "$dir" # handed out to nobody
}

# name NAME IMAGE [PREVIOUS]
name() {
	{ echo "sha256:$(hex "$2" 64)" && { [ -z "${3:-}" ] || echo "sha256:$(hex "$3" 64)"; }; } \
		>"$STORE/names/${1//\//+}"
}

web() {
	unit web.container <<-EOT
		[Container]
		Image=web
		Network=none
		StopSignal=SIGKILL
		$1
		[Install]
		WantedBy=default.target
	EOT
}

page() { inside web busybox wget -q -O - http://127.0.0.1/page.html; }
page_is() { [ "$(page)" = "$1" ]; }
in_store() { [ -e "$STORE/layers/$(hex "$1" 32)" ]; }

three() {
	layer 1
	layer 2 www/page.html=one
	layer 3 www/page.html=two
	image 1 1 2
	image 2 1 3
}

@test "a container starts from layers, and says what its image says" {
	three
	name localhost/web:latest 1
	web
	run -0 berth check
	has '0 errors'
	start_supervise
	wait_for ready web
	page_is one
	run -0 berth inspect web
	[ "$(jq -r '.image, .image_id, .image_labels.maker, .image_ports[0]' <<<"$output")" = "localhost/web:latest
sha256:$(hex 1 64)
us
80/tcp" ]
	run -0 berth image ls
	has 'localhost/web:latest'
	has 'web.container'
	run -0 berth image inspect web
	[ "$(jq -r '.[0].config.config.Labels.maker' <<<"$output")" = us ]
	[ "$(jq -r '.[0].layers | length' <<<"$output")" = 2 ]
	[ "$(berth image ls --json | jq -r '.[0].used_by[0]')" = web.container ]
	# Nothing had to be prepared, and nothing is left when it is gone.
	[ -z "$(ls -A "$RUNTIME/img")" ]
}

@test "a missing image is told with what was searched and what to do" {
	three
	name docker.io/library/web:latest 1
	web
	run -1 berth check
	has "localhost/web:latest was not found; searched the store $STORE"
	has 'it has docker.io/library/web:latest'
	run -0 berth image tag docker.io/library/web:latest web
	run -0 berth check
	rm -r "$STORE/names"
	run -1 berth check
	has 'berth image import --name localhost/web:latest FILE'
}

@test "rollback, and reload, bring the one before back" {
	three
	name localhost/web:latest 2 1
	web
	start_supervise
	wait_for ready web
	page_is two
	pid=$(pid_of web)
	run -0 berth image rollback web
	has 'berth reload'
	page_is two
	berth reload
	wait_restarted web "$pid"
	wait_for ready web
	page_is one
	berth image rollback web
	[ "$(berth image ls --json | jq -r '.[0].id')" = "$(hex 2 64)" ]
	run -1 berth image rollback other
	has 'there is no localhost/other:latest'
}

@test "what a unit starts from is kept, and so is what is mounted" {
	three
	layer 4
	layer 5
	image 3 1 5
	name localhost/web:latest 1
	web
	start_supervise
	wait_for ready web
	# Noted by the supervisor, although it has no name any more.
	run -1 berth image rm web
	has 'web.container'
	run -0 berth image rm -f web
	has 'web: the name is gone'
	has 'removed 0 images'
	in_store 1 && in_store 2
	run ! in_store 4
	[ ! -e "$STORE/images/$(hex 3 64)" ]
	# Not noted, but in the mount table.
	rm "$RUNTIME/images"
	rm -r "$STORE/images/"*
	berth image gc
	in_store 1 && in_store 2
	kill -KILL "$(pid_of web)"
	stop_supervise
	run -0 berth image gc --json
	[ "$(jq .layers <<<"$output")" = 2 ]
	[ -z "$(ls -A "$STORE/layers")$(ls -A "$STORE/trash")" ]
}

@test "what is left half done is removed when berth starts" {
	three
	name localhost/web:latest 1
	web
	mkdir -p "$STORE/tmp/99.1/layers/x" "$STORE/tmp/pull-1" "$STORE/trash/x/y"
	: >"$STORE/names/.localhost+web:latest.tmp"
	start_supervise
	wait_for ready web
	swept() { [ ! -e "$STORE/tmp/99.1" ] && [ ! -e "$STORE/trash/x" ] && ! in_store 3; }
	wait_until 5 swept
	[ -e "$STORE/tmp/pull-1" ]
	[ ! -e "$STORE/names/.localhost+web:latest.tmp" ]
	in_store 1 && in_store 2
}

@test "a second writer waits, and says for whom" {
	three
	name localhost/web:latest 1
	perl -e 'use Fcntl; open(my $f, ">>", $ARGV[0]) or die;
		my $lock = pack("ssx![q]qqix![q]", F_WRLCK, 0, 0, 0, 0);
		fcntl($f, F_SETLK, $lock) or die;
		print "held\n"; close STDOUT; sleep 60' "$STORE/lock" >"$BATS_TEST_TMPDIR/held" 3>&- 4>&- &
	holder=$!
	wait_until 5 test -s "$BATS_TEST_TMPDIR/held"
	berth image tag web other >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 4>&- &
	waiter=$!
	told() { grep -q "process $holder is writing to the store" "$BATS_TEST_TMPDIR/out"; }
	wait_until 5 told
	[ ! -e "$STORE/names/localhost+other:latest" ]
	kill "$holder"
	wait "$waiter"
	[ -e "$STORE/names/localhost+other:latest" ]
}

@test "Persist: what it writes is kept, or not" {
	three
	name localhost/web:latest 1
	for how in no boot permanent; do
		web "[X-Berth]
Persist=$how"
		start_supervise
		wait_for ready web
		page_is one
		nsenter -t "$(pid_of web)" -m busybox sh -c 'echo mine >/www/page.html'
		page_is mine
		pid=$(pid_of web)
		berth restart web
		wait_for ready web
		case $how in no) page_is one ;; *) page_is mine ;; esac
		stop_supervise
		start_supervise
		wait_for ready web
		case $how in permanent) page_is mine ;; *) page_is one ;; esac
		stop_supervise
	done
	echo '[X-Berth]' >"$BATS_TEST_TMPDIR/x"
	web '[X-Berth]
Persist=permanent
RootSize=1M'
	run -1 berth check
	has 'RootSize'
}

@test "a store on a read-only disk serves, and says why it does not change" {
	three
	name localhost/web:latest 1
	web
	mount --bind "$STORE" "$STORE"
	mount -o remount,ro,bind "$STORE"
	start_supervise
	wait_for ready web
	page_is one
	run -1 berth image tag web other
	has 'mounted read-only'
	stop_supervise
	umount "$STORE"
}

@test "berth run takes an image of the store" {
	three
	name localhost/web:latest 1
	run -0 "$BERTH" --config "$UNITS" run --network none web cat /www/page.html
	[ "$output" = one ]
}

@test "berth pack makes one file system of an image's layers" {
	command -v mkfs.erofs >/dev/null || skip "mkfs.erofs is not installed"
	three
	layer 4
	mknod "$STORE/layers/$(hex 4 32)/www" c 0 0
	image 3 1 2 4
	name localhost/web:latest 1
	name localhost/bare:latest 3
	web
	sed 's/^Image=.*/Image=bare/' "$UNITS/web.container" >"$UNITS/bare.container"
	before=$(wc -l </proc/self/mountinfo)
	"$BERTH" --config "$UNITS" pack -o "$BATS_TEST_TMPDIR/site"
	[ "$(wc -l </proc/self/mountinfo)" = "$before" ]
	"$BERTH" bundle verify "$BATS_TEST_TMPDIR/site"
	rm -r "$STORE"
	BERTH=$BATS_TEST_TMPDIR/site
	berth() { "$BERTH" --run-dir "$RUNTIME" "$@"; }
	run -0 "$BERTH" check
	mkdir -p "$BATS_TEST_TMPDIR/mnt"
	at() { "$BERTH" bundle ls --json | jq -r ".[] | select(.kind == \"image\" and (.name | contains(\"$1\"))).$2"; }
	for name in web bare; do
		mount -o "ro,loop,offset=$(at $name offset),sizelimit=$(at $name size)" "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/mnt"
		if [ $name = web ]; then
			[ "$(cat "$BATS_TEST_TMPDIR/mnt/www/page.html")" = one ]
		else
			[ ! -e "$BATS_TEST_TMPDIR/mnt/www" ]
		fi
		umount "$BATS_TEST_TMPDIR/mnt"
	done
}
