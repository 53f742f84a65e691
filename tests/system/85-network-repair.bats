#!/usr/bin/env bats
# What the kernel has is compared with what is declared: at the start, at a reload, and when another
# program takes something of ours away. What is right is left alone: no packet is lost. (12 s)
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/network.bash

prepare() {
	need_root_fs busybox
	command -v socat >/dev/null || skip "no socat here"
	network site Subnet=10.75.0.0/24 Subnet=fd00:75::/64
	on a site.network:ip=10.75.0.2
	on b site.network:ip=10.75.0.3
	start_supervise --log-level info
	wait_for ready a
	wait_for ready b
}
table() { nft list tables | sed -n 's/^table inet \(berth-.*\)/\1/p'; }
says() { wait_until 10 grep -q -- "$1" "$BATS_TEST_TMPDIR/supervise.log"; }

# bats test_tags=vm
@test "bridge, link and rules that another program deletes are seen, told and made again" {
	pids="$(pid_of a) $(pid_of b)"
	ip link del br-site
	says 'network site: somebody deleted its bridge br-site: it is made again'
	wait_until 10 pings a 10.75.0.3 1
	ip link show br-site | grep -q 'alias berth:'
	host=$(ip -j link | jq -r '.[] | select(.ifalias // "" | endswith(":a:0")) | .ifname')
	ip link del "$host"
	says "a: somebody deleted its link $host: it is attached again"
	wait_until 10 pings a 10.75.0.3 1
	[ "$(address a)" = 10.75.0.2/24 ]
	inside a ip -4 route show default | grep -q 10.75.0.1
	host=$(ip -j link | jq -r '.[] | select(.ifalias // "" | endswith(":b:0")) | .ifname')
	ip link set "$host" nomaster
	says "b: its link $host is on no bridge"
	wait_until 10 pings b 10.75.0.2 1
	[ -n "$(table)" ]
	nft flush ruleset
	says 'removed packet rules of berth'
	wait_until 10 sh -c 'nft list tables | grep -q berth-'
	[ "$pids" = "$(pid_of a) $(pid_of b)" ]
}

# inside_lost NAME WHAT CHECK-WORDS: the check says so, and a reload puts it back
inside_lost() {
	run -1 berth network check
	has "site: $1.container $3"
	berth reload
	says "$1: .* has lost $2: it is attached again"
	run -0 berth network check
}

@test "what is taken away inside a container is seen by check; a reload puts back what it may not touch itself" {
	pids="$(pid_of a) $(pid_of b)"
	inside a ip addr del 10.75.0.2/24 dev eth0
	inside_lost a 'its address' 'eth0 has not its address: berth reload'
	inside a ip -6 route del default
	inside_lost a 'its default route' 'eth0 has not its default route'
	inside a ip link set eth0 down
	inside_lost a 'its being up' 'eth0 is down in the container'
	inside b ip link set eth0 down
	inside b ip link set eth0 name gone0
	inside_lost b 'the link itself' 'eth0 is missing in the container'
	inside b ip link del eth0
	says 'b: somebody deleted its link'
	wait_until 10 pings b 10.75.0.2 1
	pings a 10.75.0.3
	inside a ip -6 route show default | grep -q fd00:75::1
	[ "$pids" = "$(pid_of a) $(pid_of b)" ]
	# Who may configure his network is left alone.
	on c site.network AddCapability=NET_ADMIN
	berth reload
	wait_for ready c
	berth exec c ip addr flush dev eth0
	run -1 berth network check
	has 'site: c.container eth0 has not its address: berth restart c'
	berth reload
	run -1 berth network check
	berth restart c
	wait_for ready c
	run -0 berth network check
}

@test "rules of ours that are gone are told by check, port by port" {
	on d site.network:ip=10.75.0.4 PublishPort=8080-8082:80-82
	berth reload
	wait_for ready d
	run -0 berth network inspect site
	has 'rule (published) tcp 8081 to 10.75.0.4 port 81'
	kill -STOP "$SUPERVISOR"
	nft delete element inet "$(table)" ports4 '{ tcp . 8081 }'
	run -1 berth network check
	has 'site: its published ports are 5 of 6: berth reload'
	nft delete table inet "$(table)"
	run -1 berth network check
	has 'site: its packet rules are missing: berth reload'
	kill -CONT "$SUPERVISOR"
	says 'removed packet rules of berth'
	right() { berth network check; }
	wait_until 10 right
}

@test "deleted while berth was dead: the next supervisor restores it; orphans of ours go, others stay" {
	instance=$(table)
	instance=${instance#berth-}
	kill_supervise
	ip link del br-site
	run -1 berth network check
	has 'site: a.container b'
	has 'is not on its bridge'
	has 'site: bridge br-site is missing'
	nft delete table inet "berth-$instance"
	ip link add orphan0 type veth peer name orphan1
	ip link set orphan0 alias "berth:$instance:gone:0"
	ip link add br-other type bridge
	start_supervise
	wait_until 10 pings a 10.75.0.3 1
	wait_until 10 sh -c '! ip link show orphan0'
	ip link show br-other
	[ "$(table)" = "berth-$instance" ]
	ip link del br-other
}

@test "a ping and a stream go on over reload, kill -9 and a new supervisor: nothing is lost" {
	inside b socat -u TCP4-LISTEN:7000,reuseaddr "OPEN:$BATS_TEST_TMPDIR/got,creat" 3>&- &
	server=$!
	# Not by a function: it is to be the process that is ended.
	nsenter -t "$(pid_of a)" -n busybox ping -i 0.05 10.75.0.3 >"$BATS_TEST_TMPDIR/ping" 3>&- &
	ping=$!
	wait_until 5 sh -c "nsenter -t $(pid_of b) -n ss -Htln | grep -q :7000"
	# Lines one by one, as long as the rest takes.
	(i=0; until [ -e "$BATS_TEST_TMPDIR/enough" ]; do echo "$((i += 1))" && sleep 0.02; done) |
		inside a socat -u - TCP4:10.75.0.3:7000 3>&- &
	stream=$!
	network other Subnet=10.76.0.0/24
	berth reload
	on c site.network:ip=10.75.0.9
	berth reload
	wait_for ready c
	kill_supervise
	start_supervise
	wait_until 10 answers
	rm "$UNITS/c.container" "$UNITS/other.network"
	berth reload
	flows() { [ "$(wc -l <"$BATS_TEST_TMPDIR/got")" -gt 20 ]; }
	wait_until 10 flows # a quick machine is done before
	touch "$BATS_TEST_TMPDIR/enough"
	wait "$stream" "$server"
	kill -INT "$ping"
	wait "$ping"
	# None between, and at the end at most the one whose answer was on its way.
	answered=$(grep -c ' seq=' "$BATS_TEST_TMPDIR/ping")
	diff <(sed -n 's/.* seq=\([0-9]*\) .*/\1/p' "$BATS_TEST_TMPDIR/ping") <(seq 0 $((answered - 1)))
	[ "$(awk '/packets transmitted/ { print $1 }' "$BATS_TEST_TMPDIR/ping")" -le $((answered + 1)) ]
	diff "$BATS_TEST_TMPDIR/got" <(seq "$(wc -l <"$BATS_TEST_TMPDIR/got")")
	run grep somebody "$BATS_TEST_TMPDIR/supervise.log"
	[ "$status" -ne 0 ]
}
