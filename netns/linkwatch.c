#include "netns/linkwatch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netns/link.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

enum { READ_SIZE = 16384, READS_MAX = 64, ROOM = 1 << 20 };

int link_watch_open(struct err *err)
{
	struct sockaddr_nl us = { .nl_family = AF_NETLINK };
	own_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	const int group = RTNLGRP_LINK;
	const int room = ROOM;

	if (fd < 0 || bind(fd, (struct sockaddr *)&us, sizeof us) < 0 ||
		setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
		return err_sys(err, errno, "watch the links");
	/* Hundreds of links may come and go in one turn of the loop. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	return fd_take(&fd);
}

static void take_in(struct nlmsghdr *h, link_event_fn *fn, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	bool gone = h->nlmsg_type == RTM_DELLINK;
	struct link_info link = { 0 };

	/* What is told of AF_BRIDGE is about a bridge's own table of ports. */
	if ((!gone && h->nlmsg_type != RTM_NEWLINK) ||
		mnl_nlmsg_get_payload_len(h) < sizeof *info || info->ifi_family != AF_UNSPEC)
		return;
	h->nlmsg_type = RTM_NEWLINK;
	link_parse(h, &link);
	if (link.found && (gone || !link.master))
		fn(gone ? LINK_GONE : LINK_LOOSE, link.name, data);
}

void link_watch_read(int fd, link_event_fn *fn, void *data)
{
	_Alignas(struct nlmsghdr) uint8_t in[READ_SIZE];

	for (int i = 0; i < READS_MAX; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof from;
		ssize_t got = recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &size);
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS)
			fn(LINKS_LOST, "", data);
		else if (got < 0)
			return;
		/* Anybody may send us a datagram; only the kernel's count. */
		for (struct nlmsghdr *h = (struct nlmsghdr *)in;
			got > 0 && from.nl_pid == 0 && mnl_nlmsg_ok(h, left);
			h = mnl_nlmsg_next(h, &left))
			take_in(h, fn, data);
	}
}
