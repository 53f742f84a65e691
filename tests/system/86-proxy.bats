#!/usr/bin/env bats
# PublishMode=proxy: a published port that a process carries. The same from everywhere as by packet
# rules; what breaks, what is slow and what is too much; and a kernel without nf_tables.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/outside.bash

prepare() {
	need_root_fs busybox
	unit lan.network <<-EOT
		[Network]
		Subnet=10.71.0.0/24
		Subnet=fd00:71::/64
	EOT
}

proxied() { web "$@" '[X-Berth]' PublishMode=proxy; }

# server NAME: the other end of tests/lib/proxy.py, on port 90 in the container's network
server() {
	nsenter -t "$(pid_of "$1")" -n python3 "$REPO/tests/lib/proxy.py" serve 90 \
		>"$BATS_TEST_TMPDIR/server" 3>&- 4>&- &
	ENDS="${ENDS:-} $!"
	wait_until 20 grep -qs ready "$BATS_TEST_TMPDIR/server"
}
ask() { python3 "$REPO/tests/lib/proxy.py" "$@"; }

finish() {
	local pid
	for pid in ${ENDS:-}; do kill "$pid" 2>/dev/null || true; done
	outside_end
	ip addr del 192.0.2.1/32 dev lo 2>/dev/null || true
}

# bats test_tags=vm
@test "one line answers on both families: outside, host, loopback, itself, a sibling" {
	proxied one PublishPort=8080:80
	proxied two PublishPort=80
	outside
	run -0 berth check "$UNITS"
	start_supervise
	wait_for ready one
	wait_for ready two
	run -0 berth port two 80
	chosen=${lines[0]##*:}
	up 127.0.0.1:8080
	for to in 192.0.2.1 '[fd00:99::1]'; do
		hears one beyond curl -fsS --max-time 3 "http://$to:8080/"
		hears one inside one curl -fsS --max-time 3 "http://$to:8080/"
		hears one inside two curl -fsS --max-time 3 "http://$to:8080/"
		hears two beyond curl -fsS --max-time 3 "http://$to:$chosen/"
	done
	for to in 127.0.0.1 '[::1]' localhost 10.71.0.1 '[fd00:71::1]'; do hears one get "$to:8080"; done
	run -0 berth port one
	[ "$output" = "80/tcp -> 0.0.0.0:8080 (proxy)"$'\n'"80/tcp -> [::]:8080 (proxy)" ]
	berth port --json one | jq -e 'length == 2 and .[1] == { port: 80, protocol: "tcp", host_address: "[::]",
		host_port: 8080, publish_mode: "proxy" }'
	run -0 berth network inspect lan
	has 'publishes 0.0.0.0:8080->80/tcp (proxy)'
	berth network inspect --json lan | jq -e '.[0].members | all(.publish_mode == "proxy")'
	# Nothing is translated, and nothing more is open.
	run ! grep -q dnat <<<"$(nft list ruleset)"
	run ! beyond curl -fsS --max-time 1 http://192.0.2.1:80/
	berth metrics | grep -q 'berth_unit_.*{unit="one.proxy"'
	run -0 berth why one.proxy
	has "as it should"
}

# of WORD: a line of the proxy's /proc/PID/status
of() { awk -v w="$1:" '$1 == w { print $2 }' "/proc/$(pid_of one.proxy)/status"; }

@test "the proxy is nobody: no capability, its own filter, no file, its own cgroup" {
	proxied one PublishPort=80:80 PublishPort=53:90/udp
	start_supervise
	wait_for ready one.proxy
	pid=$(pid_of one.proxy)
	[ "$(of Uid)" = 65534 ] && [ "$(of Gid)" = 65534 ]
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do [ "$(of $set)" = 0000000000000000 ]; done
	[ "$(of NoNewPrivs)" = 1 ] && [ "$(of Seccomp)" = 2 ] && [ "$(of Threads)" = 1 ]
	grep -q '/c/one.proxy/1$' "/proc/$pid/cgroup"
	[ "$(readlink "/proc/$pid/exe")" = "/memfd:berth-init (deleted)" ]
	# epoll, standard descriptors, and a socket for each port and family.
	[ "$(find "/proc/$pid/fd" -lname 'socket:*' | wc -l)" = 4 ]
	[ "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" = 8 ]
	# Nobody else of that name may look into it.
	run ! setpriv --reuid 65534 --clear-groups ls "/proc/$pid/fd"
}

