/* Joining a container's namespace to its networks.
 *
 * Few round trips, however many interfaces: what is there (host), make what is missing with its end
 * born in the container's namespace (host), name its owner (host), configure the inner ends
 * (container). What is there already is kept when its inner end is the interface asked for; else it
 * is a leftover (its other end is in a namespace of an older run) and is made anew.
 *
 * On a bridge the pair's outer end stays with the host and carries our name; a macvlan or ipvlan has
 * its only end inside. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netns/link.h"
#include "netns/net.h"
#include "netns/netns.h"
#include "netns/parent.h"

struct end {
	const struct net_iface *iface;
	struct link_info under; /* the bridge, or the parent */
	struct link_info host;  /* the outer end of a pair */
	struct link_info inner;
	int inside;     /* the number of the inner end, there */
	size_t request; /* of the creation, in its batch */
	bool fresh, made;
};

struct attach {
	struct rtnl host, inner;
	int netns_fd;
	struct end *ends;
	size_t n;
};

static bool is_pair(const struct end *end)
{
	return end->iface->bridge->driver == NET_BRIDGE;
}

static int attach_look(struct attach *at, struct err *err)
{
	int r = 0;

	/* First, for it sends batches of its own and may fail: nothing has been touched then. */
	for (size_t i = 0; r == 0 && i < at->n; i++)
		if (!net_is_ours(at->ends[i].iface->bridge))
			r = parent_ensure(&at->host, at->ends[i].iface, &at->ends[i].under, err);
	for (size_t i = 0; r == 0 && i < at->n; i++) {
		if (net_is_ours(at->ends[i].iface->bridge))
			link_ask(&at->host, at->ends[i].iface->bridge->ifname, &at->ends[i].under);
		link_ask(&at->host, at->ends[i].iface->host_ifname, &at->ends[i].host);
		link_ask(&at->inner, at->ends[i].iface->ifname, &at->ends[i].inner);
	}
	if (r == 0)
		r = rtnl_commit(&at->host, err);
	for (size_t i = 0; r == 0 && i < at->n; i++) {
		const struct end *end = &at->ends[i];

		if (!end->under.found || (is_pair(end) && strcmp(end->under.kind, "bridge") != 0))
			return err_set(err, ENODEV,
				"attach %s to network %s: there is no bridge %s",
				end->iface->ifname, end->iface->bridge->name,
				end->iface->bridge->ifname);
		if (end->host.found && !link_is_ours(&end->host, end->iface->alias))
			return err_set(err, EEXIST,
				"attach %s to network %s: interface %s exists and is not ours: "
				"remove it",
				end->iface->ifname, end->iface->bridge->name, end->host.name);
	}
	return r == 0 ? rtnl_commit(&at->inner, err) : r;
}

/* Is what carries the interface's name inside the interface that is asked for? */
static bool is_same(const struct end *end)
{
	static const char *const kinds[] = {
		[NET_BRIDGE] = "veth", [NET_MACVLAN] = "macvlan", [NET_IPVLAN] = "ipvlan"
	};
	const struct net_bridge *network = end->iface->bridge;

	if (!end->inner.found || strcmp(end->inner.kind, kinds[network->driver]) != 0)
		return false;
	if (is_pair(end))
		return end->host.found && end->inner.peer == end->host.ifindex &&
		       end->host.peer == end->inner.ifindex;
	return end->inner.peer == end->under.ifindex && end->inner.mode == network->mode;
}

/* What is there and is not asked for goes: the outer end takes the inner one with it. */
static int attach_compare(struct attach *at, struct err *err)
{
	int r;

	for (size_t i = 0; i < at->n; i++) {
		struct end *end = &at->ends[i];

		end->fresh = !is_same(end);
		end->inside = end->fresh ? 0 : end->inner.ifindex;
		if (end->host.found && (end->fresh || !is_pair(end)))
			link_delete(&at->host, end->host.ifindex, end->host.name);
		if (end->fresh && end->inner.found && *end->inner.alias &&
			strcmp(end->inner.alias, end->iface->alias) == 0)
			link_delete(&at->inner, end->inner.ifindex, end->inner.name);
	}
	r = rtnl_commit(&at->host, err);
	return r == 0 ? rtnl_commit(&at->inner, err) : r;
}

static void create_pair(struct attach *at, struct end *end)
{
	const struct net_iface *iface = end->iface;
	uint8_t mac[6];
	const struct link_set set = {
		.mac = mac,
		.mtu = iface->bridge->mtu,
		.master = end->under.ifindex,
		.up = true,
	};

	link_alias_mac(iface->alias, mac);
	link_new_veth(&at->host, iface->host_ifname, &set, at->netns_fd, iface->ifname, iface->mac);
	link_ask(&at->host, iface->host_ifname, &end->host);
}

