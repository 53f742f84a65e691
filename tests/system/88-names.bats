#!/usr/bin/env bats
# NameServer=: the names of a network by DNS, asked as a program does that reads no /etc/hosts. (30 s)
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/network.bash
load ../lib/outside.bash

prepare() {
	need_root_fs busybox
	command -v dnsmasq >/dev/null || skip "no dnsmasq here"
	command -v dig >/dev/null || skip "no dig here"
	# What is in /etc/resolv.conf of the machine is none of the test's business.
	echo 'nameserver 127.0.0.1' >"$BATS_TEST_TMPDIR/resolv.conf"
	mount --bind "$BATS_TEST_TMPDIR/resolv.conf" /etc/resolv.conf
}
finish() { umount /etc/resolv.conf 2>/dev/null || true; }
# server NAME: the address that it asks.
server() { berth exec "$1" sed -n 's/^nameserver //p' /etc/resolv.conf; }
# ask CONTAINER DIG-WORD…: what its name server answers; status_of: and with which code.
ask() {
	local who=$1
	shift
	inside "$who" dig "@$(server "$who")" +short +tries=2 +time=2 "$@"
}
status_of() { # CONTAINER DIG-WORD…
	local who=$1
	shift
	inside "$who" dig "@$(server "$who")" +tries=2 +time=2 "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'
}
answer() { # WHAT CONTAINER DIG-WORD…
	local want=$1
	shift
	[ "$(ask "$@")" = "$want" ]
}
# answered SECONDS WHAT CONTAINER DIG-WORD…
answered() { wait_until "$1" answer "${@:2}" || { echo "wanted: $2; got: $(ask "${@:3}")"; berth logs app.network; false; }; }

# bats test_tags=vm
@test "A, AAAA and PTR of members, their aliases; NXDOMAIN for others; a member added by a reload" {
	network app Subnet=10.78.0.0/24 Subnet=fd00:78::/64 Internal=true '[X-Berth]' NameServer=yes
	on web app.network:ip=10.78.0.2,ip6=fd00:78::2
	on db app.network:ip=10.78.0.3,ip6=fd00:78::3,alias=store HostName=db.example
	start_supervise
	wait_for ready app.network
	wait_for ready web
	wait_for ready db
	answered 10 10.78.0.3 web db
	run ask web db AAAA store A db.example A db.dns.podman A -x 10.78.0.3 -x fd00:78::3 localhost
	[ "$output" = $'fd00:78::3\n10.78.0.3\n10.78.0.3\n10.78.0.3\ndb.\ndb.\n127.0.0.1' ]
	run status_of web db MX db.example AAAA nobody A nobody.example A nobody.dns.podman A -x 10.78.0.77
	[ "$output" = $'NOERROR\nNOERROR\nNXDOMAIN\nNXDOMAIN\nNXDOMAIN\nNXDOMAIN' ]
	[ "$(berth exec web grep search /etc/resolv.conf)" = 'search dns.podman' ]
	# As a program of the container asks.
	berth exec web nslookup db
	pids="$(pid_of web) $(pid_of db) $(pid_of app.network)"
	on more app.network:ip=10.78.0.4,ip6=fd00:78::4
	on db app.network:ip=10.78.0.3,ip6=fd00:78::3 HostName=db.example
	berth reload
	answered 10 10.78.0.4 web more
	answered 10 '' web store
	rm "$UNITS/more.container"
	berth reload
	answered 10 '' web more
	[ "$pids" = "$(pid_of web) $(pid_of db) $(pid_of app.network)" ]
}

