#include "netns/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/nft.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

/* Our own batch of a thousand ports is told of too, element by element. */
enum { ROOM = 1 << 20, IN_SIZE = 32768, MESSAGES_MAX = 1024 };

int net_watch_open(struct net_watch *watch, const char *instance, struct err *err)
{
	struct sockaddr_nl us = { .nl_family = AF_NETLINK };
	own_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	const int group = NFNLGRP_NFTABLES;
	const int room = ROOM;

	if (fd < 0 || bind(fd, (struct sockaddr *)&us, sizeof us) < 0 ||
		setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
		return err_sys(err, errno, "watch the packet rules");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	*watch = (struct net_watch){ .fd = fd_take(&fd) };
	(void)snprintf(watch->table, sizeof watch->table, "berth-%s", instance);
	return 0;
}

void net_watch_close(struct net_watch *watch)
{
	fd_close(&watch->fd);
}

static bool is_ours(const struct net_watch *watch, const struct nlmsghdr *h)
{
	/* NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, …_ELEM_LIST_TABLE */
	const struct nlattr *table = nft_attr(h, 1);

	return table &&
	       strncmp(mnl_attr_get_str(table), watch->table, mnl_attr_get_payload_len(table)) == 0;
}

static void learn_who(struct net_watch *watch, const struct nlmsghdr *h)
{
	const struct nlattr *name = nft_attr(h, NFTA_GEN_PROC_NAME);
	const struct nlattr *pid = nft_attr(h, NFTA_GEN_PROC_PID);

	watch->pid = pid ? ntohl(mnl_attr_get_u32(pid)) : 0;
	(void)snprintf(watch->who, sizeof watch->who, "%s", name ? mnl_attr_get_str(name) : "");
}

/* The changes of a transaction are told first, and after them, in a message of its own that may be late,
 * who made it: then they count. */
static void take_commit(struct net_watch *watch, const struct nlmsghdr *h)
{
	bool was = watch->hurt_inet || watch->hurt_bridge;

	watch->hurt_inet = watch->next_inet;
	watch->hurt_bridge = watch->next_bridge;
	if (!was && (watch->hurt_inet || watch->hurt_bridge))
		learn_who(watch, h);
}

/* Our own change ends with a table that is made anew, so that nothing of it counts as a loss. */
static void take_in(struct net_watch *watch, const struct nlmsghdr *h)
{
	const struct nfgenmsg *info = mnl_nlmsg_get_payload(h);
	bool *hurt;

	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
		mnl_nlmsg_get_payload_len(h) < sizeof *info)
		return;
	hurt = info->nfgen_family == NFPROTO_BRIDGE ? &watch->next_bridge : &watch->next_inet;
	switch (h->nlmsg_type & 0xff) {
	case NFT_MSG_NEWGEN:
		take_commit(watch, h);
		return;
	case NFT_MSG_NEWTABLE:
		*hurt = *hurt && !is_ours(watch, h);
		return;
	case NFT_MSG_DELTABLE:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_DELRULE:
	case NFT_MSG_DELSET:
	case NFT_MSG_DELSETELEM:
		*hurt = *hurt || is_ours(watch, h);
		return;
	default:
		return;
	}
}

int net_watch_read(struct net_watch *watch)
{
	_Alignas(struct nlmsghdr) uint8_t in[IN_SIZE];
	int lost = 0;

	for (int i = 0; i < MESSAGES_MAX; i++) {
		ssize_t got = recv(watch->fd, in, sizeof in, MSG_DONTWAIT);
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS)
			lost = 1;
		else if (got < 0)
			break;
		for (const struct nlmsghdr *h = (const struct nlmsghdr *)in;
			got > 0 && mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
			take_in(watch, h);
	}
	return lost;
}

void net_watch_forget(struct net_watch *watch)
{
	watch->hurt_inet = watch->hurt_bridge = watch->next_inet = watch->next_bridge = false;
}
