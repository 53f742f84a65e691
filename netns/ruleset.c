/* The rules of the whole declared set, in two tables of our own: who is who on the bridges is
 * guard.c's. This one has
 *
 *	guard        nobody on a bridge reaches the host's loopback, which route_localnet would allow
 *	prerouting   what arrives for an address of the host goes through `publish`
 *	output       so does what the host itself sends to its own addresses, 127.0.0.1 and ::1 included
 *	publish      looks (address, protocol, port) up in maps: the same cost for 1 and 1000 ports
 *	postrouting  containers leave under the host's address; a container that reaches a sibling (or
 *	             itself) by a published port comes from the gateway, else the answer would take the
 *	             short way and not be translated back; and what comes from 127.0.0.1 or ::1 gets
 *	             the bridge's address. Everybody else is seen under his own
 *	forward      answers pass, and within a network; an internal network does not reach outside;
 *	             published ports pass, and networks that a network may call; otherwise networks do
 *	             not see each other, and nobody outside reaches a container
 *	input        of the host itself a container gets answers, ICMP, the ports opened for it, and those
 *	             that a proxy of ours publishes (but for internal networks)
 *
 * The table's verdict is not the last: another table that drops forwarded packets (a firewall with
 * policy drop) must accept these itself. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "netns/guard.h"
#include "netns/link.h"
#include "netns/net.h"
#include "netns/netns.h"
#include "netns/nft.h"
#include "supervisor/base/fd.h"

enum { SET_BRIDGES = 1, SET_INTERNAL, SET_PAIRS, SET_HOST, SET_PORTS = SET_HOST + 2 };

static const struct nft_set set_bridges = { "bridges", SET_BRIDGES, NFT_TYPE_IFNAME, IFNAMSIZ, 0, 0,
	true };
static const struct nft_set set_internal = { "internal", SET_INTERNAL, NFT_TYPE_IFNAME, IFNAMSIZ, 0,
	0, true };
/* From a bridge to itself, and to those that it may call. */
static const struct nft_set set_pairs = { "pairs", SET_PAIRS,
	NFT_CONCAT2(NFT_TYPE_IFNAME, NFT_TYPE_IFNAME), 2 * IFNAMSIZ, 0, 0, false };

static const struct net_addr loopback4 = { AF_INET, 8, { 127 } };
static const struct net_addr loopback6 = { AF_INET6, 128, { [15] = 1 } };

#define NFT_KEY_ANY   NFT_CONCAT2(NFT_TYPE_PROTOCOL, NFT_TYPE_PORT)
#define NFT_KEY_ADDR4 NFT_CONCAT3(NFT_TYPE_IPV4, NFT_TYPE_PROTOCOL, NFT_TYPE_PORT)
#define NFT_KEY_ADDR6 NFT_CONCAT3(NFT_TYPE_IPV6, NFT_TYPE_PROTOCOL, NFT_TYPE_PORT)
#define NFT_TO_ADDR4  NFT_CONCAT2(NFT_TYPE_IPV4, NFT_TYPE_PORT)
#define NFT_TO_ADDR6  NFT_CONCAT2(NFT_TYPE_IPV6, NFT_TYPE_PORT)

/* Where published ports are looked up: those of one host address first, then those of every. Of those
 * that a process of ours listens on it is only said that containers may ask it. */
