/* Network=, IP=, IP6=, NetworkAlias=: which container is on which bridge, with which address. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/build.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

enum { LEASES_MAX = 256 * 1024 };

/* Networks that podman has and berth has not, and what to write instead. */
static const struct {
	const char *name;
	const char *instead;
} foreign[] = {
	{ "slirp4netns", "leave Network= away for a bridge with NAT" },
	{ "pasta", "leave Network= away for a bridge with NAT" },
	{ "container:", "write Network=NAME.container" },
};

static void address_read(struct build *b, const char *key, int family, const char *text,
	struct origin at, struct attachment *net)
{
	struct net_addr addr;

	if (net_addr_parse(text, &addr) < 0 || addr.family != family || strchr(text, '/')) {
		ERROR_AT(b, at, "%s: \"%s\" is not an IPv%d address", key, text,
			family == AF_INET ? 4 : 6);
		return;
	}
	BUILD_PUSH(b, net->fixed, net->nfixed, { addr, at });
}

/* "02:00:5e:10:00:01"; neither a group's address nor nobody's. */
static bool mac_parse(const char *text, uint8_t ret[static 6])
{
	uint8_t mac[6];
	int n = -1;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		    &mac[3], &mac[4], &mac[5], &n) != 6 ||
		n != 17 || text[n] || (mac[0] & 1) ||
		!(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]))
		return false;
	memcpy(ret, mac, sizeof mac);
	return true;
}

static void mac_read(struct build *b, const char *text, struct attachment *net)
{
	if (!mac_parse(text, net->mac))
		ERROR_AT(b, net->at,
			"Network: mac=%s is not the address of one interface: write "
			"02:00:00:00:00:01",
			text);
	else if (b->set->units[net->network].bridge->driver == NET_IPVLAN)
		ERROR_AT(b, net->at,
			"Network: mac=%s: on an ipvlan all have the MAC address of its parent",
			text);
}

static void ifname_read(struct build *b, const char *text, struct attachment *net)
{
	if (ifname_valid(text) && strcmp(text, "lo") != 0)
		net->ifname = text;
	else
		ERROR_AT(b, net->at,
			"Network: interface_name=%s is not a link's name: at most 15 characters, "
			"no "
			"/ : or blank",
			text);
}

/* "ip=10.1.2.3,alias=db": what follows the name of a network. */
static void attachment_options(struct build *b, const char *text, struct attachment *net)
{
	const char *word;

	while ((word = build_field(b, &text, ','))) {
		if (str_starts(word, "ip="))
			address_read(b, "Network", AF_INET, word + 3, net->at, net);
		else if (str_starts(word, "ip6="))
			address_read(b, "Network", AF_INET6, word + 4, net->at, net);
		else if (str_starts(word, "alias="))
			build_add(b, &net->aliases, word + 6);
		else if (str_starts(word, "interface_name="))
			ifname_read(b, word + 15, net);
		else if (str_starts(word, "mac="))
			mac_read(b, word + 4, net);
		else if (*word)
			ERROR_AT(b, net->at,
				"Network: unknown option \"%s\": berth knows ip= ip6= mac= alias= "
				"interface_name=",
				word);
	}
}

uint32_t network_by_name(const struct build *b, const char *name)
{
	uint32_t unit = unit_by_id(b, name);

	if (strcmp(name, "bridge") == 0 || strcmp(name, "private") == 0)
		name = "default";
	for (uint32_t i = 0; unit == UNIT_NONE && i < b->set->nunits; i++)
		if (b->set->units[i].bridge && strcmp(b->set->units[i].bridge->name, name) == 0)
			unit = i;
	return unit;
}

static void network_unknown(struct build *b, struct origin at, const char *name)
{
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		if (str_starts(name, foreign[i].name)) {
			ERROR_AT(b, at, "Network: %s is not served: %s", name, foreign[i].instead);
			return;
		}
	ERROR_AT(b, at,
		"Network: there is no network %s: add the file %s%s, or write host, none, "
		"OTHER.container, ns:/PATH",
		name, name, str_ends(name, ".network") ? "" : ".network");
}

static void attachment_add(
	struct build *b, uint32_t unit, const char *name, const char *rest, struct origin at)
{
	struct attachment net = { .at = at };
	struct part *part = &b->parts[unit];

	net.network = network_by_name(b, name);
	if (net.network == UNIT_NONE || b->set->units[net.network].kind != UNIT_NETWORK) {
		network_unknown(b, at, name);
		return;
	}
	for (size_t i = 0; i < part->nnets; i++)
		if (part->nets[i].network == net.network) {
			ERROR_AT(b, at, "Network: %s is named twice: remove one", name);
			return;
		}
	attachment_options(b, rest, &net);
	BUILD_PUSH(b, part->nets, part->nnets, net);
}