@test "big transfers both ways at once, half-closed ends, a slow reader, a reset" {
	proxied one PublishPort=8090:90
	start_supervise
	wait_for ready one
	server one
	PROXY_PID=$(pid_of one.proxy)
	export PROXY_PID
	jobs=
	for host in 127.0.0.1 ::1; do
		for way in up down; do
			ask $way $host 8090 5000003 &
			jobs="$jobs $!"
		done
	done
	for job in $jobs; do wait "$job"; done
	ask first 127.0.0.1 8090 1000000
	ask first ::1 8090 1
	ask slow 127.0.0.1 8090 20000000
	ask reset ::1 8090
	# Nobody is left over.
	wait_until 5 nothing_open
	[ "$(ask peer 127.0.0.1 8090)" = 10.71.0.1 ]
}
nothing_open() { [ "$(find "/proc/$(pid_of one.proxy)/fd" -lname 'socket:*' | wc -l)" = "${1:-2}" ]; }

@test "a thousand connections; and more than it has room for wait" {
	proxied one PublishPort=8090:90
	start_supervise
	wait_for ready one
	server one
	# The place to wait is the kernel's.
	sysctl -qw net.core.somaxconn=4096
	ask many 127.0.0.1 8090 1000
	ask full ::1 8090 2100
	berth logs one.proxy 2>&1 | grep -q 'as many connections as it has room for'
	wait_until 5 nothing_open
	ask up 127.0.0.1 8090 1000
}

fds() { find "/proc/$(pid_of one.proxy)/fd" -mindepth 1 | wc -l; }
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

@test "out of descriptors: said once, not busy, those that are connected go on, and all are served later" {
	proxied one PublishPort=8090:90 PublishPort=8091:90/udp
	start_supervise
	wait_for ready one
	server one
	PROXY_PID=$(pid_of one.proxy) PROXY_FDS=$(fds)
	export PROXY_PID PROXY_FDS
	# Its own user may take from it, and root only where it has that capability.
	nobody /usr/bin/python3 - short 127.0.0.1 8090 40 <"$REPO/tests/lib/proxy.py"
	[ "$(berth logs one.proxy 2>&1 | grep -c 'no room for a connection: further callers wait')" = 1 ]
	# Of udp the oldest makes room, as in a full table.
	ask udp 127.0.0.1 8091 1
	nobody prlimit --pid "$PROXY_PID" --nofile="$(($(fds) + 1)):"
	ask turns 127.0.0.1 8091 20
	[ "$(pid_of one.proxy)" = "$PROXY_PID" ]
}

@test "udp: each of several callers gets his own answer, from the address that he asked" {
	proxied one PublishPort=8090:90/udp
	outside
	start_supervise
	wait_for ready one
	server one
	ask udp 127.0.0.1 8090 20
	ask udp ::1 8090 20
	# Not the address that a socket of all would answer from.
	ip addr add 192.0.2.77/24 dev up0
	beyond python3 "$REPO/tests/lib/proxy.py" udp 192.0.2.77 8090 3
	beyond python3 "$REPO/tests/lib/proxy.py" udp fd00:99::1 8090 3
	# The table is full and goes on: the oldest make room.
	ask turns 127.0.0.1 8090 1500
	[ "$(find "/proc/$(pid_of one.proxy)/fd" -lname 'socket:*' | wc -l)" -le 1026 ]
}

# real NAME EXEC LINE…: a server of Debian's, by proxy
real() {
	local name=$1 exec=$2
	shift 2
	printf '%s\n' '[Container]' "Rootfs=$ROOTS/debian" "Exec=$exec" Network=lan.network "$@" '[X-Berth]' \
		PublishMode=proxy '[Install]' WantedBy=default.target >"$UNITS/$name.container"
}
asked() { dig +short +time=2 +tries=2 -p 5300 "$@"; }

