/* What is there, for people who ask and for the reconcile: a link with its addresses, routes and
 * counters, and how an interface of a container differs from what was asked for. */
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "netns/addrs.h"
#include "netns/link.h"
#include "netns/net.h"

struct routes {
	struct net_view *view;
	int ifindex;
};

static void attr_addr(const struct nlattr *attr, uint8_t family, struct net_addr *ret)
{
	if (!attr || nla_len(attr) > (int)sizeof ret->bytes)
		return;
	*ret = (struct net_addr){ .family = family, .prefix = (uint8_t)(8 * nla_len(attr)) };
	memcpy(ret->bytes, nla_data(attr), (size_t)nla_len(attr));
}

/* Those that somebody wrote or that follow from an address: not the local and multicast ones. */
static void reply_route(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *msg = nlmsg_data(header);
	const struct routes *routes = data;
	struct nlattr *attrs[RTA_MAX + 1];
	struct net_view *view = routes->view;
	struct net_route route = { 0 };

	if (header->nlmsg_type != RTM_NEWROUTE || msg->rtm_type != RTN_UNICAST ||
		(msg->rtm_family != AF_INET && msg->rtm_family != AF_INET6) ||
		msg->rtm_table != RT_TABLE_MAIN || view->nroutes == NET_VIEW_ROUTES ||
		nlmsg_parse((struct nlmsghdr *)(uintptr_t)header, sizeof *msg, attrs, RTA_MAX,
			NULL) < 0 ||
		!attrs[RTA_OIF] || (int)nla_get_u32(attrs[RTA_OIF]) != routes->ifindex)
		return;
	attr_addr(attrs[RTA_DST], msg->rtm_family, &route.to);
	attr_addr(attrs[RTA_GATEWAY], msg->rtm_family, &route.via);
	route.to.family = msg->rtm_family;
	route.to.prefix = msg->rtm_dst_len;
	view->routes[view->nroutes++] = route;
}

static int look_routes(struct rtnl *nl, int ifindex, struct net_view *view, struct err *err)
{
	const struct rtmsg all = { 0 };
	struct routes routes = { view, ifindex };

	rtnl_begin(nl, RTM_GETROUTE, NLM_F_DUMP, &all, sizeof all, "list the routes");
	rtnl_reply(nl, reply_route, &routes);
	return rtnl_commit(nl, err);
}

static int look(struct rtnl *nl, const char *ifname, struct net_view *ret, struct err *err)
{
	struct addr_list list = { 0 };
	struct link_info link;
	int r;

	link_ask(nl, ifname, &link);
	r = rtnl_commit(nl, err);
	if (r < 0 || !link.found)
		return r;
	ret->found = true;
	ret->up = link.flags & IFF_UP;
	ret->mtu = link.mtu;
	memcpy(ret->mac, link.mac, sizeof ret->mac);
	memcpy(ret->kind, link.kind, sizeof ret->kind);
	memcpy(ret->alias, link.alias, sizeof ret->alias);
	usage_ask(nl, link.ifindex, &ret->usage);
	r = rtnl_commit(nl, err);
	if (r == 0)
		r = addrs_list(nl, link.ifindex, &list, err);
	for (size_t i = 0; r == 0 && i < list.n && ret->naddrs < NET_VIEW_ADDRS; i++)
		if (list.v[i].ifindex == link.ifindex)
			ret->addrs[ret->naddrs++] = list.v[i].addr;
	addr_list_done(&list);
	return r == 0 ? look_routes(nl, link.ifindex, ret, err) : r;
}

int net_look(int netns_fd, const char *ifname, struct net_view *ret, struct err *err)
{
	own_rtnl nl = { 0 };
	int r = rtnl_open(&nl, netns_fd, NETLINK_ROUTE, err);

	*ret = (struct net_view){ 0 };
	return r < 0 ? r : look(&nl, ifname, ret, err);
}

bool net_view_has(const struct net_view *view, const struct net_addr *addr)
{
	for (size_t i = 0; i < view->naddrs; i++)
		if (view->addrs[i].family == addr->family &&
			memcmp(view->addrs[i].bytes, addr->bytes, sizeof addr->bytes) == 0)
			return true;
	return !addr->family;
}

/* ---- an interface of a container ---------------------------------------------------------------- */

static int is_plugged(const struct net_iface *iface, struct err *err)
{
	own_rtnl nl = { 0 };
	struct link_info bridge;
	struct link_info host;
	int r;

	/* A macvlan or ipvlan has no outer end. */
	if (iface->bridge->driver != NET_BRIDGE)
		return 1;
	r = rtnl_open(&nl, -1, NETLINK_ROUTE, err);
	if (r < 0)
		return r;
	link_ask(&nl, iface->bridge->ifname, &bridge);
	link_ask(&nl, iface->host_ifname, &host);
	r = rtnl_commit(&nl, err);
	return r < 0 ? r : bridge.found && host.found && host.master == bridge.ifindex;
}

static bool has_family(const struct net_view *view, uint8_t family)
{
	for (size_t i = 0; i < view->naddrs; i++)
		if (view->addrs[i].family == family)
			return true;
	return false;
}

static bool has_default(const struct net_view *view, uint8_t family)
{
	for (size_t i = 0; i < view->nroutes; i++)
		if (view->routes[i].to.family == family && view->routes[i].to.prefix == 0)
			return true;
	return false;
}

/* An interface without even the address that the kernel gives it has IPv6 switched off (Sysctl=). */
static bool is_wanted(const struct net_view *view, uint8_t family)
{
	return family == AF_INET || has_family(view, AF_INET6);
}

static enum net_state compare_inside(const struct net_iface *iface, const struct net_view *view)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };

	if (!view->found)
		return NET_GONE;
	if (!view->up)
		return NET_DOWN;
	for (size_t i = 0; i < iface->naddrs; i++)
		if (is_wanted(view, iface->addrs[i].family) &&
			!net_view_has(view, &iface->addrs[i]))
			return NET_NO_ADDRESS;
	for (size_t i = 0; i < sizeof families; i++)
		if (net_iface_gateway(iface, families[i]) && is_wanted(view, families[i]) &&
			!has_default(view, families[i]))
			return NET_NO_ROUTE;
	return NET_RIGHT;
}

int net_compare(int netns_fd, const struct net_iface *iface, struct err *err)
{
	struct net_view view;
	int r = is_plugged(iface, err);

	if (r <= 0)
		return r < 0 ? r : NET_UNPLUGGED;
	if (netns_fd < 0)
		return NET_RIGHT;
	r = net_look(netns_fd, iface->ifname, &view, err);
	return r < 0 ? r : (int)compare_inside(iface, &view);
}
