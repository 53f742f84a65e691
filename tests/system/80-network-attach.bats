#!/usr/bin/env bats
# Every way to attach a container: bridges of ours and of others, options of a network and of an
# attachment, namespaces that somebody else made, macvlan. VLANs and ipvlan: 81-network-vlan.bats.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/network.bash

prepare() { need_root_fs busybox; }

# bats test_tags=vm
@test "several networks: the first that leads outside gives the default route; options of each" {
	network vault Internal=yes Subnet=10.61.0.0/24
	network lan Subnet=10.60.0.0/24 Subnet=fd00:60::/64 IPRange=10.60.0.128/28 \
		IPRange=fd00:60::100-fd00:60::10f Options=mtu=1400 Label=site=berlin
	network side Subnet=10.62.0.0/24 Options=no_default_route=true InterfaceName=sidewalk0
	network far Subnet=10.58.0.0/24
	on web vault.network 'Network=side.network:interface_name=side0' \
		'Network=lan.network:ip=10.60.0.9,mac=02:00:00:00:60:09,alias=shop,interface_name=lan0'
	on db lan.network Network=far.network
	start_supervise
	wait_for ready web
	wait_for ready db
	look web '[.[] | select(.ifname == "lan0") | .address, .mtu,
		(.addr_info[] | select(.scope == "global") | .local)] |
		.[0:3] == ["02:00:00:00:60:09", 1400, "10.60.0.9"] and (.[3] | startswith("fd00:60::10"))'
	look web '[.[].ifname] | sort == ["eth0", "lan0", "lo", "side0"]'
	run inside web ip -4 route show default
	[ "${#lines[@]}" = 1 ]
	has 'default via 10.60.0.1 dev lan0'
	run inside web ip -6 route show default
	has 'via fd00:60::1 dev lan0'
	run inside db ip -4 route show default
	[ "${#lines[@]}" = 1 ]
	has 'default via 10.60.0.1 dev eth0'
	ip -j -d link show sidewalk0 | jq -e '.[0] | .linkinfo.info_kind == "bridge" and (.ifalias | endswith(":bridge:side"))'
	ip -j link show br-lan | jq -e '.[0].mtu == 1400'
	look db '[.[] | select(.ifname == "eth0") | .addr_info[] | select(.family == "inet") | .local |
		split(".")[3] | tonumber] | .[0] >= 128 and .[0] < 144'
	berth exec db grep -q '10.60.0.9.*shop' /etc/hosts
	pings db 10.60.0.9
	run -0 berth network ls lan
	[[ ${lines[1]} =~ ^lan\ +bridge\ +br-lan\ +10.60.0.0/24\ +fd00:60::/64\ +db,\ web$ ]]
	berth network inspect --json lan.network | jq -e '.[0] | .labels.site == "berlin" and .link.up and
		(.link.addresses | any(. == "10.60.0.1/24")) and (.members | length) == 2 and
		(.members[] | select(.unit == "web.container") | .ipv4 == "10.60.0.9" and .default_route and
		.host_link.exists and .link.mac == "02:00:00:00:60:09" and .counters.rx_packets > 0)'
	run -0 berth network inspect lan
	has 'network lan: bridge of lan.network'
	has '    route default via 10.60.0.1'
	has 'rule (leaves) who is in 10.60.0.0 leaves as the host'
	has ' is 10.60.0.9'
	[[ "$output" != *10.61.0* ]]
	run -0 berth network check
	[ -z "$output" ]
	run -4 berth network inspect nowhere
}

@test "IPv6 alone, no addresses at all, name servers of a network, names that are not told" {
	network six Subnet=fd00:66::/64 DNS=fd00:66::53 DisableDNS=true
	network bare IPAMDriver=none
	on a six.network
	on b six.network
	on c bare.network DNS=192.0.2.53
	start_supervise
	wait_for ready a
	wait_for ready b
	wait_for ready c
	look a '[.[] | select(.ifname == "eth0") | .addr_info[] | .family] | unique == ["inet6"]'
	b=$(inside b ip -6 -j addr show eth0 | jq -r '.[0].addr_info[] | select(.scope == "global") | .local')
	pings a "$b"
	look c '[.[] | select(.ifname == "eth0") | .addr_info[] | .scope] | unique == ["link"]'
	run berth exec a cat /etc/resolv.conf
	[ "$output" = 'nameserver fd00:66::53' ]
	run berth exec c cat /etc/resolv.conf
	[ "$output" = 'nameserver 192.0.2.53' ]
	run berth exec a cat /etc/hosts
	[[ "$output" != *fd00:66:* ]]
}

