/* Subnet=, Gateway=, IPRange= of a .network, and the subnets of those that say nothing.
 *
 * podman pairs the lines by their order and refuses a gateway or range outside of its subnet. Here each
 * belongs to the subnet that it lies in, which is the same for every file that podman takes. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/build.h"

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

/* ---- Subnet= ------------------------------------------------------------------------------------ */

/* The bits after the prefix are cleared; true if any was set. */
static bool subnet_trim(struct net_addr *subnet)
{
	const struct net_addr was = *subnet;

	*subnet = net_addr_network(subnet);
	return !net_addr_equal(subnet, &was);
}

static bool subnet_parse(const char *text, struct net_addr *ret)
{
	return strchr(text, '/') && net_addr_parse(text, ret) == 0;
}

static struct origin subnet_at(const struct build *b, uint32_t unit, const struct net_addr *net)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	struct net_addr line;

	for (size_t i = 0; draft && i < draft->subnet.n; i++) {
		if (!subnet_parse(draft->subnet.v[i].text, &line))
			continue;
		(void)subnet_trim(&line);
		if (net_addr_equal(&line, net))
			return draft->subnet.v[i].at;
	}
	return build_unit_at(b, unit);
}

/* IPv4 before IPv6, each in the order of the file. */
static void subnet_add(struct build *b, uint32_t unit, const struct net_addr *net, struct origin at)
{
	struct part *part = &b->parts[unit];
	struct net_bridge *bridge = b->set->units[unit].bridge;
	size_t n = part->nsubnets;

	if (n == NET_SUBNETS_MAX) {
		ERROR_AT(b, at, "Subnet: %s: a network has at most %d: remove one",
			net_addr_print(net, true).text, NET_SUBNETS_MAX);
		return;
	}
	BUILD_PUSH(b, part->subnets, part->nsubnets, { .net = *net });
	if (part->nsubnets == n)
		return;
	for (; n > 0 && part->subnets[n - 1].net.family > net->family; n--) {
		part->subnets[n] = part->subnets[n - 1];
		part->subnets[n - 1] = (struct net_subnet){ .net = *net };
	}
	bridge->subnets = part->subnets;
	bridge->nsubnets = part->nsubnets;
}

static void subnet_read(struct build *b, uint32_t unit, const struct draft_item *item)
{
	const struct net_bridge *bridge = b->set->units[unit].bridge;
	struct net_addr net;

	if (!subnet_parse(item->text, &net)) {
		ERROR_AT(b, item->at, "Subnet: \"%s\" is not a subnet: write 10.1.2.0/24",
			item->text);
		return;
	}
	if (net.prefix < 8 || net.prefix > (net.family == AF_INET ? 30 : 126)) {
		ERROR_AT(b, item->at,
			"Subnet: %s has no room for containers: use a prefix from /8 to /%d",
			item->text, net.family == AF_INET ? 30 : 126);
		return;
	}
	if (subnet_trim(&net))
		WARN_AT(b, item->at, "Subnet: \"%s\" has bits after its prefix: %s is meant",
			item->text, net_addr_print(&net, true).text);
	for (size_t i = 0; i < bridge->nsubnets; i++)
		if (net_addr_overlap(&bridge->subnets[i].net, &net)) {
			ERROR_AT(b, item->at, "Subnet: %s overlaps %s of line %u: remove one",
				net_addr_print(&net, true).text,
				net_addr_print(&bridge->subnets[i].net, true).text,
				subnet_at(b, unit, &bridge->subnets[i].net).line);
			return;
		}
	subnet_add(b, unit, &net, item->at);
}

const char *network_subnets_text(struct build *b, const struct net_bridge *bridge, int family)
{
	const char *text = "";

	for (size_t i = 0; i < bridge->nsubnets; i++)
		if (bridge->subnets[i].net.family == family)
			text = build_text(b, "%s%s%s", text, *text ? ", " : "",
				net_addr_print(&bridge->subnets[i].net, true).text);
	return text;
}

/* ---- Gateway= and IPRange= ---------------------------------------------------------------------- */

