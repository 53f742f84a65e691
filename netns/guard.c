/* The rules on the ports of our bridges: who a container may give itself out as, and whom it may talk
 * to. A table of family bridge, for there a frame is seen before it meets a sibling, the host, or any
 * translation, and the port that it came in by says whose it is.
 *
 *	prerouting   what a container sends: through its filter, then its addresses are looked up in
 *	             sets of (port, address): the same cost for 2 and 200 containers
 *	postrouting  what a container is sent: through its filter
 *	NAME-to,     one container's IPAddressAllow= and IPAddressDeny=, reached by a map of verdicts;
 *	NAME-from    neighbour discovery is no talk and passes, as ARP does
 *
 * The sets are full for every declared container before any is attached: there is no moment in which
 * one is attached and not guarded, and nothing to do when one comes or goes. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "netns/guard.h"
#include "netns/net.h"

/* linux/netfilter_bridge.h, which cannot be met with net/if.h. */
enum {
	BR_PRE_ROUTING = 0,
	BR_POST_ROUTING = 4,
	BR_PRIORITY_FIRST = -300, /* of a translation in the bridge */
	BR_PRIORITY_LAST = 300,
};

/* Not those of ruleset.c, with whose sets these share a batch. */
enum { SET_PORTS = 64, SET_MACS, SET_ADDR4, SET_ADDR6, MAP_TO, MAP_FROM };
enum { KEY_MAX = IFNAMSIZ + 16, CHAIN_NAME = 32 };
/* A chain of filters of each container, and the same for what it is sent. */
enum direction { TO, FROM };

static const struct nft_set set_ports = { "ports", SET_PORTS, NFT_TYPE_IFNAME, IFNAMSIZ, 0, 0,
	true };
static const struct nft_set set_macs = { "macs", SET_MACS,
	NFT_CONCAT2(NFT_TYPE_IFNAME, NFT_TYPE_ETHER), IFNAMSIZ + 8, 0, 0, false };
static const struct nft_set set_addr4 = { "addr4", SET_ADDR4,
	NFT_CONCAT2(NFT_TYPE_IFNAME, NFT_TYPE_IPV4), IFNAMSIZ + 4, 0, 0, false };
static const struct nft_set set_addr6 = { "addr6", SET_ADDR6,
	NFT_CONCAT2(NFT_TYPE_IFNAME, NFT_TYPE_IPV6), IFNAMSIZ + 16, 0, 0, false };
static const struct nft_set filters[] = {
	[TO] = { "filter_to", MAP_TO, NFT_TYPE_IFNAME, IFNAMSIZ, NFT_DATA_VERDICT, 16, true },
	[FROM] = { "filter_from", MAP_FROM, NFT_TYPE_IFNAME, IFNAMSIZ, NFT_DATA_VERDICT, 16, true },
};

enum { RA = 134, NS_FIRST = 133, NA = 136, REDIRECT = 137 };

/* It has a port on a bridge, ours or not: a macvlan's packets are not seen here. */
static bool has_port(const struct net_iface *iface)
{
	return iface->bridge->driver == NET_BRIDGE;
}

static bool is_filtered(const struct net_spec *member)
{
	return member->filter.nallow + member->filter.ndeny > 0;
}

/* ---- whose address is whose -------------------------------------------------------------------- */

static void element(struct nft *nft, const struct nft_set *set, const struct net_iface *iface,
	const void *bytes, size_t size)
{
	uint8_t key[KEY_MAX] = { 0 };

	memcpy(key, iface->host_ifname, strnlen(iface->host_ifname, IFNAMSIZ - 1));
	if (size)
		memcpy(key + IFNAMSIZ, bytes, size);
	nft_elements_begin(nft, set);
	nft_element(nft, set, key, NULL);
	nft_elements_end(nft);
}

/* The address that the kernel gives itself on every link: RFC 4291, of the MAC address. */
static void link_local(const uint8_t mac[static 6], uint8_t ret[static 16])
{
	memset(ret, 0, 16);
	ret[0] = 0xfe;
	ret[1] = 0x80;
	memcpy(ret + 8, mac, 3);
	ret[8] ^= 2;
	ret[11] = 0xff;
	ret[12] = 0xfe;
	memcpy(ret + 13, mac + 3, 3);
}

