#!/usr/bin/env bats
# Networks of several subnets: a container has one address in each. (9 s)
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/network.bash
load ../lib/outside.bash

prepare() {
	need_root_fs busybox
	sysctl -qw net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
}

finish() { outside_end; }

# globals NAME: the addresses inside, IPv4 first, in a line
globals() {
	inside "$1" ip -j addr show eth0 | jq -r '[.[0].addr_info[] | select(.scope == "global")] | sort_by(.family) |
		map("\(.local)/\(.prefixlen)") | join(" ")'
}
has_globals() { [ "$(globals "$1")" = "$2" ]; }
# gateways BRIDGE: its addresses, in a line
gateways() {
	ip -j addr show "$1" | jq -r '[.[0].addr_info[] | select(.scope == "global") | .local] | sort | join(" ")'
}
mended() { berth network check; }
bridge_is() { [ "$(gateways br-lan)" = "$1" ]; }
# out_by GATEWAY [-6]: the one default route of a
out_by() { [[ "$(inside a ip "${2:--4}" route show default)" =~ ^default\ via\ $1\ dev\ eth0[^$'\n']*$ ]]; }

four='Subnet=10.41.0.0/24 Subnet=10.42.0.0/24 Gateway=10.42.0.254 Subnet=fd00:41::/64 Subnet=fd00:42::/64
	IPRange=10.42.0.16/28'

@test "one address in each: siblings, gateways, ways out, walls, ports, names, and what the verbs say" {
	outside
	# shellcheck disable=SC2086 # words
	network lan $four
	on a lan.network '[X-Berth]' AllowHostPort=2222
	on b lan.network:ip=10.42.0.9,ip=10.41.0.9,ip6=fd00:42::9 PublishPort=8080:80
	sed -i 's/Exec=.*/Exec=httpd -f -p 80 -h \/etc/' "$UNITS/b.container"
	run -0 berth check "$UNITS"
	start_supervise
	wait_for ready a
	wait_for ready b
	[[ "$(globals a)" =~ ^10\.41\.0\.[0-9]+/24\ 10\.42\.0\.(1[6-9]|2[0-9]|3[01])/24\ fd00:4 ]]
	[[ "$(globals b)" =~ ^10\.41\.0\.9/24\ 10\.42\.0\.9/24\ fd00:4.*fd00:4 ]]
	[ "$(inside a ip -j addr show eth0 | jq '[.[0].addr_info[] | select(.scope == "global")] | length')" = 4 ]
	bridge_is '10.41.0.1 10.42.0.254 fd00:41::1 fd00:42::1'
	# Siblings in each subnet, the gateway of each, and out by the first, whatever the source.
	b6=$(inside b ip -6 -j addr show eth0 | jq -r '.[0].addr_info[].local | select(startswith("fd00:41::"))')
	for to in 10.41.0.9 10.42.0.9 fd00:42::9 "$b6" 10.41.0.1 10.42.0.254 fd00:41::1 fd00:42::1; do pings a "$to"; done
	out_by 10.41.0.1
	out_by fd00:41::1 -6
	for from in $(globals a); do
		case $from in *:*) to=fd00:99::9 ;; *) to=192.0.2.9 ;; esac
		inside a busybox ping -c1 -W3 -I "${from%/*}" "$to"
	done
	# Walls: nobody takes an address that he has not, in any of them.
	inside a ip addr add 10.42.0.200/24 dev eth0
	run inside a busybox ping -c1 -W1 -I 10.42.0.200 10.42.0.9
	[ "$status" -ne 0 ]
	inside a ip addr del 10.42.0.200/24 dev eth0
	nft -j list set bridge "$(nft list tables | awk '/bridge/ { print $3 }')" addr4 |
		jq -e '[.nftables[].set? // empty | .elem[].concat[2]] | length == 4 and any(. == "10.42.0.9")'
	for from in $(globals a); do
		nft list ruleset inet | grep -F "${from%/*}" | grep -q 2222
	done
	# A port leads to the first address of each family; also from a sibling by another of his addresses.
	for to in 127.0.0.1 192.0.2.1 '[::1]' '[fd00:99::1]'; do
		run curl -s --max-time 3 -o /dev/null -w '%{http_code}' "http://$to:8080/passwd"
		[ "$output" = 200 ]
	done
	run -0 inside a curl -s --max-time 3 -o /dev/null -w '%{http_code}' --interface "$(globals a | cut -d' ' -f2 | cut -d/ -f1)" \
		http://192.0.2.1:8080/passwd
	[ "$output" = 200 ]
	nft list ruleset inet | grep -q '8080 : 10.41.0.9 . 80'
	# Names, and what is shown.
	run -0 berth exec a cat /etc/hosts
	for line in 10.41.0.9 10.42.0.9 "$b6" fd00:42::9; do grep -qP "^$line\tb$" <<<"$output"; done
	row b | jq -e '.addresses | length == 4 and .[0] == "10.41.0.9" and .[3] == "fd00:42::9"'
	run -0 berth ps
	has "10.41.0.9, 10.42.0.9, $b6, fd00:42::9"
	run -0 berth network ls lan
	has '10.41.0.0/24,10.42.0.0/24 fd00:41::/64,fd00:42::/64 a, b'
	berth network inspect --json lan | jq -e '.[0] | .subnet4 == "10.41.0.0/24" and .gateway6 == "fd00:41::1" and
		.subnets[1] == {"subnet": "10.42.0.0/24", "gateway": "10.42.0.254"} and (.subnets | length) == 4 and
		([.rules[] | select(.kind == "leaves")] | length) == 4 and
		(.members[] | select(.unit == "b.container") | .ipv4 == "10.41.0.9" and (.addresses | length) == 4)'
	run -0 berth network check
	[ -z "$output" ]
}