@test "names of members that a reload adds and removes, seen by one that runs; one file for a network" {
	network lan Subnet=10.69.0.0/24
	on a lan.network
	on b lan.network
	start_supervise
	wait_for ready a
	wait_for ready b
	pid=$(pid_of a)
	knows() { berth exec a grep -qw "$1" /etc/hosts; }
	knows b
	on newcomer lan.network:alias=fresh
	rm "$UNITS/b.container"
	berth reload
	wait_until 5 knows fresh
	run knows b
	[ "$status" -ne 0 ]
	wait_for ready newcomer
	pings a "$(address newcomer | cut -d/ -f1)"
	[ "$pid" = "$(pid_of a)" ]
	[ "$(find "$RUNTIME/etc" -name 'hosts-*' | wc -l)" = 1 ]
	end_supervise
	rm "$UNITS/newcomer.container"
	start_supervise
	run knows fresh
	[ "$status" -ne 0 ]
	[ "$pid" = "$(pid_of a)" ]
}

# netns NAME: which one it is in
netns() { readlink "/proc/$(pid_of "$1")/ns/net"; }

@test "the host's network, none, and that of another container, over a restart of each" {
	network lan Subnet=10.57.0.0/24
	on db lan.network PublishPort=8082:81
	on side db.container
	sed -i 's/Exec=.*/Exec=httpd -f -p 81 -h \/etc/' "$UNITS/side.container"
	on vpn lan.network AddCapability=NET_ADMIN
	on app vpn.container
	on free host
	on alone none
	start_supervise
	for name in db side vpn app free alone; do wait_for ready $name; done
	[ "$(netns free)" = "$(readlink /proc/self/ns/net)" ]
	look alone '[.[] | .ifname] == ["lo"] and (.[0].flags | any(. == "UP"))'
	pings alone 127.0.0.1
	run pings alone 10.57.0.1 1
	[ "$status" -ne 0 ]
	answers_at() { [ "$(inside "${2:-db}" curl -s --max-time 2 -o /dev/null -w '%{http_code}' "http://$1/passwd")" = 200 ]; }
	shared() { [ "$(netns db)" = "$(netns side)" ] && answers_at 127.0.0.1:81 && answers_at 10.57.0.1:8082 side; }
	wait_until 5 shared
	[ "$(berth exec db cat /etc/hosts)" = "$(berth exec side cat /etc/hosts)" ]
	# Its namespace is the definition's: whoever of them starts anew is in it again.
	was=$(netns db)
	for name in side db; do
		pid=$(pid_of $name)
		berth restart $name
		wait_restarted $name "$pid"
		wait_for ready db
		wait_for ready side
		wait_until 5 shared
		[ "$(netns db)" = "$was" ]
	done
	# Also of one that may configure it, and begins in a new one where it is alone.
	pid=$(pid_of vpn) was=$(netns app)
	berth restart vpn
	wait_restarted vpn "$pid"
	[ "$(netns vpn)" = "$was" ]
	pings app 10.57.0.1
	kill_supervise
	start_supervise
	shared
	run -0 berth network check
	[ -z "$output" ]
}

@test "a namespace that somebody else made is joined and left as it is" {
	mkdir -p /run/netns
	ip netns add theirs
	ip -n theirs link set lo up
	ip -n theirs addr add 192.0.2.77/32 dev lo
	on web ns:/run/netns/theirs
	on bad "ns:$BATS_TEST_TMPDIR"
	start_supervise
	wait_for ready web
	[ "$(address web)" = 192.0.2.77/32 ]
	run berth start bad
	has 'is no network namespace'
	berth stop web
	ip -n theirs addr show dev lo | grep -q 192.0.2.77
	ip netns del theirs
	umount /run/netns
}

told() { wait_until 10 grep -q -- "$1" "$BATS_TEST_TMPDIR/supervise.log"; }

# All that is set of a bridge, without its clocks and what follows from its ports.
settings() {
	ip -d -j addr show "$1" | jq -S '.[0] | [.ifname, .ifalias, .mtu, .addr_info[0].local, .addr_info[0].prefixlen,
		(.linkinfo.info_data | with_entries(select(.key | test("timer|topology|root|bridge_id") | not)))]'
}

# bats test_tags=vm
@test "somebody else's bridge: used, never changed beyond our ports, never deleted" {
	ip link add foreign0 type bridge
	ip link set foreign0 mtu 1300 up
	ip addr add 10.63.0.1/24 dev foreign0
	network theirs Options=mode=unmanaged InterfaceName=foreign0 Subnet=10.63.0.0/24 Options=mtu=1300
	network gone Options=mode=unmanaged InterfaceName=missing0 Subnet=10.64.0.0/24
	on web theirs.network
	on lost gone.network
	before=$(settings foreign0)
	start_supervise --log-level info
	wait_for ready web
	look web '.[] | select(.ifname == "eth0") | .mtu == 1300'
	pings web 10.63.0.1
	# Our port is taken away, and then itself: seen, told and mended, though no network is ours.
	host=$(ip -j link | jq -r '.[] | select(.ifalias // "" | endswith(":web:0")) | .ifname')
	ip link set "$host" nomaster
	told "web: its link $host is on no bridge"
	wait_until 10 pings web 10.63.0.1 1
	ip link del "$host"
	told "web: somebody deleted its link $host: it is attached again"
	wait_until 10 pings web 10.63.0.1 1
	run berth start lost
	has 'there is no bridge missing0'
	run nft list tables
	[ -z "$output" ]
	berth stop web
	stop_supervise
	after=$(settings foreign0)
	ip link del foreign0
	[ "$before" = "$after" ] || diff <(echo "$before") <(echo "$after")
}

@test "a subnet that the host has a route into fails its own containers alone, in words" {
	ip link add lan0 type veth peer name lan1
	ip addr add 10.70.0.5/16 dev lan0
	ip link set lan0 up
	network mine Subnet=10.70.3.0/24
	network lost Driver=macvlan Options=parent=missing0 Subnet=10.72.0.0/24
	network other Subnet=10.73.0.0/24
	on web mine.network PublishPort=8081:80 '[Service]' Restart=always
	on plant lost.network
	on good other.network PublishPort=8080:80
	start_supervise
	wait_for ready good
	pings good 10.73.0.1
	wait_until 5 sh -c "'$BERTH' --config '$UNITS' --run-dir '$RUNTIME' why web | grep -q overlaps"
	run berth why web
	has "its subnet 10.70.3.0/24 overlaps the host's route to 10.70.0.0/16 by lan0: choose another with Subnet="
	run ip link show br-mine
	[ "$status" -ne 0 ]
	# Nothing is said about addresses of the other's.
	run nft list ruleset inet
	has 10.73.0.0/24
	[[ $output != *10.70.3* ]]
	run -1 berth network check
	has "network mine: its subnet 10.70.3.0/24 overlaps"
	has 'lost: macvlan missing0 is missing'
	[ "$(grep -c overlaps <<<"$output")" = 1 ]
	# The cause is gone: it is found out by the next try, and the others go on.
	pid=$(pid_of good)
	ip link del lan0
	wait_for ready web
	pings web 10.70.3.1
	[ "$(pid_of good)" = "$pid" ]
	run nft list ruleset inet
	has 10.70.3.0/24
}

@test "the built-in network meets no subnet of podman's; default.network moves it elsewhere" {
	for subnet in 10.88.0.0/16 10.89.0.0/24; do
		ip link add name "pod${subnet:3:2}" type bridge
		ip addr add "${subnet%0/*}1/${subnet#*/}" dev "pod${subnet:3:2}"
		ip link set "pod${subnet:3:2}" up
	done
	network free IPv6=no
	on web default.network
	on db free.network
	start_supervise
	wait_for ready web
	wait_for ready db
	[[ $(address web) == 10.87.?*.*/20 && $(address db) == 10.87.*/24 ]]
	# A host that has this one too is told what to write.
	berth stop web
	stop_supervise
	ip link add name lan0 type bridge
	ip addr add 10.87.3.1/24 dev lan0
	ip link set lan0 up
	run -1 berth network check
	has "by lan0: choose another with Subnet= in a file default.network"
	network default Subnet=10.44.0.0/24
	start_supervise
	berth start web
	[[ $(address web) == 10.44.0.*/24 ]]
	ip link del pod88
	ip link del pod89
	ip link del lan0
}

# What a process has not got rid of when it dies the kernel goes on sending, for minutes, in its namespace.
# bats test_tags=vm
@test "macvlan: data that nobody takes keep no address from the next container" {
	need_link macvlan
	ip link add plant0 type veth peer name plant1
	ip addr add 10.71.0.1/24 dev plant1
	ip link set plant1 up
	network plant Driver=macvlan Options=parent=plant0 Subnet=10.71.0.0/24
	on a plant.network
	python3 -c 'import socket, time
s = socket.create_server(("10.71.0.1", 9000)); c, _ = s.accept(); time.sleep(1000)' 3>&- 4>&- &
	listens() { ss -Hltn '( sport = :9000 )' | grep -q .; }
	wait_until 10 listens
	start_supervise
	wait_for ready a
	mac_of() { inside "$1" ip -j link show eth0 | jq -r '.[0].address'; }
	was=$(mac_of a)
	[[ "$was" == *:*:* ]]
	berth exec a sh -c 'nc 10.71.0.1 9000 </dev/zero' 3>&- 4>&- &
	queued() { [ "$(inside a ss -Htn state established '( dport = :9000 )' | awk '{ print ($2 > 100000) }')" = 1 ]; }
	wait_until 10 queued
	stop_supervise
	start_supervise
	wait_for ready a
	[ "$(mac_of a)" = "$was" ]
	pings a 10.71.0.1
	run ! grep 'cannot start' "$BATS_TEST_TMPDIR/supervise.log"
	stop_supervise
	ip link del plant0
}

@test "macvlan: on the parent's network, stable, private, gone with its container" {
	need_link macvlan
	cable() {
		ip link add plant0 type veth peer name plant1
		ip addr add 10.71.0.1/24 dev plant1
		ip link set plant1 up
	}
	cable
	ip link add side0 type veth peer name side1
	network plant Driver=macvlan Options=parent=plant0 Subnet=10.71.0.0/24 IPRange=10.71.0.64/27 Options=mtu=1400
	network vepa Driver=macvlan InterfaceName=plant0 Options=mode=vepa IPAMDriver=none
	network thru Driver=macvlan Options=parent=side0 Options=mode=passthru IPAMDriver=none
	on v vepa.network
	on p thru.network
	on a plant.network
	on b plant.network:ip=10.71.0.200
	start_supervise
	wait_for ready a
	wait_for ready b
	look a '.[] | select(.ifname == "eth0") | .mtu == 1400 and
		(.linkinfo | .info_kind == "macvlan" and .info_data.mode == "bridge")'
	wait_for ready v
	wait_for ready p
	look v '.[] | select(.ifname == "eth0").linkinfo.info_data.mode == "vepa"'
	look p '.[] | select(.ifname == "eth0").linkinfo.info_data.mode == "passthru"'
	pings a 10.71.0.200
	pings a 10.71.0.1
	was=$(inside a ip -j addr show eth0 | jq -c '.[0] | [.address, .addr_info[].local]')
	pid=$(pid_of a)
	berth restart a
	wait_restarted a "$pid"
	[ "$(inside a ip -j addr show eth0 | jq -c '.[0] | [.address, .addr_info[].local]')" = "$was" ]
	# Another mode: the next start makes it anew.
	network plant Driver=macvlan Options=parent=plant0 Options=mode=private Subnet=10.71.0.0/24 IPRange=10.71.0.64/27
	end_supervise
	start_supervise
	private() { look a '[.[] | select(.ifname == "eth0")][0].linkinfo.info_data.mode == "private"'; }
	wait_until 10 private
	wait_for ready b
	run pings a 10.71.0.200 1
	[ "$status" -ne 0 ]
	address=$(address a)
	# Taken away inside, it is missed by check, and back with the next reload.
	inside a ip link del eth0
	run -1 berth network check
	has 'plant: a.container eth0 is missing in the container: berth reload'
	pids="$(pid_of a) $(pid_of b)"
	berth reload
	wait_until 10 look a 'any(.[].addr_info[]?; .local == "'"${address%/*}"'")'
	# The parent goes, and with it what stands on it; it comes back, also while nobody looks.
	ip link del plant0
	told 'network plant: plant0 is gone: its containers are attached again when it is back'
	told 'a: cannot be attached again: attach eth0 to network plant: there is no link plant0'
	told 'b: cannot be attached again'
	cable
	wait_until 10 pings b 10.71.0.1 1
	pings a 10.71.0.1
	run -0 berth network check
	kill_supervise
	ip link del plant0
	: >"$BATS_TEST_TMPDIR/supervise.log"
	start_supervise
	told 'b: cannot be attached again'
	cable
	wait_until 10 pings b 10.71.0.1 1
	[ "$pids" = "$(pid_of a) $(pid_of b)" ]
	stop_supervise
	run nft list tables
	[ -z "$output" ]
	ip link del plant0
	ip link del side0
}

@test "a parent that is missing, or of the host's way out in passthru, is refused before anything moves" {
	need_link macvlan
	ip link add up0 type veth peer name up1
	ip addr add 192.0.2.2/24 dev up0
	ip link set up0 up
	ip link set up1 up
	ip route add default via 192.0.2.1
	network none Driver=macvlan Options=parent=nowhere0 IPAMDriver=none
	network vlan Driver=macvlan Options=parent=nowhere0.7 IPAMDriver=none
	network take Driver=macvlan Options=parent=up0 Options=mode=passthru IPAMDriver=none
	on a none.network
	on b vlan.network
	on c take.network
	start_supervise
	run berth start a
	has 'attach eth0 to network none: there is no link nowhere0'
	run berth start b
	has 'there is no link nowhere0'
	run berth start c
	has 'mode=passthru would take up0 from the host, whose default route is by up0'
	ip route show default | grep -q 192.0.2.1
	berth stop --all
	ip link del up0
}
