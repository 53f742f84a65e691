#!/usr/bin/env bats
# VLANs and ipvlan: what many kernels lack; tests/suite/60-vm runs this file in a machine.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/network.bash

prepare() { need_root_fs busybox; }

@test "VLANs on a bridge of others: only members of the same one meet; a bridge without is refused" {
	ip link add trunk0 type bridge vlan_filtering 1 2>/dev/null || skip "this kernel's bridge knows no VLANs"
	ip link set trunk0 up
	ip link add flat0 type bridge
	network red Options=mode=unmanaged Options=vlan=20 InterfaceName=trunk0 Subnet=10.65.0.0/24
	network blue Options=mode=unmanaged Options=vlan=30 InterfaceName=trunk0 Subnet=10.66.0.0/24
	network flat Options=mode=unmanaged Options=vlan=20 InterfaceName=flat0 Subnet=10.67.0.0/24
	network own Options=vlan=40 Subnet=10.68.0.0/24
	on a red.network:ip=10.65.0.2
	on b red.network:ip=10.65.0.3
	on c blue.network:ip=10.66.0.4
	on d flat.network
	on e own.network
	start_supervise
	for name in a b c e; do wait_for ready $name; done
	pings a 10.65.0.3
	pings e 10.68.0.1
	inside c ip addr add 10.65.0.4/24 dev eth0
	run pings a 10.65.0.4 1
	[ "$status" -ne 0 ]
	run berth start d
	has 'does not filter VLANs: remove vlan=20'
	bridge -j vlan show | jq -e '[.[] | select(.ifname | IN("trunk0", "flat0", "br-own") | not) | .vlans[].vlan] |
		unique == [20, 30, 40]'
	stop_supervise
	ip link del trunk0
	ip link del flat0
}

@test "ipvlan in l2 and l3, and a VLAN of the parent that is made and taken away" {
	need_link ipvlan
	need_link vlan id 20
	ip link add plant0 type veth peer name plant1
	ip link add link plant1 name plant1.20 type vlan id 20
	ip addr add 10.72.0.1/24 dev plant1.20
	ip link set plant1 up
	ip link set plant1.20 up
	ip link add side0 type veth peer name side1
	ip link set side1 up
	network two Driver=ipvlan Options=parent=plant0 Options=vlan=20 Subnet=10.72.0.0/24 Subnet=fd00:72::/64
	ip link add third0 type veth peer name third1
	network three Driver=ipvlan InterfaceName=side0 Options=mode=l3 Subnet=10.73.0.0/24
	network four Driver=ipvlan Options=parent=third0 Options=mode=l3s Subnet=10.74.0.0/24 Subnet=10.75.0.0/24
	on a two.network:ip=10.72.0.9
	on b two.network:ip=10.72.0.10
	on c three.network
	on d four.network
	start_supervise
	for name in a b c; do wait_for ready $name; done
	if ip link add link side1 name probe0 type ipvlan mode l3s 2>/dev/null; then
		ip link del probe0
		wait_for ready d
		look d '.[] | select(.ifname == "eth0") | .linkinfo.info_data.mode == "l3s" and
			([.addr_info[] | select(.family == "inet")] | length) == 2'
	fi
	pings a 10.72.0.1
	pings a 10.72.0.10
	inside c ip -4 route show default | grep -q 'default dev eth0.*scope link'
	ip -d -j link show plant0.20 | jq -e '.[0] | .linkinfo.info_data.id == 20 and (.ifalias | endswith(":vlan:plant0.20"))'
	stop_supervise
	run ip link show plant0.20
	[ "$status" -ne 0 ]
	ip link show plant0
	ip link del plant0
	ip link del side0
	ip link del third0
}