static void iface_elements(struct nft *nft, const struct net_iface *iface)
{
	static const uint8_t none[16];
	uint8_t local[16];

	link_local(iface->mac, local);
	element(nft, &set_ports, iface, NULL, 0);
	element(nft, &set_macs, iface, iface->mac, sizeof iface->mac);
	element(nft, &set_addr6, iface, local, sizeof local);
	/* Who has no address yet asks from none, and tells the bridge which groups it listens to. */
	element(nft, &set_addr6, iface, none, sizeof none);
	for (size_t i = 0; i < iface->naddrs; i++)
		if (iface->addrs[i].family == AF_INET)
			element(nft, &set_addr4, iface, iface->addrs[i].bytes, 4);
		else
			element(nft, &set_addr6, iface, iface->addrs[i].bytes, 16);
}

/* False: nobody says what it may call itself, or it is somebody else who does. */
static bool is_guarded(const struct net_spec *member, const struct net_iface *iface)
{
	static const uint8_t none[6];

	return !member->foreign_source && net_is_ours(iface->bridge) && iface->naddrs &&
	       memcmp(iface->mac, none, sizeof none) != 0;
}

static void write_elements(struct nft *nft, const struct net_rules *rules)
{
	nft_set_add(nft, &set_ports);
	nft_set_add(nft, &set_macs);
	nft_set_add(nft, &set_addr4);
	nft_set_add(nft, &set_addr6);
	for (size_t i = 0; i < rules->nmembers; i++)
		for (size_t k = 0; k < rules->members[i]->nifaces; k++)
			if (is_guarded(rules->members[i], &rules->members[i]->ifaces[k]))
				iface_elements(nft, &rules->members[i]->ifaces[k]);
}

/* (the port it came in by, some bytes of the packet) is not in the set: dropped. */
static void drop_unless(
	struct nft *nft, enum nft_payload_bases base, uint32_t offset, const struct nft_set *set)
{
	uint32_t size = set->key_size - IFNAMSIZ == 8 ? 6 : set->key_size - IFNAMSIZ;

	nft_load_meta(nft, NFT_META_IIFNAME, NFT_REG_1);
	nft_load_payload(nft, base, offset, size, NFT_REG_2);
	nft_lookup_not(nft, set);
	nft_verdict(nft, NF_DROP, NULL);
	nft_rule_end(nft);
}

static void begin_ethertype(struct nft *nft, uint16_t type)
{
	const uint16_t wanted = htons(type);

	nft_rule_begin(nft, "prerouting");
	nft_load_meta(nft, NFT_META_PROTOCOL, NFT_REG_1);
	nft_compare(nft, NFT_CMP_EQ, &wanted, sizeof wanted);
}

/* An ICMPv6 message of that type; its family is implied. */
static void match_icmp6(struct nft *nft, enum nft_cmp_ops op, uint8_t type)
{
	nft_load_payload(nft, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_REG_1);
	nft_compare(nft, op, &type, sizeof type);
}

static void begin_icmp6(struct nft *nft, uint8_t type)
{
	begin_ethertype(nft, ETH_P_IPV6);
	nft_match_protocol(nft, IPPROTO_ICMPV6);
	match_icmp6(nft, NFT_CMP_EQ, type);
}

static void write_identity(struct nft *nft)
{
	static const uint8_t routers[] = { RA, REDIRECT };
	static const uint16_t types[] = { ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 };

	nft_rule_begin(nft, "prerouting");
	nft_match_ifset(nft, NFT_META_IIFNAME, false, &set_ports);
	nft_verdict(nft, NF_ACCEPT, NULL);
	nft_rule_end(nft);
	nft_rule_begin(nft, "prerouting");
	drop_unless(nft, NFT_PAYLOAD_LL_HEADER, ETH_ALEN, &set_macs);
	nft_rule_begin(nft, "prerouting");
	nft_load_meta(nft, NFT_META_PROTOCOL, NFT_REG_1);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		const uint16_t other = htons(types[i]);

		nft_compare(nft, NFT_CMP_NEQ, &other, sizeof other);
	}
	nft_verdict(nft, NF_DROP, NULL);
	nft_rule_end(nft);
	/* ARP: the sender's MAC address is at 8, its IP address at 14. */
	begin_ethertype(nft, ETH_P_ARP);
	drop_unless(nft, NFT_PAYLOAD_NETWORK_HEADER, 8, &set_macs);
	begin_ethertype(nft, ETH_P_ARP);
	drop_unless(nft, NFT_PAYLOAD_NETWORK_HEADER, 14, &set_addr4);
	begin_ethertype(nft, ETH_P_IP);
	drop_unless(nft, NFT_PAYLOAD_NETWORK_HEADER, 12, &set_addr4);
	for (size_t i = 0; i < sizeof routers; i++) {
		begin_icmp6(nft, routers[i]);
		nft_verdict(nft, NF_DROP, NULL);
		nft_rule_end(nft);
	}
	/* The address that an advertisement answers for is at 8. */
	begin_icmp6(nft, NA);
	drop_unless(nft, NFT_PAYLOAD_TRANSPORT_HEADER, 8, &set_addr6);
	begin_ethertype(nft, ETH_P_IPV6);
	drop_unless(nft, NFT_PAYLOAD_NETWORK_HEADER, 8, &set_addr6);
}

