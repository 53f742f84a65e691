#!/usr/bin/env bats
# Published ports: on both families from everywhere they are meant to answer, chosen by berth, and
# beside the rules of others (a strict nft firewall, one of iptables-nft, podman with netavark).
# Costs about 16 seconds.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash
load ../lib/outside.bash

prepare() {
	need_root_fs busybox
	# Where br_netfilter is on for IPv6, ::1 is refused: that is tests/suite/20-netns's.
	sysctl -qw net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
	unit lan.network <<-EOT
		[Network]
		Subnet=10.71.0.0/24
		Subnet=fd00:71::/64
	EOT
}

finish() {
	outside_end
	if declare -F podman_end >/dev/null; then podman_end; fi
	nft flush ruleset
}

@test "one line answers on both families: outside, host, loopback, itself, a sibling" {
	web one PublishPort=8080:80
	web two PublishPort=8090:80
	outside
	run -0 berth check "$UNITS"
	start_supervise
	wait_for ready one
	wait_for ready two
	up 127.0.0.1:8080
	for to in 192.0.2.1 '[fd00:99::1]'; do
		hears one beyond curl -fsS --max-time 3 "http://$to:8080/"
		hears one get "$to:8080"
		hears one inside one curl -fsS --max-time 3 "http://$to:8080/"
		hears one inside two curl -fsS --max-time 3 "http://$to:8080/"
		hears two beyond curl -fsS --max-time 3 "http://$to:8090/"
	done
	hears one get 127.0.0.1:8080
	hears one get '[::1]:8080'
	hears one get localhost:8080
	run -0 berth port one
	[ "$output" = "80/tcp -> 0.0.0.0:8080"$'\n'"80/tcp -> [::]:8080" ]
	[ "$(berth port --json one 80 | jq -r '.[0] | "\(.host_address) \(.host_port) \(.publish_mode)"')" = '0.0.0.0 8080 nftables' ]
	[ "$(berth inspect one | jq -r '.. | objects | .publish_mode? // empty')" = nftables ]
	run -0 berth network inspect lan
	has 'publishes [::]:8080->80/tcp (nftables)'
	# To everybody else they are closed.
	run ! beyond curl -fsS --max-time 1 http://192.0.2.1:80/
	# A restart, by kill and of the supervisor, keeps them.
	berth restart one
	up 192.0.2.1:8080
	end_supervise
	hears one get '[::1]:8080'
	start_supervise
	hears one beyond curl -fsS --max-time 3 'http://[fd00:99::1]:8080/'
}

# talk WORD: over the connection that is open, which answers
talk() {
	local said
	echo "$1" >&"${TALK[1]}"
	read -r -t $((5 * SLOW)) said <&"${TALK[0]}"
	[ "$said" = "$1" ]
}

@test "tcpdump and conntrack see the true source; an open connection outlives new ports and a new supervisor" {
	command -v conntrack >/dev/null || skip "there is no conntrack"
	web one PublishPort=7000:7000
	outside
	start_supervise
	wait_for ready one
	inside one socat TCP4-LISTEN:7000,reuseaddr PIPE 3>&- 4>&- &
	wait_until 5 sh -c "nsenter -t $(pid_of one) -n ss -Htln | grep -q :7000"
	timeout $((20 * SLOW)) tcpdump -lni br-lan -c 1 'tcp dst port 7000' >"$BATS_TEST_TMPDIR/seen" 2>"$BATS_TEST_TMPDIR/ready" 3>&- &
	wait_until 10 grep -q listening "$BATS_TEST_TMPDIR/ready"
	coproc TALK { nsenter -t "$OUTSIDE" -n socat - TCP4:192.0.2.1:7000 3>&- 4>&-; }
	talk before
	to=$(address one)
	wait_until 5 grep -q "IP 192.0.2.9.* > ${to%/*}.7000: " "$BATS_TEST_TMPDIR/seen"
	conntrack -L -p tcp --orig-port-dst 7000 2>/dev/null |
		grep "src=192.0.2.9 dst=192.0.2.1 .*dport=7000 src=${to%/*} dst=192.0.2.9"
	web two PublishPort=8090:80
	run -0 berth reload
	wait_for ready two
	talk 'after a reload'
	kill_supervise
	start_supervise
	wait_until 10 answers
	talk 'after a new supervisor'
	[ "$(conntrack -L -p tcp --orig-port-dst 7000 2>/dev/null | grep -c ESTABLISHED)" = 1 ]
	kill "$TALK_PID"
}