static void network_mode(
	struct build *b, uint32_t unit, const struct draft_item *item, enum net_mode mode)
{
	struct part *part = &b->parts[unit];

	part->spec->net.mode = mode;
	if (part->draft->network.n > 1)
		ERROR_AT(b, item->at, "Network: %s cannot be joined with another: remove one",
			item->text);
}

static void network_share(struct build *b, uint32_t unit, const struct draft_item *item)
{
	struct part *part = &b->parts[unit];
	uint32_t other = unit_by_id(b, item->text);

	network_mode(b, unit, item, NET_CONTAINER);
	if (other == UNIT_NONE || other == unit) {
		ERROR_AT(b, item->at, "Network: there is no other unit %s to share with: add it",
			item->text);
		return;
	}
	part->shares = other;
	part->spec->net.container = b->parts[other].spec->name;
}

/* ns:/PATH: a namespace that somebody else made and keeps. */
static void network_path(struct build *b, uint32_t unit, const struct draft_item *item)
{
	const char *path = item->text + strlen("ns:");

	network_mode(b, unit, item, NET_PATH);
	if (path[0] != '/')
		ERROR_AT(b, item->at, "Network: \"%s\" is not ns:/PATH", item->text);
	b->parts[unit].spec->net.path = build_path(b, "/", path);
}

static void network_item(struct build *b, uint32_t unit, const struct draft_item *item)
{
	const char *rest = item->text;
	const char *name;

	if (strcmp(item->text, "host") == 0) {
		network_mode(b, unit, item, NET_HOST);
	} else if (strcmp(item->text, "none") == 0) {
		network_mode(b, unit, item, NET_NONE);
	} else if (str_ends(item->text, ".container") && !strchr(item->text, ':')) {
		network_share(b, unit, item);
	} else if (str_starts(item->text, "ns:")) {
		network_path(b, unit, item);
	} else {
		name = build_field(b, &rest, ':');
		if (strcmp(name, "container") == 0)
			name = item->text;
		attachment_add(b, unit, name, rest, item->at);
	}
}

/* IP= and IP6= are of the only network there is. */
static void network_fixed(struct build *b, struct part *part)
{
	const struct draft_str *ip = &part->draft->ip;
	const struct draft_str *ip6 = &part->draft->ip6;
	struct attachment *net = part->nets;
	const struct draft_str *any = DRAFT_SET(*ip) ? ip : ip6;

	if (!DRAFT_SET(*any))
		return;
	if (part->nnets != 1) {
		ERROR_AT(b, any->at, "%s: %s: write Network=NAME.network:%s=%s instead",
			any == ip ? "IP" : "IP6",
			part->nnets ? "the container is on several networks"
				    : "the container is on no network of berth's",
			any == ip ? "ip" : "ip6", any->v);
		return;
	}
	if (DRAFT_SET(*ip))
		address_read(b, "IP", AF_INET, ip->v, ip->at, net);
	if (DRAFT_SET(*ip6))
		address_read(b, "IP6", AF_INET6, ip6->v, ip6->at, net);
}

/* What arrives at a port of the host reaches only those networks that the host carries. */
static void network_published(struct build *b, const struct part *part)
{
	const struct draft_list *ports = &part->draft->publish_port;

	for (size_t i = 0; i < part->nnets; i++)
		if (net_is_ours(b->set->units[part->nets[i].network].bridge))
			return;
	if (ports->n && part->nnets)
		ERROR_AT(b, ports->v[0].at,
			"PublishPort: the container is on networks of others only, where its own "
			"address is reached: remove it, or add a network that is a bridge of "
			"berth's");
}

void pass_attach(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	uint32_t *networks = NULL;
	size_t n = 0;

	if (part->spec->native) {
		part->spec->net.mode = part->spec->secluded ? NET_PRIVATE : NET_HOST;
		return;
	}
	for (size_t i = 0; i < draft->network.n; i++)
		network_item(b, unit, &draft->network.v[i]);
	if (draft->network.n == 0)
		attachment_add(b, unit, "default.network", NULL, build_unit_at(b, unit));
	network_fixed(b, part);
	network_published(b, part);
	for (size_t i = 0; i < part->nnets; i++)
		BUILD_PUSH(b, networks, n, (part->nets[i].network));
	b->set->units[unit].networks = (struct unit_list){ networks, n };
}

/* ---- addresses ---------------------------------------------------------------------------------- */

/* Everybody on one network, in one of its subnets: leases[i] is of nets[i]. */
struct roster {
	const struct net_bridge *network;
	const struct net_subnet *subnet;
	struct attachment **nets;
	struct net_lease *leases;
	size_t n, nleases;
};

