# For the tests of DHCP (bats), after outside.bash: dnsmasq as the server of somebody else's network.
# shellcheck shell=bash disable=SC2154,SC2034 # variables of system.bash, and for the tests

need_dhcp() {
	command -v dnsmasq >/dev/null || skip "no dnsmasq here"
	busybox --list | grep -qx udhcpc || skip "no udhcpc in busybox here"
}
# server [OPTION…]: leases $RANGE on far0 for two minutes, the least that dnsmasq gives.
RANGE=192.0.2.100,192.0.2.149
server() {
	nsenter -t "$OUTSIDE" -n dnsmasq --keep-in-foreground --conf-file=/dev/null --interface=far0 \
		--except-interface=lo --bind-interfaces --dhcp-range="$RANGE",2m \
		--dhcp-option=option:router,192.0.2.1 --dhcp-option=option:dns-server,192.0.2.53 \
		--dhcp-option=option:domain-name,box.test --port=0 --dhcp-leasefile="$BATS_TEST_TMPDIR/leases" \
		--user=root --pid-file= --dhcp-authoritative --no-ping \
		--log-facility="$BATS_TEST_TMPDIR/dnsmasq.log" --log-dhcp "$@" >/dev/null 2>&1 3>&- 4>&- &
	SERVER=$!
}
server_away() {
	[ -n "${SERVER:-}" ] || return 0
	kill "$SERVER" 2>/dev/null || true
	wait "$SERVER" 2>/dev/null || true
	SERVER=
}