static int create_words(int r, const struct attach *at, struct err *err)
{
	static const char *const drivers[] = {
		[NET_BRIDGE] = "veth", [NET_MACVLAN] = "macvlan", [NET_IPVLAN] = "ipvlan"
	};
	static const char *const configs[] = {
		[NET_BRIDGE] = "VETH", [NET_MACVLAN] = "MACVLAN", [NET_IPVLAN] = "IPVLAN"
	};

	for (size_t i = 0; r == -EOPNOTSUPP && i < at->n; i++) {
		const struct end *end = &at->ends[i];
		enum net_driver driver = end->iface->bridge->driver;

		if (end->fresh && rtnl_code(&at->host, end->request) == EOPNOTSUPP)
			return err_set(err, EOPNOTSUPP,
				"create a %s: the kernel has none: modprobe %s, or build it with "
				"CONFIG_%s",
				driver == NET_BRIDGE ? "veth pair" : drivers[driver],
				drivers[driver], configs[driver]);
	}
	return r;
}

static int attach_create(struct attach *at, struct err *err)
{
	size_t requests = 0;
	int r;

	for (size_t i = 0; i < at->n; i++) {
		struct end *end = &at->ends[i];

		if (!end->fresh)
			continue;
		end->request = requests;
		requests += is_pair(end) ? 2 : 1;
		if (is_pair(end))
			create_pair(at, end);
		else
			link_new_child(&at->host, end->iface, end->under.ifindex, at->netns_fd);
	}
	r = rtnl_commit(&at->host, err);
	for (size_t i = 0; requests && i < at->n; i++) {
		struct end *end = &at->ends[i];

		/* An answer that was lost (below 0) may have been a yes. */
		end->made = end->fresh && rtnl_code(&at->host, end->request) <= 0;
	}
	return create_words(r, at, err);
}

/* The numbers of those whose only end was born inside. */
static int attach_find(struct attach *at, struct err *err)
{
	int r;

	for (size_t i = 0; i < at->n; i++)
		if (at->ends[i].fresh && !is_pair(&at->ends[i]))
			link_ask(&at->inner, at->ends[i].iface->ifname, &at->ends[i].inner);
	r = rtnl_commit(&at->inner, err);
	for (size_t i = 0; r == 0 && i < at->n; i++) {
		struct end *end = &at->ends[i];

		end->inside = is_pair(end) ? end->host.peer : end->inner.ifindex;
		if (!end->inside || (is_pair(end) && !link_is_ours(&end->host, end->iface->alias)))
			return err_set(err, ENODEV, "attach %s: interface %s vanished",
				end->iface->ifname,
				is_pair(end) ? end->iface->host_ifname : end->iface->ifname);
	}
	return r;
}

/* The alias is written by number, to the link that was made: a link that took the name in between
 * is never touched. */
static int attach_name(struct attach *at, struct err *err)
{
	for (size_t i = 0; i < at->n; i++) {
		const struct end *end = &at->ends[i];
		const struct net_bridge *network = end->iface->bridge;
		const struct link_set set = {
			.alias = end->iface->alias,
			.mtu = end->fresh ? 0 : network->mtu,
			.master = end->fresh ? 0 : end->under.ifindex,
			.up = !end->fresh,
		};

		if (!is_pair(end))
			continue;
		link_change(&at->host, end->host.ifindex, end->host.name, &set);
		link_hairpin(&at->host, end->host.ifindex, end->host.name);
		if (network->vlan)
			link_port_vlan(&at->host, end->host.ifindex, end->host.name, network->vlan,
				end->under.vlan);
	}
	return rtnl_commit(&at->host, err);
}

static void put_route(struct rtnl *nl, const struct end *end, int family)
{
	const struct net_bridge *network = end->iface->bridge;
	const struct net_addr *gateway = net_iface_gateway(end->iface, family);
	bool direct = network->driver == NET_IPVLAN && network->mode != 0;

	if (gateway)
		route_default(nl, end->inside, gateway, direct);
}

/* Who is given an address by a network believes its routers, too. Before it is up, for then it asks them;
 * without IPv6 there is nobody to believe. */
