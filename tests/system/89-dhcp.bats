#!/usr/bin/env bats
# Addresses of containers that a DHCP server of their network leases.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/network.bash
load ../lib/outside.bash
load ../lib/dhcp.bash

# plant0 is the host's NIC; far0, the other end of its cable, in a namespace that stands for the network.
prepare() {
	need_root_fs busybox
	need_dhcp
	outside_begin
	ip link add plant0 type veth peer name far0 netns "/proc/$OUTSIDE/ns/net"
	ip link set plant0 up
	beyond ip link set far0 up
	beyond ip addr add 192.0.2.1/24 dev far0
}
finish() {
	stop_supervise
	server_away
	ip link del plant0 2>/dev/null || true
	outside_end
}
plant() { network plant Driver=macvlan Options=parent=plant0 IPAMDriver=dhcp; }
leased() { inside "$1" ip -4 -o addr show dev "${2:-eth0}" | grep -q '192.0.2.1[0-4][0-9]/24'; }

@test "macvlan: the container begins with its lease; names, name servers and routes are the server's" {
	plant
	server --dhcp-option=121,10.9.0.0/16,192.0.2.9,0.0.0.0/0,192.0.2.1 --dhcp-option=option:mtu,1400
	on a plant.network
	start_supervise
	wait_for ready a
	leased a
	address=$(address a)
	inside a ip -4 route show default | grep -q 'via 192.0.2.1 dev eth0 proto dhcp'
	inside a ip -4 route show 10.9.0.0/16 | grep -q 'via 192.0.2.9 dev eth0 proto dhcp'
	look a 'any(.ifname == "eth0" and .mtu == 1400)'
	pings a 192.0.2.1
	run -0 berth exec a cat /etc/resolv.conf
	[ "$output" = $'nameserver 192.0.2.53\nsearch box.test' ]
	berth exec a cat /etc/hosts | grep -q "^${address%/*}.a\$"
}

@test "a restart, a new client and a death of berth keep the lease; what the server says anew follows at once" {
	plant
	beyond ip addr add fd00:89::1/64 dev far0 nodad
	server --enable-ra --dhcp-range=fd00:89::,ra-only
	on a plant.network
	on b plant.network
	start_supervise
	wait_for ready a
	wait_for ready b
	# IPv6 is the kernel's, by a router's word.
	routed() { inside a ip -6 addr show dev eth0 | grep -q 'inet6 fd00:89::.*dynamic' && inside a ip -6 route | grep -q '^default.*proto ra'; }
	wait_until 10 routed
	address=$(address a)
	other=$(address b)
	[ "$address" != "$other" ]
	# Each knows both by name.
	knows() { berth exec "$1" cat /etc/hosts | grep -q "^${2%/*}.$3\$"; }
	for name in a b; do
		wait_until 5 knows $name "$address" a
		wait_until 5 knows $name "$other" b
	done
	run -0 berth ps
	has "${address%/*}"
	run berth why a
	has "Its address on eth0, $address, is leased by 192.0.2.1, for another "
	run berth network inspect plant
	has "address $other, leased by 192.0.2.1, for another "
	client=$(pid_of a.dhcp)
	berth restart a
	wait_for ready a
	[ "$(address a) $(pid_of a.dhcp)" = "$address $client" ]
	routed
	kill_supervise
	start_supervise
	wait_for ready a
	[ "$(address a) $(pid_of a.dhcp)" = "$address $client" ]
	# A client that dies begins anew, and what is there is never taken away in between.
	nsenter -t "$(pid_of a)" -n ip monitor address route >"$BATS_TEST_TMPDIR/monitor" 2>&1 3>&- 4>&- &
	monitor=$!
	kill -KILL "$client"
	wait_restarted a.dhcp "$client"
	wait_for ready a.dhcp
	[ "$(address a)" = "$address" ]
	kill "$monitor"
	run grep -i deleted "$BATS_TEST_TMPDIR/monitor"
	[ -z "$output" ]
	# The server says something else of the same lease, and berth has not started this client.
	kill_supervise
	start_supervise
	server_away
	server --dhcp-option=option:dns-server,192.0.2.54
	berth kill -s USR1 a.dhcp
	told() { berth exec a cat /etc/resolv.conf | grep -qx 'nameserver 192.0.2.54'; }
	wait_until 10 told
	# It takes the address back: NAK, and another one.
	server_away
	rm "$BATS_TEST_TMPDIR/leases"
	beyond ip addr flush dev far0
	beyond ip addr add 192.0.2.1/28 dev far0
	RANGE=192.0.2.4,192.0.2.9 server
	berth kill -s USR1 a.dhcp
	moved() { address a | grep -q '^192.0.2.[4-9]/28'; }
	wait_until 20 moved
	wait_until 5 knows b "$(address a)" a
	grep -q DHCPNAK "$BATS_TEST_TMPDIR/dnsmasq.log"
	# Stopped, its client stops; the next start asks for the same again.
	address=$(address a)
	berth stop a
	wait_for inactive a.dhcp
	berth start a
	wait_for ready a
	[ "$(address a)" = "$address" ]
}

@test "no server: the container fails in words and tries again, and begins when a server comes" {
	plant
	on a plant.network
	on b none
	start_supervise
	wait_for ready b
	in_state waiting a
	run berth start a
	[ "$status" -ne 0 ]
	has 'a: cannot start: it has no address: no DHCP server has answered on eth0 in 15 s'
	run berth why a.dhcp
	has 'no DHCP server has answered on eth0 in 15 s'
	server
	wait_for ready a 30
	leased a
}

@test "a lent link: leased in a new namespace with each run, and given back as it came" {
	server --dhcp-option=option:mtu,1400
	on r none 'AddCapability=NET_ADMIN' '[X-Berth]' 'Device=plant0:wan,dhcp'
	start_supervise
	wait_for ready r
	leased r wan
	address=$(address r)
	inside r ip link show wan | grep -q 'mtu 1400'
	inside r ip -4 route show default | grep -q 'via 192.0.2.1 dev wan proto dhcp'
	inside r ip link add left0 type dummy 2>/dev/null || inside r ip link add left0 type bridge
	inside r ip addr add 198.51.100.1/24 dev wan
	pid=$(pid_of r)
	kill -KILL "$pid"
	wait_until 5 gone "$pid"
	berth restart r
	wait_for ready r
	[ "$(inside r ip -4 -o addr show dev wan | awk '{ print $4 }')" = "$address" ]
	run inside r ip link show left0
	[ "$status" -ne 0 ]
	berth stop r
	home() { ip -j addr show plant0 2>/dev/null | jq -e '.[0] | .addr_info == [] and .mtu == 1500' >/dev/null; }
	wait_until 5 home
	berth start r
	[ "$(inside r ip -4 -o addr show dev wan | awk '{ print $4 }')" = "$address" ]
	stop_supervise
	wait_until 5 home
}
