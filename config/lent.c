/* [X-Berth] Device=: links of the host that a container is lent. */
#include <string.h>

#include "config/build.h"

static bool name_taken(
	const struct part *part, const struct net_device *devices, size_t n, const char *ifname)
{
	for (size_t i = 0; i < part->spec->net.nifaces; i++)
		if (strcmp(part->ifaces[i].ifname, ifname) == 0)
			return true;
	for (size_t i = 0; i < n; i++)
		if (strcmp(devices[i].ifname, ifname) == 0)
			return true;
	return false;
}

/* Who else wants the link: another container, or a network that sits on it. NULL: nobody. */
static const char *owner_of(const struct build *b, uint32_t unit, const char *name)
{
	for (uint32_t i = 0; i < b->set->nunits; i++) {
		const struct unit *other = &b->set->units[i];

		if (other->bridge && strcmp(other->bridge->ifname, name) == 0)
			return other->id;
		for (size_t k = 0; i < unit && other->spec && k < other->spec->net.ndevices; k++)
			if (strcmp(other->spec->net.devices[k].name, name) == 0)
				return other->id;
	}
	return NULL;
}

static bool is_uplink(const struct build *b, const char *name)
{
	for (size_t i = 0; i < b->set->conf.nuplinks; i++)
		if (strcmp(b->set->conf.uplinks[i].link.name, name) == 0)
			return true;
	return false;
}

/* Interfaces on networks come first. */
static size_t leased_ifaces(const struct part *part)
{
	size_t n = 0;

	for (size_t i = 0; i < part->spec->net.nifaces; i++)
		n += part->ifaces[i].leased;
	return n;
}

static bool has_default_route(const struct part *part)
{
	for (size_t i = 0; i < part->spec->net.nifaces; i++)
		if (part->ifaces[i].default_route)
			return true;
	return false;
}

static void unit_devices(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct draft_list *list = &part->draft->device;
	struct net_device *devices = NULL;
	size_t clients = leased_ifaces(part);
	bool routed = has_default_route(part);
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const char *rest = device_name(b, list->v[i].text);
		struct net_device device = { .name = build_field(b, &rest, ':'),
			.leased = device_is_leased(list->v[i].text) };
		const char *owner;

		device.ifname = rest ? rest : device.name;
		device.alias = build_text(b, "berth:%s:%s:device:%s", b->set->instance,
			b->set->units[unit].stem, device.name);
		owner = owner_of(b, unit, device.name);
		if (device.leased) {
			client_finish(b, unit, clients++, device.ifname, NULL, !routed);
			routed = true;
		}
		if (!ifname_valid(device.name) || !ifname_valid(device.ifname))
			ERROR_AT(b, list->v[i].at,
				"Device: \"%s\" is not LINK or LINK:NAME, or one of them with "
				",dhcp behind it: names have at most 15 characters, no / : or "
				"blank",
				list->v[i].text);
		else if (is_uplink(b, device.name))
			ERROR_AT(b, list->v[i].at,
				"Device: %s is the host's own, by Uplink= of berth.conf: remove it "
				"in one of them",
				device.name);
		else if (owner)
			ERROR_AT(b, list->v[i].at,
				"Device: %s is used by %s too: a link can be lent only once",
				device.name, owner);
		else if (name_taken(part, devices, n, device.ifname))
			ERROR_AT(b, list->v[i].at,
				"Device: %s is the name of another interface of the container: "
				"write %s:NAME",
				device.ifname, device.name);
		else
			BUILD_PUSH(b, devices, n, device);
	}
	part->spec->net.devices = devices;
	part->spec->net.ndevices = n;
}

void pass_devices(struct build *b)
{
	for (uint32_t i = 0; i < b->set->nunits; i++) {
		struct part *part = &b->parts[i];
		struct net_spec *net = part->spec ? &part->spec->net : NULL;

		if (!net || part->spec->native || part->draft->device.n == 0)
			continue;
		if (net->mode == NET_NONE)
			net->mode = NET_PRIVATE; /* with nothing but its devices */
		if (net->mode == NET_PRIVATE)
			unit_devices(b, i);
		else
			ERROR_AT(b, part->draft->device.v[0].at,
				"Device: the container has no network of its own to move %s to: "
				"change Network=",
				part->draft->device.v[0].text);
	}
}