@test "a subnet that comes or goes by a reload moves its own network's containers alone; the others' addresses stay" {
	network lan Subnet=10.41.0.0/24
	network side Subnet=10.49.0.0/24 Subnet=10.48.0.0/24
	on a lan.network
	on c side.network
	start_supervise
	wait_for ready a
	wait_for ready c
	pid=$(pid_of a) other=$(pid_of c)
	first=$(globals a) mac=$(inside a ip -j link show eth0 | jq -r '.[0].address')
	network lan Subnet=10.41.0.0/24 Subnet=10.42.0.0/24
	berth reload
	wait_restarted a "$pid"
	wait_for ready a
	[[ "$(globals a)" == "$first 10.42.0."* ]]
	both=$(globals a)
	bridge_is '10.41.0.1 10.42.0.1'
	pings a 10.42.0.1
	# It is the same after a restart, after a death of berth, and with new siblings.
	pid=$(pid_of a)
	on b lan.network
	kill_supervise
	start_supervise
	wait_for ready b
	[ "$(pid_of a)" = "$pid" ]
	berth restart a
	wait_restarted a "$pid"
	has_globals a "$both"
	[ "$(inside a ip -j link show eth0 | jq -r '.[0].address')" = "$mac" ]
	# The first one goes: the second is the first now.
	pid=$(pid_of a)
	network lan Subnet=10.42.0.0/24
	berth reload
	wait_restarted a "$pid"
	wait_for ready a
	has_globals a "${both#* }"
	bridge_is 10.42.0.1
	out_by 10.42.0.1
	run nft list ruleset
	[[ $output != *10.41.0* ]]
	[ "$(pid_of c)" = "$other" ]
}

@test "what is taken away of one subnet is named and put back; a route of the host into another is refused" {
	network lan Subnet=10.41.0.0/24 Subnet=10.42.0.0/24
	on a lan.network
	start_supervise
	wait_for ready a
	pid=$(pid_of a)
	ip addr del 10.42.0.1/24 dev br-lan
	inside a ip addr del "$(globals a | cut -d' ' -f2)" dev eth0
	run -1 berth network check
	has "lan: bridge br-lan has not the gateway's address 10.42.0.1: berth reload"
	has 'lan: a.container eth0 has not its address: berth reload'
	berth reload
	wait_until 5 bridge_is '10.41.0.1 10.42.0.1'
	wait_until 5 mended
	pings a 10.42.0.1
	[ "$(pid_of a)" = "$pid" ]
	# In use for long: a route that comes later is no reason. A subnet that is new there is refused.
	ip link add lan0 type bridge
	ip addr add 10.41.0.77/24 dev lan0
	ip addr add 10.43.0.77/16 dev lan0
	ip link set lan0 up
	run -0 berth network check
	network lan Subnet=10.41.0.0/24 Subnet=10.42.0.0/24 Subnet=10.43.7.0/24
	run -1 berth network check
	has "network lan: its subnet 10.43.7.0/24 overlaps the host's route to 10.43.0.0/16 by lan0"
	ip link del lan0
	run berth network check
	[[ $output != *overlaps* ]]
}