/* NULL: there is none, and the error has been told. */
static struct net_subnet *subnet_around(struct build *b, uint32_t unit, const char *key,
	const struct draft_item *item, const struct net_range *range)
{
	const struct net_bridge *bridge = b->set->units[unit].bridge;
	const struct net_subnet *subnet = net_subnet_of(bridge, &range->first);

	if (subnet && net_addr_in(&subnet->net, &range->last))
		return &b->parts[unit].subnets[subnet - bridge->subnets];
	if (net_subnet_first(bridge, range->first.family))
		ERROR_AT(b, item->at, "%s: %s is not within Subnet=%s", key, item->text,
			network_subnets_text(b, bridge, range->first.family));
	else
		ERROR_AT(b, item->at, "%s: %s needs a Subnet= of its family: add it", key,
			item->text);
	return NULL;
}

static void gateway_read(struct build *b, uint32_t unit, const struct draft_item *item)
{
	struct net_subnet *subnet;
	struct net_addr gateway;

	if (strchr(item->text, '/') || net_addr_parse(item->text, &gateway) < 0) {
		ERROR_AT(b, item->at, "Gateway: \"%s\" is not an address: write 10.1.2.1",
			item->text);
		return;
	}
	subnet = subnet_around(b, unit, "Gateway", item, &(struct net_range){ gateway, gateway });
	if (!subnet)
		return;
	if (subnet->gateway.family)
		ERROR_AT(b, item->at, "Gateway: %s: %s is that of Subnet=%s: remove one",
			item->text, net_addr_print(&subnet->gateway, false).text,
			net_addr_print(&subnet->net, true).text);
	gateway.prefix = subnet->net.prefix;
	subnet->gateway = gateway;
}

/* "10.1.2.64/26" or "10.1.2.10-10.1.2.50". */
static bool range_parse(struct build *b, const char *text, struct net_range *ret)
{
	const char *rest = text;
	const char *first = build_field(b, &rest, '-');
	struct net_addr subnet;

	if (rest)
		return !strchr(text, '/') && net_addr_parse(first, &ret->first) == 0 &&
		       net_addr_parse(rest, &ret->last) == 0 &&
		       ret->first.family == ret->last.family &&
		       memcmp(ret->first.bytes, ret->last.bytes, sizeof ret->last.bytes) <= 0;
	if (!subnet_parse(text, &subnet))
		return false;
	ret->first = net_addr_nth(&subnet, 0);
	ret->last = net_addr_nth(&subnet, net_addr_span(&subnet) - 1);
	return true;
}

static void range_read(struct build *b, uint32_t unit, const struct draft_item *item)
{
	struct net_range range = { 0 };
	struct net_subnet *subnet;

	if (!range_parse(b, item->text, &range)) {
		ERROR_AT(b, item->at,
			"IPRange: \"%s\" is no range: write 10.1.2.64/26, or 10.1.2.10-10.1.2.50",
			item->text);
		return;
	}
	subnet = subnet_around(b, unit, "IPRange", item, &range);
	if (!subnet)
		return;
	if (subnet->range.first.family)
		ERROR_AT(b, item->at, "IPRange: %s: Subnet=%s has a range already: remove one",
			item->text, net_addr_print(&subnet->net, true).text);
	subnet->range = range;
}

/* Where the network is not ours nobody can choose a subnet for it. */
static void check_wanted(struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	const struct draft_list *lists[] = { &draft->subnet, &draft->gateway, &draft->ip_range };

	if (!b->parts[unit].no_addresses) {
		if (!net_is_ours(b->set->units[unit].bridge) && draft->subnet.n == 0)
			ERROR_AT(b, build_unit_at(b, unit),
				"Subnet: which addresses are there is known to you only: add it "
				"(and IPRange=), or write IPAMDriver=dhcp, or none");
		return;
	}
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (lists[i]->n)
			ERROR_AT(b, lists[i]->v[0].at,
				"IPAMDriver: %s: berth gives no addresses: remove this line, or "
				"that one",
				b->parts[unit].leased ? "dhcp" : "none");
	if (b->parts[unit].leased)
		network_leased_check(b, unit);
}

void network_subnets(struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;

	for (size_t i = 0; i < draft->subnet.n; i++)
		subnet_read(b, unit, &draft->subnet.v[i]);
	for (size_t i = 0; i < draft->gateway.n; i++)
		gateway_read(b, unit, &draft->gateway.v[i]);
	for (size_t i = 0; i < draft->ip_range.n; i++)
		range_read(b, unit, &draft->ip_range.v[i]);
	check_wanted(b, unit);
}