@test "one address of one family answers there alone" {
	web one 'PublishPort=[::1]:8080:80' PublishPort=192.0.2.1:8081:80
	outside
	start_supervise
	wait_for ready one
	up '[::1]:8080'
	hears one beyond curl -fsS --max-time 3 http://192.0.2.1:8081/
	run ! get 127.0.0.1:8080
	run ! get 127.0.0.1:8081
	run ! beyond curl -fsS --max-time 1 'http://[fd00:99::1]:8080/'
}

@test "a port that berth chooses is printed, answers, and stays when other units come" {
	web one PublishPort=80
	start_supervise
	wait_for ready one
	run -0 berth port one 80
	chosen=${lines[0]##*:}
	[ "$chosen" -ge 61000 ]
	up "127.0.0.1:$chosen"
	hears one get "127.0.0.1:$chosen"
	run -1 berth port one 81
	has "port 81 is not published"
	end_supervise
	grep -qx "one tcp 80 $chosen" "$STATE/ports"
	for name in a b c; do web $name PublishPort=:80; done
	start_supervise
	wait_for ready c
	run -0 berth port one 80/tcp
	[ "${lines[0]}" = "0.0.0.0:$chosen" ]
	hears one get "127.0.0.1:$chosen"
}

# counted WHICH: bytes of eth0, as the kernel says inside
counted() { inside one ip -s -j link show eth0 | jq ".[0].stats64.$1.bytes"; }

@test "stats: what a container received and sent, its processor time, its tasks" {
	web one PublishPort=8080:80
	unit host.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sleep 1000
		StopSignal=SIGKILL
		Network=host
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready one
	wait_for ready host
	head -c 300000 /dev/zero >"$BATS_TEST_TMPDIR/www.one/big"
	up 127.0.0.1:8080
	curl -fsS -o /dev/null http://127.0.0.1:8080/big
	before=$(counted tx)
	run -0 berth stats --json
	sent=$(jq '.[] | select(.name == "one") | .net_tx_bytes' <<<"$output")
	[ "$before" -ge 300000 ]
	[ "$before" -le "$sent" ] && [ "$sent" -le "$(counted tx)" ]
	jq -e '.[] | select(.name == "one") | .net_rx_packets > 5 and .net_rx_dropped == 0 and .cpu_usec > 0' <<<"$output"
	jq -e '.[] | select(.name == "host") | has("net_rx_bytes") | not' <<<"$output"
	run -0 berth stats one
	[ "${#lines[@]}" = 2 ]
	[[ "${lines[0]}" == NAME*CPU*MEMORY*RECEIVED/SENT*DROPPED ]]
	[[ "${lines[1]}" == one*K/2??.?K*0/0 ]]
	run -4 berth stats nobody
	run -0 berth metrics
	grep -qE '^berth_unit_network_sent_bytes_total\{unit="one.container"\} 3[0-9]{5}$' <<<"$output"
	run ! grep -q 'network_sent.*host.container' <<<"$output"
	berth stop one
	run -0 berth stats
	run ! grep -q ^one <<<"$output"
}

# told WORDS: of the firewall of this host, by berth check; "": nothing
told() {
	local said
	said=$("$BERTH" check "$UNITS" | grep 'firewall of this host' || true)
	[ -n "$1" ] || [ -z "$said" ] || { echo "$said" && return 1; }
	[[ $said == *"$1"* ]] || { echo "wanted: $1; check said: $said" && return 1; }
}

# Theirs is the same before and after; what it drops stays dropped, and a line in it opens our ports.
foreign_stays() { # NAME-OF-LISTING COMMAND…
	local file=$BATS_TEST_TMPDIR/$1
	shift
	"$@" | sed 's/packets [0-9]* bytes [0-9]*//; s/\[[0-9]*:[0-9]*\]//; /^#/d' >"$file.now"
	[ -e "$file" ] || cp "$file.now" "$file"
	diff "$file" "$file.now"
}

@test "a host with a strict nft ruleset: untouched, obeyed, and opened by one line" {
	web one PublishPort=8080:80
	outside
	nft -f - <<-EOT
		table inet firewall {
			chain input { type filter hook input priority 0; policy drop;
				ct state established,related accept; iif lo accept; meta l4proto 58 accept; }
			chain forward { type filter hook forward priority 0; policy drop;
				ct state established,related accept; }
		}
	EOT
	foreign_stays strict nft list table inet firewall
	start_supervise
	wait_for ready one
	# Nothing is forwarded: the host itself has not asked through it.
	up 127.0.0.1:8080
	hears one get 127.0.0.1:8080
	run ! beyond curl -fsS --max-time 1 http://192.0.2.1:8080/
	grep -q 'firewall of this host (inet firewall, chain forward) drops .*: nft add rule inet firewall forward ct status dnat accept' \
		"$BATS_TEST_TMPDIR/supervise.log"
	run ! grep -q 'chain input' "$BATS_TEST_TMPDIR/supervise.log"
	foreign_stays strict nft list table inet firewall
	told '(inet firewall, chain forward) drops what it does not know: for published ports: nft add rule'
	nft add rule inet firewall forward ct status dnat accept
	hears one beyond curl -fsS --max-time 3 http://192.0.2.1:8080/
	hears one beyond curl -fsS --max-time 3 'http://[fd00:99::1]:8080/'
	told ''
	# One that drops by its last rule; what is told opens it, literally.
	nft -f - <<-EOT
		flush chain inet firewall forward
		add chain inet firewall forward { policy accept; }
		add rule inet firewall forward ct state established,related accept
		add rule inet firewall forward iifname nowhere0 drop
	EOT
	told ''
	nft add rule inet firewall forward counter reject with icmpx admin-prohibited
	run ! beyond curl -fsS --max-time 1 http://192.0.2.1:8080/
	told 'drops what it does not know, by a rule without a condition'
	cure=$("$BERTH" check "$UNITS" | sed -n 's/.*published ports: \(nft .*\)/\1/p')
	$cure
	hears one beyond curl -fsS --max-time 3 http://192.0.2.1:8080/
	told ''
	stop_supervise
	nft list tables | grep -q firewall
	run ! grep -q berth <<<"$(nft list tables)"
}

@test "a host with an iptables-nft firewall: untouched, obeyed, and opened by one line" {
	command -v iptables-nft >/dev/null || skip "there is no iptables-nft"
	web one PublishPort=8080:80
	outside
	iptables-nft -P FORWARD DROP
	iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	iptables-nft -t nat -A PREROUTING -p tcp --dport 9999 -j REDIRECT --to-ports 22
	foreign_stays iptables iptables-save
	start_supervise
	wait_for ready one
	up 127.0.0.1:8080
	run ! beyond curl -fsS --max-time 1 http://192.0.2.1:8080/
	grep -q 'firewall of this host (ip filter, chain FORWARD)' "$BATS_TEST_TMPDIR/supervise.log"
	foreign_stays iptables iptables-save
	told '(ip filter, chain FORWARD) drops what it does not know: for'
	iptables-nft -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT
	hears one beyond curl -fsS --max-time 3 http://192.0.2.1:8080/
	told ''
	for last in DROP REJECT; do
		iptables-nft -F FORWARD
		iptables-nft -P FORWARD ACCEPT
		iptables-nft -A FORWARD -j $last
		told '(ip filter, chain FORWARD) drops what it does not know, by a rule without'
	done
	iptables-nft -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT
	told ''
}

# ---- podman with netavark beside --------------------------------------------------------------

pm() {
	CONTAINERS_CONF=$BATS_TEST_TMPDIR/containers.conf podman --root "$BATS_TEST_TMPDIR/p" \
		--runroot "$BATS_TEST_TMPDIR/pr" --storage-driver vfs \
		--network-config-dir "$BATS_TEST_TMPDIR/net" "$@" 3>&- 4>&-
}
podman_end() {
	[ -e "$BATS_TEST_TMPDIR/p" ] || return 0
	pm pod rm -f -t 0 pod >/dev/null 2>&1
	find "$(cgroup_top)/libpod_parent" -depth -type d -exec rmdir {} + 2>/dev/null
	ip link del podman0 2>/dev/null
	umount -l /run/netns 2>/dev/null
	return 0
}
both() {
	hears one get 127.0.0.1:8080
	hears one beyond curl -fsS --max-time 3 http://192.0.2.1:8080/
	hears theirs get 127.0.0.1:7070
	hears theirs beyond curl -fsS --max-time 3 http://192.0.2.1:7070/
}

# steady NAME PORT COMMAND…: that server answers from here and from outside all the while
steady() {
	local who=$1 port=$2 times=0 pid
	shift 2
	"$@" 3>&- 4>&- &
	pid=$!
	# Once at least: a quick one may be over by now.
	while [ $times = 0 ] || ! gone "$pid"; do
		hears "$who" get "127.0.0.1:$port"
		hears "$who" beyond curl -fsS --max-time 3 "http://192.0.2.1:$port/"
		times=$((times + 1))
	done
	wait "$pid"
}

@test "a pod of podman with netavark beside: both ports answer while each restarts, and after a reload" {
	command -v podman >/dev/null || skip "there is no podman"
	command -v catatonit >/dev/null || skip "there is no catatonit, which podman's pods begin with"
	[ -x /usr/lib/podman/netavark ] || skip "there is no netavark"
	web one PublishPort=8080:80
	outside
	mkdir -p "$BATS_TEST_TMPDIR"/{p,pr,net,root}
	printf '[network]\nnetwork_backend="netavark"\n[engine]\ncgroup_manager="cgroupfs"\nevents_logger="none"\n' \
		>"$BATS_TEST_TMPDIR/containers.conf"
	cp -a "$ROOTS/busybox/." "$BATS_TEST_TMPDIR/root/"
	mkdir -p "$BATS_TEST_TMPDIR/root/www"
	echo theirs >"$BATS_TEST_TMPDIR/root/www/index.html"
	pm pod create --name pod --share net -p 7070:80
	pm run -d --pod pod --name theirs --cgroups=disabled --stop-signal SIGKILL \
		--rootfs "$BATS_TEST_TMPDIR/root" httpd -f -p 80 -h /www
	start_supervise
	wait_for ready one
	up 127.0.0.1:8080
	up 127.0.0.1:7070
	both
	run ! grep -q 'firewall of this host' "$BATS_TEST_TMPDIR/supervise.log"
	# Of the container whose network the pod shares.
	steady one 8080 pm network reload "$(pm pod inspect -f '{{ .InfraContainerID }}' pod)"
	both
	steady theirs 7070 berth restart one
	up 127.0.0.1:8080
	steady theirs 7070 berth reload
	steady one 8080 pm pod restart pod
	up 127.0.0.1:7070
	both
	end_supervise
	start_supervise
	both
	stop_supervise
	hears theirs get 127.0.0.1:7070
}
