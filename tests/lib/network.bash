# For the tests of the network (bats), after system.bash: units in a line, and looking inside.
# shellcheck shell=bash disable=SC2154 # variables of system.bash

# on NAME NETWORK [LINE…]: a container that sleeps on a network. Each LINE is a section's name or a
# line of one.
on() {
	local name=$1 network=$2 line
	shift 2
	{
		printf '%s\n' '[Container]' "Rootfs=$ROOTS/busybox" 'Exec=sleep infinity' \
			'StopSignal=SIGKILL' "Network=$network"
		for line in "$@"; do printf '%s\n' "$line"; done
		printf '%s\n' '[Install]' 'WantedBy=default.target'
	} | unit "$name.container"
}
network() { # NAME LINE…
	local name=$1
	shift
	{ echo '[Network]' && printf '%s\n' "$@"; } | unit "$name.network"
}
# look NAME JQ: of what `ip -j addr` says inside
look() { inside "$1" ip -d -j addr | jq -e "$2" >/dev/null || { inside "$1" ip -d addr; return 1; }; }
# need_link KIND: skips where the kernel has none.
need_link() {
	ip link add probe-a type veth peer name probe-b
	local kind=$1 r=0
	shift
	ip link add link probe-a name probe-c type "$kind" "$@" 2>/dev/null || r=1
	ip link del probe-a
	[ $r = 0 ] || skip "this kernel has no $kind; run in the VM"
}
pings() { inside "$1" busybox ping -c1 -W"${3:-3}" "$2"; }
