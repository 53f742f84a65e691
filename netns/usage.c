/* What went over a container's interfaces, as it counts itself. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <unistd.h>

#include "netns/link.h"
#include "netns/net.h"
#include "supervisor/base/own.h"

static void reply_stats(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *info = nlmsg_data(header);
	struct nlattr *attrs[IFLA_MAX + 1];
	struct rtnl_link_stats64 stats = { 0 };
	struct net_usage *sum = data;

	if (header->nlmsg_type != RTM_NEWLINK || info->ifi_flags & IFF_LOOPBACK ||
		nlmsg_parse((struct nlmsghdr *)(uintptr_t)header, sizeof *info, attrs, IFLA_MAX,
			NULL) < 0 ||
		!attrs[IFLA_STATS64])
		return;
	/* Kernels differ in the length of the structure, never in its beginning. */
	memcpy(&stats, nla_data(attrs[IFLA_STATS64]),
		(size_t)nla_len(attrs[IFLA_STATS64]) < sizeof stats
			? (size_t)nla_len(attrs[IFLA_STATS64])
			: sizeof stats);
	sum->rx_bytes += stats.rx_bytes;
	sum->rx_packets += stats.rx_packets;
	sum->rx_dropped += stats.rx_dropped + stats.rx_errors;
	sum->tx_bytes += stats.tx_bytes;
	sum->tx_packets += stats.tx_packets;
	sum->tx_dropped += stats.tx_dropped + stats.tx_errors;
}

void usage_ask(struct rtnl *nl, int ifindex, struct net_usage *ret)
{
	const struct ifinfomsg info = { .ifi_index = ifindex };

	rtnl_begin(nl, RTM_GETLINK, 0, &info, sizeof info, "count what a link carried");
	rtnl_reply(nl, reply_stats, ret);
}

int net_usage(const char *pin, struct net_usage *ret, struct err *err)
{
	const struct ifinfomsg info = { 0 };
	own_rtnl nl = { 0 };
	own_fd fd = open(pin, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	*ret = (struct net_usage){ 0 };
	if (fd < 0)
		return err_sys(err, errno, "open %s", pin);
	r = rtnl_open(&nl, fd, NETLINK_ROUTE, err);
	if (r < 0)
		return r;
	rtnl_begin(
		&nl, RTM_GETLINK, NLM_F_DUMP, &info, sizeof info, "count what the links carried");
	rtnl_reply(&nl, reply_stats, ret);
	return rtnl_commit(&nl, err);
}
