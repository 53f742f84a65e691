#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netns/net.h"
#include "netns/rtnl.h"

int net_link_probe(const char *kind, struct err *err)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	own_rtnl nl = { 0 };
	struct nlattr *nest;
	int r = rtnl_open(&nl, -1, NETLINK_ROUTE, err);

	if (r < 0)
		return r;
	rtnl_begin(
		&nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, "make a %s", kind);
	rtnl_text(&nl, IFLA_IFNAME, "probe0");
	nest = rtnl_nest(&nl, IFLA_LINKINFO);
	rtnl_text(&nl, IFLA_INFO_KIND, kind);
	rtnl_nest_end(&nl, nest);
	return rtnl_commit(&nl, err);
}