@test "a server upstream is asked for what is no name of ours, by DNS= and by the host's resolv.conf" {
	# In a namespace of its own: the host's ports are closed to containers.
	outside_begin
	ip link add up0 type veth peer name up1 netns "$OUTSIDE"
	ip addr add 10.79.9.2/24 dev up0
	ip link set up0 up
	beyond ip addr add 10.79.9.1/24 dev up1
	beyond ip link set up1 up
	network app Subnet=10.78.0.0/24 DNS=10.79.9.1 '[X-Berth]' NameServer=yes
	on web app.network:ip=10.78.0.2
	network host Subnet=10.77.0.0/24 '[X-Berth]' NameServer=yes
	on other host.network
	printf 'search lan.example\nnameserver 127.0.0.53\nnameserver 10.79.9.1\n' >"$BATS_TEST_TMPDIR/resolv.conf"
	nsenter -t "$OUTSIDE" -n dnsmasq --keep-in-foreground --conf-file=/dev/null --user= --pid-file --no-resolv \
		--no-hosts --listen-address=10.79.9.1 --bind-interfaces --log-queries \
		--host-record=far.example,192.0.2.7 --address=/web/192.0.2.8 --host-record=nobody,192.0.2.9 \
		--log-facility="$BATS_TEST_TMPDIR/upstream.log" 3>&- &
	upstream=$!
	start_supervise
	wait_for ready web
	wait_for ready other
	answered 10 192.0.2.7 web far.example
	answered 10 192.0.2.7 other far.example
	answer 10.78.0.2 web web
	[ "$(status_of web nobody)" = NXDOMAIN ]
	[ "$(status_of web web TXT)" = NOERROR ]
	[ "$(berth exec other grep search /etc/resolv.conf)" = 'search dns.podman lan.example' ]
	run cat "$BATS_TEST_TMPDIR/upstream.log"
	has 'far.example'
	[[ $output != *nobody* && $output != *'] web'* ]]
	kill "$upstream"
	outside_end
	wait_until 5 sh -c '! ip link show up0 2>/dev/null'
}

@test "it may do nothing: not root, no capability but its port's, nothing to write, no socket of the host" {
	network app Subnet=10.78.0.0/24 '[X-Berth]' NameServer=yes
	on web app.network
	start_supervise
	wait_for ready web
	answered 10 "$(address web | cut -d/ -f1)" web web
	pid=$(pid_of app.network)
	run cat "/proc/$pid/status"
	has $'Uid:\t65534\t65534\t65534\t65534'
	has $'CapPrm:\t0000000000000400'
	has $'CapBnd:\t0000000000000400'
	has $'NoNewPrivs:\t1'
	has $'Seccomp:\t2'
	# Each mount is read-only; of /run there are two files.
	awk '$6 !~ /^ro(,|$)/ { print "writable: " $5; bad = 1 } END { exit bad || !NR }' "/proc/$pid/mountinfo"
	[ "$(ls "/proc/$pid/root/run")" = $'hosts\nservers' ]
	[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	# And it is a member like the others: its address is its own, on its own port.
	nft list ruleset bridge | grep -q "$(server web)"
}

@test "killed it comes back by its delays, and no container is touched; ps, status, why and logs know it" {
	network app Subnet=fd00:78::/64 '[X-Berth]' NameServer=yes
	on web app.network:ip6=fd00:78::2
	start_supervise
	wait_for ready web
	answered 10 fd00:78::2 web web AAAA
	[[ $(server web) == fd00:78:* ]]
	pid=$(pid_of web) old=$(pid_of app.network)
	kill -KILL "$old"
	wait_restarted app.network "$old"
	answered 10 fd00:78::2 web web AAAA
	run -0 berth ps
	has app.network
	run -0 berth status app.network
	has ready
	run berth why app.network
	has SIGKILL
	run -0 berth logs app.network
	has 'started, version'
	[ "$(pid_of web)" = "$pid" ]
	# Adopted by the next supervisor, like all others.
	old=$(pid_of app.network)
	kill_supervise
	start_supervise
	answered 10 fd00:78::2 web web AAAA
	[ "$(pid_of app.network) $(pid_of web)" = "$old $pid" ]
}

@test "dnsmasq out of a bundle; none at all is an error that names the cure" {
	mkdir -p "$BATS_TEST_TMPDIR/bundles/dnsmasq"
	cp "$(command -v dnsmasq)" "$BATS_TEST_TMPDIR/bundles/dnsmasq/dnsmasq"
	echo "BundlePath=$BATS_TEST_TMPDIR/bundles" >>"$UNITS/berth.conf"
	network app Subnet=10.78.0.0/24 '[X-Berth]' NameServer=yes
	on web app.network:ip=10.78.0.2
	start_supervise
	wait_for ready web
	answered 10 10.78.0.2 web web
	[[ $(readlink "/proc/$(pid_of app.network)/exe") == *bundles/dnsmasq* ]]
	stop_supervise
	sed -i /BundlePath/d "$UNITS/berth.conf"
	dnsmasq=$(readlink -f "$(command -v dnsmasq)")
	mount --bind /dev/null "$dnsmasq"
	run -1 berth check
	umount "$dnsmasq"
	has 'app.network:4: NameServer: there is no dnsmasq here: install it'
}
