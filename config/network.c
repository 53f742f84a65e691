/* .network files, and the built-in network, become bridges with subnets that do not meet. */
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/build.h"
#include "supervisor/base/num.h"

/* The built-in network, and the room that chosen subnets come from: below 10.88.0.0, where podman's own
 * begin, for it may be on the same machine. */
#define SUBNET_DEFAULT "10.87.0.0/20"
#define SUBNET_CHOSEN  "10.87.16.0 to 10.87.255.0"
enum {
	CHOSEN_FIRST = 10,
	CHOSEN_SECOND = 87,
	CHOSEN_THIRD = 16,
	CHOSEN_COUNT = 240,
	CHOSEN_PREFIX = 24
};

/* The first usable address of a subnet. */
static struct net_addr subnet_gateway(const struct net_addr *subnet)
{
	struct net_addr gateway = *subnet;

	gateway.bytes[subnet->family == AF_INET ? 3 : 15] |= 1;
	return gateway;
}

/* The bits after the prefix are cleared; true if any was set. */
static bool subnet_trim(struct net_addr *subnet)
{
	size_t size = subnet->family == AF_INET ? 4 : 16;
	bool trimmed = false;

	for (size_t i = 0; i < size; i++) {
		unsigned kept = subnet->prefix > i * 8 ? subnet->prefix - (unsigned)(i * 8) : 0;
		uint8_t mask = (uint8_t)(kept >= 8 ? 0xff : 0xff00 >> kept);

		trimmed |= (subnet->bytes[i] & ~mask) != 0;
		subnet->bytes[i] = (uint8_t)(subnet->bytes[i] & mask);
	}
	return trimmed;
}

static void subnet_read(struct build *b, const struct draft_item *item, struct net_bridge *bridge)
{
	struct net_addr subnet;
	struct net_addr *slot;

	if (net_addr_parse(item->text, &subnet) < 0 || !strchr(item->text, '/')) {
		ERROR_AT(b, item->at, "Subnet: \"%s\" is not a subnet: write 10.1.2.0/24",
			item->text);
		return;
	}
	slot = subnet.family == AF_INET ? &bridge->subnet4 : &bridge->subnet6;
	if (slot->family) {
		ERROR_AT(b, item->at, "Subnet: a second one of the same family: remove it");
		return;
	}
	if (subnet.prefix < 8 || subnet.prefix > (subnet.family == AF_INET ? 30 : 126)) {
		ERROR_AT(b, item->at,
			"Subnet: %s has no room for containers: use a prefix from /8 to /%d",
			item->text, subnet.family == AF_INET ? 30 : 126);
		return;
	}
	if (subnet_trim(&subnet))
		WARN_AT(b, item->at, "Subnet: \"%s\" has bits after its prefix: %s is meant",
			item->text, net_addr_print(&subnet, true).text);
	*slot = subnet;
}

static void gateway_read(struct build *b, const struct draft_item *item, struct net_bridge *bridge)
{
	const struct net_addr *subnet;
	struct net_addr gateway;

	if (net_addr_parse(item->text, &gateway) < 0 || strchr(item->text, '/')) {
		ERROR_AT(b, item->at, "Gateway: \"%s\" is not an address: write 10.1.2.1",
			item->text);
		return;
	}
	subnet = gateway.family == AF_INET ? &bridge->subnet4 : &bridge->subnet6;
	if (!subnet->family) {
		ERROR_AT(b, item->at, "Gateway: %s needs a Subnet= of its family: add it",
			item->text);
		return;
	}
	if (!net_addr_in(subnet, &gateway)) {
		ERROR_AT(b, item->at, "Gateway: %s is not in Subnet=%s", item->text,
			net_addr_print(subnet, true).text);
		return;
	}
	gateway.prefix = subnet->prefix;
	*(gateway.family == AF_INET ? &bridge->gateway4 : &bridge->gateway6) = gateway;
}

static void bridge_ifname(
	struct build *b, const struct unit_draft *draft, struct net_bridge *bridge)
{
	char chosen[16];

	if (draft && DRAFT_SET(draft->interface_name)) {
		bridge->ifname = draft->interface_name.v;
		if (!ifname_valid(bridge->ifname))
			ERROR_AT(b, draft->interface_name.at,
				"InterfaceName: \"%s\" is not a link's name: at most 15 "
				"characters, "
				"no / : or blank",
				bridge->ifname);
		return;
	}
	net_bridge_ifname(bridge->name, chosen);
	bridge->ifname = build_text(b, "%s", chosen);
}

