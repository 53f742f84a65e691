#include "netns/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

#include "netns/net.h"

static void copy_text(char *to, size_t size, const struct nlattr *attr)
{
	if (attr)
		(void)snprintf(to, size, "%.*s", nla_len(attr), (const char *)nla_data(attr));
}

/* What its driver tells of it: IFLA_LINKINFO. */
static void parse_kind(struct nlattr *info, struct link_info *ret)
{
	struct nlattr *attrs[IFLA_INFO_MAX + 1];
	struct nlattr *data;
	struct nlattr *vlan;

	if (nla_parse_nested(attrs, IFLA_INFO_MAX, info, NULL) < 0)
		return;
	copy_text(ret->kind, sizeof ret->kind, attrs[IFLA_INFO_KIND]);
	data = attrs[IFLA_INFO_SLAVE_DATA];
	if (data && attrs[IFLA_INFO_SLAVE_KIND] &&
		strcmp(nla_data(attrs[IFLA_INFO_SLAVE_KIND]), "bridge") == 0 &&
		(data = nla_find(nla_data(data), nla_len(data), IFLA_BRPORT_STATE)))
		ret->forwards = nla_get_u8(data) == BR_STATE_FORWARDING;
	data = attrs[IFLA_INFO_DATA];
	if (!data)
		return;
	if (strcmp(ret->kind, "macvlan") == 0 &&
		(vlan = nla_find(nla_data(data), nla_len(data), IFLA_MACVLAN_MODE)))
		ret->mode = nla_get_u32(vlan);
	else if (strcmp(ret->kind, "ipvlan") == 0 &&
		 (vlan = nla_find(nla_data(data), nla_len(data), IFLA_IPVLAN_MODE)))
		ret->mode = nla_get_u16(vlan);
	else if (strcmp(ret->kind, "vlan") == 0 &&
		 (vlan = nla_find(nla_data(data), nla_len(data), IFLA_VLAN_ID)))
		ret->vlan = nla_get_u16(vlan);
	if (strcmp(ret->kind, "bridge") != 0)
		return;
	vlan = nla_find(nla_data(data), nla_len(data), IFLA_BR_VLAN_FILTERING);
	if (vlan && nla_get_u8(vlan) &&
		(vlan = nla_find(nla_data(data), nla_len(data), IFLA_BR_VLAN_DEFAULT_PVID)))
		ret->vlan = nla_get_u16(vlan);
}

void link_parse(const struct nlmsghdr *header, struct link_info *ret)
{
	const struct ifinfomsg *info = nlmsg_data(header);
	struct nlattr *attrs[IFLA_MAX + 1];
	struct link_info link = { .found = true };

	if (header->nlmsg_type != RTM_NEWLINK || nlmsg_parse((struct nlmsghdr *)(uintptr_t)header,
							 sizeof *info, attrs, IFLA_MAX, NULL) < 0)
		return;
	link.ifindex = info->ifi_index;
	link.flags = info->ifi_flags;
	if (attrs[IFLA_MASTER])
		link.master = (int)nla_get_u32(attrs[IFLA_MASTER]);
	if (attrs[IFLA_LINK])
		link.peer = (int)nla_get_u32(attrs[IFLA_LINK]);
	if (attrs[IFLA_MTU])
		link.mtu = nla_get_u32(attrs[IFLA_MTU]);
	if (attrs[IFLA_ADDRESS] && nla_len(attrs[IFLA_ADDRESS]) == 6)
		memcpy(link.mac, nla_data(attrs[IFLA_ADDRESS]), 6);
	if (attrs[IFLA_LINKINFO])
		parse_kind(attrs[IFLA_LINKINFO], &link);
	copy_text(link.name, sizeof link.name, attrs[IFLA_IFNAME]);
	copy_text(link.alias, sizeof link.alias, attrs[IFLA_IFALIAS]);
	*ret = link;
}

static void reply_link(const struct nlmsghdr *header, void *data)
{
	link_parse(header, data);
}