void network_builtin_subnet(struct build *b, uint32_t unit)
{
	struct net_addr net;

	if (net_addr_parse(SUBNET_DEFAULT, &net) == 0)
		subnet_add(b, unit, &net, build_unit_at(b, unit));
}

/* ---- what nobody wrote -------------------------------------------------------------------------- */

static bool is_free(const struct build *b, const struct net_addr *net)
{
	for (size_t i = 0; i < b->set->nunits; i++) {
		const struct net_bridge *bridge = b->set->units[i].bridge;

		for (size_t k = 0; bridge && k < bridge->nsubnets; k++)
			if (net_addr_overlap(&bridge->subnets[k].net, net))
				return false;
	}
	return true;
}

/* By hash, so that a network keeps its subnet whatever else comes and goes. */
static void choose4(struct build *b, uint32_t unit)
{
	const char *seed =
		build_text(b, "%s/%s", b->set->instance, b->set->units[unit].bridge->name);
	unsigned start = (unsigned)(str_hash(seed) % CHOSEN_COUNT);

	for (unsigned i = 0; i < CHOSEN_COUNT; i++) {
		struct net_addr net = {
			.family = AF_INET,
			.prefix = CHOSEN_PREFIX,
			.bytes = { CHOSEN_FIRST, CHOSEN_SECOND,
				(uint8_t)(CHOSEN_THIRD + (start + i) % CHOSEN_COUNT) },
		};

		if (is_free(b, &net)) {
			subnet_add(b, unit, &net, build_unit_at(b, unit));
			return;
		}
	}
	ERROR_AT(b, build_unit_at(b, unit),
		"Subnet: no free /24 is left in " SUBNET_CHOSEN ": add Subnet=");
}

/* A unique local prefix, RFC 4193: 40 bits of ours after fd, and 16 of the subnet. */
static void choose6(struct build *b, uint32_t unit)
{
	uint64_t hash = str_hash(
		build_text(b, "%s/%s/6", b->set->instance, b->set->units[unit].bridge->name));
	struct net_addr net = { .family = AF_INET6, .prefix = 64, .bytes = { 0xfd } };

	for (size_t i = 1; i < 8; i++)
		net.bytes[i] = (uint8_t)(hash >> 8 * i);
	subnet_add(b, unit, &net, build_unit_at(b, unit));
}

void network_choose_subnets(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct net_bridge *bridge = b->set->units[unit].bridge;
	bool chosen = net_is_ours(bridge) && !part->no_addresses;
	bool both = part->draft && part->draft->ipv6.v;
	bool four = net_subnet_first(bridge, AF_INET);
	bool six = net_subnet_first(bridge, AF_INET6);

	/* As in podman: IPv6=yes is both families, Subnet= of IPv6 alone is IPv6 alone. */
	if (chosen && !four && (both || !six))
		choose4(b, unit);
	if (chosen && !six && both)
		choose6(b, unit);
	for (size_t i = 0; i < part->nsubnets; i++) {
		struct net_subnet *subnet = &part->subnets[i];

		if (subnet->gateway.family)
			continue;
		subnet->gateway = net_addr_nth(&subnet->net, 1);
		subnet->gateway.prefix = subnet->net.prefix;
	}
}

/* ---- together ----------------------------------------------------------------------------------- */

static void compare(struct build *b, uint32_t one, const struct net_addr *net, uint32_t two,
	const struct net_addr *other)
{
	struct origin at;

	if (!net_addr_overlap(net, other))
		return;
	at = subnet_at(b, one, net);
	ERROR_AT(b, subnet_at(b, two, other), "Subnet: %s overlaps %s (%s:%u): change one of them",
		net_addr_print(other, true).text, net_addr_print(net, true).text, at.file, at.line);
}

void network_compare_subnets(struct build *b, uint32_t one, uint32_t two)
{
	const struct net_bridge *a = b->set->units[one].bridge;
	const struct net_bridge *c = b->set->units[two].bridge;

	for (size_t i = 0; i < a->nsubnets; i++)
		for (size_t k = 0; k < c->nsubnets; k++)
			compare(b, one, &a->subnets[i].net, two, &c->subnets[k].net);
}
