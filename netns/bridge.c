/* A bridge of ours: made when missing, brought to what is asked when it is there. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "netns/addrs.h"
#include "netns/link.h"
#include "netns/net.h"
#include "netns/netns.h"

static int not_ours(const struct net_bridge *bridge, const struct link_info *link, struct err *err)
{
	return err_set(err, EEXIST,
		"network %s: interface %s exists and is not ours (%s%s%s%s): remove it, or set "
		"InterfaceName= to another name",
		bridge->name, link->name, *link->kind ? "a " : "a device", link->kind,
		*link->alias ? ", alias " : "", link->alias);
}

static int bridge_create(struct rtnl *nl, const struct net_bridge *bridge, const char *alias,
	struct link_info *link, struct err *err)
{
	uint8_t mac[6];
	const struct link_set set = { .mac = mac, .mtu = bridge->mtu };
	int r;

	/* A MAC address of its own: the kernel's choice would change with the ports. */
	link_alias_mac(alias, mac);
	link_new_bridge(nl, bridge->ifname, &set);
	link_ask(nl, bridge->ifname, link);
	r = rtnl_commit(nl, err);
	if (r == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			"create bridge %s: the kernel has no bridges: modprobe bridge, or build it "
			"with CONFIG_BRIDGE",
			bridge->ifname);
	if (r == 0 && !link->found)
		return err_sys(err, ENODEV, "create bridge %s", bridge->ifname);
	return r;
}

/* What carries the bridge's name: ours, with its addresses, or nothing yet. */
static int bridge_find(struct rtnl *nl, const struct net_bridge *bridge, const char *alias,
	struct link_info *link, struct addr_list *have, struct err *err)
{
	int r;

	link_ask(nl, bridge->ifname, link);
	r = rtnl_commit(nl, err);
	if (r < 0 || !link->found)
		return r;
	if (strcmp(link->kind, "bridge") != 0 || !link_is_ours(link, alias))
		return not_ours(bridge, link, err);
	return addrs_list(nl, link->ifindex, have, err);
}

static bool is_gateway(const struct net_bridge *bridge, const struct net_addr *addr)
{
	for (size_t i = 0; i < bridge->nsubnets; i++)
		if (net_addr_equal(&bridge->subnets[i].gateway, addr))
			return true;
	return false;
}

/* Addresses of an older Subnet= would keep their routes. */
static int leave_old(struct rtnl *nl, const struct net_bridge *bridge, int ifindex,
	const struct addr_list *have, struct err *err)
{
	for (size_t i = 0; i < have->n; i++)
		if (have->v[i].ifindex == ifindex && have->v[i].scope == RT_SCOPE_UNIVERSE &&
			!is_gateway(bridge, &have->v[i].addr))
			addr_delete(nl, ifindex, &have->v[i].addr);
	return rtnl_commit(nl, err);
}

static int bridge_configure(struct rtnl *nl, const struct net_bridge *bridge, const char *alias,
	const struct link_info *link, struct err *err)
{
	const struct link_set set = { .alias = alias, .mtu = bridge->mtu, .up = true };

	if (link->vlan != bridge->vlan)
		link_bridge_vlan(nl, link->ifindex, bridge->ifname, bridge->vlan);
	link_change(nl, link->ifindex, bridge->ifname, &set);
	for (size_t i = 0; i < bridge->nsubnets; i++)
		if (bridge->subnets[i].gateway.family)
			addr_add(nl, link->ifindex, &bridge->subnets[i].gateway);
	return rtnl_commit(nl, err);
}

/* ---- what the host has already ------------------------------------------------------------------ */

/* A route of the host into a subnet that we are about to use. */
struct clash {
	const struct net_bridge *bridge;
	int ifindex; /* of the bridge, whose own routes are none; 0: it is not there yet */
	const struct addr_list *have; /* its addresses */
	const struct net_subnet *subnet;
	struct net_addr route;
	int oif;
};

/* A wider route by a gateway (a VPN's) leads elsewhere than to its neighbours: a part of it may be
 * ours. A wider one of a link is the network that the host itself is on. */
static bool clashes(const struct net_addr *subnet, const struct net_addr *route, bool gateway)
{
	return net_addr_overlap(subnet, route) && (!gateway || route->prefix >= subnet->prefix);
}

/* What has been in use for long is not refused for a route that came later. */
static bool is_used(const struct clash *clash, const struct net_subnet *subnet)
{
	return addr_list_has(clash->have, clash->ifindex, &subnet->gateway);
}

static const struct net_subnet *clash_find(
	const struct clash *clash, const struct net_addr *route, bool gateway)
{
	for (size_t i = 0; i < clash->bridge->nsubnets; i++) {
		const struct net_subnet *subnet = &clash->bridge->subnets[i];

		if (clashes(&subnet->net, route, gateway) && !is_used(clash, subnet))
			return subnet;
	}
	return NULL;
}