static void roster_fill(struct build *b, uint32_t network, struct roster *roster)
{
	for (uint32_t i = 0; i < b->set->nunits; i++)
		for (size_t k = 0; k < b->parts[i].nnets; k++) {
			struct attachment *net = &b->parts[i].nets[k];

			if (net->network != network)
				continue;
			/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what is kept */
			BUILD_PUSH(b, roster->nets, roster->n, net);
			BUILD_PUSH(b, roster->leases, roster->nleases,
				{ .unit = b->set->units[i].stem });
		}
}

static void macs_compare(struct build *b, const struct roster *roster, size_t i)
{
	const struct attachment *net = roster->nets[i];

	for (size_t k = 0; memcmp(net->mac, (uint8_t[6]){ 0 }, 6) != 0 && k < i; k++)
		if (memcmp(net->mac, roster->nets[k]->mac, 6) == 0)
			ERROR_AT(b, net->at, "Network: mac= is that of %s too: change one of them",
				roster->leases[k].unit);
}

static const char *key_of(const struct net_addr *addr)
{
	return addr->family == AF_INET ? "IP" : "IP6";
}

/* No lease is of an address outside: what is written there would be passed over in silence. */
static void outside_check(struct build *b, uint32_t unit, const struct fixed_addr *fixed)
{
	const struct net_bridge *network = b->set->units[unit].bridge;
	const struct net_addr *addr = &fixed->addr;
	const char *text = build_text(b, "%s", net_addr_print(addr, false).text);

	if (net_subnet_of(network, addr))
		return;
	if (b->parts[unit].leased)
		ERROR_AT(b, fixed->at,
			"%s: the addresses of network %s are leased: have its DHCP server keep %s "
			"for the container's mac=, or remove this",
			key_of(addr), network->name, text);
	else if (net_subnet_first(network, addr->family))
		ERROR_AT(b, fixed->at, "%s: %s is in no subnet of network %s (%s)", key_of(addr),
			text, network->name, network_subnets_text(b, network, addr->family));
	else
		ERROR_AT(b, fixed->at, "%s: network %s has no IPv%d subnet: add Subnet= there",
			key_of(addr), network->name, addr->family == AF_INET ? 4 : 6);
}

/* The one that the files give it in the subnet; NULL: none. */
static const struct fixed_addr *fixed_in(
	const struct attachment *net, const struct net_subnet *subnet)
{
	for (size_t i = 0; i < net->nfixed; i++)
		if (net_addr_in(&subnet->net, &net->fixed[i].addr))
			return &net->fixed[i];
	return NULL;
}

/* What the leaf would refuse without knowing the lines. */
static bool fixed_check(
	struct build *b, const struct roster *roster, size_t i, const struct fixed_addr *fixed)
{
	const struct attachment *net = roster->nets[i];
	const struct net_addr *addr = &fixed->addr;
	const char *text = build_text(b, "%s", net_addr_print(addr, false).text);

	for (size_t k = 0; k < net->nfixed; k++)
		if (&net->fixed[k] != fixed &&
			net_addr_in(&roster->subnet->net, &net->fixed[k].addr)) {
			ERROR_AT(b, net->fixed[k].at,
				"%s: %s is in %s as %s is, and an interface has one address of "
				"each subnet: remove one",
				key_of(addr), net_addr_print(&net->fixed[k].addr, false).text,
				net_addr_print(&roster->subnet->net, true).text, text);
			return false;
		}
	if (memcmp(addr->bytes, roster->subnet->gateway.bytes, sizeof addr->bytes) == 0) {
		ERROR_AT(b, fixed->at, "%s: %s is the gateway of network %s: choose another",
			key_of(addr), text, roster->network->name);
		return false;
	}
	for (size_t k = 0; k < i; k++)
		if (net_addr_equal(&roster->leases[k].fixed, addr)) {
			const struct origin other = fixed_in(roster->nets[k], roster->subnet)->at;

			ERROR_AT(b, fixed->at,
				"%s: %s is the address of %s too (%s:%u): change one of them",
				key_of(addr), text, roster->leases[k].unit, other.file, other.line);
			return false;
		}
	return true;
}