void link_ask(struct rtnl *nl, const char *ifname, struct link_info *ret)
{
	const struct ifinfomsg info = { 0 };

	*ret = (struct link_info){ 0 };
	rtnl_begin(nl, RTM_GETLINK, 0, &info, sizeof info, "look for link %s", ifname);
	rtnl_text(nl, IFLA_IFNAME, ifname);
	rtnl_u32(nl, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	rtnl_reply(nl, reply_link, ret);
	rtnl_allow(nl, ENODEV);
}

void link_ask_index(struct rtnl *nl, int ifindex, struct link_info *ret)
{
	const struct ifinfomsg info = { .ifi_index = ifindex };

	*ret = (struct link_info){ 0 };
	rtnl_begin(nl, RTM_GETLINK, 0, &info, sizeof info, "look for link number %d", ifindex);
	rtnl_u32(nl, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	rtnl_reply(nl, reply_link, ret);
	rtnl_allow(nl, ENODEV);
}

void link_ask_all(struct rtnl *nl, rtnl_reply_fn *reply, void *data)
{
	const struct ifinfomsg info = { 0 };

	rtnl_begin(nl, RTM_GETLINK, NLM_F_DUMP, &info, sizeof info, "list the links");
	rtnl_u32(nl, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	rtnl_reply(nl, reply, data);
}

static void put_mac(struct rtnl *nl, const uint8_t *mac)
{
	static const uint8_t none[6];

	if (mac && memcmp(mac, none, sizeof none) != 0)
		rtnl_put(nl, IFLA_ADDRESS, mac, 6);
}

/* Everything but the alias, which the kernel does not take at birth. */
static void put_set(struct rtnl *nl, const struct link_set *set)
{
	put_mac(nl, set->mac);
	if (set->mtu)
		rtnl_u32(nl, IFLA_MTU, set->mtu);
	if (set->master)
		rtnl_u32(nl, IFLA_MASTER, (uint32_t)set->master);
}

void link_new_bridge(struct rtnl *nl, const char *ifname, const struct link_set *set)
{
	const struct ifinfomsg info = { .ifi_flags = set->up ? IFF_UP : 0, .ifi_change = IFF_UP };
	struct nlattr *link;
	struct nlattr *bridge;

	rtnl_begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info,
		"create bridge %s", ifname);
	rtnl_text(nl, IFLA_IFNAME, ifname);
	put_set(nl, set);
	link = rtnl_nest(nl, IFLA_LINKINFO);
	rtnl_text(nl, IFLA_INFO_KIND, "bridge");
	bridge = rtnl_nest(nl, IFLA_INFO_DATA);
	/* Ports forward from the first moment; there are no loops among our own veth pairs. */
	rtnl_u32(nl, IFLA_BR_FORWARD_DELAY, 0);
	rtnl_u32(nl, IFLA_BR_STP_STATE, 0);
	rtnl_nest_end(nl, bridge);
	rtnl_nest_end(nl, link);
}

void link_new_veth(struct rtnl *nl, const char *ifname, const struct link_set *set, int netns_fd,
	const char *peer_ifname, const uint8_t *peer_mac)
{
	const struct ifinfomsg info = { .ifi_flags = set->up ? IFF_UP : 0, .ifi_change = IFF_UP };
	/* It cannot be born up: a veth end opens only when it has its peer. */
	const struct ifinfomsg peer_info = { 0 };
	struct nlattr *link;
	struct nlattr *veth;
	struct nlattr *peer;

	rtnl_begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info,
		"create veth pair %s and %s", ifname, peer_ifname);
	rtnl_text(nl, IFLA_IFNAME, ifname);
	put_set(nl, set);
	link = rtnl_nest(nl, IFLA_LINKINFO);
	rtnl_text(nl, IFLA_INFO_KIND, "veth");
	veth = rtnl_nest(nl, IFLA_INFO_DATA);
	peer = rtnl_nest(nl, VETH_INFO_PEER);
	rtnl_raw(nl, &peer_info, sizeof peer_info);
	rtnl_text(nl, IFLA_IFNAME, peer_ifname);
	rtnl_u32(nl, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	put_mac(nl, peer_mac);
	if (set->mtu)
		rtnl_u32(nl, IFLA_MTU, set->mtu);
	rtnl_nest_end(nl, peer);
	rtnl_nest_end(nl, veth);
	rtnl_nest_end(nl, link);
}

void link_new_child(struct rtnl *nl, const struct net_iface *iface, int parent, int netns_fd)
{
	const struct ifinfomsg info = { 0 };
	const struct net_bridge *network = iface->bridge;
	const char *kind = network->driver == NET_MACVLAN ? "macvlan" : "ipvlan";
	const uint16_t mode = network->mode;
	struct nlattr *link;
	struct nlattr *data;

	rtnl_begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info,
		"create %s %s on %s", kind, iface->ifname, network->ifname);
	rtnl_text(nl, IFLA_IFNAME, iface->ifname);
	rtnl_u32(nl, IFLA_LINK, (uint32_t)parent);
	rtnl_u32(nl, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	put_mac(nl, iface->mac);
	if (network->mtu)
		rtnl_u32(nl, IFLA_MTU, network->mtu);
	link = rtnl_nest(nl, IFLA_LINKINFO);
	rtnl_text(nl, IFLA_INFO_KIND, kind);
	data = rtnl_nest(nl, IFLA_INFO_DATA);
	if (network->driver == NET_MACVLAN)
		rtnl_u32(nl, IFLA_MACVLAN_MODE, mode);
	else
		rtnl_put(nl, IFLA_IPVLAN_MODE, &mode, sizeof mode);
	rtnl_nest_end(nl, data);
	rtnl_nest_end(nl, link);
}

void link_new_vlan(struct rtnl *nl, const char *ifname, int parent, unsigned vlan)
{
	const struct ifinfomsg info = { 0 };
	const uint16_t id = (uint16_t)vlan;
	struct nlattr *link;
	struct nlattr *data;

	rtnl_begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info, "create VLAN %s",
		ifname);
	rtnl_text(nl, IFLA_IFNAME, ifname);
	rtnl_u32(nl, IFLA_LINK, (uint32_t)parent);
	link = rtnl_nest(nl, IFLA_LINKINFO);
	rtnl_text(nl, IFLA_INFO_KIND, "vlan");
	data = rtnl_nest(nl, IFLA_INFO_DATA);
	rtnl_put(nl, IFLA_VLAN_ID, &id, sizeof id);
	rtnl_nest_end(nl, data);
	rtnl_nest_end(nl, link);
}

void link_change(struct rtnl *nl, int ifindex, const char *ifname, const struct link_set *set)
{
	const struct ifinfomsg info = {
		.ifi_index = ifindex,
		.ifi_flags = set->up ? IFF_UP : 0,
		.ifi_change = set->up ? IFF_UP : 0,
	};

	rtnl_begin(nl, RTM_NEWLINK, 0, &info, sizeof info, "set up link %s", ifname);
	put_set(nl, set);
	if (set->alias)
		rtnl_put(nl, IFLA_IFALIAS, set->alias, strlen(set->alias));
}

void link_hairpin(struct rtnl *nl, int ifindex, const char *ifname)
{
	const struct ifinfomsg info = { .ifi_index = ifindex };
	const uint8_t on = 1;
	struct nlattr *link;
	struct nlattr *port;

	rtnl_begin(nl, RTM_NEWLINK, 0, &info, sizeof info, "set up bridge port %s", ifname);
	link = rtnl_nest(nl, IFLA_LINKINFO);
	rtnl_text(nl, IFLA_INFO_SLAVE_KIND, "bridge");
	port = rtnl_nest(nl, IFLA_INFO_SLAVE_DATA);
	rtnl_put(nl, IFLA_BRPORT_MODE, &on, sizeof on);
	rtnl_nest_end(nl, port);
	rtnl_nest_end(nl, link);
}

static void bridge_setting(struct rtnl *nl, int ifindex, const char *ifname, uint16_t type,
	const void *value, size_t size)
{
	const struct ifinfomsg info = { .ifi_index = ifindex };
	struct nlattr *link;
	struct nlattr *data;

	rtnl_begin(nl, RTM_NEWLINK, 0, &info, sizeof info, "set the VLAN of bridge %s", ifname);
	link = rtnl_nest(nl, IFLA_LINKINFO);
	rtnl_text(nl, IFLA_INFO_KIND, "bridge");
	data = rtnl_nest(nl, IFLA_INFO_DATA);
	rtnl_put(nl, type, value, size);
	rtnl_nest_end(nl, data);
	rtnl_nest_end(nl, link);
}

void link_bridge_vlan(struct rtnl *nl, int ifindex, const char *ifname, unsigned vlan)
{
	const uint8_t off = 0;
	const uint8_t on = 1;
	const uint16_t pvid = (uint16_t)(vlan ? vlan : 1);

	bridge_setting(nl, ifindex, ifname, IFLA_BR_VLAN_FILTERING, &off, sizeof off);
	bridge_setting(nl, ifindex, ifname, IFLA_BR_VLAN_DEFAULT_PVID, &pvid, sizeof pvid);
	if (vlan)
		bridge_setting(nl, ifindex, ifname, IFLA_BR_VLAN_FILTERING, &on, sizeof on);
}

static void port_vlan(struct rtnl *nl, uint16_t type, int ifindex, const char *ifname,
	struct bridge_vlan_info vlan)
{
	const struct ifinfomsg info = { .ifi_family = AF_BRIDGE, .ifi_index = ifindex };
	struct nlattr *spec;

	rtnl_begin(nl, type, 0, &info, sizeof info, "set the VLAN of bridge port %s", ifname);
	spec = rtnl_nest(nl, IFLA_AF_SPEC);
	rtnl_put(nl, IFLA_BRIDGE_VLAN_INFO, &vlan, sizeof vlan);
	rtnl_nest_end(nl, spec);
}

void link_port_vlan(struct rtnl *nl, int ifindex, const char *ifname, unsigned vlan, unsigned old)
{
	const struct bridge_vlan_info now = {
		.flags = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, .vid = (uint16_t)vlan
	};
	const struct bridge_vlan_info then = { .vid = (uint16_t)old };

	port_vlan(nl, RTM_SETLINK, ifindex, ifname, now);
	if (!old || old == vlan)
		return;
	port_vlan(nl, RTM_DELLINK, ifindex, ifname, then);
	rtnl_allow(nl, ENOENT);
}

void link_delete(struct rtnl *nl, int ifindex, const char *ifname)
{
	const struct ifinfomsg info = { .ifi_index = ifindex };

	rtnl_begin(nl, RTM_DELLINK, 0, &info, sizeof info, "delete link %s", ifname);
	rtnl_allow(nl, ENODEV);
}

static size_t addr_size(const struct net_addr *addr)
{
	return addr->family == AF_INET ? 4 : 16;
}

void addr_add(struct rtnl *nl, int ifindex, const struct net_addr *addr)
{
	struct ifaddrmsg info = {
		.ifa_family = addr->family,
		.ifa_prefixlen = addr->prefix,
		.ifa_index = (unsigned)ifindex,
		.ifa_flags = addr->family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_scope = RT_SCOPE_UNIVERSE,
	};

	rtnl_begin(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof info,
		"add address %s", net_addr_print(addr, false).text);
	rtnl_put(nl, IFA_LOCAL, addr->bytes, addr_size(addr));
	rtnl_put(nl, IFA_ADDRESS, addr->bytes, addr_size(addr));
	if (addr->family == AF_INET && addr->prefix < 31)
		rtnl_put(nl, IFA_BROADCAST, net_addr_nth(addr, net_addr_span(addr) - 1).bytes, 4);
}

void addr_lease(struct rtnl *nl, int ifindex, const struct net_addr *addr, uint32_t lifetime)
{
	const struct ifa_cacheinfo times = { .ifa_prefered = lifetime, .ifa_valid = lifetime };

	addr_add(nl, ifindex, addr);
	if (lifetime)
		rtnl_put(nl, IFA_CACHEINFO, &times, sizeof times);
}

void addr_delete(struct rtnl *nl, int ifindex, const struct net_addr *addr)
{
	const struct ifaddrmsg info = {
		.ifa_family = addr->family,
		.ifa_prefixlen = addr->prefix,
		.ifa_index = (unsigned)ifindex,
	};

	rtnl_begin(nl, RTM_DELADDR, 0, &info, sizeof info, "remove address %s",
		net_addr_print(addr, true).text);
	rtnl_put(nl, IFA_LOCAL, addr->bytes, addr_size(addr));
	rtnl_allow(nl, EADDRNOTAVAIL);
	rtnl_allow(nl, ENODEV);
}

static void route_begin(struct rtnl *nl, uint16_t type, int ifindex, const struct net_route *route,
	unsigned char protocol, unsigned rtm_flags)
{
	const struct rtmsg info = {
		.rtm_family = route->to.family,
		.rtm_dst_len = route->to.prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = protocol,
		.rtm_scope = route->via.family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST,
		.rtm_flags = rtm_flags,
	};
	const struct net_addr to = net_addr_network(&route->to);
	bool adds = type == RTM_NEWROUTE;
	char what[80] = "default route";

	if (to.prefix)
		(void)snprintf(what, sizeof what, "route to %s", net_addr_print(&to, true).text);
	rtnl_begin(nl, type, adds ? NLM_F_CREATE | NLM_F_REPLACE : 0, &info, sizeof info,
		"%s the %s through %s", adds ? "set" : "remove", what,
		route->via.family ? net_addr_print(&route->via, false).text : "the link");
	if (to.prefix)
		rtnl_put(nl, RTA_DST, to.bytes, addr_size(&to));
	if (route->via.family)
		rtnl_put(nl, RTA_GATEWAY, route->via.bytes, addr_size(&route->via));
	rtnl_u32(nl, RTA_OIF, (uint32_t)ifindex);
}

void route_default(struct rtnl *nl, int ifindex, const struct net_addr *gateway, bool direct)
{
	struct net_route route = { .to.family = gateway->family };

	if (!direct)
		route.via = *gateway;
	route_begin(nl, RTM_NEWROUTE, ifindex, &route, RTPROT_STATIC, 0);
}

void route_metric(struct rtnl *nl, int ifindex, const struct net_route *route, uint32_t metric,
	bool leased, bool onlink)
{
	route_begin(nl, RTM_NEWROUTE, ifindex, route, leased ? RTPROT_DHCP : RTPROT_STATIC,
		onlink ? RTNH_F_ONLINK : 0);
	rtnl_u32(nl, RTA_PRIORITY, metric);
}

void route_metric_delete(
	struct rtnl *nl, int ifindex, const struct net_route *route, uint32_t metric, bool leased)
{
	route_begin(nl, RTM_DELROUTE, ifindex, route, leased ? RTPROT_DHCP : RTPROT_STATIC, 0);
	rtnl_u32(nl, RTA_PRIORITY, metric);
	rtnl_allow(nl, ESRCH);
}

void link_alias_mac(const char *alias, uint8_t ret[static 6])
{
	char seed[LINK_ALIAS + 8];

	/* Not the seed that anybody else would take for the other end. */
	(void)snprintf(seed, sizeof seed, "host:%s", alias);
	net_mac(seed, ret);
}

bool link_is_ours(const struct link_info *link, const char *alias)
{
	uint8_t mac[6];

	if (*link->alias)
		return strcmp(link->alias, alias) == 0;
	link_alias_mac(alias, mac);
	return memcmp(link->mac, mac, 6) == 0;
}
