#!/usr/bin/env bats
# berth run: one container in the foreground, without a unit and without a supervisor. Cost: 8 s.
# shellcheck disable=SC2016,SC2153 # for the shells in there; $ROOTS is another's
load ../lib/system

prepare() {
	need_root_fs busybox
	ROOT=$ROOTS/busybox
}

in_front() { "$BERTH" --config "$UNITS" run --network none "$@"; }
# typed SCRIPT WORDS…: berth run on a terminal, with what the script types; `up` in it waits until somebody
# in the container has made /up/here. No shell stays around it: Ctrl-C would be for that, too.
typed() {
	local script=$1
	shift
	command -v script >/dev/null || skip "script is not installed: no terminal to type at"
	mkdir -p "$BATS_TEST_TMPDIR/up"
	rm -f "$BATS_TEST_TMPDIR/up/here"
	bash -c "up() { until [ -e '$BATS_TEST_TMPDIR/up/here' ]; do sleep 0.05; done; }; $script" |
		TERM=xterm script -qec "stty rows 33 cols 44; exec '$BERTH' --config '$UNITS' run --network none -v '$BATS_TEST_TMPDIR/up:/up' $*" /dev/null
}

@test "its exit code is the command's, or says why there is none" {
	run -0 in_front "$ROOT" true
	run -7 in_front "$ROOT" sh -c 'exit 7'
	run -127 in_front "$ROOT" nosuch
	has 'nosuch'
	run -126 in_front "$ROOT" /etc/passwd
	run -125 in_front "$BATS_TEST_TMPDIR/nowhere" true
	run -2 in_front
}

@test "stdin, stdout and stderr are those of the command, byte for byte" {
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	in_front -i "$ROOT" sh -c 'echo aside >&2; cat' <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	[ "$(cat "$BATS_TEST_TMPDIR/err")" = aside ]
	# Without -i nothing of it is read.
	run -0 in_front "$ROOT" wc -c <"$BATS_TEST_TMPDIR/in"
	[ "$output" = 0 ]
}

@test "options mean what the keys mean" {
	mkdir "$BATS_TEST_TMPDIR/shared"
	run -0 in_front -e 'A=b c' -u 1000:1000 -w /tmp -v "$BATS_TEST_TMPDIR/shared:/shared" --name boxed --read-only "$ROOT" \
		sh -c 'echo "$A $(id -u):$(id -g) $(pwd) $(hostname)"; touch /x; touch /tmp/y && test -d /shared && ls -d /shared'
	has 'b c 1000:1000 /tmp boxed'
	has 'Read-only file system'
	run -0 in_front -v "$BATS_TEST_TMPDIR/shared:/shared" "$ROOT" sh -c 'echo kept >/shared/file; echo gone >/file'
	[ "$(cat "$BATS_TEST_TMPDIR/shared/file")" = kept ]
	[ ! -e "$ROOT/file" ]
	run -0 "$BERTH" --config "$UNITS" run -p 8080:80 "$ROOT" sh -c 'httpd -p 80 -h /www && wget -q -O - http://127.0.0.1/; hostname -i'
	has 'hello from a container'
}

@test "at a terminal: a shell, its size, Ctrl-C for the program in it" {
	output=$(typed 'echo "tty && stty size; touch /up/here; sleep 50"; up; sleep 0.5; printf "\003"; sleep 0.5
		echo "echo code \$?"; echo exit 7' -it "$ROOT" sh) || status=$?
	[ "$status" = 7 ]
	has '/dev/'
	has '33 44'
	has 'code 130'
}

@test "Ctrl-C stops it; what does not stop is told of, and killed by the next" {
	output=$(typed 'up; printf "\003"; sleep 1' "$ROOT" \
		sh -c "'trap \"echo bye; exit 4\" TERM; touch /up/here; while :; do sleep 0.1; done'") || status=$?
	[ "$status" = 4 ]
	has bye
	status=0
	output=$(typed 'up; printf "\003"; sleep 2.5; printf "\003"; sleep 1' "$ROOT" \
		sh -c "'touch /up/here; exec sleep 100'") || status=$?
	[ "$status" = 137 ]
	has 'it was asked to stop and has not ended yet; once more to kill it'
}

# begin NAME PORT: berth run in the background, until its container is up. Sets $!.
begin() {
	mkdir "$BATS_TEST_TMPDIR/$1"
	"$BERTH" --config "$UNITS" run -v "$BATS_TEST_TMPDIR/$1:/up" -p "$2:80" "$ROOT" \
		sh -c 'trap "exit 0" TERM; touch /up/here; while :; do sleep 0.1; done' 3>&- 4>&- &
	wait_until 10 test -e "$BATS_TEST_TMPDIR/$1/here"
}
directory_of() { find /run -maxdepth 1 -name "berth-run-$1-*"; }

@test "what a killed one leaves is ended and removed by the next; one that lives is left alone" {
	begin doomed 8080
	doomed=$!
	begin other 8081
	other=$!
	kill -KILL "$doomed"
	wait "$doomed" || true
	left=$(directory_of "$doomed")
	[ -d "$left" ]
	ip link show "br-run$doomed"
	container=$(cat "$(cgroup_top)"/*/c/run-"$doomed"/1/cgroup.procs | head -n 1)
	[ -e "/proc/$container" ]
	run -0 in_front "$ROOT" true
	[ -z "$output" ]
	[ ! -e "$left" ]
	[ ! -e "/proc/$container" ]
	run ! ip link show "br-run$doomed"
	[ -d "$(directory_of "$other")" ]
	ip link show "br-run$other"
	kill -TERM "$other"
	wait "$other"
	# And of one that was killed before it had begun.
	mkdir -p "/run/berth-run-$doomed-abcdef/units"
	run -0 in_front "$ROOT" true
	[ -z "$(directory_of '')" ]
}