@test "IPv6 alone: ports, the way out, walls, names, repair, a restart of berth; none of IPv4 comes beside it" {
	outside
	network six Subnet=fd00:46::/64 Gateway=fd00:46::ff IPRange=fd00:46::100-fd00:46::1ff
	network seven Subnet=fd00:47::/64 Subnet=fd00:48::/64
	on a six.network PublishPort=8080:80 'PublishPort=[fd00:99::1]:8081:80' AddHost=gw:host-gateway
	sed -i 's/Exec=.*/Exec=httpd -f -p 80 -h \/etc/' "$UNITS/a.container"
	on b six.network:ip6=fd00:46::9
	on c seven.network PublishPort=8090-8091:80-81
	run -0 berth check "$UNITS"
	start_supervise
	for name in a b c; do wait_for ready $name; done
	a=$(globals a | cut -d/ -f1)
	[[ "$(globals a)" =~ ^fd00:46::1[0-9a-f][0-9a-f]/64$ ]]
	[[ "$(globals c)" =~ ^fd00:4[78]::[0-9a-f:]+/64\ fd00:4[78]::[0-9a-f:]+/64$ ]]
	out_by fd00:46::ff -6
	[ -z "$(inside a ip -4 route; ip -4 addr show br-six)" ]
	code() { "$@" curl -s --max-time 3 -o /dev/null -w '%{http_code}' "http://$to/passwd"; }
	serves() { [ "$(code "$@")" = 200 ]; }
	for to in '[::1]:8080' '[fd00:99::1]:8080' '[fd00:99::1]:8081' "[$a]:80"; do wait_until 5 serves env; done
	for to in '[fd00:99::1]:8080' '[fd00:99::1]:8081'; do
		serves beyond
		serves inside a
		serves inside b
	done
	run -0 berth port a
	[ "$output" = "80/tcp -> [::]:8080"$'\n'"80/tcp -> [fd00:99::1]:8081" ]
	# Out under the host's address; not past the walls.
	inside a busybox ping -c1 -W3 fd00:99::9
	c=$(globals c | cut -d/ -f1)
	run pings b "$c" 1
	[ "$status" -ne 0 ]
	inside b ip -6 addr add fd00:46::77/64 dev eth0 nodad
	run inside b busybox ping -c1 -W1 -I fd00:46::77 "$a"
	[ "$status" -ne 0 ]
	inside b ip -6 addr del fd00:46::77/64 dev eth0
	berth exec a grep -qw 'fd00:46::9.*b' /etc/hosts
	berth exec a grep -q 'fd00:46::ff.*gw' /etc/hosts
	# What goes is put back, and a new berth finds all in order.
	ip -6 addr del fd00:46::ff/64 dev br-six
	run -1 berth network check
	has "six: bridge br-six has not the gateway's address fd00:46::ff: berth reload"
	pid=$(pid_of a)
	kill_supervise
	start_supervise
	wait_until 5 mended
	to='[::1]:8080'
	serves env
	[ "$(pid_of a)" = "$pid" ]
}

@test "names by DNS in each subnet, forwards and backwards, and of IPv6 alone" {
	command -v dnsmasq >/dev/null || skip "there is no dnsmasq"
	command -v dig >/dev/null || skip "there is no dig"
	network lan Subnet=10.41.0.0/24 Subnet=10.42.0.0/24 '[X-Berth]' NameServer=yes
	on a lan.network
	on b lan.network:ip=10.41.0.9,ip=10.42.0.9
	network six Subnet=fd00:46::/64 '[X-Berth]' NameServer=yes
	on c six.network:ip6=fd00:46::9
	start_supervise
	for name in a b c; do wait_for ready $name; done
	server=$(berth exec a sed -n 's/^nameserver //p' /etc/resolv.conf)
	[[ $server == 10.41.0.* ]]
	asks() { inside a dig +short +time=2 +tries=2 @"$server" "$@"; }
	wait_until 5 asks b
	[ "$(asks b | sort | xargs)" = '10.41.0.9 10.42.0.9' ]
	[[ "$(asks -x 10.42.0.9)" == b.* ]]
	# It listens in the second one too.
	server=$(row lan.network | jq -r '.addresses[1]')
	[[ $server == 10.42.0.* ]]
	[ "$(asks b | wc -l)" = 2 ]
	server=$(berth exec c sed -n 's/^nameserver //p' /etc/resolv.conf)
	[[ $server == fd00:46::* ]]
	[ "$(inside c dig +short +time=2 +tries=2 @"$server" AAAA c)" = fd00:46::9 ]
	[[ "$(inside c dig +short +time=2 +tries=2 @"$server" -x fd00:46::9)" == c.* ]]
}
