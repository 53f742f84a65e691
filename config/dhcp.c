/* IPAMDriver=dhcp of a .network, and Device=…,dhcp: addresses that a DHCP server of the network leases.
 *
 * Each such interface of NAME.container is asked for by a unit beside it, NAME.dhcp (the next ones
 * NAME.dhcp2, …), for which no file is written. It comes first, for the container begins with its
 * address; it makes the container's network namespace, and outlives the runs. */
#include <linux/capability.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/clock.h"

/* The client gives up after 15 s (supervisor/cmd/lease.c); this is for one that hangs. */
enum { TIMEOUT_START = 30, RESTART_DELAY = 2 };
enum { MEMORY_MAX = 32 << 20, PIDS_MAX = 16 };

#define DEVICE_WORD ",dhcp"

bool device_is_leased(const char *text)
{
	return str_ends(text, DEVICE_WORD);
}

const char *device_name(struct build *b, const char *text)
{
	size_t n = strlen(text);

	return device_is_leased(text) ? build_ntext(b, text, n - strlen(DEVICE_WORD)) : text;
}

/* A server that leases addresses is on somebody else's network, and finds each container there. */
void network_leased_check(struct build *b, uint32_t unit)
{
	const struct net_bridge *bridge = b->set->units[unit].bridge;
	struct origin at = b->parts[unit].draft->ipam_driver.at;

	if (net_is_ours(bridge))
		ERROR_AT(b, at,
			"IPAMDriver: dhcp: no DHCP server is on a bridge of berth's own: remove "
			"it, or write Driver=macvlan, or Options=mode=unmanaged for a bridge that "
			"is there");
	else if (bridge->driver == NET_IPVLAN && bridge->mode != IPVLAN_MODE_L2)
		ERROR_AT(b, at,
			"IPAMDriver: dhcp: in this mode of ipvlan no DHCP server is heard: write "
			"Options=mode=l2, or Driver=macvlan");
}

/* ---- the units ---------------------------------------------------------------------------------- */

/* As if somebody had written a file for it. */
static const struct unit_draft *client_draft(
	struct build *b, const struct part *container, const char *where, struct origin at)
{
	const struct unit_draft *of = container->draft;
	const char *id = container->nclients
				 ? build_text(b, "%s.dhcp%zu", of->stem, container->nclients + 1)
				 : build_text(b, "%s.dhcp", of->stem);
	struct unit_draft *draft = draft_beside(
		b, of, UNIT_DHCP, id, build_text(b, "the address of %s on %s", of->id, where), at);
	struct strv *words = draft ? &draft->exec_start.v : NULL;

	if (!draft)
		return NULL;
	draft->leases = true;
	draft->user = (struct draft_str){ "65534:65534", at };
	draft->type = (struct draft_choice){ TYPE_NOTIFY, at };
	draft->timeout_start = (struct draft_time){ TIMEOUT_START * NSEC_PER_SEC, at };
	draft->restart = (struct draft_choice){ RESTART_ALWAYS, at };
	draft->restart_sec = (struct draft_time){ RESTART_DELAY * NSEC_PER_SEC, at };
	draft->exec_start.at = at;
	build_add(b, words, "berth");
	build_add(b, words, "lease");
	build_add(b, words, "container");
	build_add(b, words, draft->id);
	return draft;
}

static void client_add(struct build *b, uint32_t unit, const char *where, struct origin at)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = client_draft(b, part, where, at);
	uint32_t client = UNIT_NONE;

	if (draft && unit_by_id(b, draft->id) == UNIT_NONE)
		client = unit_generate(b, draft);
	if (client == UNIT_NONE)
		return;
	b->parts[client].asks_for = unit;
	b->parts[client].spec->secluded = true;
	BUILD_PUSH(b, part->clients, part->nclients, (client));
}

static void network_clients(struct build *b, uint32_t unit, const char *text, struct origin at)
{
	uint32_t network = network_by_name(b, build_field(b, &text, ':'));

	if (network != UNIT_NONE && b->set->units[network].bridge && b->parts[network].leased)
		client_add(b, unit, b->set->units[network].id, at);
}

void clients_begin(struct build *b)
{
	size_t n = b->set->nunits;

	for (uint32_t i = 0; i < n && !b->nomem; i++) {
		const struct unit_draft *draft = b->parts[i].draft;

		if (!draft || draft->kind != UNIT_CONTAINER)
			continue;
		for (size_t k = 0; k < draft->network.n; k++)
			network_clients(b, i, draft->network.v[k].text, draft->network.v[k].at);
		if (!draft->network.n)
			network_clients(b, i, "default.network", build_unit_at(b, i));
		for (size_t k = 0; k < draft->device.n; k++)
			if (device_is_leased(draft->device.v[k].text))
				client_add(b, i, device_name(b, draft->device.v[k].text),
					draft->device.v[k].at);
	}
}

size_t clients_most(const struct unit_draft *draft)
{
	return draft->kind == UNIT_CONTAINER ? draft->network.n + draft->device.n + 1 : 0;
}

/* ---- when the interfaces are known -------------------------------------------------------------- */

/* What tells several on one MAC address apart: RFC 2132 9.14, of no hardware type. */
static const char *client_id(struct build *b, const char *alias)
{
	uint8_t mac[6];

	net_mac(alias, mac);
	return build_text(
		b, "00%02x%02x%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void client_finish(struct build *b, uint32_t unit, size_t nth, const char *ifname,
	const char *shared_mac, bool default_route)
{
	const struct part *part = &b->parts[unit];
	const uint64_t caps = CAPABILITY_BIT(CAP_NET_ADMIN) | CAPABILITY_BIT(CAP_NET_RAW) |
			      CAPABILITY_BIT(CAP_NET_BIND_SERVICE);
	struct container_spec *spec;

	if (nth >= part->nclients)
		return; /* a mistake that was told */
	spec = b->parts[part->clients[nth]].spec;
	spec->asks_for = part->spec;
	build_add(b, &spec->process.argv, default_route ? "0" : "none");
	build_add(b, &spec->process.argv, ifname);
	build_add(b, &spec->process.argv, part->spec->hostname);
	if (shared_mac)
		build_add(b, &spec->process.argv, client_id(b, shared_mac));
	spec->net.mode = NET_CONTAINER;
	spec->net.container = part->spec->name;
	secluded_bound(spec, caps, MEMORY_MAX, PIDS_MAX);
}

void leases_add(struct build *b, uint32_t unit, uint32_t of, size_t nth, const char *ifname,
	const char *names)
{
	struct container_spec *spec = b->parts[unit].spec;
	const struct part *part = &b->parts[of];
	struct lease_spec *leases = (struct lease_spec *)(size_t)spec->leases;

	if (nth >= part->nclients)
		return;
	BUILD_PUSH(b, leases, spec->nleases,
		{ .client = b->set->units[part->clients[nth]].stem,
			.ifname = ifname,
			.names = names,
			.own = unit == of });
	spec->leases = leases;
}

void graph_clients(struct build *b, uint32_t unit)
{
	const struct part *part = &b->parts[unit];

	for (size_t i = 0; i < part->nclients; i++) {
		struct origin at = b->parts[part->clients[i]].draft->exec_start.at;

		graph_need(b, unit, part->clients[i], false, at);
		graph_require(b, part->clients[i], unit);
	}
}
