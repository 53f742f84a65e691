/* .network files, and the built-in network, become bridges that do not meet. */
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/build.h"
#include "supervisor/base/num.h"

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
	network_subnets(b, unit);
	for (size_t i = 0; i < draft->network_label.n; i++)
		build_add(b, &b->set->units[unit].labels, draft->network_label.v[i].text);
}

static void bridge_builtin(struct build *b, uint32_t unit)
{
	struct net_bridge *bridge = b->set->units[unit].bridge;

	bridge->name = "default";
	bridge_ifname(b, NULL, bridge);
	network_builtin_subnet(b, unit);
}

/* ---- together ----------------------------------------------------------------------------------- */

/* Two networks may sit on one link of the host where the kernel can do that. */
static bool links_clash(const struct net_bridge *a, const struct net_bridge *c)
{
	if (strcmp(a->ifname, c->ifname) != 0 || !*a->ifname)
		return false;
	return net_is_ours(a) || net_is_ours(c) || a->driver != c->driver ||
	       (a->driver == NET_MACVLAN && (a->mode | c->mode) & MACVLAN_MODE_PASSTHRU) ||
	       (a->driver == NET_IPVLAN && a->mode != c->mode);
}

static void bridges_compare(struct build *b, uint32_t i, uint32_t k)
{
	const struct net_bridge *a = b->set->units[i].bridge;
	const struct net_bridge *c = b->set->units[k].bridge;
	const char *other = b->set->units[i].file;

	if (strcmp(a->name, c->name) == 0)
		ERROR_AT(b, build_unit_at(b, k),
			"NetworkName: %s is the name of %s too: rename one", c->name, other);
	else if (links_clash(a, c))
		ERROR_AT(b, build_unit_at(b, k),
			"InterfaceName: %s is the link of %s too, which cannot share it: name "
			"another",
			c->ifname, other);
	/* Behind different links of the host there may well be the same addresses. */
	if (net_is_ours(a) || net_is_ours(c) || strcmp(a->ifname, c->ifname) == 0)
		network_compare_subnets(b, i, k);
}

static void bridge_complete(struct build *b, uint32_t unit)
{
	void *grown;

	network_choose_subnets(b, unit);
	grown = build_room(b, b->set->bridges, b->set->nbridges, sizeof(void *));
	if (grown) {
		b->set->bridges = grown;
		b->set->bridges[b->set->nbridges++] = b->set->units[unit].bridge;
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