/* ---- filters ------------------------------------------------------------------------------------ */

static void chain_name(
	const struct net_spec *member, enum direction direction, char ret[static CHAIN_NAME])
{
	(void)snprintf(ret, CHAIN_NAME, "%s-%s", member->ifaces[0].host_ifname,
		direction == TO ? "to" : "from");
}

static void write_filter(struct nft *nft, const struct net_spec *member, enum direction direction)
{
	const struct net_filter *filter = &member->filter;
	char chain[CHAIN_NAME];

	chain_name(member, direction, chain);
	nft_chain_add(nft, chain, NULL, 0, 0);
	nft_rule_begin(nft, chain);
	nft_match_family(nft, AF_INET6);
	nft_match_protocol(nft, IPPROTO_ICMPV6);
	match_icmp6(nft, NFT_CMP_GTE, NS_FIRST);
	match_icmp6(nft, NFT_CMP_LTE, REDIRECT);
	nft_verdict(nft, NFT_RETURN, NULL);
	nft_rule_end(nft);
	for (size_t i = 0; i < filter->nallow + filter->ndeny; i++) {
		bool allow = i < filter->nallow;

		nft_rule_begin(nft, chain);
		nft_match_subnet(nft, direction == FROM,
			allow ? &filter->allow[i] : &filter->deny[i - filter->nallow]);
		nft_verdict(nft, allow ? NFT_RETURN : NF_DROP, NULL);
		nft_rule_end(nft);
	}
}

static void filter_elements(
	struct nft *nft, const struct net_rules *rules, enum direction direction)
{
	const struct nft_set *map = &filters[direction];
	char chain[CHAIN_NAME];

	for (size_t i = 0; i < rules->nmembers; i++)
		for (size_t k = 0; k < rules->members[i]->nifaces; k++) {
			const struct net_spec *member = rules->members[i];
			char key[IFNAMSIZ] = { 0 };

			if (!is_filtered(member) || !has_port(&member->ifaces[k]))
				continue;
			chain_name(member, direction, chain);
			memcpy(key, member->ifaces[k].host_ifname,
				strnlen(member->ifaces[k].host_ifname, IFNAMSIZ - 1));
			nft_elements_begin(nft, map);
			nft_element_jump(nft, map, key, chain);
			nft_elements_end(nft);
		}
}

static void write_filters(struct nft *nft, const struct net_rules *rules)
{
	static const struct {
		const char *chain;
		enum nft_meta_keys port;
	} ways[] = { [TO] = { "prerouting", NFT_META_IIFNAME },
		[FROM] = { "postrouting", NFT_META_OIFNAME } };

	nft_chain_add(nft, "postrouting", "filter", BR_POST_ROUTING, BR_PRIORITY_LAST);
	for (enum direction way = TO; way <= FROM; way++) {
		for (size_t i = 0; i < rules->nmembers; i++)
			if (rules->members[i]->nifaces && is_filtered(rules->members[i]))
				write_filter(nft, rules->members[i], way);
		nft_set_add(nft, &filters[way]);
		filter_elements(nft, rules, way);
		nft_rule_begin(nft, ways[way].chain);
		nft_load_meta(nft, ways[way].port, NFT_REG_1);
		nft_lookup(nft, &filters[way]);
		nft_rule_end(nft);
	}
}

/* ---- the table ---------------------------------------------------------------------------------- */

bool guard_is_asked(const struct net_rules *rules)
{
	for (size_t i = 0; i < rules->nmembers; i++)
		if (is_filtered(rules->members[i]))
			return true;
	return false;
}

void guard_write(struct nft *nft, const struct net_rules *rules)
{
	nft_table_add(nft);
	nft_table_delete(nft);
	if (!rules->nmembers)
		return;
	nft_table_add(nft);
	nft_chain_add(nft, "prerouting", "filter", BR_PRE_ROUTING, BR_PRIORITY_FIRST);
	if (guard_is_asked(rules))
		write_filters(nft, rules);
	write_elements(nft, rules);
	write_identity(nft);
}