static int attach_listen(struct attach *at, struct err *err)
{
	int back = -1;
	int r = 0;

	for (size_t i = 0; r == 0 && i < at->n; i++) {
		const struct net_iface *iface = at->ends[i].iface;

		if (!iface->leased)
			continue;
		if (back < 0)
			r = netns_enter(at->netns_fd, &back, err);
		if (r == 0)
			(void)netns_sysctl("1", NULL, "ipv6/conf/%s/accept_ra", iface->ifname);
	}
	return back < 0 ? r : netns_leave(&back, err);
}

/* Up after it has its addresses: then the kernel tells the neighbours of them (arp_notify). A bridge
 * does not pass that on, for its port is not open in that moment: so net_announce. */
static int attach_configure(struct attach *at, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < at->n; i++) {
		const struct end *end = &at->ends[i];
		const struct net_iface *iface = end->iface;
		const struct net_bridge *network = iface->bridge;
		const struct link_set set = {
			.alias = is_pair(end) ? NULL : iface->alias,
			.mac = end->fresh ? NULL : iface->mac,
			.mtu = end->fresh ? 0 : network->mtu,
			.up = true,
		};

		if (at->inner.n + iface->naddrs + 3 > RTNL_BATCH)
			r = rtnl_commit(&at->inner, err);
		for (size_t k = 0; k < iface->naddrs; k++)
			addr_add(&at->inner, end->inside, &iface->addrs[k]);
		link_change(&at->inner, end->inside, iface->ifname, &set);
		put_route(&at->inner, end, AF_INET);
		put_route(&at->inner, end, AF_INET6);
	}
	return r < 0 ? r : rtnl_commit(&at->inner, err);
}

static void undo_one(struct rtnl *nl, const char *ifname, const struct end *end)
{
	struct link_info link;

	link_ask(nl, ifname, &link);
	if (rtnl_commit(nl, NULL) < 0 || !link.found ||
		(is_pair(end) && !link_is_ours(&link, end->iface->alias)))
		return;
	link_delete(nl, link.ifindex, link.name);
	(void)rtnl_commit(nl, NULL);
}

static void attach_undo(struct attach *at)
{
	for (size_t i = 0; i < at->n; i++) {
		struct end *end = &at->ends[i];

		if (!end->made)
			continue;
		if (is_pair(end))
			undo_one(&at->host, end->iface->host_ifname, end);
		else
			undo_one(&at->inner, end->iface->ifname, end);
	}
}

static int attach_run(struct attach *at, struct err *err)
{
	static int (*const steps[])(struct attach * at, struct err * err) = { attach_look,
		attach_compare, attach_create, attach_find, attach_name, attach_listen,
		attach_configure };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof steps / sizeof steps[0]; i++)
		r = steps[i](at, err);
	if (r < 0)
		attach_undo(at);
	return r;
}

/* A batch holds so many: four requests an interface outside. */
enum { IFACES_MAX = 12 };
static_assert(NET_SUBNETS_MAX + 3 <= RTNL_BATCH, "an interface does not fit into a batch");

int net_attach(int netns_fd, const struct net_iface *ifaces, size_t n, struct err *err)
{
	struct attach at = { .netns_fd = netns_fd, .n = n };
	int r;

	if (n > IFACES_MAX)
		return err_set(err, EINVAL, "attach: %zu networks are more than %d", n, IFACES_MAX);
	if (n == 0)
		return 0;
	at.ends = calloc(n, sizeof *at.ends);
	if (!at.ends)
		return err_sys(err, ENOMEM, "attach");
	for (size_t i = 0; i < n; i++)
		at.ends[i].iface = &ifaces[i];
	r = rtnl_open(&at.host, -1, NETLINK_ROUTE, err);
	if (r == 0)
		r = rtnl_open(&at.inner, netns_fd, NETLINK_ROUTE, err);
	if (r == 0)
		r = attach_run(&at, err);
	rtnl_close(&at.inner);
	rtnl_close(&at.host);
	free(at.ends);
	return r;
}

int net_detach(const struct net_iface *ifaces, size_t n, struct err *err)
{
	own_rtnl nl = { 0 };
	struct link_info link;
	int r = n ? rtnl_open(&nl, -1, NETLINK_ROUTE, err) : 0;

	/* One by one: each costs a wait of 17 ms in the kernel, a round trip more is nothing. */
	for (size_t i = 0; r == 0 && i < n; i++) {
		link_ask(&nl, ifaces[i].host_ifname, &link);
		r = rtnl_commit(&nl, err);
		if (r == 0 && link.found && link_is_ours(&link, ifaces[i].alias)) {
			link_delete(&nl, link.ifindex, link.name);
			r = rtnl_commit(&nl, err);
		}
	}
	return r;
}
