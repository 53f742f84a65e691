#!/usr/bin/env bats
# Links of the host that berth sets up: Uplink= of berth.conf. (30 s)
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/network.bash
load ../lib/outside.bash
load ../lib/dhcp.bash

# A cable: up0 is the host's NIC, far0 the other end, in a namespace that stands for the network.
prepare() {
	outside_begin
	cable
}
cable() {
	ip link add up0 type veth peer name far0 netns "/proc/$OUTSIDE/ns/net"
	beyond ip link set far0 up
	beyond ip addr add 192.0.2.1/24 dev far0
	beyond ip addr add fd00:87::1/64 dev far0 nodad
}
finish() {
	stop_supervise
	outside_end
}
uplink() { printf 'Uplink=%s\n' "$@" >>"$UNITS/berth.conf"; }
addresses() { ip -j addr show up0 2>/dev/null | jq -e "[.[].addr_info[]? | select(.scope == \"global\") | \"\(.local)/\(.prefixlen)\"] | sort | $1" >/dev/null; }
says() { wait_until 10 grep -q -- "$1" "$BATS_TEST_TMPDIR/supervise.log"; }

@test "static addresses and routes of both families, set once and taken back by a reload" {
	uplink 'up0 192.0.2.2/24,192.0.2.1 mtu=1400' 'up0 fd00:87::2/64,fd00:87::1 dns=192.0.2.53'
	ip link set up0 up
	ip addr add 198.51.100.9/24 dev up0
	start_supervise
	addresses '. == ["192.0.2.2/24", "198.51.100.9/24", "fd00:87::2/64"]'
	ip -4 route show default | grep -q 'via 192.0.2.1 dev up0 .*metric 100'
	ip -6 route show default | grep -q 'via fd00:87::1 dev up0 .*metric 100'
	ip link show up0 | grep -q "mtu 1400"
	busybox ping -c1 -W3 192.0.2.1
	grep -qx 'nameserver 192.0.2.53' "$RUNTIME/resolv.conf"
	# What is as it should be is not touched: the kernel tells nobody of a change.
	ip monitor link address route >"$BATS_TEST_TMPDIR/monitor" 2>&1 3>&- 4>&- &
	monitor=$!
	wait_until 5 sh -c "grep -q sleep /proc/$OUTSIDE/cmdline && ls -l /proc/$monitor/fd | grep -q socket"
	berth reload
	ip link set lo mtu 65535 # a last word
	wait_until 5 grep -q ' lo' "$BATS_TEST_TMPDIR/monitor"
	kill "$monitor"
	run grep -E 'up0.*(192.0.2|UP|default)' "$BATS_TEST_TMPDIR/monitor"
	[ -z "$output" ]
	# Only what berth has set goes, also when it was killed in between.
	kill_supervise
	sed -i '/^Uplink/d' "$UNITS/berth.conf"
	uplink 'up0 192.0.2.3/24'
	start_supervise
	addresses '. == ["192.0.2.3/24", "198.51.100.9/24"]'
	[ -z "$(ip route show default)$(ip -6 route show default)" ]
	[ ! -s "$RUNTIME/resolv.conf" ]
}

@test "a link that comes later is set up when it comes, and again when it comes back" {
	ip link del up0
	uplink 'up0 192.0.2.2/24,192.0.2.1'
	start_supervise
	says 'uplink up0: there is no such link: it is set up when it comes'
	for _ in 1 2; do
		cable
		wait_until 10 addresses '. == ["192.0.2.2/24"]'
		wait_until 10 busybox ping -c1 -W1 192.0.2.1
		ip link del up0
		says 'uplink up0: the link is gone'
	done
}

@test "it is not lent away, and mistakes have their line" {
	uplink 'up0 192.0.2.2/24'
	printf '[Container]\nRootfs=/\nExec=sleep 1\n[X-Berth]\nDevice=up0\n' | unit r.container
	run -1 berth check
	has 'r.container:5: Device: up0 is the host'"'"'s own, by Uplink= of berth.conf'
	rm "$UNITS/r.container"
	printf '[Supervisor]\nUplink=\nUplink=lo 192.0.2.2/24\nUplink=up0 192.0.2.2\nUplink=up0 192.0.2.9/24,fe80::1\nUplink=up0 mtu=9 dns=x\n' >"$UNITS/berth.conf"
	run -1 berth check
	has 'berth.conf:3: Uplink: "lo" is not a link'
	has 'berth.conf:4: Uplink: "192.0.2.2": write'
	has 'berth.conf:5: Uplink: "fe80::1" is no gateway for 192.0.2.9/24'
	has 'berth.conf:6: Uplink: mtu=9: write a number'
	has 'berth.conf:6: Uplink: dns=x is not an address'
}

# ---- DHCP ----

