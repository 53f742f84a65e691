#!/usr/bin/env bats
# Walls between networks, containers and the host, as the keys of a unit set them. What a container may
# send at all (addresses, ARP, neighbour discovery) is in tests/suite/20-netns. Costs about 8 seconds.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	need_root_fs busybox
	unit one.network <<-EOT
		[Network]
		Subnet=10.71.0.0/24
		Subnet=fd00:71::/64
	EOT
	unit two.network <<-EOT
		[Network]
		Subnet=10.72.0.0/24
		Subnet=fd00:72::/64
	EOT
}

# box NAME NETWORK ADDRESS-END [LINE…]: a server that answers with its name, with fixed addresses
box() {
	local name=$1 network=$2 end=$3
	shift 3
	mkdir -p "$BATS_TEST_TMPDIR/www.$name"
	echo "$name" >"$BATS_TEST_TMPDIR/www.$name/index.html"
	{
		printf '[Container]\nRootfs=%s\nExec=httpd -f -p 80 -h /www\nStopSignal=SIGKILL\n' "$ROOTS/busybox"
		printf 'Network=%s.network:ip=10.7%s.0.%s,ip6=fd00:7%s::%s\n' "$network" \
			"$(number "$network")" "$end" "$(number "$network")" "$end"
		printf 'Volume=%s:/www:ro\n' "$BATS_TEST_TMPDIR/www.$name"
		printf '%s\n' "$@" '[Install]' 'WantedBy=default.target'
	} >"$UNITS/$name.container"
}
number() { if [ "$1" = one ]; then echo 1; else echo 2; fi; }

finish() {
	[ -z "${HOST:-}" ] || kill "$HOST"
}

get() { # FROM ADDRESS: what the server there says
	inside "$1" curl -fsS --max-time 2 "http://$2/"
}
may() { # FROM ADDRESS NAME
	wait_until 5 get "$1" "$2" >/dev/null 2>&1 || true
	[ "$(get "$1" "$2" 2>&1)" = "$3" ] || {
		echo "$1 asked $2, wanted $3, heard: $(get "$1" "$2" 2>&1)"
		return 1
	}
}
may_not() { # FROM ADDRESS
	run inside "$1" curl -fsS --max-time 0.5 "http://$2/"
	[ "$status" = 28 ] || {
		echo "$1 asked $2, wanted silence (28), got $status: $output"
		return 1
	}
}

@test "a kernel without nf_tables is told of by check and doctor, and words say what to do" {
	box a one 10
	without() { strace -f -qq -o /dev/null -e inject=socket:error=EPROTONOSUPPORT "$@"; }
	run -0 without "$BERTH" check "$UNITS"
	has "the kernel of this machine has no nf_tables: containers do not reach the outside"
	run without "$BERTH" doctor
	has "nf_tables              missing (Protocol not supported): no PublishPort="
	run -0 "$BERTH" check "$UNITS"
	[[ "$output" != *nf_tables* ]]
}

@test "networks are apart until AllowNetwork=, then one way and by true addresses; a reload is enough" {
	box a one 10
	box c two 10
	start_supervise
	wait_for ready a
	wait_for ready c
	may a 10.71.0.10 a
	may_not c 10.71.0.10
	may_not c '[fd00:71::a]'
	printf '[X-Berth]\nAllowNetwork=one.network\n' >>"$UNITS/two.network"
	pid=$(pid_of a)
	run -0 berth reload
	may c 10.71.0.10 a
	may c '[fd00:71::10]' a
	may_not a 10.72.0.10
	[ "$(pid_of a)" = "$pid" ]
}

@test "a published port of an internal network is refused, and such a network has no way out or in" {
	unit two.network <<-EOT
		[Network]
		Subnet=10.72.0.0/24
		Subnet=fd00:72::/64
		Internal=yes
	EOT
	box a one 10 PublishPort=8080:80
	box c two 10
	box d two 11
	start_supervise
	wait_for ready a
	wait_for ready d
	may c 10.72.0.11 d
	may_not a 10.72.0.10
	# Not even by a published port of somebody else, for which the host would be the way.
	run inside c curl -fsS --max-time 0.5 http://10.72.0.1:8080/
	[ "$status" != 0 ]
	inside c ip route add default via 10.72.0.1
	may_not c 10.71.0.10
	box c two 10 PublishPort=8081:80
	run -1 berth check "$UNITS"
	has "internal networks only"
}

