/* What a network costs: net attach N | rules N PORTS, in a network namespace that is thrown away.
 *
 *	attach   N containers on one bridge: net_attach, beside the same links, addresses and routes in
 *	         as few messages as it can be done, which look at nothing first; then both taken away.
 *	         They take turns. Prints "attach|floor-attach|detach|floor-detach US" a line
 *	rules    the rules of 20 containers with PORTS ports, written anew; and one element put into a
 *	         map that has as many, which is the least a change can be. "rules|floor-rules US" */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netns/link.h"
#include "netns/net.h"
#include "netns/netns.h"
#include "netns/nft.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"

enum { PORTS_MAX = 4096, MEMBERS = 20 };

static struct net_subnet subnet;
static const struct net_bridge bridge = {
	.name = "bench", .ifname = "br-bench", .subnets = &subnet, .nsubnets = 1
};
static const struct net_bridge *const bridges[] = { &bridge };

static _Noreturn void die(const struct err *err)
{
	(void)fprintf(stderr, "net: %s\n", err->text);
	exit(1);
}

static struct net_addr addr(const char *text)
{
	struct net_addr ret = { 0 };

	(void)net_addr_parse(text, &ret);
	return ret;
}

struct unit {
	struct net_iface iface;
	struct net_addr addr;
	char host_ifname[16];
	char alias[64];
	char pin[64];
	int fd;
};

/* After the gateway's. */
static struct net_addr member_addr(unsigned number)
{
	struct net_addr ret = net_addr_nth(&subnet.net, number + 2);

	ret.prefix = subnet.net.prefix;
	return ret;
}

static void unit_init(struct unit *unit, unsigned number)
{
	char name[24];
	struct err err = { 0 };
	bool made;

	(void)snprintf(name, sizeof name, "u%u", number);
	(void)snprintf(unit->alias, sizeof unit->alias, "berth:bench:%s:0", name);
	(void)snprintf(unit->pin, sizeof unit->pin, "/run/bench-pin-%u", number);
	net_host_ifname("bench", name, 0, unit->host_ifname);
	unit->iface = (struct net_iface){ .bridge = &bridge,
		.host_ifname = unit->host_ifname,
		.alias = unit->alias,
		.ifname = "eth0",
		.addrs = &unit->addr,
		.naddrs = 1,
		.default_route = true };
	unit->addr = member_addr(number);
	net_mac(unit->alias, unit->iface.mac);
	unit->fd = netns_ensure(unit->pin, &made, &err);
	if (unit->fd < 0)
		die(&err);
}

static int floor_attach(const struct unit *unit)
{
	const struct link_set host = { .master = (int)if_nametoindex(bridge.ifname), .up = true };
	const struct link_set inner = { .up = true };
	const int eth0 = 2; /* the first after lo in a new namespace */
	own_rtnl out = { 0 };
	own_rtnl in = { 0 };
	struct err err = { 0 };
	int r = rtnl_open(&out, -1, NETLINK_ROUTE, &err);

	if (r == 0)
		r = rtnl_open(&in, unit->fd, NETLINK_ROUTE, &err);
	if (r < 0)
		return r;
	link_new_veth(&out, unit->host_ifname, &host, unit->fd, "eth0", unit->iface.mac);
	r = rtnl_commit(&out, &err);
	if (r < 0)
		die(&err);
	link_change(&in, eth0, "eth0", &inner);
	addr_add(&in, eth0, &unit->addr);
	route_default(&in, eth0, &subnet.gateway, false);
	return rtnl_commit(&in, &err);
}

static int floor_detach(const struct unit *unit)
{
	own_rtnl out = { 0 };
	int r = rtnl_open(&out, -1, NETLINK_ROUTE, NULL);

	if (r < 0)
		return r;
	link_delete(&out, (int)if_nametoindex(unit->host_ifname), unit->host_ifname);
	return rtnl_commit(&out, NULL);
}

static uint64_t say(const char *what, uint64_t since, int r)
{
	const uint64_t now = clock_monotonic();
	const struct err failed = { .text = "a step failed" };

	if (r < 0)
		die(&failed);
	printf("%s %llu\n", what, (unsigned long long)(now - since) / 1000);
	return clock_monotonic();
}

