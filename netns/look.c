/* What is there, for people who ask: one link and its addresses. */
#include <string.h>

#include "netns/addrs.h"
#include "netns/link.h"
#include "netns/net.h"

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
	r = addrs_list(nl, link.ifindex, &list, err);
	for (size_t i = 0; r == 0 && i < list.n && ret->naddrs < NET_VIEW_ADDRS; i++)
		if (list.v[i].ifindex == link.ifindex)
			ret->addrs[ret->naddrs++] = list.v[i].addr;
	addr_list_done(&list);
	return r;
}

int net_look(int netns_fd, const char *ifname, struct net_view *ret, struct err *err)
{
	own_rtnl nl = { 0 };
	int r = rtnl_open(&nl, netns_fd, NETLINK_ROUTE, err);

	*ret = (struct net_view){ 0 };
	return r < 0 ? r : look(&nl, ifname, ret, err);
}
