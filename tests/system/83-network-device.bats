#!/usr/bin/env bats
# A link of the host moved into a container, and back at its end however that comes. (8 s)
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/network.bash

# A macvlan stands for the NIC: as real hardware, and unlike a veth, it is a link with one end.
prepare() {
	need_root_fs busybox
	ip link add cable0 type veth peer name cable1
	ip link set cable0 up
	ip link set cable1 up
	ip addr add 192.0.2.1/24 dev cable1
	ip link add link cable0 name nic1 type macvlan mode bridge 2>/dev/null || {
		ip link del cable0
		skip "this kernel has no macvlan"
	}
	ip link set nic1 alias 'the blue cable'
	mac=$(ip -j link show nic1 | jq -r '.[0].address')
}
router() { # NAME LINE…: a container with these lines of [Container] and [X-Berth]
	local name=$1
	shift
	{
		printf '%s\n' '[Container]' "Rootfs=$ROOTS/busybox" 'Exec=sleep infinity' 'StopSignal=SIGKILL'
		printf '%s\n' "$@"
		printf '%s\n' '[Install]' 'WantedBy=default.target'
	} | unit "$name.container"
}
# The NIC is with the host as it was: name, MAC address, alias.
home() {
	ip -j link show nic1 2>/dev/null |
		jq -e --arg mac "$mac" '.[0] | .address == $mac and .ifalias == "the blue cable"' >/dev/null
}
away() { ! ip link show nic1 >/dev/null 2>&1; }
clean() { stop_supervise && ip link del cable0; }

# bats test_tags=vm
@test "moved at the start, back at the stop, and the same with the next start" {
	router r 'Network=none' '[X-Berth]' 'Device=nic1:wan'
	start_supervise
	wait_for ready r
	away
	look r '[.[] | select(.ifname == "wan")] | length == 1'
	inside r ip addr add 192.0.2.9/24 dev wan
	pings r 192.0.2.1
	berth stop r
	# What was lent is home when the stop says that it is done.
	home
	berth start r
	away
	look r '[.[] | select(.ifname == "wan")][0].addr_info | all(.scope == "link")'
	pid=$(pid_of r)
	berth restart r
	wait_restarted r "$pid"
	look r 'any(.ifname == "wan")'
	# One that configures its network itself gets a new namespace with each start.
	router r 'Network=none' 'AddCapability=NET_ADMIN' '[X-Berth]' 'Device=nic1:wan'
	run -0 berth reload
	wait_restarted r "$(pid_of r)" 1 || true
	wait_for ready r
	# Before 6.2 a link that is up keeps its name.
	berth exec r ip link set wan down
	berth exec r ip link set wan name lan
	berth restart r
	wait_for ready r
	look r 'any(.ifname == "wan")'
	run grep somebody "$BATS_TEST_TMPDIR/supervise.log"
	[ "$status" -ne 0 ]
	stop_supervise
	home
	ip link del cable0
}

@test "back when it ended while berth was dead, and when its unit is gone" {
	router r '[X-Berth]' 'Device=nic1'
	start_supervise
	wait_for ready r
	pid=$(pid_of r)
	kill_supervise
	away
	kill -KILL "$pid"
	wait_until 5 gone "$pid"
	start_supervise
	wait_until 10 home
	berth start r
	wait_for ready r
	away
	# Without berth, the unit's file goes; the next one finds its namespace.
	kill_supervise
	rm "$UNITS/r.container"
	start_supervise
	wait_until 10 home
	clean
}

@test "killed at any moment of a start or a stop: the next one has it at one place" {
	router r '[X-Berth]' 'Device=nic1'
	start_supervise
	wait_for ready r
	for wait in 0 0.005 0.02 0.05; do
		berth stop --no-block r
		sleep $wait
		kill_supervise
		start_supervise
		berth stop r
		wait_until 5 home
		berth start --no-block r
		sleep $wait
		kill_supervise
		start_supervise
		berth start r
		wait_for ready r
		look r 'any(.ifname == "nic1")'
	done
	clean
	[ ! -e /sys/class/net/nic1 ]
}

@test "its name was taken meanwhile: it comes back as another, and the log says so" {
	router r '[X-Berth]' 'Device=nic1'
	start_supervise
	wait_for ready r
	ip link add nic1 type veth peer name nic2
	berth stop r
	lent() { ip -j link | jq -e 'any(.ifalias == "the blue cable" and (.ifname | startswith("lent")))' >/dev/null; }
	wait_until 5 lent
	wait_until 5 grep -q 'device nic1 came back to the host, but its name was taken' "$BATS_TEST_TMPDIR/supervise.log"
	ip link del nic1
	clean
}

@test "what the host cannot do without is refused, and nothing has moved" {
	ip link add br9 type bridge
	ip link add port9 type veth peer name port8
	ip link set port9 master br9
	ip link set br9 up
	ip addr add 198.51.100.2/24 dev br9
	ip route add default via 198.51.100.1
	ip route add default via 192.0.2.7 dev cable1 metric 9
	router missing '[X-Berth]' 'Device=nic1 nowhere0'
	router port '[X-Berth]' 'Device=port9'
	router uplink '[X-Berth]' 'Device=br9'
	router under '[X-Berth]' 'Device=cable1:x'
	router loop '[X-Berth]' 'Device=lo:x'
	start_supervise
	run berth start missing
	has 'move device nowhere0: the host has no such link'
	home
	run berth start port
	has 'move device port9: it is a port of br9: take it out of that first'
	run berth start uplink
	has "move device br9: the host's default route is by br9"
	home
	run berth start loop
	has "it is the host's loopback"
	run berth start under
	has "move device cable1: the host's default route is by cable1"
	ip link show br9 | grep -q UP
	berth stop --all
	ip link del br9
	ip link del port9
	clean
}

@test "two units that want one link, or a link of a network: errors of the check" {
	network plant Driver=macvlan Options=parent=nic1 IPAMDriver=none
	router a '[X-Berth]' 'Device=cable0'
	router b '[X-Berth]' 'Device=cable0'
	router c '[X-Berth]' 'Device=nic1'
	router d 'Network=host' '[X-Berth]' 'Device=nic1'
	router e '[X-Berth]' 'Device=cable1:eth0'
	run -1 berth check
	has 'Device: cable0 is used by a.container too'
	has 'Device: nic1 is used by plant.network too'
	has 'the container has no network of its own to move nic1 to'
	has 'Device: eth0 is the name of another interface'
	ip link del cable0
}
