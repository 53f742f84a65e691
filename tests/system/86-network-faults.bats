#!/usr/bin/env bats
# A host that cannot do what a network needs, and a kernel that tells of more than can be read. What
# vanishes or fails while a container starts is in tests/suite/46-faults. (15 s)
# shellcheck disable=SC2030,SC2031,SC2317 # functions called by name; bats runs a test in the shell
load ../lib/system.bash
load ../lib/network.bash

prepare() { need_root_fs busybox; }
says() { wait_until 10 grep -q -- "$1" "$BATS_TEST_TMPDIR/supervise.log"; }
finish() {
	if mountpoint -q /proc/sys; then umount /proc/sys; fi
	sysctl -qw net.ipv6.conf.default.disable_ipv6=0
}

@test "names that are too long for a link are errors of the check" {
	network a InterfaceName=averyverylongname
	network b Driver=macvlan Options=parent=averyverylongname IPAMDriver=none
	on web a.network:interface_name=averyverylongname '[X-Berth]' 'Device=averyverylongname'
	on box a.network '[X-Berth]' 'Device=eth7:averyverylongname'
	run -1 berth check
	has 'InterfaceName: "averyverylongname" is not a link'"'"'s name: at most 15 characters'
	has 'parent: "averyverylongname" is not a link'"'"'s name'
	has 'Network: interface_name=averyverylongname is not a link'"'"'s name'
	has 'Device: "averyverylongname" is not LINK or LINK:NAME, or one of them with ,dhcp behind it: names have at most 15 characters'
	has 'Device: "eth7:averyverylongname" is not LINK or LINK:NAME'
}

# bats test_tags=vm
@test "IPv6 switched off: networks without it work, one with it is refused in words, check says so" {
	sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	network four Subnet=10.77.0.0/24
	network six Subnet=fd00:77::/64
	on a four.network PublishPort=8080:80
	on b six.network
	run -0 berth check
	has "note: this machine will not start what is on network six: this host has IPv6 switched off: set net.ipv6.conf.default.disable_ipv6=0"
	[[ "$output" != *"network four"* ]]
	start_supervise
	wait_for ready a
	pings a 10.77.0.1
	failed() { berth why b | grep -q "network six: this host has IPv6 switched off"; }
	wait_until 5 failed
	run berth doctor
	has "IPv6                   missing (Permission denied): networks with an IPv6 Subnet= do not start"
	sysctl -qw net.ipv6.conf.default.disable_ipv6=0
	berth reload
	berth start b
	wait_for ready b
	pings b fd00:77::1
}

# read_only VALUE: ip_forward has it, and nothing below /proc/sys can be written
read_only() {
	sysctl -qw "net.ipv4.ip_forward=$1"
	mount --bind /proc/sys /proc/sys
	mount -o remount,bind,ro /proc/sys
}

@test "ip_forward off and forbidden: told by check, doctor and the failed start; an internal network works" {
	network out Subnet=10.77.0.0/24
	network in Subnet=10.78.0.0/24 Internal=yes
	on a out.network
	on b in.network
	sysctl -qw net.ipv6.conf.default.accept_ra=0
	read_only 0
	run -0 berth check
	has "note: this machine will not start what is on network out: it forwards no packets, and /proc/sys is read-only: set net.ipv4.ip_forward=1 before berth starts, or write Internal=yes"
	[[ "$output" != *"network in:"* ]]
	run berth doctor
	has "forwarding             missing (Read-only file system): only networks with Internal=yes"
	start_supervise
	failed() { berth why a | grep -q 'set net.ipv4.ip_forward=1 before berth starts'; }
	wait_until 5 failed
	stop_supervise
	rm "$UNITS/a.container" "$UNITS/out.network"
	start_supervise
	wait_for ready b
	stop_supervise
	umount /proc/sys
	# On already: nothing needs to be written.
	read_only 1
	network out Subnet=10.77.0.0/24
	on a out.network
	run -0 berth check
	[[ "$output" != *"forwards no packets"* ]]
	start_supervise
	wait_for ready a
	sysctl -n net.ipv4.ip_forward | grep -qx 1
	[ "$(grep -c 'has removed packet rules' "$BATS_TEST_TMPDIR/supervise.log")" = 0 ]
}

@test "more links and rules change than the kernel can tell of: all of ours is looked at anew" {
	network site Subnet=10.75.0.0/24
	on a site.network:ip=10.75.0.2
	start_supervise --log-level info
	wait_for ready a
	pid=$(pid_of a)
	kill -STOP "$SUPERVISOR"
	# As many notices as the links of 200 containers make: 2 MiB of them are soon full.
	ip link add noisy0 up type veth peer name noisy1 # one that is down is not told of
	for i in $(seq 3000); do echo "link set noisy0 alias n$i"; done >"$BATS_TEST_TMPDIR/noise"
	ip -batch "$BATS_TEST_TMPDIR/noise"
	ip link del noisy0
	ip link del br-site
	kill -CONT "$SUPERVISOR"
	says 'more links changed than could be told: looking at all of ours'
	wait_until 10 pings a 10.75.0.1 1
	# And so many elements of somebody else's set, after the table of ours is gone.
	kill -STOP "$SUPERVISOR"
	nft delete table inet "$(nft list tables inet | sed 's/.* //')"
	{
		echo 'add table ip theirs'
		echo 'add set ip theirs many { type ipv4_addr; }'
		for i in $(seq 0 255); do
			printf 'add element ip theirs many { '
			printf '10.%s.%s.1, ' "$i" 1 "$i" 2 "$i" 3 "$i" 4 "$i" 5 "$i" 6 "$i" 7 "$i" 8
			seq -f "10.$i.0.%g" -s ', ' 1 100 | tr -d '\n'
			echo ' }'
		done
	} >"$BATS_TEST_TMPDIR/many"
	nft -f "$BATS_TEST_TMPDIR/many"
	nft delete table ip theirs
	kill -CONT "$SUPERVISOR"
	says 'the kernel told of more changes of the packet rules than could be read: writing ours again'
	ours() { nft list tables inet | grep -q berth-; }
	wait_until 10 ours
	run -0 berth network check
	[ "$(pid_of a)" = "$pid" ]
}

@test "200 containers lose their links while nobody reads: all are attached again" {
	[ -n "${BERTH_SOAK:-}" ] || skip "takes minutes: make soak"
	network site Subnet=10.75.0.0/16
	for i in $(seq 200); do on "c$i" site.network; done
	start_supervise --log-level info
	for i in $(seq 200); do wait_for ready "c$i" 600; done
	before=$(berth ps --json | jq -c '[.[] | [.name, .pid]] | sort')
	for links in $(ip -j link | jq -r '.[] | select(.ifalias // "" | test("^berth:.*:0$")) | .ifname'); do
		echo "link del $links"
	done >"$BATS_TEST_TMPDIR/go"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/go")" = 200 ]
	kill -STOP "$SUPERVISOR"
	ip -batch "$BATS_TEST_TMPDIR/go"
	# What else happens on a busy host meanwhile.
	ip link add noisy0 up type veth peer name noisy1
	for i in $(seq 3000); do echo "link set noisy0 alias n$i"; done >"$BATS_TEST_TMPDIR/noise"
	ip -batch "$BATS_TEST_TMPDIR/noise"
	ip link del noisy0
	kill -CONT "$SUPERVISOR"
	says 'more links changed than could be told: looking at all of ours'
	right() { berth network check; }
	wait_until 300 right
	for i in 1 77 200; do pings "c$i" 10.75.0.1; done
	[ "$before" = "$(berth ps --json | jq -c '[.[] | [.name, .pid]] | sort')" ]
}
