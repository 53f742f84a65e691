#include "netns/parent.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

#include "netns/net.h"
#include "supervisor/base/num.h"

/* ---- the host's way out ------------------------------------------------------------------------- */

enum { DEFAULTS_MAX = 16, CHAIN_MAX = 8 };

/* The links of the default routes. */
struct defaults {
	int v[DEFAULTS_MAX];
	size_t n;
};

static void default_add(struct defaults *defaults, int ifindex)
{
	if (ifindex && defaults->n < DEFAULTS_MAX)
		defaults->v[defaults->n++] = ifindex;
}

static void reply_route(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *route = nlmsg_data(header);
	struct nlattr *attrs[RTA_MAX + 1];
	const struct rtnexthop *hop;
	int left;

	if (header->nlmsg_type != RTM_NEWROUTE || route->rtm_dst_len != 0 ||
		route->rtm_type != RTN_UNICAST ||
		nlmsg_parse((struct nlmsghdr *)(uintptr_t)header, sizeof *route, attrs, RTA_MAX,
			NULL) < 0)
		return;
	if (attrs[RTA_OIF])
		default_add(data, (int)nla_get_u32(attrs[RTA_OIF]));
	if (!attrs[RTA_MULTIPATH])
		return;
	left = nla_len(attrs[RTA_MULTIPATH]);
	for (hop = nla_data(attrs[RTA_MULTIPATH]); RTNH_OK(hop, left);) {
		default_add(data, hop->rtnh_ifindex);
		left -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

/* Does the link of a default route stand on `link`: is it that, does it sit on it (a VLAN), or is
 * `link` a port of it? */
static int stands_on(
	struct rtnl *nl, int ifindex, const struct link_info *link, char *ret, struct err *err)
{
	char name[IFNAMSIZ] = "";

	for (int i = 0; i < CHAIN_MAX && ifindex; i++) {
		struct link_info at;
		int r;

		link_ask_index(nl, ifindex, &at);
		r = rtnl_commit(nl, err);
		if (r < 0 || !at.found)
			return r;
		if (!*name)
			memcpy(name, at.name, sizeof name);
		if (at.ifindex == link->ifindex || at.ifindex == link->master) {
			memcpy(ret, name, sizeof name);
			return 0;
		}
		/* A veth's other end is not below it. */
		ifindex = strcmp(at.kind, "veth") == 0 ? 0 : at.peer;
	}
	return 0;
}

int link_is_uplink(
	struct rtnl *nl, const struct link_info *link, char ret[static IFNAMSIZ], struct err *err)
{
	const struct rtmsg all = { 0 };
	struct defaults defaults = { 0 };
	int r;

	ret[0] = '\0';
	rtnl_begin(nl, RTM_GETROUTE, NLM_F_DUMP, &all, sizeof all, "list the routes");
	rtnl_reply(nl, reply_route, &defaults);
	r = rtnl_commit(nl, err);
	for (size_t i = 0; r == 0 && !*ret && i < defaults.n; i++)
		r = stands_on(nl, defaults.v[i], link, ret, err);
	return r;
}

/* ---- parents ------------------------------------------------------------------------------------ */

static int parent_missing(const struct net_iface *iface, const char *ifname, struct err *err)
{
	const struct net_bridge *network = iface->bridge;

	return err_set(err, ENODEV, "attach %s to network %s: there is no %s %s", iface->ifname,
		network->name, network->driver == NET_BRIDGE ? "bridge" : "link", ifname);
}

static int bring_up(struct rtnl *nl, const struct link_info *link, struct err *err)
{
	const struct link_set set = { .up = true };

	if (link->flags & IFF_UP)
		return 0;
	link_change(nl, link->ifindex, link->name, &set);
	return rtnl_commit(nl, err);
}

/* "eth0.20" as a VLAN of eth0, when eth0 is there. */
static int vlan_make(
	struct rtnl *nl, const struct net_iface *iface, struct link_info *ret, struct err *err)
{
	const char *ifname = iface->bridge->ifname;
	const char *dot = strrchr(ifname, '.');
	struct link_info base;
	struct link_set set = { .up = true };
	char alias[LINK_ALIAS];
	char name[IFNAMSIZ];
	uint32_t vlan;
	int r;

	if (!dot || dot == ifname || num_u32(dot + 1, &vlan) < 0 || vlan < 1 || vlan > 4094)
		return parent_missing(iface, ifname, err);
	(void)snprintf(name, sizeof name, "%.*s", (int)(dot - ifname), ifname);
	link_ask(nl, name, &base);
	r = rtnl_commit(nl, err);
	if (r < 0 || !base.found)
		return r < 0 ? r : parent_missing(iface, name, err);
	r = bring_up(nl, &base, err);
	if (r < 0)
		return r;
	link_new_vlan(nl, ifname, base.ifindex, vlan);
	rtnl_allow(nl, EEXIST); /* another container's builder was faster */
	link_ask(nl, ifname, ret);
	r = rtnl_commit(nl, err);
	if (r < 0 || !ret->found)
		return r < 0 ? r : parent_missing(iface, ifname, err);
	/* The instance is the second word of each alias of ours. */
	(void)snprintf(alias, sizeof alias, "%.*s:vlan:%s",
		(int)(strcspn(iface->alias + 6, ":") + 6), iface->alias, ifname);
	set.alias = alias;
	link_change(nl, ret->ifindex, ifname, &set);
	return rtnl_commit(nl, err);
}

static int parent_check(
	struct rtnl *nl, const struct net_iface *iface, struct link_info *link, struct err *err)
{
	const struct net_bridge *network = iface->bridge;
	char uplink[IFNAMSIZ];
	int r;

	if (network->vlan && (strcmp(link->kind, "vlan") != 0 || link->vlan != network->vlan))
		return err_set(err, EINVAL, "attach %s to network %s: %s is not VLAN %u: rename it",
			iface->ifname, network->name, link->name, network->vlan);
	if (network->driver != NET_MACVLAN || network->mode != MACVLAN_MODE_PASSTHRU)
		return 0;
	r = link_is_uplink(nl, link, uplink, err);
	if (r < 0 || !*uplink)
		return r;
	return err_set(err, EINVAL,
		"attach %s to network %s: mode=passthru would take %s from the host, whose default "
		"route is by %s: use mode=bridge, or another link",
		iface->ifname, network->name, link->name, uplink);
}

static int unmanaged_check(
	const struct net_iface *iface, const struct link_info *link, struct err *err)
{
	const struct net_bridge *network = iface->bridge;

	if (strcmp(link->kind, "bridge") != 0)
		return err_set(err, EINVAL,
			"attach %s to network %s: %s is no bridge (mode=unmanaged needs one)",
			iface->ifname, network->name, link->name);
	if (network->vlan && !link->vlan)
		return err_set(err, EINVAL,
			"attach %s to network %s: bridge %s does not filter VLANs: remove vlan=%u, "
			"or turn its vlan_filtering on",
			iface->ifname, network->name, link->name, network->vlan);
	return 0;
}

int parent_ensure(
	struct rtnl *nl, const struct net_iface *iface, struct link_info *ret, struct err *err)
{
	const struct net_bridge *network = iface->bridge;
	int r;

	link_ask(nl, network->ifname, ret);
	r = rtnl_commit(nl, err);
	if (r < 0)
		return r;
	if (network->driver == NET_BRIDGE)
		return ret->found ? unmanaged_check(iface, ret, err)
				  : parent_missing(iface, network->ifname, err);
	r = ret->found ? bring_up(nl, ret, err) : vlan_make(nl, iface, ret, err);
	return r < 0 ? r : parent_check(nl, iface, ret, err);
}