@test "the host's own services are closed but for AllowHostPort=" {
	box a one 10 '[X-Berth]' AllowHostPort=8070
	box b one 11
	mkdir "$BATS_TEST_TMPDIR/www.host"
	echo host >"$BATS_TEST_TMPDIR/www.host/index.html"
	busybox httpd -f -p 8070 -h "$BATS_TEST_TMPDIR/www.host" 3>&- 4>&- &
	HOST=$!
	start_supervise
	wait_for ready a
	wait_for ready b
	may a 10.71.0.1:8070 host
	may_not b 10.71.0.1:8070
	inside b busybox ping -c1 -W2 10.71.0.1
	inside b busybox ping -6 -c1 -W2 fd00:71::1
	curl -fsS --max-time 2 http://127.0.0.1:8070/
	curl -fsS --max-time 2 http://10.71.0.11/
}

@test "IPAddressDeny= and IPAddressAllow= hold for both families and both directions" {
	box a one 10 '[Service]' 'IPAddressDeny=any' 'IPAddressAllow=10.71.0.11 fd00:71::/64'
	box b one 11
	box d one 12 '[Service]' 'IPAddressDeny=10.71.0.11'
	start_supervise
	wait_for ready a
	wait_for ready b
	wait_for ready d
	may a 10.71.0.11 b
	may b 10.71.0.10 a
	may a '[fd00:71::12]' d
	may d '[fd00:71::10]' a
	may_not a 10.71.0.12
	may_not d 10.71.0.10
	may_not d 10.71.0.11
	may_not b 10.71.0.12
	may d '[fd00:71::11]' b
	# Its own loopback is nobody else's business.
	may a 127.0.0.1 a
	run ! inside a busybox ping -c1 -W1 10.71.0.1
	inside d busybox ping -c1 -W1 10.71.0.1
	# Opened by a reload, without a restart.
	pid=$(pid_of a)
	sed -i '/^IPAddressDeny=/d' "$UNITS/a.container"
	run -0 berth reload
	may a 10.71.0.12 d
	[ "$(pid_of a)" = "$pid" ]
}

# repaired TIMES: so often it was said, and the port answers
repaired() {
	[ "$(grep -c 'has removed packet rules of berth' "$BATS_TEST_TMPDIR/supervise.log")" = "$1" ] &&
		nft list tables | grep -q 'bridge berth' &&
		curl -fsS --max-time 1 http://10.71.0.1:8080/ >/dev/null 2>&1
}

@test "another program that takes our rules away is named, and they are written again" {
	box a one 10 PublishPort=8080:80
	start_supervise
	wait_for ready a
	wait_until 5 repaired 0
	table=$(nft list tables inet | awk '{ print $3 }')
	nft delete table inet "$table"
	wait_until 5 repaired 1
	grep -q 'nft (pid [0-9]*) has removed packet rules of berth (table berth-' "$BATS_TEST_TMPDIR/supervise.log"
	# What a firewall's own file begins with, and a load of it that takes a moment.
	nft flush ruleset
	nft add table inet theirs
	wait_until 5 repaired 2
	nft flush chain inet "$table" publish
	wait_until 5 repaired 3
	nft list tables | grep -q 'inet theirs'
	# Theirs is theirs; and what we write ourselves is no loss.
	nft delete table inet theirs
	run -0 berth reload
	wait_until 5 answers
	wait_until 5 repaired 3
	pid=$(pid_of a)
	kill -STOP "$SUPERVISOR"
	nft flush ruleset
	kill -CONT "$SUPERVISOR"
	wait_until 5 repaired 4
	[ "$(pid_of a)" = "$pid" ]
}

@test "the walls of one unit are taken down with it, and no table is left without networks" {
	box a one 10
	start_supervise
	wait_for ready a
	nft list table bridge "$(nft list tables bridge | awk '{ print $3 }')" | grep -q 10.71.0.10
	rm "$UNITS"/*.container
	run -0 berth reload
	wait_until 5 no_tables_of_members
	rm "$UNITS"/*.network
	run -0 berth reload
	wait_until 5 no_tables
}
no_tables() { [ -z "$(nft list tables)" ]; }
no_tables_of_members() { ! berth ps -a --json | grep -q '"a"'; }
