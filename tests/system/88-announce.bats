#!/usr/bin/env bats
# A container that starts tells its neighbours its addresses, once its port is open. (6 s)
load ../lib/system.bash
load ../lib/network.bash

prepare() {
	need_root_fs busybox
	command -v tcpdump >/dev/null || skip "no tcpdump here"
}
# listen NAME FILTER COUNT: tcpdump in a sibling's namespace; it has begun when this returns.
listen() {
	nsenter -t "$(pid_of "$1")" -n tcpdump -Z root -lneti eth0 -c "$3" "$2" >"$BATS_TEST_TMPDIR/heard" \
		2>"$BATS_TEST_TMPDIR/tcpdump" 3>&- 4>&- &
	TCPDUMP=$!
	wait_until 10 grep -q 'listening on' "$BATS_TEST_TMPDIR/tcpdump"
}
heard() { wait_until 10 grep -qE -- "$1" "$BATS_TEST_TMPDIR/heard" || { cat "$BATS_TEST_TMPDIR/heard"; return 1; }; }
mac() { inside "$1" ip -j link show eth0 | jq -r '.[0].address'; }

# bats test_tags=vm
@test "on a bridge: ARP and neighbour advertisement, past the walls, at each start with new links" {
	network site Subnet=10.75.0.0/24 Subnet=10.77.0.0/24 Subnet=fd00:75::/64 Subnet=fd00:77::/64
	on ear site.network
	on a site.network:ip=10.75.0.2,ip=10.77.0.2,ip6=fd00:75::2,ip6=fd00:77::2
	sed -i '/Install/,$d' "$UNITS/a.container"
	start_supervise
	wait_for ready ear
	listen ear '(arp and arp[14:4] = arp[24:4]) or (icmp6 and ip6[40] = 136 and (ip6[48:4] = 0xfd000075 or ip6[48:4] = 0xfd000077))' 4
	berth start a
	for net in 75 77; do
		heard "^$(mac a) > ff:ff:ff:ff:ff:ff, .*who-has 10.$net.0.2 .*tell 10.$net.0.2"
		heard "^$(mac a) > 33:33:00:00:00:01, .*fd00:$net::2 > ff02::1.*neighbor advertisement, tgt is fd00:$net::2"
	done
	wait "$TCPDUMP"
}

@test "on a macvlan" {
	need_link macvlan mode bridge
	ip link add cable0 type veth peer name cable1
	ip link set cable0 up
	ip link set cable1 up
	network plant Driver=macvlan Options=parent=cable0 Subnet=10.76.0.0/24 Subnet=fd00:76::/64
	on a plant.network:ip=10.76.0.2,ip6=fd00:76::2
	tcpdump -Z root -lneti cable1 -c 9 "arp or (icmp6 and ip6[40] = 136 and ip6[48:4] = 0xfd000076)" >"$BATS_TEST_TMPDIR/heard" 2>"$BATS_TEST_TMPDIR/tcpdump" 3>&- 4>&- &
	tcpdump=$!
	wait_until 10 grep -q 'listening on' "$BATS_TEST_TMPDIR/tcpdump"
	start_supervise
	wait_for ready a
	heard "^$(mac a) > ff:ff:ff:ff:ff:ff, .*who-has 10.76.0.2 .*tell 10.76.0.2"
	heard "^$(mac a) > 33:33:00:00:00:01, .*neighbor advertisement, tgt is fd00:76::2"
	kill "$tcpdump"
	stop_supervise
	ip link del cable0
}
