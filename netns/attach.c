/* Joining a container's namespace to its bridges.
 *
 * Few round trips, however many interfaces: what is there (host), make the pairs with one end born
 * in the container's namespace (host), name their owner (host), configure the inner ends
 * (container). A pair that is there already is kept when its inner end is the interface asked for;
 * else it is a leftover (its other end is in a namespace of an older run) and is made anew. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netns/link.h"
#include "netns/net.h"

struct end {
	const struct net_iface *iface;
	struct link_info bridge, host;
	struct link_info inner; /* asked only where the host's end was there already */
	size_t request;         /* of the creation, in its batch */
	bool stale, fresh, made;
};

struct attach {
	struct rtnl host, inner;
	int netns_fd;
	struct end *ends;
	size_t n;
};

static int attach_look(struct attach *at, struct err *err)
{
	int r;

	for (size_t i = 0; i < at->n; i++) {
		link_ask(&at->host, at->ends[i].iface->bridge->ifname, &at->ends[i].bridge);
		link_ask(&at->host, at->ends[i].iface->host_ifname, &at->ends[i].host);
	}
	r = rtnl_commit(&at->host, err);
	for (size_t i = 0; r == 0 && i < at->n; i++) {
		const struct end *end = &at->ends[i];

		if (!end->bridge.found || strcmp(end->bridge.kind, "bridge") != 0)
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
	return r;
}

/* Which of the pairs that exist are the ones asked for. */
static int attach_compare(struct attach *at, struct err *err)
{
	int r;

	for (size_t i = 0; i < at->n; i++)
		if (at->ends[i].host.found)
			link_ask(&at->inner, at->ends[i].iface->ifname, &at->ends[i].inner);
	r = rtnl_commit(&at->inner, err);
	for (size_t i = 0; r == 0 && i < at->n; i++) {
		struct end *end = &at->ends[i];
		bool same = end->host.found && end->inner.found &&
			    strcmp(end->inner.kind, "veth") == 0 &&
			    end->inner.peer == end->host.ifindex &&
			    end->host.peer == end->inner.ifindex;

		end->fresh = !same;
		end->stale = end->host.found && !same;
		if (end->stale)
			link_delete(&at->host, end->host.ifindex, end->host.name);
	}
	return r == 0 ? rtnl_commit(&at->host, err) : r;
}

static int attach_create(struct attach *at, struct err *err)
{
	size_t requests = 0;
	int r;

	for (size_t i = 0; i < at->n; i++) {
		struct end *end = &at->ends[i];
		const struct net_iface *iface = end->iface;
		uint8_t mac[6];
		const struct link_set set = {
			.mac = mac,
			.mtu = iface->bridge->mtu,
			.master = end->bridge.ifindex,
			.up = true,
		};

		if (!end->fresh)
			continue;
		link_alias_mac(iface->alias, mac);
		end->request = requests;
		link_new_veth(&at->host, iface->host_ifname, &set, at->netns_fd, iface->ifname,
			iface->mac);
		link_ask(&at->host, iface->host_ifname, &end->host);
		requests += 2;
	}
	r = rtnl_commit(&at->host, err);
	for (size_t i = 0; requests && i < at->n; i++) {
		struct end *end = &at->ends[i];

		/* An answer that was lost (below 0) may have been a yes. */
		end->made = end->fresh && rtnl_code(&at->host, end->request) <= 0;
	}
	if (r == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			"create a veth pair: the kernel has none: modprobe veth, or build it with "
			"CONFIG_VETH");
	return r;
}

/* The alias is written by number, to the link that was made: a link that took the name in between
 * is never touched. */
static int attach_name(struct attach *at, struct err *err)
{
	for (size_t i = 0; i < at->n; i++) {
		const struct end *end = &at->ends[i];
		const struct link_set set = {
			.alias = end->iface->alias,
			.mtu = end->fresh ? 0 : end->iface->bridge->mtu,
			.master = end->fresh ? 0 : end->bridge.ifindex,
			.up = !end->fresh,
		};

		if (!end->host.found || !end->host.peer ||
			!link_is_ours(&end->host, end->iface->alias))
			return err_set(err, ENODEV, "attach %s: interface %s vanished",
				end->iface->ifname, end->iface->host_ifname);
		link_change(&at->host, end->host.ifindex, end->host.name, &set);
		link_hairpin(&at->host, end->host.ifindex, end->host.name);
	}
	return rtnl_commit(&at->host, err);
}

static void configure_family(struct rtnl *nl, const struct end *end, const struct net_addr *addr,
	const struct net_addr *subnet, const struct net_addr *gateway)
{
	const struct net_iface *iface = end->iface;

	if (!addr->family)
		return;
	addr_add(nl, end->host.peer, addr, subnet->family ? subnet->prefix : addr->prefix);
	if (iface->default_route && !iface->bridge->internal && gateway->family)
		route_default(nl, end->host.peer, gateway);
}

static int attach_configure(struct attach *at, struct err *err)
{
	for (size_t i = 0; i < at->n; i++) {
		const struct end *end = &at->ends[i];
		const struct net_iface *iface = end->iface;
		const struct net_bridge *bridge = iface->bridge;
		const struct link_set set = {
			.mac = end->fresh ? NULL : iface->mac,
			.mtu = end->fresh ? 0 : bridge->mtu,
			.up = true,
		};

		link_change(&at->inner, end->host.peer, iface->ifname, &set);
		configure_family(
			&at->inner, end, &iface->addr4, &bridge->subnet4, &bridge->gateway4);
		configure_family(
			&at->inner, end, &iface->addr6, &bridge->subnet6, &bridge->gateway6);
	}
	return rtnl_commit(&at->inner, err);
}

static void attach_undo(struct attach *at)
{
	for (size_t i = 0; i < at->n; i++) {
		struct end *end = &at->ends[i];

		if (!end->made)
			continue;
		link_ask(&at->host, end->iface->host_ifname, &end->host);
		if (rtnl_commit(&at->host, NULL) < 0 || !end->host.found ||
			!link_is_ours(&end->host, end->iface->alias))
			continue;
		link_delete(&at->host, end->host.ifindex, end->host.name);
		(void)rtnl_commit(&at->host, NULL);
	}
}

static int attach_run(struct attach *at, struct err *err)
{
	int r = attach_look(at, err);

	if (r == 0)
		r = attach_compare(at, err);
	if (r == 0)
		r = attach_create(at, err);
	if (r == 0)
		r = attach_name(at, err);
	if (r == 0)
		r = attach_configure(at, err);
	if (r < 0)
		attach_undo(at);
	return r;
}

/* A batch holds so many: two requests an interface, five inside. */
enum { IFACES_MAX = 12 };

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
