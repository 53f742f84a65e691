/* The rules on the ports of our bridges: who a container may give itself out as, and whom it may talk
 * to. A table of family bridge, for there a frame is seen before it meets a sibling, the host, or any
 * translation, and the port that it came in by says whose it is.
 *
 *	prerouting   what a container sends: through its filter, then its addresses are looked up in
 *	             sets of (port, MAC, address): one look for nearly all there is, which is the
 *	             first rule, and the same cost for 2 and 200 containers
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
enum { SET_PORTS = 64, SET_ADDR4, SET_ADDR6, MAP_TO, MAP_FROM };
enum { KEY_MAX = IFNAMSIZ + NFT_SIZE_ETHER + 16, CHAIN_NAME = 32 };
/* A chain of filters of each container, and the same for what it is sent. */
enum direction { TO, FROM };

static const struct nft_set set_ports = { "ports", SET_PORTS, NFT_TYPE_IFNAME, IFNAMSIZ, 0, 0,
	true };
static const struct nft_set set_addr4 = { "addr4", SET_ADDR4,
	NFT_CONCAT3(NFT_TYPE_IFNAME, NFT_TYPE_ETHER, NFT_TYPE_IPV4), IFNAMSIZ + NFT_SIZE_ETHER + 4,
	0, 0, false };
static const struct nft_set set_addr6 = { "addr6", SET_ADDR6,
	NFT_CONCAT3(NFT_TYPE_IFNAME, NFT_TYPE_ETHER, NFT_TYPE_IPV6), KEY_MAX, 0, 0, false };
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

static void element(
	struct nft *nft, const struct nft_set *set, const struct net_iface *iface, const void *addr)
{
	uint8_t key[KEY_MAX] = { 0 };

	memcpy(key, iface->host_ifname, strnlen(iface->host_ifname, IFNAMSIZ - 1));
	if (addr) {
		memcpy(key + IFNAMSIZ, iface->mac, sizeof iface->mac);
		memcpy(key + IFNAMSIZ + NFT_SIZE_ETHER, addr,
			set->key_size - IFNAMSIZ - NFT_SIZE_ETHER);
	}
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
	element(nft, &set_ports, iface, NULL);
	element(nft, &set_addr6, iface, local);
	/* Who has no address yet asks from none, and tells the bridge which groups it listens to. */
	element(nft, &set_addr6, iface, none);
	for (size_t i = 0; i < iface->naddrs; i++)
		element(nft, iface->addrs[i].family == AF_INET ? &set_addr4 : &set_addr6, iface,
			iface->addrs[i].bytes);
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
	nft_set_add(nft, &set_addr4);
	nft_set_add(nft, &set_addr6);
	for (size_t i = 0; i < rules->nmembers; i++)
		for (size_t k = 0; k < rules->members[i]->nifaces; k++)
			if (is_guarded(rules->members[i], &rules->members[i]->ifaces[k]))
				iface_elements(nft, &rules->members[i]->ifaces[k]);
}

/* Where a packet says who sent it. */
struct place {
	enum nft_payload_bases base;
	uint32_t offset;
};
static const struct place ether_source = { NFT_PAYLOAD_LL_HEADER, ETH_ALEN };
static const struct place ip_source = { NFT_PAYLOAD_NETWORK_HEADER, 12 };
static const struct place ip6_source = { NFT_PAYLOAD_NETWORK_HEADER, 8 };
static const struct place arp_mac = { NFT_PAYLOAD_NETWORK_HEADER, 8 };
static const struct place arp_addr = { NFT_PAYLOAD_NETWORK_HEADER, 14 };
/* The address that a neighbour advertisement answers for. */
static const struct place advertised = { NFT_PAYLOAD_TRANSPORT_HEADER, 8 };

/* (the port it came in by, a MAC, an address), for a look-up in that set. */
static void load_sender(
	struct nft *nft, struct place mac, struct place addr, const struct nft_set *set)
{
	uint32_t size = set->key_size - IFNAMSIZ - NFT_SIZE_ETHER;

	nft_load_meta(nft, NFT_META_IIFNAME, NFT_REG_1);
	nft_load_payload(nft, mac.base, mac.offset, ETH_ALEN, NFT_REG_2);
	nft_load_payload(nft, addr.base, addr.offset, size, NFT_REG32_06);
}

static void accept_if(struct nft *nft, struct place addr, const struct nft_set *set)
{
	load_sender(nft, ether_source, addr, set);
	nft_lookup(nft, set);
	nft_verdict(nft, NF_ACCEPT, NULL);
	nft_rule_end(nft);
}

static void drop_unless(
	struct nft *nft, struct place mac, struct place addr, const struct nft_set *set)
{
	load_sender(nft, mac, addr, set);
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
	static const uint16_t types[] = { ETH_P_ARP, ETH_P_IPV6 };
	const uint8_t icmp6 = IPPROTO_ICMPV6;

	begin_ethertype(nft, ETH_P_IP);
	accept_if(nft, ip_source, &set_addr4);
	begin_ethertype(nft, ETH_P_IPV6);
	nft_load_meta(nft, NFT_META_L4PROTO, NFT_REG_1);
	nft_compare(nft, NFT_CMP_NEQ, &icmp6, sizeof icmp6);
	accept_if(nft, ip6_source, &set_addr6);
	nft_rule_begin(nft, "prerouting");
	nft_match_ifset(nft, NFT_META_IIFNAME, false, &set_ports);
	nft_verdict(nft, NF_ACCEPT, NULL);
	nft_rule_end(nft);
	/* IPv4 that comes as far as this is not of who it says. */
	nft_rule_begin(nft, "prerouting");
	nft_load_meta(nft, NFT_META_PROTOCOL, NFT_REG_1);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		const uint16_t other = htons(types[i]);

		nft_compare(nft, NFT_CMP_NEQ, &other, sizeof other);
	}
	nft_verdict(nft, NF_DROP, NULL);
	nft_rule_end(nft);
	begin_ethertype(nft, ETH_P_ARP);
	drop_unless(nft, ether_source, arp_addr, &set_addr4);
	begin_ethertype(nft, ETH_P_ARP);
	drop_unless(nft, arp_mac, arp_addr, &set_addr4);
	for (size_t i = 0; i < sizeof routers; i++) {
		begin_icmp6(nft, routers[i]);
		nft_verdict(nft, NF_DROP, NULL);
		nft_rule_end(nft);
	}
	begin_icmp6(nft, NA);
	drop_unless(nft, ether_source, advertised, &set_addr6);
	begin_ethertype(nft, ETH_P_IPV6);
	drop_unless(nft, ether_source, ip6_source, &set_addr6);
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