static void reply_route(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *msg = nlmsg_data(header);
	struct nlattr *attrs[RTA_MAX + 1];
	struct clash *clash = data;
	struct net_addr route = { .family = msg->rtm_family, .prefix = msg->rtm_dst_len };
	const struct net_subnet *subnet;
	int oif;

	if (header->nlmsg_type != RTM_NEWROUTE || msg->rtm_type != RTN_UNICAST ||
		msg->rtm_dst_len == 0 ||
		nlmsg_parse((struct nlmsghdr *)(uintptr_t)header, sizeof *msg, attrs, RTA_MAX,
			NULL) < 0 ||
		!attrs[RTA_DST] || nla_len(attrs[RTA_DST]) > (int)sizeof route.bytes)
		return;
	oif = attrs[RTA_OIF] ? (int)nla_get_u32(attrs[RTA_OIF]) : 0;
	memcpy(route.bytes, nla_data(attrs[RTA_DST]), (size_t)nla_len(attrs[RTA_DST]));
	subnet = clash_find(clash, &route, attrs[RTA_GATEWAY] || !oif);
	if ((oif && oif == clash->ifindex) || !subnet)
		return;
	clash->subnet = subnet;
	clash->route = route;
	clash->oif = oif;
}

static int routes_check(struct rtnl *nl, const struct net_bridge *bridge, int ifindex,
	const struct addr_list *have, struct err *err)
{
	const struct rtmsg all = { 0 };
	struct clash clash = { .bridge = bridge, .ifindex = ifindex, .have = have };
	char ifname[IFNAMSIZ] = "another link";
	size_t used = 0;
	int r;

	while (used < bridge->nsubnets && is_used(&clash, &bridge->subnets[used]))
		used++;
	if (used == bridge->nsubnets)
		return 0;
	rtnl_begin(nl, RTM_GETROUTE, NLM_F_DUMP, &all, sizeof all, "list the routes");
	rtnl_reply(nl, reply_route, &clash);
	r = rtnl_commit(nl, err);
	if (r < 0 || !clash.subnet)
		return r;
	(void)if_indextoname((unsigned)clash.oif, ifname);
	return err_set(err, EADDRINUSE,
		"network %s: its subnet %s overlaps the host's route to %s by %s: choose another "
		"with Subnet=%s",
		bridge->name, net_addr_print(&clash.subnet->net, true).text,
		net_addr_print(&clash.route, true).text, ifname,
		strcmp(bridge->name, "default") == 0 ? " in a file default.network" : "");
}

static int bridge_bring(
	struct rtnl *nl, const struct net_bridge *bridge, const char *alias, struct err *err)
{
	struct addr_list have = { 0 };
	struct err refused = { 0 };
	struct link_info link;
	int r = bridge_find(nl, bridge, alias, &link, &have, err);

	if (r == 0 && net_subnet_first(bridge, AF_INET6) && net_ip6_probe(bridge->ifname, err) < 0)
		r = err_wrap(err, "network %s", bridge->name);
	if (r == 0 && link.found)
		r = leave_old(nl, bridge, link.ifindex, &have, err);
	if (r == 0)
		r = routes_check(nl, bridge, link.ifindex, &have, err);
	addr_list_done(&have);
	if (r == 0 && !link.found)
		r = bridge_create(nl, bridge, alias, &link, err);
	if (r < 0)
		return r;
	/* Before it is up: no container may change the host's routes by a router advertisement. A kernel
	 * without IPv6 has no such file, and no such danger. */
	r = netns_sysctl("0", &refused, "ipv6/conf/%s/accept_ra", bridge->ifname);
	if (r < 0 && r != -ENOENT)
		return err_set(err, -r, "%s", refused.text);
	return bridge_configure(nl, bridge, alias, &link, err);
}

static int bridge_alias(const char *instance, const struct net_bridge *bridge,
	char ret[static LINK_ALIAS], struct err *err)
{
	if (strlen(bridge->ifname) >= IFNAMSIZ)
		return err_set(err, EINVAL,
			"network %s: InterfaceName=%s is longer than 15 characters", bridge->name,
			bridge->ifname);
	if (snprintf(ret, LINK_ALIAS, "berth:%s:bridge:%s", instance, bridge->name) >= LINK_ALIAS)
		return err_set(err, EINVAL, "network %s: the name is too long", bridge->name);
	return 0;
}

int net_bridge_ensure(const char *instance, const struct net_bridge *bridge, struct err *err)
{
	char alias[LINK_ALIAS];
	own_rtnl nl = { 0 };
	int r;

	if (!net_is_ours(bridge))
		return 0;
	r = bridge_alias(instance, bridge, alias, err);
	if (r == 0)
		r = rtnl_open(&nl, -1, NETLINK_ROUTE, err);
	return r < 0 ? r : bridge_bring(&nl, bridge, alias, err);
}

int net_bridge_check(const char *instance, const struct net_bridge *bridge, struct err *err)
{
	char alias[LINK_ALIAS];
	struct addr_list have = { 0 };
	struct link_info link = { 0 };
	own_rtnl nl = { 0 };
	int r = bridge_alias(instance, bridge, alias, err);

	if (r == 0)
		r = rtnl_open(&nl, -1, NETLINK_ROUTE, err);
	if (r == 0)
		r = bridge_find(&nl, bridge, alias, &link, &have, err);
	if (r == 0)
		r = routes_check(&nl, bridge, link.ifindex, &have, err);
	addr_list_done(&have);
	return r;
}
