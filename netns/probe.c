#include <errno.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/net.h"
#include "netns/rtnl.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

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

/* Asks nf_tables for its generation; the kernel loads the module for it. */
int net_nft_probe(void)
{
	own_fd sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct {
		struct nlmsghdr head;
		struct nfgenmsg message;
	} ask = {
		.head = { .nlmsg_len = sizeof ask,
			.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
			.nlmsg_flags = NLM_F_REQUEST },
	};
	union {
		struct nlmsghdr head;
		char bytes[4096];
	} answer;
	const struct nlmsgerr *error;

	if (sock < 0 || send(sock, &ask, sizeof ask, 0) < 0)
		return -errno;
	if (recv(sock, &answer, sizeof answer, 0) < (ssize_t)sizeof answer.head)
		return -errno;
	if (answer.head.nlmsg_type != NLMSG_ERROR)
		return 0;
	error = (const struct nlmsgerr *)(const void *)(answer.bytes + NLMSG_HDRLEN);
	return error->error == -EINVAL ? -EOPNOTSUPP : error->error;
}

int net_ip6_probe(const char *ifname, struct err *err)
{
	char path[96];
	char off[8];

	(void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%.15s/disable_ipv6",
		ifname ? ifname : "default");
	if (ifname && access(path, F_OK) < 0)
		return net_ip6_probe(NULL, err);
	if (file_read_at(-1, path, off, sizeof off) <= 0)
		return err_set(err, EAFNOSUPPORT,
			"this kernel has no IPv6: boot it without ipv6.disable=1, build it with "
			"CONFIG_IPV6, or remove the IPv6 Subnet=");
	if (off[0] != '0')
		return err_set(err, EACCES,
			"this host has IPv6 switched off: set "
			"net.ipv6.conf.%s.disable_ipv6=0, or remove the IPv6 Subnet=",
			ifname ? ifname : "default");
	return 0;
}

int net_forward_probe(void)
{
	static const char path[] = "/proc/sys/net/ipv4/ip_forward";
	char on[8];

	if (file_read_at(-1, path, on, sizeof on) > 0 && on[0] == '1')
		return 0;
	return access(path, W_OK) < 0 && errno == EROFS ? -EROFS : 0;
}

bool net_has_nft(void)
{
	int r = net_nft_probe();

	return r != -EOPNOTSUPP && r != -EPROTONOSUPPORT && r != -EAFNOSUPPORT;
}