/* Where the network is not ours nobody can choose a subnet for it. */
static void addresses_check(struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	const struct draft_list *lists[] = { &draft->subnet, &draft->gateway, &draft->ip_range };

	if (!b->parts[unit].no_addresses) {
		if (!net_is_ours(b->set->units[unit].bridge) && draft->subnet.n == 0)
			ERROR_AT(b, build_unit_at(b, unit),
				"Subnet: which addresses are there is known to you only: add it "
				"(and IPRange=), or write IPAMDriver=none");
		return;
	}
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (lists[i]->n)
			ERROR_AT(b, lists[i]->v[0].at,
				"IPAMDriver: none gives no addresses: remove this line, or that "
				"one");
}

static void bridge_read(struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	struct net_bridge *bridge = b->set->units[unit].bridge;

	bridge->name = draft->stem;
	if (DRAFT_SET(draft->network_name)) {
		bridge->name = draft->network_name.v;
		if (!name_valid(bridge->name))
			ERROR_AT(b, draft->network_name.at,
				"NetworkName: \"%s\" is not a name: use letters, digits, _ . -, at "
				"most 63",
				bridge->name);
	}
	network_options(b, unit);
	if (bridge->driver == NET_BRIDGE)
		bridge_ifname(b, draft, bridge);
	bridge->internal = draft->internal.v;
	for (size_t i = 0; i < draft->subnet.n; i++)
		subnet_read(b, &draft->subnet.v[i], bridge);
	for (size_t i = 0; i < draft->gateway.n; i++)
		gateway_read(b, &draft->gateway.v[i], bridge);
	for (size_t i = 0; i < draft->ip_range.n; i++)
		network_range(b, unit, &draft->ip_range.v[i]);
	for (size_t i = 0; i < draft->network_label.n; i++)
		build_add(b, &b->set->units[unit].labels, draft->network_label.v[i].text);
	addresses_check(b, unit);
}

static void bridge_builtin(struct build *b, uint32_t unit)
{
	struct net_bridge *bridge = b->set->units[unit].bridge;

	bridge->name = "default";
	bridge_ifname(b, NULL, bridge);
	(void)net_addr_parse(SUBNET_DEFAULT, &bridge->subnet4);
}

/* ---- subnets nobody wrote ----------------------------------------------------------------------- */

static bool subnet_free(const struct build *b, const struct net_addr *subnet)
{
	for (size_t i = 0; i < b->set->nunits; i++) {
		const struct net_bridge *bridge = b->set->units[i].bridge;

		if (bridge && bridge->subnet4.family && net_addr_overlap(&bridge->subnet4, subnet))
			return false;
	}
	return true;
}

/* By hash, so that a network keeps its subnet whatever else comes and goes. */
static void choose4(struct build *b, uint32_t unit, struct net_bridge *bridge)
{
	const char *seed = build_text(b, "%s/%s", b->set->instance, bridge->name);
	unsigned start = (unsigned)(str_hash(seed) % CHOSEN_COUNT);

	for (unsigned i = 0; i < CHOSEN_COUNT; i++) {
		struct net_addr subnet = {
			.family = AF_INET,
			.prefix = CHOSEN_PREFIX,
			.bytes = { CHOSEN_FIRST, CHOSEN_SECOND,
				(uint8_t)(CHOSEN_THIRD + (start + i) % CHOSEN_COUNT) },
		};

		if (subnet_free(b, &subnet)) {
			bridge->subnet4 = subnet;
			return;
		}
	}
	ERROR_AT(b, build_unit_at(b, unit),
		"Subnet: no free /24 is left in " SUBNET_CHOSEN ": add Subnet=");
}

/* A unique local prefix, RFC 4193: 40 bits of ours after fd, and 16 of the subnet. */
static void choose6(struct build *b, struct net_bridge *bridge)
{
	uint64_t hash = str_hash(build_text(b, "%s/%s/6", b->set->instance, bridge->name));

	bridge->subnet6 = (struct net_addr){ .family = AF_INET6, .prefix = 64, .bytes = { 0xfd } };
	for (size_t i = 1; i < 8; i++)
		bridge->subnet6.bytes[i] = (uint8_t)(hash >> 8 * i);
}

/* ---- together ----------------------------------------------------------------------------------- */

static struct origin key_at(const struct build *b, uint32_t unit, const struct draft_list *list)
{
	return list && list->n ? list->v[0].at : build_unit_at(b, unit);
}