leased() { addresses 'length == 1 and (.[0] | test("^192.0.2.1[0-4][0-9]/24$"))'; }
sleeper() { # NAME LINE…
	local name=$1
	shift
	{ printf '%s\n' "$@" '[Service]' 'ExecStart=/bin/sleep 1000' '[Install]' 'WantedBy=default.target'; } |
		unit "$name.service"
}

@test "dhcp: address, route and name server are leased; who needs the network waits; a restart keeps it" {
	need_dhcp
	uplink 'up0 dhcp'
	sleeper net '[Unit]' 'After=network-online.target'
	need_root_fs busybox
	# The host has no name server of its own, and a container runs before there is a lease.
	: >"$BATS_TEST_TMPDIR/resolv.conf"
	mount --bind "$BATS_TEST_TMPDIR/resolv.conf" /etc/resolv.conf
	network site Subnet=10.75.0.0/24
	network named Subnet=10.76.0.0/24 '[X-Berth]' NameServer=yes
	on a site.network
	on c named.network
	start_supervise
	wait_for ready a
	run -0 berth exec a cat /etc/resolv.conf
	[ -z "$output" ]
	grep -qx 'server=/#/' "$RUNTIME"/etc/servers-*
	wait_for running uplink-up0
	in_state waiting net
	server --dhcp-option=249,10.9.0.0/16,192.0.2.9,0.0.0.0/0,192.0.2.1
	wait_for ready net 60
	leased
	wait_for ready uplink-up0
	ip -4 route show default | grep -q 'via 192.0.2.1 dev up0 .*metric 100'
	ip -4 route show 10.9.0.0/16 | grep -q 'via 192.0.2.9 dev up0 .*metric 100'
	ip -4 -o addr show up0 | grep -qv forever # the kernel takes it away when nobody renews it
	printf 'nameserver 192.0.2.53\nsearch box.test\n' | cmp - "$RUNTIME/resolv.conf"
	run berth status uplink-up0
	has 'on up0, leased by 192.0.2.1'
	wait_until 5 sh -c "'$BERTH' --run-dir '$RUNTIME' exec a cat /etc/resolv.conf | grep -qx 'nameserver 192.0.2.53'"
	# So does the name server of a network, and whom its containers ask stays the same.
	wait_until 5 grep -qx 'server=192.0.2.53' "$RUNTIME"/etc/servers-*
	run -0 berth exec c cat /etc/resolv.conf
	has 'search dns.podman box.test'
	address=$(ip -4 -o addr show up0 | awk '{ print $4 }')
	# A death of berth ends neither the client nor the address.
	client=$(pid_of uplink-up0)
	kill_supervise
	start_supervise
	[ "$(pid_of uplink-up0)" = "$client" ]
	# A new client asks for the same, and what is there is never taken away in between.
	ip monitor address >"$BATS_TEST_TMPDIR/monitor" 2>&1 3>&- 4>&- &
	monitor=$!
	berth restart uplink-up0
	[ "$(ip -4 -o addr show up0 | awk '{ print $4 }')" = "$address" ]
	kill "$monitor"
	run grep -i deleted "$BATS_TEST_TMPDIR/monitor"
	[ -z "$output" ]
	# Renewed: the client speaks to the server again, and the time begins anew.
	n=$(grep -c DHCPACK "$BATS_TEST_TMPDIR/dnsmasq.log")
	berth kill -s USR1 uplink-up0
	wait_until 10 sh -c "[ \$(grep -c DHCPACK '$BATS_TEST_TMPDIR/dnsmasq.log') -gt $n ]"
	leased
	# The NIC is pulled out and put back.
	ip link del up0
	says 'uplink up0: the link is gone'
	cable
	server_away
	server
	wait_until 60 leased
	# Static from now on: client and lease go.
	sed -i 's/^Uplink.*/Uplink=up0 192.0.2.7\/24/' "$UNITS/berth.conf"
	run -0 berth reload
	wait_until 10 addresses '. == ["192.0.2.7/24"]'
	[ -z "$(ip route show default)" ]
	[ ! -s "$RUNTIME/resolv.conf" ]
	run -0 berth exec a cat /etc/resolv.conf
	[ -z "$output" ]
	grep -qx 'server=/#/' "$RUNTIME"/etc/servers-*
	server_away
	stop_supervise
	umount /etc/resolv.conf
}

@test "dhcp without a server: who needs the network waits no longer than some seconds" {
	need_dhcp
	uplink 'up0 dhcp'
	sleeper net '[Unit]' 'After=network-online.target'
	sleeper other
	# The client itself, with pauses of one second: how many there are is berth's.
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nexec %s udhcpc "$@" -T 1 -A 1\n' "$(command -v busybox)" >"$BATS_TEST_TMPDIR/bin/udhcpc"
	chmod +x "$BATS_TEST_TMPDIR/bin/udhcpc"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH start_supervise
	wait_for ready other
	in_state waiting net
	wait_for ready net 60
	run berth status uplink-up0
	has 'no DHCP server answers'
	server
	wait_until 60 leased
	server_away
}
