/* What the firewall of the host does with packets that are forwarded: looked at, never touched. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#include "netns/net.h"
#include "netns/nft.h"

struct look {
	char ours[64];
	void (*tell)(const char *family, const char *table, const char *chain, void *data);
	void *data;
};

static const char *family_name(uint8_t family)
{
	return family == NFPROTO_INET   ? "inet"
	       : family == NFPROTO_IPV4 ? "ip"
	       : family == NFPROTO_IPV6 ? "ip6"
					: NULL;
}

static uint32_t hook_of(const struct nlattr *nest)
{
	const struct nlattr *attr;
	const char *end = (const char *)mnl_attr_get_payload(nest) + mnl_attr_get_payload_len(nest);

	for (attr = mnl_attr_get_payload(nest); mnl_attr_ok(attr, (int)(end - (const char *)attr));
		attr = mnl_attr_next(attr))
		if (mnl_attr_get_type(attr) == NFTA_HOOK_HOOKNUM)
			return ntohl(mnl_attr_get_u32(attr));
	return UINT32_MAX;
}

static int on_chain(const struct nlmsghdr *h, void *data)
{
	const struct nfgenmsg *info = mnl_nlmsg_get_payload(h);
	const struct nlattr *table = nft_attr(h, NFTA_CHAIN_TABLE);
	const struct nlattr *name = nft_attr(h, NFTA_CHAIN_NAME);
	const struct nlattr *hook = nft_attr(h, NFTA_CHAIN_HOOK);
	const struct nlattr *policy = nft_attr(h, NFTA_CHAIN_POLICY);
	const char *family = family_name(info->nfgen_family);
	const struct look *look = data;

	if (family && table && name && hook && policy && hook_of(hook) == NF_INET_FORWARD &&
		ntohl(mnl_attr_get_u32(policy)) == NF_DROP &&
		strcmp(mnl_attr_get_str(table), look->ours) != 0)
		look->tell(family, mnl_attr_get_str(table), mnl_attr_get_str(name), look->data);
	return MNL_CB_OK;
}

void net_walls_of_others(const char *instance,
	void (*tell)(const char *family, const char *table, const char *chain, void *data),
	void *data)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct look look = { .tell = tell, .data = data };
	_Alignas(struct nlmsghdr) char buf[16384] = { 0 };
	struct nlmsghdr *ask = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *info = mnl_nlmsg_put_extra_header(ask, sizeof *info);
	ssize_t got;

	(void)snprintf(look.ours, sizeof look.ours, "berth-%s", instance);
	ask->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
	ask->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	info->nfgen_family = NFPROTO_UNSPEC;
	if (!sock)
		return;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) == 0 &&
		mnl_socket_sendto(sock, ask, ask->nlmsg_len) > 0)
		while ((got = mnl_socket_recvfrom(sock, buf, sizeof buf)) > 0 &&
			mnl_cb_run(buf, (size_t)got, 0, 0, on_chain, &look) > MNL_CB_STOP)
			continue;
	(void)mnl_socket_close(sock);
}