static const struct port_map {
	uint8_t family;
	bool addressed;
	bool proxied;
	uint32_t addr_size;
	/* After an address, a register of 16 bytes, or its first 4 bytes, is taken. */
	uint32_t proto_reg, port_reg, to_port_reg;
	struct nft_set set;
} port_maps[] = {
	{ AF_INET, true, false, 4, NFT_REG32_01, NFT_REG32_02, NFT_REG32_01,
		{ "ports4_addr", SET_PORTS, NFT_KEY_ADDR4, 12, NFT_TO_ADDR4, 8, false } },
	{ AF_INET, false, false, 4, NFT_REG_1, NFT_REG32_01, NFT_REG32_01,
		{ "ports4", SET_PORTS + 1, NFT_KEY_ANY, 8, NFT_TO_ADDR4, 8, false } },
	{ AF_INET6, true, false, 16, NFT_REG_2, NFT_REG32_05, NFT_REG_2,
		{ "ports6_addr", SET_PORTS + 2, NFT_KEY_ADDR6, 24, NFT_TO_ADDR6, 20, false } },
	{ AF_INET6, false, false, 16, NFT_REG_1, NFT_REG32_01, NFT_REG_2,
		{ "ports6", SET_PORTS + 3, NFT_KEY_ANY, 8, NFT_TO_ADDR6, 20, false } },
	{ AF_INET, true, true, 4, NFT_REG32_01, NFT_REG32_02, 0,
		{ "proxied4_addr", SET_PORTS + 4, NFT_KEY_ADDR4, 12, 0, 0, false } },
	{ AF_INET, false, true, 4, NFT_REG_1, NFT_REG32_01, 0,
		{ "proxied4", SET_PORTS + 5, NFT_KEY_ANY, 8, 0, 0, false } },
	{ AF_INET6, true, true, 16, NFT_REG_2, NFT_REG32_05, 0,
		{ "proxied6_addr", SET_PORTS + 6, NFT_KEY_ADDR6, 24, 0, 0, false } },
	{ AF_INET6, false, true, 16, NFT_REG_1, NFT_REG32_01, 0,
		{ "proxied6", SET_PORTS + 7, NFT_KEY_ANY, 8, 0, 0, false } },
};

struct ruleset {
	struct nft nft;
	const struct net_bridge *const *bridges;
	size_t nbridges;
	const struct net_port *ports;
	size_t nports;
	const struct net_spec *const *members;
	size_t nmembers;
	bool four, six; /* some bridge has this family */
	bool internal;  /* some bridge is internal */
	bool published; /* some port is translated */
	bool routed;    /* something is to be forwarded at all */
	bool loop6;     /* ports answer on ::1 */
};

static bool port_is_in(const struct net_port *port, const struct port_map *map)
{
	static const uint8_t any[16];
	bool addressed = port->host_addr.family && memcmp(port->host_addr.bytes, any, 16) != 0;

	return port->addr.family == map->family && addressed == map->addressed &&
	       port->proxied == map->proxied;
}

static bool map_is_used(const struct ruleset *rules, const struct port_map *map)
{
	for (size_t i = 0; i < rules->nports; i++)
		if (port_is_in(&rules->ports[i], map))
			return true;
	return false;
}

/* Each part of a key fills whole words of 4 bytes. */
static void port_elements(struct nft *nft, const struct port_map *map, const struct net_port *port)
{
	for (unsigned i = 0; i < port->count; i++) {
		const uint16_t from = htons((uint16_t)(port->host_port + i));
		const uint16_t to = htons((uint16_t)(port->port + i));
		uint8_t key[24] = { 0 };
		uint8_t data[20] = { 0 };
		uint8_t *at = key;

		if (map->addressed) {
			memcpy(at, port->host_addr.bytes, map->addr_size);
			at += map->addr_size;
		}
		at[0] = port->protocol;
		memcpy(at + 4, &from, sizeof from);
		memcpy(data, port->addr.bytes, map->addr_size);
		memcpy(data + map->addr_size, &to, sizeof to);
		nft_element(nft, &map->set, key, map->proxied ? NULL : data);
	}
}

static void write_ports(struct ruleset *rules, const struct port_map *map, const char *chain)
{
	struct nft *nft = &rules->nft;

	nft_set_add(nft, &map->set);
	nft_elements_begin(nft, &map->set);
	for (size_t i = 0; i < rules->nports; i++)
		if (port_is_in(&rules->ports[i], map))
			port_elements(nft, map, &rules->ports[i]);
	nft_elements_end(nft);

	nft_rule_begin(nft, chain);
	nft_match_family(nft, map->family);
	if (map->proxied && rules->internal)
		nft_match_ifset(nft, NFT_META_IIFNAME, false, &set_internal);
	if (map->addressed)
		nft_load_payload(nft, NFT_PAYLOAD_NETWORK_HEADER, map->family == AF_INET ? 16 : 24,
			map->addr_size, NFT_REG_1);
	nft_load_meta(nft, NFT_META_L4PROTO, map->proto_reg);
	nft_load_payload(nft, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, map->port_reg);
	nft_lookup(nft, &map->set);
	if (map->proxied)
		nft_verdict(nft, NF_ACCEPT, NULL);
	else
		nft_dnat(nft, map->family, map->to_port_reg);
	nft_rule_end(nft);
}