/* One address of the subnet for everybody. */
static void subnet_assign(struct build *b, uint32_t network, struct roster *roster,
	const struct net_subnet *subnet, const char *stored)
{
	struct err err = { 0 };
	int r;

	if (!roster->leases)
		return; /* nobody, or no memory */
	roster->subnet = subnet;
	for (size_t i = 0; i < roster->n; i++) {
		const struct fixed_addr *fixed = fixed_in(roster->nets[i], subnet);

		roster->leases[i].fixed.family = 0;
		if (fixed && fixed_check(b, roster, i, fixed))
			roster->leases[i].fixed = fixed->addr;
	}
	r = net_lease_assign(subnet, roster->leases, roster->n, stored, &err);
	if (r == -ENOMEM)
		b->nomem = true;
	else if (r < 0)
		ERROR_AT(b, build_unit_at(b, network), "Subnet: %s", err.text);
	for (size_t i = 0; r == 0 && i < roster->n; i++) {
		struct attachment *net = roster->nets[i];
		struct net_addr addr = roster->leases[i].addr;

		addr.prefix = subnet->net.prefix;
		BUILD_PUSH(b, net->addrs, net->naddrs, addr);
	}
}

static void addresses_assign(struct build *b, uint32_t network, const char *stored)
{
	const struct net_bridge *bridge = b->set->units[network].bridge;
	struct roster roster = { .network = bridge };

	roster_fill(b, network, &roster);
	if (b->nomem)
		return;
	for (size_t i = 0; i < roster.n; i++) {
		macs_compare(b, &roster, i);
		for (size_t k = 0; k < roster.nets[i]->nfixed; k++)
			outside_check(b, network, &roster.nets[i]->fixed[k]);
	}
	for (size_t i = 0; roster.n && i < bridge->nsubnets; i++)
		subnet_assign(b, network, &roster, &bridge->subnets[i], stored);
}

/* A lease file that cannot be read is no reason not to start: the addresses are hashed again. */
static void network_addresses(struct build *b, uint32_t network)
{
	own_mem char *stored = malloc(LEASES_MAX);
	const char *path = build_text(
		b, "%s/leases/%s", b->set->conf.state_dir, b->set->units[network].bridge->name);
	ssize_t n;

	if (!stored) {
		b->nomem = true;
		return;
	}
	n = file_read_at(AT_FDCWD, path, stored, LEASES_MAX);
	if (n < 0 && n != -ENOENT && n != -ENOTDIR)
		WARN_AT(b, ((struct origin){ path, 0 }),
			"leases: cannot be read: %s: addresses may change", strerror((int)-n));
	addresses_assign(b, network, n > 0 ? stored : "");
}

/* ---- interfaces --------------------------------------------------------------------------------- */

static bool leads_outside(const struct build *b, const struct attachment *net)
{
	const struct net_bridge *bridge = b->set->units[net->network].bridge;

	return !bridge->internal && !b->parts[net->network].no_default_route &&
	       (bridge->nsubnets || b->parts[net->network].leased);
}

static void names_compare(
	struct build *b, const struct part *part, size_t n, const struct net_iface *iface)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(part->ifaces[i].ifname, iface->ifname) == 0)
			ERROR_AT(b, part->nets[n].at,
				"Network: %s is the name of two interfaces: change interface_name=",
				iface->ifname);
}

static void unit_ifaces(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const char *instance = b->set->instance;
	const char *stem = b->set->units[unit].stem;
	bool routed = false;
	size_t clients = 0;
	size_t n = 0;

	for (unsigned i = 0; i < part->nnets; i++) {
		const struct attachment *net = &part->nets[i];
		const struct net_bridge *bridge = b->set->units[net->network].bridge;
		struct net_iface iface = { .bridge = bridge,
			.addrs = net->addrs,
			.naddrs = net->naddrs,
			.default_route = leads_outside(b, net) && !routed,
			.leased = b->parts[net->network].leased };
		char host[16];

		routed |= iface.default_route;
		net_host_ifname(instance, stem, i, host);
		iface.host_ifname = build_text(b, "%s", host);
		iface.alias = build_text(b, "berth:%s:%s:%u", instance, stem, i);
		iface.ifname = net->ifname ? net->ifname : build_text(b, "eth%u", i);
		if (memcmp(net->mac, (uint8_t[6]){ 0 }, 6) != 0)
			memcpy(iface.mac, net->mac, sizeof iface.mac);
		else if (bridge->driver != NET_IPVLAN)
			net_mac(iface.alias, iface.mac);
		if (iface.leased)
			client_finish(b, unit, clients++, iface.ifname,
				bridge->driver == NET_IPVLAN ? iface.alias : NULL,
				iface.default_route);
		names_compare(b, part, n, &iface);
		BUILD_PUSH(b, part->ifaces, n, iface);
	}
	part->spec->net.ifaces = part->ifaces;
	part->spec->net.nifaces = n;
}

void pass_addresses(struct build *b)
{
	for (uint32_t i = 0; i < b->set->nunits; i++)
		if (b->set->units[i].bridge)
			network_addresses(b, i);
	for (uint32_t i = 0; i < b->set->nunits; i++)
		if (b->parts[i].spec)
			unit_ifaces(b, i);
}