@test "real servers behind it: nginx for curl, redis for its own tools, dnsmasq for dig" {
	need_root_fs debian
	command -v dnsmasq >/dev/null || skip "no dnsmasq here"
	command -v dig >/dev/null || skip "no dig here"
	mkdir "$BATS_TEST_TMPDIR/www"
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/www/big"
	echo small >"$BATS_TEST_TMPDIR/www/index.html"
	real one 'nginx -g "daemon off;"' PublishPort=8080:80 PublishPort=5300:53/udp PublishPort=5300:53 \
		"Volume=$BATS_TEST_TMPDIR/www:/var/www/html:ro"
	real redis "redis-server --bind 0.0.0.0 --protected-mode no --save ''" User=redis PublishPort=6379:6379
	start_supervise
	wait_for ready one
	wait_for ready redis
	nsenter -t "$(pid_of one)" -n dnsmasq --keep-in-foreground --conf-file=/dev/null --user= --pid-file \
		--no-resolv --no-hosts --host-record=far.example,192.0.2.7 \
		--txt-record=long.example,"$(printf '%0200d,' 1 2 3 4 5 6 7 8)" 3>&- 4>&- &
	ENDS=$!
	up 127.0.0.1:8080
	# Two over one connection, a part, one that is broken off.
	[ "$(curl -fsS "http://127.0.0.1:8080/" 'http://127.0.0.1:8080/')" = $'small\nsmall' ]
	curl -fsS 'http://[::1]:8080/big' | cmp - "$BATS_TEST_TMPDIR/www/big"
	curl -fsS -r 1000000-1000009 http://127.0.0.1:8080/big | cmp - <(tail -c +1000001 "$BATS_TEST_TMPDIR/www/big" | head -c 10)
	curl -s http://127.0.0.1:8080/big | head -c 10 >/dev/null || true
	wait_until 5 berth exec redis redis-cli -h 10.71.0.1 ping
	[ "$(berth exec redis redis-cli -h 10.71.0.1 set a b)" = OK ]
	[ "$(berth exec redis redis-cli get a)" = b ]
	# Fifty callers at once, and commands sixteen at a time without waiting.
	run -0 berth exec redis redis-benchmark -h 10.71.0.1 -c 50 -n 2000 -P 16 -t set,get -q
	has 'requests per second'
	wait_until 5 asked @127.0.0.1 far.example
	[ "$(asked @127.0.0.1 far.example)" = 192.0.2.7 ]
	[ "$(asked @::1 far.example)" = 192.0.2.7 ]
	[ "$(asked +tcp @127.0.0.1 far.example)" = 192.0.2.7 ]
	# Too long for a datagram of 512 bytes: asked again over tcp, as dig does by itself.
	run -0 dig +noedns +time=2 -p 5300 @127.0.0.1 TXT long.example
	has 'Truncated, retrying in TCP mode'
	has "$(printf '%0200d' 8)"
}

@test "the ports outlive runs of the container and of berth, and go with the definition" {
	proxied one PublishPort=8090:90 PublishPort=8080:80
	start_supervise
	wait_for ready one
	server one
	up 127.0.0.1:8080
	proxy=$(pid_of one.proxy)
	coproc HOLD { exec python3 "$REPO/tests/lib/proxy.py" hold 127.0.0.1 8090 3>&- 4>&-; }
	ENDS="$ENDS $HOLD_PID"
	read -r -u "${HOLD[0]}" line && [ "$line" = ready ]
	say() { echo "$1" >&"${HOLD[1]}" && read -r -u "${HOLD[0]}" line && [ "$line" = "$1" ]; }
	say before
	kill_supervise
	say "while nobody is there"
	hears one get 127.0.0.1:8080
	start_supervise
	say after
	[ "$(pid_of one.proxy)" = "$proxy" ]
	# While the container does not listen, who calls is told so at once.
	for pid in $ENDS; do kill "$pid" 2>/dev/null || true; done
	wait_until 5 ask refused 127.0.0.1 8090
	old=$(pid_of one)
	berth restart one
	wait_restarted one "$old"
	up 127.0.0.1:8080
	[ "$(pid_of one.proxy)" = "$proxy" ]
	# A stop by hand closes them, a start opens them.
	berth stop one
	wait_for inactive one.proxy
	run -7 curl -sS --max-time 3 http://127.0.0.1:8080/
	berth start one
	up 127.0.0.1:8080
	# By packet rules from now on, and back.
	web one PublishPort=8080:80
	berth reload
	up 127.0.0.1:8080
	run -4 berth status one.proxy
	nft list ruleset | grep -q dnat
	proxied one PublishPort=8081:80
	berth reload
	up 127.0.0.1:8081
	run -7 curl -sS --max-time 3 http://127.0.0.1:8080/
}

@test "killed, it is back at once, and the container does not notice" {
	proxied one PublishPort=8080:80
	start_supervise
	wait_for ready one
	up 127.0.0.1:8080
	web=$(pid_of one) proxy=$(pid_of one.proxy)
	kill -KILL "$proxy"
	wait_restarted one.proxy "$proxy"
	up '[::1]:8080'
	[ "$(pid_of one)" = "$web" ]
	# A call that it does not make is its end: the filter holds.
	kill_supervise
	kill -KILL "$(pid_of one.proxy)"
	start_supervise
	up 127.0.0.1:8080
	[ "$(pid_of one)" = "$web" ]
}

@test "a port that a program of the host has: named, tried again; by packet rules: told" {
	proxied one PublishPort=8080:80
	web two PublishPort=8070:80
	for port in 8080 8070; do
		busybox httpd -f -p $port 3>&- 4>&- &
		ENDS="${ENDS:-} $!"
		last=$!
	done
	first=$((last - 1))
	first=${ENDS% *} && first=${first##* }
	start_supervise
	wait_for ready one
	wait_for ready two
	run -0 berth why one.proxy
	has "listen on the published ports: port 8080/tcp of the host is taken by busybox (pid $first): end that, or publish another port"
	wait_until 5 grep -q "two: port 8070/tcp is published, and busybox (pid $last) of this host listens on it too" \
		"$BATS_TEST_TMPDIR/supervise.log"
	hears two get 127.0.0.1:8070
	kill "$first"
	wait_for ready one.proxy
	up 127.0.0.1:8080
}

@test "walls: an internal network stays closed, and what the host has beside a port too" {
	unit in.network <<-EOT
		[Network]
		Subnet=10.72.0.0/24
		Internal=yes
	EOT
	proxied one PublishPort=192.0.2.1:8080:80
	proxied two PublishPort=8090:80
	sed 's/lan.network/in.network/' "$UNITS/two.container" | grep -v Publish >"$UNITS/inner.container"
	ip addr add 192.0.2.1/32 dev lo
	start_supervise
	wait_for ready one
	wait_for ready two
	wait_for ready inner
	up 192.0.2.1:8080
	hears one inside two curl -fsS --max-time 3 http://192.0.2.1:8080/
	# The host has the same port at another address, which is its own business.
	busybox httpd -f -p 10.71.0.1:8080 3>&- 4>&- &
	ENDS=$!
	wait_until 5 curl -sS -o /dev/null --max-time 1 http://10.71.0.1:8080/
	run ! inside two curl -sS --max-time 1 http://10.71.0.1:8080/
	run ! inside inner curl -sS --max-time 1 http://10.72.0.1:8090/
	hears two inside one curl -fsS --max-time 3 http://10.71.0.1:8090/
}

@test "check: two units and one port in any mix, too many ports, a mode of nothing, a wrong word" {
	for modes in 'web proxied' 'proxied web' 'proxied proxied'; do
		${modes% *} one PublishPort=8080:80
		${modes#* } two PublishPort=8080:80
		run -1 berth check "$UNITS"
		has "port 8080/tcp of the host is asked for by one.container too"
	done
	proxied two PublishPort=5000-5200:5000-5200
	run -1 berth check "$UNITS"
	has "a proxy carries at most 256 ports, and these are 402"
	proxied two
	run -0 berth check "$UNITS"
	has "PublishMode: has no effect without PublishPort=: add that"
	web two PublishPort=1:1 '[X-Berth]' PublishMode=porxy
	run -1 berth check "$UNITS"
	has 'PublishMode: "porxy" is not served: write one of nftables, proxy'
	rm "$UNITS/two.container"
	touch "$UNITS/two.proxy"
	run -1 berth check "$UNITS"
	has ".proxy units are not served: a .container with PublishMode=proxy gets one of itself"
}

explained() { berth why "$1" | grep -qF "$2"; }

@test "a kernel without nf_tables: told, and what a proxy publishes comes up" {
	proxied one PublishPort=8080:80
	sed -i '/X-Berth/,/proxy/d' "$UNITS/one.container"
	web two PublishPort=8090:80 '[X-Berth]' PublishMode=nftables
	web three
	unit in.network <<-EOT
		[Network]
		Subnet=10.72.0.0/24
		Internal=yes
	EOT
	sed 's/lan.network/in.network/' "$UNITS/three.container" >"$UNITS/inner.container"
	# For all that do not say otherwise.
	echo PublishMode=proxy >>"$UNITS/berth.conf"
	sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
	printf '#!/bin/sh\nexec %s without-nft %s "$@"\n' "$O/tests/probe" "$BERTH" >"$BATS_TEST_TMPDIR/berth"
	chmod +x "$BATS_TEST_TMPDIR/berth"
	BERTH=$BATS_TEST_TMPDIR/berth
	run -0 berth check "$UNITS"
	has "two.container: note: this machine will not start it: the kernel has no nf_tables to publish port 8090 with: write [X-Berth] PublishMode=proxy"
	start_supervise
	wait_for ready one
	wait_for ready three
	wait_for ready inner
	up 127.0.0.1:8080
	hears one get '[::1]:8080'
	hears one inside three curl -fsS --max-time 3 http://10.71.0.1:8080/
	run -0 berth why two
	has "publish port 8090: the kernel has no nf_tables: write [X-Berth] PublishMode=proxy"
	grep -q 'the kernel has no nf_tables: containers do not reach the outside' "$BATS_TEST_TMPDIR/supervise.log"
	# Networks do not meet, for nothing is forwarded.
	[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ]
	run ! inside inner curl -sS --max-time 1 "http://$(address one)/"
	# Where others forward, Internal= could not be kept.
	stop_supervise
	sysctl -qw net.ipv4.ip_forward=1
	start_supervise
	wait_until 10 explained inner "network in: Internal= cannot be kept: the kernel has no nf_tables, and forwards packets"
	run ! grep -q 'a loss of them' "$BATS_TEST_TMPDIR/supervise.log"
}
