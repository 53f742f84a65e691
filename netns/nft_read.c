#include "netns/nft_read.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>

enum { IN_SIZE = 32768 };

const struct nlattr *nft_next_in(const struct nlattr *nest, const struct nlattr *attr)
{
	const char *end = (const char *)nest + nest->nla_len;

	attr = attr ? mnl_attr_next(attr) : mnl_attr_get_payload(nest);
	return mnl_attr_ok(attr, (int)(end - (const char *)attr)) ? attr : NULL;
}

const struct nlattr *nft_in_nest(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr = nest ? nft_next_in(nest, NULL) : NULL;

	while (attr && mnl_attr_get_type(attr) != type)
		attr = nft_next_in(nest, attr);
	return attr;
}

int nft_ask(struct mnl_socket *sock, const struct nft_question *question, mnl_cb_t read, void *data)
{
	_Alignas(struct nlmsghdr) char buf[IN_SIZE] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);
	ssize_t got;
	int r = MNL_CB_OK;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | question->type);
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	info->nfgen_family = question->family;
	/* NFTA_RULE_TABLE, NFTA_SET_ELEM_LIST_TABLE */
	if (question->table)
		mnl_attr_put_strz(h, 1, question->table);
	if (question->name)
		mnl_attr_put_strz(h, question->name_attr, question->name);
	if (mnl_socket_sendto(sock, h, h->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		got = mnl_socket_recvfrom(sock, buf, sizeof buf);
		if (got < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)got, 0, 0, read, data);
	}
	return r == MNL_CB_STOP || errno == ENOENT ? 0 : -errno;
}