static void bench_attach(unsigned n)
{
	struct unit *units = calloc(2 * (size_t)n, sizeof *units);
	struct err err = { 0 };
	uint64_t at;

	for (unsigned i = 0; units && i < 2 * n; i++)
		unit_init(&units[i], i);
	for (unsigned i = 0; units && i < 2 * n; i += 2) {
		at = clock_monotonic();
		at = say("attach", at, net_attach(units[i].fd, &units[i].iface, 1, &err));
		(void)say("floor-attach", at, floor_attach(&units[i + 1]));
	}
	for (unsigned i = 0; units && i < 2 * n; i += 2) {
		at = clock_monotonic();
		at = say("detach", at, net_detach(&units[i].iface, 1, &err));
		(void)say("floor-detach", at, floor_detach(&units[i + 1]));
	}
	for (unsigned i = 0; units && i < 2 * n; i++)
		(void)netns_remove(units[i].pin);
	free(units);
}

static const struct nft_set floor_map = { "floor", 1, NFT_CONCAT2(NFT_TYPE_PROTOCOL, NFT_TYPE_PORT),
	8, NFT_CONCAT2(NFT_TYPE_IPV4, NFT_TYPE_PORT), 8, false };

/* One element; with `whole` the table, the map and all before it as well. */
static int floor_element(unsigned port, bool whole)
{
	struct nft nft = { .table = "berth-floor" };
	uint8_t key[8] = { 6 };
	const uint8_t data[8] = { 10, 79, 0, 2, 0, 80 };
	struct err err = { 0 };
	int r;

	nft_begin(&nft);
	if (whole) {
		nft_table_add(&nft);
		nft_set_add(&nft, &floor_map);
	}
	nft_elements_begin(&nft, &floor_map);
	for (unsigned i = whole ? 0 : port; i <= port; i++) {
		key[4] = (uint8_t)(i >> 8);
		key[5] = (uint8_t)i;
		nft_element(&nft, &floor_map, key, data);
	}
	nft_elements_end(&nft);
	r = nft_commit(&nft, &err);
	nft_done(&nft);
	if (r < 0)
		die(&err);
	return r;
}

static void bench_rules(unsigned n, unsigned nports)
{
	static struct net_port ports[PORTS_MAX];
	static struct net_iface ifaces[MEMBERS];
	static struct net_addr addrs[MEMBERS];
	static char names[MEMBERS][16];
	static struct net_spec specs[MEMBERS];
	static const struct net_spec *members[MEMBERS];
	const struct net_rules rules = { bridges, 1, ports, nports, members, MEMBERS };
	struct err err = { 0 };

	for (unsigned i = 0; i < nports; i++)
		ports[i] = (struct net_port){ .protocol = 6,
			.host_port = (uint16_t)(10000 + i),
			.count = 1,
			.addr = member_addr(i % MEMBERS),
			.port = 80 };
	for (unsigned i = 0; i < MEMBERS; i++) {
		(void)snprintf(names[i], sizeof names[i], "b%u", i);
		addrs[i] = member_addr(i);
		ifaces[i] = (struct net_iface){ .bridge = &bridge,
			.host_ifname = names[i],
			.addrs = &addrs[i],
			.naddrs = 1,
			.mac = { 2, 0, 0, 0, 0, (uint8_t)i } };
		specs[i] = (struct net_spec){ .ifaces = &ifaces[i], .nifaces = 1 };
		members[i] = &specs[i];
	}
	(void)floor_element(nports, true);
	for (unsigned i = 0; i < n; i++) {
		uint64_t at = clock_monotonic();

		at = say("rules", at, net_ruleset_apply("bench", &rules, NULL, &err));
		(void)say("floor-rules", at, floor_element(nports + 1 + i, false));
	}
	(void)net_ruleset_remove("bench", &err);
}

int main(int argc, char **argv)
{
	struct err err = { 0 };

	subnet.net = addr("10.79.0.0/16");
	subnet.gateway = addr("10.79.0.1/16");
	if (net_bridge_ensure("bench", &bridge, &err) < 0)
		die(&err);
	if (argc == 3 && strcmp(argv[1], "attach") == 0)
		bench_attach((unsigned)strtoul(argv[2], NULL, 10));
	else if (argc == 4 && strcmp(argv[1], "rules") == 0 &&
		 strtoul(argv[3], NULL, 10) <= PORTS_MAX)
		bench_rules(
			(unsigned)strtoul(argv[2], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10));
	else
		return 2;
	return 0;
}
