/* Who may talk to whom: AllowNetwork= of a network; AllowHostPort=, AllowForeignSource=, IPAddressAllow=
 * and IPAddressDeny= of a container. The rules themselves are the network leaf's. */
#include <netinet/in.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/num.h"

/* systemd.resource-control(5) has these words. */
static const struct {
	const char *word, *four, *six;
} words[] = {
	{ "any", "0.0.0.0/0", "::/0" },
	{ "localhost", "127.0.0.0/8", "::1/128" },
	{ "link-local", "169.254.0.0/16", "fe80::/64" },
	{ "multicast", "224.0.0.0/4", "ff00::/8" },
};

struct subnets {
	struct net_addr *v;
	size_t n;
};

static void subnet_add(struct build *b, struct subnets *list, const char *text)
{
	struct net_addr addr;

	if (net_addr_parse(text, &addr) == 0)
		BUILD_PUSH(b, list->v, list->n, addr);
}

static struct subnets subnets_read(struct build *b, const char *key, const struct draft_list *list)
{
	struct subnets ret = { 0 };

	for (size_t i = 0; i < list->n; i++) {
		const char *text = list->v[i].text;
		struct net_addr addr;
		size_t k = 0;

		while (k < sizeof words / sizeof words[0] && strcmp(words[k].word, text) != 0)
			k++;
		if (k < sizeof words / sizeof words[0]) {
			subnet_add(b, &ret, words[k].four);
			subnet_add(b, &ret, words[k].six);
		} else if (net_addr_parse(text, &addr) == 0) {
			BUILD_PUSH(b, ret.v, ret.n, addr);
		} else {
			ERROR_AT(b, list->v[i].at,
				"%s: \"%s\" is not ADDRESS[/LENGTH], any, localhost, link-local or "
				"multicast",
				key, text);
		}
	}
	return ret;
}

/* "53/udp", "8000-8009" */
static void host_ports(struct build *b, struct part *part)
{
	const struct draft_list *list = &part->draft->allow_host_port;
	struct net_host_port *ports = NULL;
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct net_port port = { 0 };

		if (!port_range_parse(b, list->v[i].text, &port)) {
			ERROR_AT(b, list->v[i].at,
				"AllowHostPort: \"%s\" is not PORT[-PORT][/tcp|/udp]",
				list->v[i].text);
			continue;
		}
		BUILD_PUSH(b, ports, n, { port.protocol, port.port, port.count });
	}
	part->spec->net.host_ports = ports;
	part->spec->net.nhost_ports = n;
}

/* Such keys are about interfaces of its own. */
static void without_network(
	struct build *b, const struct part *part, const char *key, struct origin at)
{
	switch (part->spec->net.mode) {
	case NET_HOST:
		ERROR_AT(b, at,
			"%s: its network is the host's, and so are its packets: remove it, or give "
			"it a network of its own",
			key);
		return;
	case NET_CONTAINER:
		ERROR_AT(b, at, "%s: write it in the unit whose network it shares", key);
		return;
	case NET_NONE:
		WARN_AT(b, at, "%s: has no effect with Network=none: nobody is there", key);
		return;
	case NET_PATH:
		ERROR_AT(b, at, "%s: its network is somebody else's: remove it", key);
		return;
	case NET_PRIVATE:
		return;
	}
}

/* A list that somebody wrote holds on each interface, or the unit is refused. */
static void filter_check(struct build *b, const struct part *part, struct origin at)
{
	for (size_t i = 0; i < part->nnets; i++) {
		const struct net_bridge *network = b->set->units[part->nets[i].network].bridge;

		if (network->driver != NET_BRIDGE)
			ERROR_AT(b, at,
				"IPAddressDeny: network %s is none of Driver=bridge, and its "
				"packets "
				"pass the host's rules unseen: use a bridge",
				network->name);
	}
}

static void container_walls(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	const struct {
		const char *key;
		const struct draft_list *list;
	} lists[] = { { "AllowHostPort", &draft->allow_host_port },
		{ "IPAddressAllow", &draft->ip_allow }, { "IPAddressDeny", &draft->ip_deny } };
	struct subnets allow = subnets_read(b, "IPAddressAllow", &draft->ip_allow);
	struct subnets deny = subnets_read(b, "IPAddressDeny", &draft->ip_deny);

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (lists[i].list->n)
			without_network(b, part, lists[i].key, lists[i].list->v[0].at);
	if (draft->foreign_source.v)
		without_network(b, part, "AllowForeignSource", draft->foreign_source.at);
	if (draft->ip_deny.n)
		filter_check(b, part, draft->ip_deny.v[0].at);
	if (draft->ip_allow.n && !draft->ip_deny.n)
		WARN_AT(b, draft->ip_allow.v[0].at,
			"IPAddressAllow: has no effect alone, for who is in no list is allowed: "
			"add "
			"IPAddressDeny=any");
	part->spec->net.filter = (struct net_filter){ allow.v, deny.v, allow.n, deny.n };
	part->spec->net.foreign_source = draft->foreign_source.v;
	host_ports(b, part);
}

/* ---- networks ------------------------------------------------------------------------------------ */

static const struct net_bridge *reach(struct build *b, uint32_t unit, const struct draft_item *item)
{
	uint32_t other = network_by_name(b, item->text);
	const struct net_bridge *to = other == UNIT_NONE ? NULL : b->set->units[other].bridge;

	if (!to || other == unit) {
		ERROR_AT(b, item->at, "AllowNetwork: there is no other network %s: add it",
			item->text);
		return NULL;
	}
	if (!net_is_ours(to) || !net_is_ours(b->set->units[unit].bridge)) {
		ERROR_AT(b, item->at,
			"AllowNetwork: berth keeps its own bridges apart only: nothing is to be "
			"allowed between %s and %s",
			b->set->units[unit].bridge->name, to->name);
		return NULL;
	}
	if (to->internal || b->set->units[unit].bridge->internal) {
		ERROR_AT(b, item->at,
			"AllowNetwork: %s is Internal=, which nobody enters or leaves: attach the "
			"container to both networks instead",
			to->internal ? to->name : b->set->units[unit].bridge->name);
		return NULL;
	}
	return to;
}

static void network_walls(struct build *b, uint32_t unit)
{
	const struct draft_list *list = &b->parts[unit].draft->allow_network;
	const struct net_bridge **reaches = NULL;
	void *grown;
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct net_bridge *to = reach(b, unit, &list->v[i]);
		bool twice = !to;

		for (size_t k = 0; k < n; k++)
			twice = twice || reaches[k] == to;
		if (twice)
			continue;
		grown = build_room(b, reaches, n, sizeof(void *));
		if (!grown)
			return;
		reaches = grown;
		reaches[n++] = to;
	}
	b->set->units[unit].bridge->reaches = reaches;
	b->set->units[unit].bridge->nreaches = n;
}

void pass_walls(struct build *b)
{
	for (uint32_t i = 0; i < b->set->nunits; i++) {
		if (!b->parts[i].draft)
			continue;
		if (b->set->units[i].bridge)
			network_walls(b, i);
		if (b->parts[i].spec)
			container_walls(b, &b->parts[i]);
	}
}
