#!/usr/bin/env bats
# The first container of the README is run as it stands there, and what is pasted below it is what
# berth prints: same columns, same words, numbers and times aside.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() { need_root_fs busybox; }

# What differs from run to run and from box to box becomes one letter.
blur() {
	sed -E 's/[0-9]+(\.[0-9]+)*([a-z]+)?/N/g; s/ +/ /g; s/ $//'
}

@test "the first container of the README runs, and is listed as pasted" {
	sed -n '/^cat >\/etc\/berth\/web.container/,/^EOT$/p' "$REPO/README.md" | sed '1d;$d' |
		sed "s|^Rootfs=.*|Rootfs=$ROOTS/busybox|" >"$UNITS/web.container"
	grep -q '^PublishPort=8080:80$' "$UNITS/web.container"
	run -0 "$BERTH" check "$UNITS"
	start_supervise
	wait_for ready web
	wait_until 5 curl -sS -o /dev/null http://127.0.0.1:8080/
	berth ps | sed "s|$ROOTS/busybox|/srv/busybox|" >"$BATS_TEST_TMPDIR/ps"
	cat "$BATS_TEST_TMPDIR/ps"
	pasted=$(grep -A1 '^NAME ' "$REPO/README.md" | blur)
	[ "$pasted" = "$(blur <"$BATS_TEST_TMPDIR/ps")" ]
}
