/* Links of the host that berth sets up itself: [Supervisor] Uplink=, and what a DHCP server leases.
 *
 * The host is not ours alone. So the rule is: what is there stays, what is missing comes, and only
 * what we know to have set before goes. */
#include <errno.h>
#include <net/if_arp.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <string.h>

#include "netns/addrs.h"
#include "netns/link.h"
#include "netns/net.h"

/* The real device with the lowest number. */
static void reply_first(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *info = nlmsg_data(header);
	struct link_info *first = data;
	struct link_info link = { 0 };

	link_parse(header, &link);
	if (link.found && info->ifi_type == ARPHRD_ETHER && !*link.kind &&
		(!first->found || link.ifindex < first->ifindex))
		*first = link;
}

static int find(struct rtnl *nl, const char *name, struct link_info *ret, struct err *err)
{
	if (*name)
		link_ask(nl, name, ret);
	else
		link_ask_all(nl, reply_first, ret);
	return rtnl_commit(nl, err);
}

static bool has_addr(const struct net_uplink *uplink, const struct net_addr *addr)
{
	for (size_t i = 0; i < uplink->naddrs; i++)
		if (net_addr_equal(&uplink->addrs[i], addr))
			return true;
	return false;
}

/* Reached through a subnet of the link, or as a neighbour that only we know of. */
static bool is_onlink(const struct net_uplink *uplink, const struct net_addr *gateway)
{
	bool local6 = gateway->family == AF_INET6 && gateway->bytes[0] == 0xfe &&
		      (gateway->bytes[1] & 0xc0) == 0x80;

	for (size_t i = 0; i < uplink->naddrs; i++)
		if (net_addr_in(&uplink->addrs[i], gateway))
			return false;
	return !local6;
}

/* The routes of one setting, in one row: default ones of both families, then the others. False: there
 * are no more. */
static bool route_of(const struct net_uplink *uplink, size_t n, struct net_route *ret)
{
	const struct net_addr *const gateways[] = { &uplink->gateway4, &uplink->gateway6 };

	if (n >= 2 + uplink->nroutes)
		return false;
	if (n >= 2)
		*ret = uplink->routes[n - 2];
	else
		*ret = (struct net_route){ { .family = gateways[n]->family }, *gateways[n] };
	return true;
}

static bool has_route(const struct net_uplink *uplink, const struct net_route *route)
{
	struct net_route one;

	for (size_t i = 0; route_of(uplink, i, &one); i++)
		if (net_addr_equal(&one.to, &route->to) && net_addr_equal(&one.via, &route->via))
			return true;
	return false;
}

/* Routes first: those of an address go with it. */
static int leave_old(struct rtnl *nl, int ifindex, const struct net_uplink *old,
	const struct net_uplink *now, struct err *err)
{
	bool same = old->metric == now->metric && old->leased == now->leased;
	struct net_route route;
	int r = 0;

	for (size_t i = 0; r == 0 && route_of(old, i, &route); i++) {
		if (!route.to.family || (same && has_route(now, &route)))
			continue;
		route_metric_delete(nl, ifindex, &route, old->metric, old->leased);
		r = rtnl_commit(nl, err);
	}
	for (size_t i = 0; r == 0 && i < old->naddrs; i++)
		if (!has_addr(now, &old->addrs[i])) {
			addr_delete(nl, ifindex, &old->addrs[i]);
			r = rtnl_commit(nl, err);
		}
	return r;
}

static int set_link(struct rtnl *nl, const struct link_info *link, const struct net_uplink *now,
	struct err *err)
{
	const struct link_set set = { .mtu = now->mtu, .up = true };

	if (link->flags & IFF_UP && (!now->mtu || now->mtu == link->mtu))
		return 0;
	link_change(nl, link->ifindex, link->name, &set);
	return rtnl_commit(nl, err);
}

static int take_new(struct rtnl *nl, int ifindex, const struct net_uplink *now, struct err *err)
{
	struct addr_list have = { 0 };
	struct net_route route;
	int r = addrs_list(nl, ifindex, &have, err);

	for (size_t i = 0; r == 0 && i < now->naddrs; i++)
		if (now->lifetime || !addr_list_has(&have, ifindex, &now->addrs[i]))
			addr_lease(nl, ifindex, &now->addrs[i], now->lifetime);
	addr_list_done(&have);
	if (r == 0)
		r = rtnl_commit(nl, err);
	/* The kernel leaves a route alone that is what was asked for. */
	for (size_t i = 0; r == 0 && route_of(now, i, &route); i++) {
		if (!route.to.family)
			continue;
		route_metric(nl, ifindex, &route, now->metric, now->leased,
			route.via.family && is_onlink(now, &route.via));
		r = rtnl_commit(nl, err);
	}
	return r;
}

int net_uplink_apply(int netns_fd, const struct net_uplink *old, const struct net_uplink *now,
	char ret[static 16], struct err *err)
{
	static const struct net_uplink nothing = { .name = "" };
	struct link_info link = { 0 };
	own_rtnl nl = { 0 };
	int r = rtnl_open(&nl, netns_fd, NETLINK_ROUTE, err);

	if (r == 0)
		r = find(&nl, now->name, &link, err);
	if (r < 0 || !link.found)
		return r;
	memcpy(ret, link.name, sizeof link.name);
	r = set_link(&nl, &link, now, err);
	if (r == 0)
		r = leave_old(&nl, link.ifindex, old ? old : &nothing, now, err);
	if (r == 0)
		r = take_new(&nl, link.ifindex, now, err);
	return r < 0 ? err_wrap(err, "uplink %s", link.name) : 1;
}

int net_first_address(char ret[static 16], struct err *err)
{
	struct addr_list have = { 0 };
	own_rtnl nl = { 0 };
	int r = rtnl_open(&nl, -1, NETLINK_ROUTE, err);
	int found = 0;

	if (r == 0)
		r = addrs_list(&nl, 0, &have, err);
	for (size_t i = 0; r == 0 && !found && i < have.n; i++)
		if (have.v[i].addr.family == AF_INET && have.v[i].scope == RT_SCOPE_UNIVERSE)
			found = if_indextoname((unsigned)have.v[i].ifindex, ret) != NULL;
	addr_list_done(&have);
	return r < 0 ? r : found;
}