static void write_all_ports(struct ruleset *rules, bool proxied, const char *chain)
{
	for (size_t i = 0; i < sizeof port_maps / sizeof port_maps[0]; i++)
		if (port_maps[i].proxied == proxied && map_is_used(rules, &port_maps[i]))
			write_ports(rules, &port_maps[i], chain);
}

static void name_element(
	struct nft *nft, const struct nft_set *set, const char *one, const char *two)
{
	char key[2 * IFNAMSIZ] = { 0 };

	memcpy(key, one, strnlen(one, IFNAMSIZ - 1));
	if (two)
		memcpy(key + IFNAMSIZ, two, strnlen(two, IFNAMSIZ - 1));
	nft_elements_begin(nft, set);
	nft_element(nft, set, key, NULL);
	nft_elements_end(nft);
}

static void write_sets(struct ruleset *rules)
{
	struct nft *nft = &rules->nft;

	nft_set_add(nft, &set_bridges);
	nft_set_add(nft, &set_pairs);
	if (rules->internal)
		nft_set_add(nft, &set_internal);
	for (size_t i = 0; i < rules->nbridges; i++) {
		const struct net_bridge *bridge = rules->bridges[i];

		name_element(nft, &set_bridges, bridge->ifname, NULL);
		name_element(nft, &set_pairs, bridge->ifname, bridge->ifname);
		for (size_t k = 0; k < bridge->nreaches; k++)
			name_element(nft, &set_pairs, bridge->ifname, bridge->reaches[k]->ifname);
		if (bridge->internal)
			name_element(nft, &set_internal, bridge->ifname, NULL);
	}
}

static void write_guard(struct ruleset *rules)
{
	struct nft *nft = &rules->nft;

	/* Before a connection's answer is translated back to 127.0.0.1. */
	nft_chain_add(nft, "guard", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW);
	nft_rule_begin(nft, "guard");
	/* Every packet of the host comes by: first what is rare. */
	nft_match_subnet(nft, false, &loopback4);
	nft_match_ifset(nft, NFT_META_IIFNAME, true, &set_bridges);
	nft_verdict(nft, NF_DROP, NULL);
	nft_rule_end(nft);
}

static void write_nat(struct ruleset *rules)
{
	static const struct {
		const char *name;
		uint32_t hook;
	} doors[] = { { "prerouting", NF_INET_PRE_ROUTING }, { "output", NF_INET_LOCAL_OUT } };
	struct nft *nft = &rules->nft;

	if (!rules->published)
		return;
	nft_chain_add(nft, "publish", NULL, 0, 0);
	write_all_ports(rules, false, "publish");
	for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++) {
		nft_chain_add(nft, doors[i].name, "nat", doors[i].hook, NF_IP_PRI_NAT_DST);
		/* Refused at once is better than no answer, and who asks for "localhost" then tries
		 * 127.0.0.1. */
		if (!rules->loop6) {
			nft_rule_begin(nft, doors[i].name);
			nft_match_subnet(nft, false, &loopback6);
			nft_verdict(nft, NFT_RETURN, NULL);
			nft_rule_end(nft);
		}
		nft_rule_begin(nft, doors[i].name);
		nft_match_local(nft);
		nft_verdict(nft, NFT_GOTO, "publish");
		nft_rule_end(nft);
	}
}

static void write_masquerade(
	struct ruleset *rules, const struct net_bridge *bridge, const struct net_addr *subnet)
{
	struct nft *nft = &rules->nft;

