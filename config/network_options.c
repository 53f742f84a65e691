/* Driver=, Options= of a .network: how its containers are attached. */
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/build.h"
#include "config/types.h"
#include "supervisor/base/num.h"

bool ifname_valid(const char *name)
{
	return *name && strlen(name) <= 15 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       !strpbrk(name, "/: \t%");
}

/* ---- Options= ----------------------------------------------------------------------------------- */

/* One .network while its options are read. */
struct reading {
	struct build *b;
	struct part *part;
	struct net_bridge *bridge;
	struct origin at; /* of the option */
	const char *parent;
	struct origin parent_at;
};

/* False: the error has been told. */
static bool option_number(struct reading *r, const char *key, const char *text, uint32_t min,
	uint32_t max, uint32_t *ret)
{
	if (num_u32(text, ret) == 0 && *ret >= min && *ret <= max)
		return true;
	ERROR_AT(r->b, r->at, "Options: \"%s=%s\": write a number from %u to %u", key, text, min,
		max);
	return false;
}

static void option_flag(struct reading *r, const char *key, const char *text, bool *ret)
{
	/* podman: strict isolates from networks that do not isolate themselves too. */
	if (strcmp(key, "isolate") == 0 && strcmp(text, "strict") == 0)
		*ret = true;
	else if (value_bool(text, ret, NULL) < 0)
		ERROR_AT(r->b, r->at, "Options: \"%s=%s\": write true or false", key, text);
}

/* Networks are always kept apart, so `true` and `strict` say what is so. */
static void option_isolate(struct reading *r, const char *text)
{
	r->bridge->isolate = true;
	option_flag(r, "isolate", text, &r->bridge->isolate);
	if (!r->bridge->isolate)
		WARN_AT(r->b, r->at,
			"Options: isolate=%s: networks are kept apart all the same: write "
			"[X-Berth] "
			"AllowNetwork=OTHER.network",
			text);
}

static void option_mtu(struct reading *r, const char *text)
{
	uint32_t mtu;

	if (option_number(r, "mtu", text, 576, 65535, &mtu))
		r->bridge->mtu = mtu;
}

static void option_vlan(struct reading *r, const char *text)
{
	uint32_t vlan;

	if (option_number(r, "vlan", text, 1, 4094, &vlan))
		r->bridge->vlan = (uint16_t)vlan;
}

static void option_parent(struct reading *r, const char *text)
{
	if (r->bridge->driver == NET_BRIDGE) {
		ERROR_AT(r->b, r->at,
			"Options: parent=%s: a bridge has none: write Driver=macvlan or ipvlan, or "
			"remove it",
			text);
		return;
	}
	r->parent = text;
	r->parent_at = r->at;
}

static void option_mode(struct reading *r, const char *text)
{
	static const struct {
		const char *word;
		enum net_driver driver;
		uint8_t mode;
	} modes[] = {
		{ "managed", NET_BRIDGE, 0 },
		{ "unmanaged", NET_BRIDGE, 0 },
		{ "bridge", NET_MACVLAN, MACVLAN_MODE_BRIDGE },
		{ "private", NET_MACVLAN, MACVLAN_MODE_PRIVATE },
		{ "vepa", NET_MACVLAN, MACVLAN_MODE_VEPA },
		{ "passthru", NET_MACVLAN, MACVLAN_MODE_PASSTHRU },
		{ "l2", NET_IPVLAN, IPVLAN_MODE_L2 },
		{ "l3", NET_IPVLAN, IPVLAN_MODE_L3 },
		{ "l3s", NET_IPVLAN, IPVLAN_MODE_L3S },
	};
	static const char *const known[] = { [NET_BRIDGE] = "managed, unmanaged",
		[NET_MACVLAN] = "bridge, private, vepa, passthru",
		[NET_IPVLAN] = "l2, l3, l3s" };

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		if (modes[i].driver != r->bridge->driver || strcmp(modes[i].word, text) != 0)
			continue;
		r->bridge->mode = modes[i].mode;
		r->bridge->unmanaged = strcmp(text, "unmanaged") == 0;
		return;
	}
	ERROR_AT(r->b, r->at, "Options: \"mode=%s\" is none of this driver's: %s", text,
		known[r->bridge->driver]);
}

static void option_read(struct reading *r, const struct draft_item *item)
{
	const char *value = strchr(item->text, '=') + 1; /* TYPE_pairs */
	const char *key = build_ntext(r->b, item->text, (size_t)(value - item->text - 1));

	r->at = item->at;
	if (strcmp(key, "mtu") == 0 || strcmp(key, "com.docker.network.driver.mtu") == 0)
		option_mtu(r, value);
	else if (strcmp(key, "vlan") == 0)
		option_vlan(r, value);
	else if (strcmp(key, "parent") == 0)
		option_parent(r, value);
	else if (strcmp(key, "mode") == 0)
		option_mode(r, value);
	else if (strcmp(key, "isolate") == 0)
		option_isolate(r, value);
	else if (strcmp(key, "no_default_route") == 0)
		option_flag(r, key, value, &r->part->no_default_route);
	else
		ERROR_AT(r->b, item->at,
			"Options: \"%s\" is not served: berth knows mtu= vlan= parent= mode= "
			"isolate= "
			"no_default_route=",
			item->text);
}

/* The host's link that macvlan and ipvlan sit on. It is never guessed: podman takes the one of the
 * default route. */
static void parent_choose(struct reading *r, uint32_t unit)
{
	const struct unit_draft *draft = r->part->draft;
	struct net_bridge *bridge = r->bridge;

	if (!r->parent && DRAFT_SET(draft->interface_name)) {
		r->parent = draft->interface_name.v;
		r->parent_at = draft->interface_name.at;
	}
	bridge->ifname = "";
	if (!r->parent) {
		ERROR_AT(r->b, build_unit_at(r->b, unit),
			"Driver: %s needs the host's link that it sits on: write "
			"Options=parent=eth0",
			bridge->driver == NET_MACVLAN ? "macvlan" : "ipvlan");
		return;
	}
	bridge->ifname = r->parent;
	if (bridge->vlan)
		bridge->ifname = build_text(r->b, "%s.%u", r->parent, bridge->vlan);
	if (!ifname_valid(bridge->ifname))
		ERROR_AT(r->b, r->parent_at,
			"Options: parent: \"%s\" is not a link's name: at most 15 characters, no / "
			": "
			"or blank",
			bridge->ifname);
}

void network_options(struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	struct reading r = {
		.b = b,
		.part = &b->parts[unit],
		.bridge = b->set->units[unit].bridge,
	};

	r.bridge->driver = (enum net_driver)draft->driver.v;
	r.bridge->mode = r.bridge->driver == NET_MACVLAN ? MACVLAN_MODE_BRIDGE : 0;
	r.part->no_addresses = draft->ipam_driver.v != IPAM_LEASED;
	r.part->leased = draft->ipam_driver.v == IPAM_DHCP;
	for (size_t i = 0; i < draft->options.n; i++)
		option_read(&r, &draft->options.v[i]);
	if (r.bridge->driver != NET_BRIDGE)
		parent_choose(&r, unit);
	else if (r.bridge->unmanaged && !DRAFT_SET(draft->interface_name))
		ERROR_AT(b, build_unit_at(b, unit),
			"Options: mode=unmanaged uses a bridge that is there: name it with "
			"InterfaceName=");
}