static struct origin subnet_at(const struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;

	return key_at(b, unit, draft ? &draft->subnet : NULL);
}

/* Two networks may sit on one link of the host where the kernel can do that. */
static bool links_clash(const struct net_bridge *a, const struct net_bridge *c)
{
	if (strcmp(a->ifname, c->ifname) != 0 || !*a->ifname)
		return false;
	return net_is_ours(a) || net_is_ours(c) || a->driver != c->driver ||
	       (a->driver == NET_MACVLAN && (a->mode | c->mode) & MACVLAN_MODE_PASSTHRU) ||
	       (a->driver == NET_IPVLAN && a->mode != c->mode);
}

static void subnets_compare(struct build *b, uint32_t i, uint32_t k, int family)
{
	const struct net_bridge *a = b->set->units[i].bridge;
	const struct net_bridge *c = b->set->units[k].bridge;
	const struct net_addr *one = family == AF_INET ? &a->subnet4 : &a->subnet6;
	const struct net_addr *two = family == AF_INET ? &c->subnet4 : &c->subnet6;
	struct origin other = subnet_at(b, i);

	/* Behind different links of the host there may well be the same addresses. */
	if (!net_addr_overlap(one, two) ||
		(!net_is_ours(a) && !net_is_ours(c) && strcmp(a->ifname, c->ifname) != 0))
		return;
	ERROR_AT(b, subnet_at(b, k), "Subnet: %s overlaps %s (%s:%u): change one of them",
		net_addr_print(two, true).text, net_addr_print(one, true).text, other.file,
		other.line);
}

static void bridges_compare(struct build *b, uint32_t i, uint32_t k)
{
	const struct net_bridge *a = b->set->units[i].bridge;
	const struct net_bridge *c = b->set->units[k].bridge;
	struct origin other = subnet_at(b, i);

	if (strcmp(a->name, c->name) == 0)
		ERROR_AT(b, build_unit_at(b, k),
			"NetworkName: %s is the name of %s too: rename one", c->name, other.file);
	else if (links_clash(a, c))
		ERROR_AT(b, build_unit_at(b, k),
			"InterfaceName: %s is the link of %s too, which cannot share it: name "
			"another",
			c->ifname, other.file);
	subnets_compare(b, i, k, AF_INET);
	subnets_compare(b, i, k, AF_INET6);
}

static void bridge_complete(struct build *b, uint32_t unit)
{
	struct net_bridge *bridge = b->set->units[unit].bridge;
	const struct unit_draft *draft = b->parts[unit].draft;
	bool chosen = net_is_ours(bridge) && !b->parts[unit].no_addresses;
	bool both = draft && draft->ipv6.v;
	void *grown;

	/* As in podman: IPv6=yes is both families, Subnet= of IPv6 alone is IPv6 alone. */
	if (chosen && !bridge->subnet4.family && (both || !bridge->subnet6.family))
		choose4(b, unit, bridge);
	if (chosen && !bridge->subnet6.family && both)
		choose6(b, bridge);
	if (bridge->subnet4.family && !bridge->gateway4.family)
		bridge->gateway4 = subnet_gateway(&bridge->subnet4);
	if (bridge->subnet6.family && !bridge->gateway6.family)
		bridge->gateway6 = subnet_gateway(&bridge->subnet6);
	grown = build_room(b, b->set->bridges, b->set->nbridges, sizeof(void *));
	if (grown) {
		b->set->bridges = grown;
		b->set->bridges[b->set->nbridges++] = bridge;
	}
}

void pass_networks(struct build *b)
{
	struct unit_set *set = b->set;

	for (uint32_t i = 0; i < set->nunits; i++) {
		if (set->units[i].kind != UNIT_NETWORK)
			continue;
		set->units[i].bridge = arena_alloc(b->arena, sizeof *set->units[i].bridge);
		if (!set->units[i].bridge) {
			b->nomem = true;
			return;
		}
		if (b->parts[i].draft)
			bridge_read(b, i);
		else
			bridge_builtin(b, i);
	}
	for (uint32_t i = 0; i < set->nunits; i++)
		if (set->units[i].bridge)
			bridge_complete(b, i);
	for (uint32_t i = 0; i < set->nunits; i++)
		for (uint32_t k = i + 1; k < set->nunits; k++)
			if (set->units[i].bridge && set->units[k].bridge)
				bridges_compare(b, i, k);
}