	nft_rule_begin(nft, "postrouting");
	nft_match_subnet(nft, true, subnet);
	nft_match_ifset(nft, NFT_META_OIFNAME, false, &set_bridges);
	nft_masquerade(nft);
	nft_rule_end(nft);
	if (rules->published) {
		nft_rule_begin(nft, "postrouting");
		nft_match_subnet(nft, true, subnet);
		nft_match_ifname(nft, NFT_META_OIFNAME, true, bridge->ifname);
		nft_match_ct(nft, NFT_CT_STATUS, IPS_DST_NAT);
		nft_masquerade(nft);
		nft_rule_end(nft);
	}
}

static void write_from_loopback(struct nft *nft, const struct net_addr *loopback)
{
	nft_rule_begin(nft, "postrouting");
	nft_match_subnet(nft, true, loopback);
	nft_match_ifset(nft, NFT_META_OIFNAME, true, &set_bridges);
	nft_masquerade(nft);
	nft_rule_end(nft);
}

static void write_postrouting(struct ruleset *rules)
{
	struct nft *nft = &rules->nft;

	nft_chain_add(nft, "postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC);
	if (rules->published && rules->four)
		write_from_loopback(nft, &loopback4);
	if (rules->loop6)
		write_from_loopback(nft, &loopback6);
	for (size_t i = 0; i < rules->nbridges; i++) {
		const struct net_bridge *bridge = rules->bridges[i];

		for (size_t k = 0; !bridge->internal && k < bridge->nsubnets; k++)
			write_masquerade(rules, bridge, &bridge->subnets[k].net);
	}
}

/* The bits of `ct state`, as the kernel shows it to nf_tables. */
enum { STATE_ESTABLISHED = 1 << 1, STATE_RELATED = 1 << 2 };

static void accept_established(struct nft *nft, const char *chain)
{
	nft_rule_begin(nft, chain);
	nft_match_ct(nft, NFT_CT_STATE, STATE_ESTABLISHED | STATE_RELATED);
	nft_verdict(nft, NF_ACCEPT, NULL);
	nft_rule_end(nft);
}

static void forward_from(
	struct nft *nft, enum nft_meta_keys key, const struct nft_set *set, int verdict)
{
	nft_rule_begin(nft, "forward");
	nft_match_ifset(nft, key, true, set);
	nft_verdict(nft, verdict, NULL);
	nft_rule_end(nft);
}

static void write_forward(struct ruleset *rules)
{
	struct nft *nft = &rules->nft;

	nft_chain_add(nft, "forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER);
	accept_established(nft, "forward");
	/* Siblings' own traffic comes by here only where br_netfilter is loaded. */
	nft_rule_begin(nft, "forward");
	nft_load_meta(nft, NFT_META_IIFNAME, NFT_REG_1);
	nft_load_meta(nft, NFT_META_OIFNAME, NFT_REG_2);
	nft_lookup(nft, &set_pairs);
	nft_verdict(nft, NF_ACCEPT, NULL);
	nft_rule_end(nft);
	if (rules->internal)
		forward_from(nft, NFT_META_IIFNAME, &set_internal, NF_DROP);
	if (rules->published) {
		nft_rule_begin(nft, "forward");
		nft_match_ct(nft, NFT_CT_STATUS, IPS_DST_NAT);
		nft_verdict(nft, NF_ACCEPT, NULL);
		nft_rule_end(nft);
	}
	forward_from(nft, NFT_META_OIFNAME, &set_bridges, NF_DROP);
}

/* ---- the host's own services -------------------------------------------------------------------- */

static const struct host_set {
	uint8_t family, addr_size;
	uint32_t proto_reg, port_reg;
	struct nft_set set;
} host_sets[] = {
	{ AF_INET, 4, NFT_REG32_01, NFT_REG32_02,
		{ "host4", SET_HOST, NFT_CONCAT3(NFT_TYPE_IPV4, NFT_TYPE_PROTOCOL, NFT_TYPE_PORT),
			12, 0, 0, false } },
	{ AF_INET6, 16, NFT_REG_2, NFT_REG32_05,
		{ "host6", SET_HOST + 1,
			NFT_CONCAT3(NFT_TYPE_IPV6, NFT_TYPE_PROTOCOL, NFT_TYPE_PORT), 24, 0, 0,
			false } },
};

static void host_port_elements(struct nft *nft, const struct host_set *to,
	const struct net_addr *from, const struct net_host_port *port)
{
	for (unsigned i = 0; i < port->count; i++) {
		const uint16_t number = htons((uint16_t)(port->port + i));
		uint8_t key[24] = { 0 };

		memcpy(key, from->bytes, to->addr_size);
		key[to->addr_size] = port->protocol;
		memcpy(key + to->addr_size + 4, &number, sizeof number);
		nft_element(nft, &to->set, key, NULL);
	}
}

static void host_set_elements(
	struct nft *nft, const struct host_set *to, const struct net_spec *member)
{
	for (size_t i = 0; i < member->nifaces; i++) {
		const struct net_iface *iface = &member->ifaces[i];

		for (size_t k = 0; k < iface->naddrs; k++)
			for (size_t n = 0;
				iface->addrs[k].family == to->family && n < member->nhost_ports;
				n++)
				host_port_elements(
					nft, to, &iface->addrs[k], &member->host_ports[n]);
	}
}

static void write_host_set(struct ruleset *rules, const struct host_set *to)
{
	struct nft *nft = &rules->nft;

	nft_set_add(nft, &to->set);
	nft_elements_begin(nft, &to->set);
	for (size_t i = 0; i < rules->nmembers; i++)
		host_set_elements(nft, to, rules->members[i]);
	nft_elements_end(nft);
	nft_rule_begin(nft, "input");
	nft_match_family(nft, to->family);
	nft_load_payload(nft, NFT_PAYLOAD_NETWORK_HEADER, to->family == AF_INET ? 12 : 8,
		to->addr_size, NFT_REG_1);
	nft_load_meta(nft, NFT_META_L4PROTO, to->proto_reg);
	nft_load_payload(nft, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, to->port_reg);
	nft_lookup(nft, &to->set);
	nft_verdict(nft, NF_ACCEPT, NULL);
	nft_rule_end(nft);
}

static void write_input(struct ruleset *rules)
{
	static const uint8_t icmp[] = { IPPROTO_ICMP, IPPROTO_ICMPV6 };
	struct nft *nft = &rules->nft;
	bool asked = false;

	nft_chain_add(nft, "input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER);
	nft_rule_begin(nft, "input");
	nft_match_ifset(nft, NFT_META_IIFNAME, false, &set_bridges);
	nft_verdict(nft, NF_ACCEPT, NULL);
	nft_rule_end(nft);
	accept_established(nft, "input");
	for (size_t i = 0; i < sizeof icmp; i++) {
		nft_rule_begin(nft, "input");
		nft_match_protocol(nft, icmp[i]);
		nft_verdict(nft, NF_ACCEPT, NULL);
		nft_rule_end(nft);
	}
	for (size_t i = 0; i < rules->nmembers; i++)
		asked = asked || rules->members[i]->nhost_ports;
	write_all_ports(rules, true, "input");
	for (size_t i = 0; asked && i < sizeof host_sets / sizeof host_sets[0]; i++)
		write_host_set(rules, &host_sets[i]);
	nft_rule_begin(nft, "input");
	nft_verdict(nft, NF_DROP, NULL);
	nft_rule_end(nft);
}

/* A host that turns IPv6 forwarding on stops listening to its own router, unless told otherwise. */
static int keep_router_advertisements(struct err *err)
{
	struct if_nameindex *links;
	char old[16];
	int r = 0;

	if (file_read_at(-1, "/proc/sys/net/ipv6/conf/all/forwarding", old, sizeof old) > 0 &&
		old[0] == '1')
		return 0;
	links = if_nameindex();
	for (const struct if_nameindex *link = links; r == 0 && link && link->if_index; link++) {
		char path[96];
		char value[16];

		(void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%.15s/accept_ra",
			link->if_name);
		if (file_read_at(-1, path, value, sizeof value) > 0 && value[0] == '1')
			r = netns_sysctl("2", err, "ipv6/conf/%s/accept_ra", link->if_name);
	}
	if (links)
		if_freenameindex(links);
	return r;
}

/* IPv6 has no route_localnet and needs none but this: an answer to ::1, translated back on the bridge
 * it came in by, is taken there only by a local route of that device. Nobody on the bridge gains by
 * it: what arrives for ::1 from a wire is dropped before any rule (ip6_rcv).
 *
 * Where br_netfilter translates before that, in the bridge, the answer would be dropped so too. */
static bool loopback6_works(void)
{
	char on[8];

	return file_read_at(-1, "/proc/sys/net/bridge/bridge-nf-call-ip6tables", on, sizeof on) <=
		       0 ||
	       on[0] == '0';
}

enum { LOOPBACK_METRIC = 4096 }; /* after the route of lo */

static int loopback6_routes(const struct ruleset *rules, struct err *err)
{
	own_rtnl nl = { 0 };
	int r = rtnl_open(&nl, -1, NETLINK_ROUTE, err);

	for (size_t i = 0; r == 0 && i < rules->nbridges; i++) {
		const struct rtmsg info = {
			.rtm_family = AF_INET6,
			.rtm_dst_len = 128,
			.rtm_table = RT_TABLE_LOCAL,
			.rtm_protocol = RTPROT_STATIC,
			.rtm_type = RTN_LOCAL,
		};
		struct link_info link;

		if (!net_subnet_first(rules->bridges[i], AF_INET6) || rules->bridges[i]->internal)
			continue;
		link_ask(&nl, rules->bridges[i]->ifname, &link);
		r = rtnl_commit(&nl, err);
		if (r < 0 || !link.found)
			continue;
		rtnl_begin(&nl, RTM_NEWROUTE, NLM_F_CREATE, &info, sizeof info,
			"let answers to ::1 in by %s", link.name);
		rtnl_put(&nl, RTA_DST, loopback6.bytes, sizeof loopback6.bytes);
		rtnl_u32(&nl, RTA_OIF, (uint32_t)link.ifindex);
		rtnl_u32(&nl, RTA_PRIORITY, LOOPBACK_METRIC);
		rtnl_allow(&nl, EEXIST);
		r = rtnl_commit(&nl, err);
	}
	return r;
}

static int forward(const char *name, const char *path, struct err *err)
{
	int r = netns_sysctl("1", err, "%s", path);

	return r < 0 ? err_wrap(err,
			       "forward packets, which networks need that are not Internal= (set "
			       "net.%s=1 before berth starts)",
			       name)
		     : 0;
}

static int write_sysctls(const struct ruleset *rules, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && rules->published && i < rules->nbridges; i++)
		if (net_subnet_first(rules->bridges[i], AF_INET))
			r = netns_sysctl(
				"1", err, "ipv4/conf/%s/route_localnet", rules->bridges[i]->ifname);
	if (r == 0 && rules->routed && rules->four)
		r = forward("ipv4.ip_forward", "ipv4/ip_forward", err);
	if (r < 0 || !rules->routed || !rules->six)
		return r;
	r = keep_router_advertisements(err);
	if (r == 0)
		r = forward("ipv6.conf.all.forwarding", "ipv6/conf/all/forwarding", err);
	return r == 0 && rules->loop6 ? loopback6_routes(rules, err) : r;
}

static int check_ports(const struct ruleset *rules, struct err *err)
{
	for (size_t i = 0; i < rules->nports; i++) {
		const struct net_port *port = &rules->ports[i];

		if (!port->addr.family || !port->count || !port->host_port || !port->port ||
			port->host_port + port->count > 65536 || port->port + port->count > 65536 ||
			(port->host_addr.family && port->host_addr.family != port->addr.family))
			return err_set(err, EINVAL,
				"publish port %u: the container's address or port does not fit it",
				port->host_port);
	}
	return 0;
}

static int table_name(const char *instance, char *buf, size_t size, struct err *err)
{
	if (snprintf(buf, size, "berth-%s", instance) >= (int)size)
		return err_set(err, EINVAL, "instance %s: the name is too long", instance);
	return 0;
}

static void rules_learn(struct ruleset *rules)
{
	for (size_t i = 0; i < rules->nports; i++)
		rules->published = rules->published || !rules->ports[i].proxied;
	rules->routed = rules->published;
	for (size_t i = 0; i < rules->nbridges; i++) {
		const struct net_bridge *bridge = rules->bridges[i];

		rules->four = rules->four || net_subnet_first(bridge, AF_INET);
		rules->six = rules->six || net_subnet_first(bridge, AF_INET6);
		rules->internal = rules->internal || bridge->internal;
		rules->routed = rules->routed || !bridge->internal;
	}
	for (size_t i = 0; i < rules->nports && !rules->loop6; i++)
		rules->loop6 = rules->ports[i].addr.family == AF_INET6 &&
			       !rules->ports[i].proxied && loopback6_works();
}

/* Created, so that it can be deleted; deleted, so that nothing of it stays; created anew. In one
 * transaction no packet sees the moment between. */
static void rules_write(struct ruleset *rules)
{
	nft_table_add(&rules->nft);
	nft_table_delete(&rules->nft);
	if (!rules->nbridges)
		return;
	nft_table_add(&rules->nft);
	write_sets(rules);
	write_guard(rules);
	write_nat(rules);
	write_postrouting(rules);
	write_forward(rules);
	write_input(rules);
}

/* Both tables in one transaction: each costs a wait for all who read rules, and no packet meets new
 * ports with old walls. */
static int tables_write(
	struct ruleset *rules, const struct net_rules *asked, bool guarded, struct err *err)
{
	struct nft *nft = &rules->nft;

	nft_begin(nft);
	if (guarded) {
		nft->family = NFPROTO_BRIDGE;
		guard_write(nft, asked);
		nft->family = 0;
	}
	rules_write(rules);
	return nft_commit(nft, err);
}

/* Who may call himself what is a wall that no key asks for: without it the rest still stands. */
static int tables_apply(struct ruleset *rules, const struct net_rules *asked, struct err *unguarded,
	struct err *err)
{
	int r = tables_write(rules, asked, true, err);

	if (r == -EEXIST)
		return err_wrap(err, "a port is published twice");
	if (r == 0 || rules->nft.refused != NFPROTO_BRIDGE)
		return r;
	(void)err_wrap(err, "guard the ports of the bridges");
	if (guard_is_asked(asked))
		return err_wrap(err, "IPAddressAllow= and IPAddressDeny= cannot be kept");
	*unguarded = *err;
	return tables_write(rules, asked, false, err);
}

static int table_remove(const char *table, uint8_t family, struct err *err)
{
	struct nft nft = { .table = table, .family = family };
	int r;

	nft_begin(&nft);
	nft_table_add(&nft);
	nft_table_delete(&nft);
	r = nft_commit(&nft, err);
	nft_done(&nft);
	/* Where there is no nf_tables (for that family) there is no table. */
	return r == -EPROTONOSUPPORT || r == -EOPNOTSUPP || r == -EAFNOSUPPORT ? 0 : r;
}

int net_ruleset_apply(
	const char *instance, const struct net_rules *asked, struct err *unguarded, struct err *err)
{
	struct ruleset rules = {
		.bridges = asked->bridges,
		.nbridges = asked->nbridges,
		.ports = asked->ports,
		.nports = asked->nports,
		.members = asked->members,
		.nmembers = asked->nmembers,
	};
	struct err no_guard = { 0 };
	char table[64];
	int r = table_name(instance, table, sizeof table, err);

	if (r < 0)
		return r;
	if (!asked->nbridges && !asked->nmembers)
		return net_ruleset_remove(instance, err);
	r = check_ports(&rules, err);
	if (r < 0)
		return r;
	rules.nft.table = table;
	rules_learn(&rules);
	r = tables_apply(&rules, asked, unguarded ? unguarded : &no_guard, err);
	nft_done(&rules.nft);
	/* After the rules: no packet is forwarded, and no loopback routed, unguarded. */
	return r < 0 || !rules.nbridges ? r : write_sysctls(&rules, err);
}

int net_ruleset_remove(const char *instance, struct err *err)
{
	char table[64];
	int r = table_name(instance, table, sizeof table, err);

	if (r == 0)
		r = table_remove(table, NFPROTO_BRIDGE, err);
	return r == 0 ? table_remove(table, 0, err) : r;
}
