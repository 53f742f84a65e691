#include "netns/addrs.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "netns/net.h"

static void list_add(struct addr_list *list, const struct addr_entry *entry)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		struct addr_entry *grown = realloc(list->v, cap * sizeof *grown);

		if (!grown) {
			list->failed = true;
			return;
		}
		list->v = grown;
		list->cap = cap;
	}
	list->v[list->n++] = *entry;
}

static void reply_addr(const struct nlmsghdr *header, void *data)
{
	const struct ifaddrmsg *info = nlmsg_data(header);
	struct nlattr *attrs[IFA_MAX + 1];
	struct addr_entry entry = { 0 };
	const struct nlattr *local;

	if (header->nlmsg_type != RTM_NEWADDR || nlmsg_parse((struct nlmsghdr *)(uintptr_t)header,
							 sizeof *info, attrs, IFA_MAX, NULL) < 0)
		return;
	local = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
	if (!local || nla_len(local) > (int)sizeof entry.addr.bytes)
		return;
	entry.ifindex = (int)info->ifa_index;
	entry.scope = info->ifa_scope;
	entry.permanent = info->ifa_flags & IFA_F_PERMANENT;
	entry.addr.family = info->ifa_family;
	entry.addr.prefix = info->ifa_prefixlen;
	memcpy(entry.addr.bytes, nla_data(local), (size_t)nla_len(local));
	list_add(data, &entry);
}

int addrs_list(struct rtnl *nl, int ifindex, struct addr_list *list, struct err *err)
{
	const struct ifaddrmsg info = { .ifa_index = (unsigned)ifindex };
	int r;

	rtnl_begin(nl, RTM_GETADDR, NLM_F_DUMP, &info, sizeof info, "list the addresses");
	rtnl_reply(nl, reply_addr, list);
	r = rtnl_commit(nl, err);
	if (r == 0 && list->failed)
		r = err_sys(err, ENOMEM, "list the addresses");
	return r;
}

void addr_list_done(struct addr_list *list)
{
	free(list->v);
	*list = (struct addr_list){ 0 };
}

bool addr_list_has(const struct addr_list *list, int ifindex, const struct net_addr *addr)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].ifindex == ifindex && net_addr_equal(&list->v[i].addr, addr))
			return true;
	return false;
}
