# For the tests of the network (bats), after system.bash: another machine, which is a network namespace,
# and servers of ours that it asks.
# shellcheck shell=bash disable=SC2154 # variables of system.bash

outside_begin() {
	unshare --net sleep infinity >/dev/null 2>&1 3>&- 4>&- &
	OUTSIDE=$!
	wait_until 5 outside_is_there
}
outside_is_there() { [ "$(readlink "/proc/$OUTSIDE/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
beyond() { nsenter -t "$OUTSIDE" -n "$@"; }
outside_end() {
	[ -n "${OUTSIDE:-}" ] || return 0
	kill "$OUTSIDE"
	wait "$OUTSIDE" 2>/dev/null || true
	ip link del up0 2>/dev/null || true
}

# outside: one on the wire up0 - eth0 that knows no way to our subnets; and the host's addresses there
outside() {
	outside_begin
	ip link add up0 type veth peer name eth0 netns "$OUTSIDE"
	ip addr add 192.0.2.1/24 dev up0
	ip -6 addr add fd00:99::1/64 dev up0 nodad
	ip link set up0 up
	beyond ip addr add 192.0.2.9/24 dev eth0
	beyond ip -6 addr add fd00:99::9/64 dev eth0 nodad
	beyond ip link set eth0 up
}

# web NAME LINE…: a server on lan.network that answers with its name
web() {
	local name=$1
	shift
	mkdir -p "$BATS_TEST_TMPDIR/www.$name"
	echo "$name" >"$BATS_TEST_TMPDIR/www.$name/index.html"
	{
		printf '[Container]\nRootfs=%s\nExec=httpd -f -p 80 -h /www\nNetwork=lan.network\n' "$ROOTS/busybox"
		# Its httpd does not heed SIGTERM.
		printf 'StopSignal=SIGKILL\nVolume=%s:/www:ro\n' "$BATS_TEST_TMPDIR/www.$name"
		printf '%s\n' "$@" '[Install]' 'WantedBy=default.target'
	} >"$UNITS/$name.container"
}
# hears WANTED COMMAND…: curl, run by COMMAND, hears the server of that name
hears() {
	local wanted=$1
	shift
	[ "$("$@" 2>&1)" = "$wanted" ] || {
		echo "wanted: $wanted; $* said: $("$@" 2>&1)"
		return 1
	}
}
get() { curl -fsS --max-time 3 "http://$1/"; }
up() { wait_until 5 get "$1" >/dev/null 2>&1; }
