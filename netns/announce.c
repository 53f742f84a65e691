/* New addresses told to the neighbours: RFC 5227 and RFC 4861, 7.2.6. The kernel would do it when the
 * link goes up (arp_notify, ndisc_notify), which is before the bridge opens the port. */
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "netns/link.h"
#include "netns/linkwatch.h"
#include "netns/net.h"
#include "netns/netns.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"

enum { HOPS = 255 };

#define PATIENCE NSEC_PER_SEC

/* ---- the messages -------------------------------------------------------------------------------- */

/* Who has the address? He who asks. */
struct arp_message {
	struct arphdr head;
	uint8_t sender_mac[6], sender[4], target_mac[6], target[4];
};

static void send_arp(int fd, const struct link_info *link, const struct net_addr *addr)
{
	struct arp_message message = { .head = { .ar_hrd = htons(ARPHRD_ETHER),
					       .ar_pro = htons(ETH_P_IP),
					       .ar_hln = 6,
					       .ar_pln = 4,
					       .ar_op = htons(ARPOP_REQUEST) } };
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ARP),
		.sll_ifindex = link->ifindex,
		.sll_halen = 6,
	};

	memset(to.sll_addr, 0xff, 6);
	memcpy(message.sender_mac, link->mac, 6);
	memcpy(message.sender, addr->bytes, 4);
	memcpy(message.target, addr->bytes, 4);
	(void)sendto(fd, &message, sizeof message, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
}

struct na_message {
	struct nd_neighbor_advert head;
	struct nd_opt_hdr option;
	uint8_t mac[6];
};

static void send_advertisement(int fd, const struct link_info *link, const struct net_addr *addr)
{
	struct na_message message = {
		.head = { .nd_na_type = ND_NEIGHBOR_ADVERT,
			.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE },
		.option = { .nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1 },
	};
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
		.sin6_scope_id = (uint32_t)link->ifindex,
		.sin6_addr = { { { 0xff, 0x02, [15] = 1 } } } };
	const int hops = HOPS;

	memcpy(&from.sin6_addr, addr->bytes, 16);
	memcpy(&message.head.nd_na_target, addr->bytes, 16);
	memcpy(message.mac, link->mac, 6);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) == 0 &&
		bind(fd, (struct sockaddr *)&from, sizeof from) == 0)
		(void)sendto(fd, &message, sizeof message, MSG_NOSIGNAL, (struct sockaddr *)&to,
			sizeof to);
}

/* ---- when ---------------------------------------------------------------------------------------- */

static void on_link(enum link_event event, const char *ifname, void *data)
{
	(void)event;
	(void)ifname;
	(void)data;
}

static bool all_forward(struct rtnl *nl, const struct net_iface *ifaces, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct link_info port;

		if (ifaces[i].bridge->driver != NET_BRIDGE)
			continue;
		link_ask(nl, ifaces[i].host_ifname, &port);
		if (rtnl_commit(nl, NULL) < 0)
			return true;
		if (port.found && port.master && !port.forwards)
			return false;
	}
	return true;
}

/* The kernel tells of each change of a port. */
static void await_ports(const struct net_iface *ifaces, size_t n)
{
	own_rtnl nl = { 0 };
	own_fd watch = link_watch_open(NULL);
	struct pollfd p = { .fd = watch, .events = POLLIN };
	uint64_t end = clock_monotonic() + PATIENCE;
	uint64_t now;

	if (watch < 0 || rtnl_open(&nl, -1, NETLINK_ROUTE, NULL) < 0)
		return;
	while (!all_forward(&nl, ifaces, n) && (now = clock_monotonic()) < end) {
		(void)poll(&p, 1, (int)((end - now) / NSEC_PER_MSEC) + 1);
		link_watch_read(watch, on_link, NULL);
	}
}

/* ---- together ------------------------------------------------------------------------------------ */

struct sockets {
	int arp, icmp;
};

static int open_sockets(int netns_fd, struct sockets *ret, struct err *err)
{
	int back = -1;
	int r = netns_enter(netns_fd, &back, err);

	if (r < 0)
		return r;
	/* Protocol 0: nothing is to be received. */
	ret->arp = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Where there is no IPv6 there is nothing to tell. */
	ret->icmp = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	if (ret->arp < 0)
		r = err_sys(err, errno, "open a packet socket");
	if (netns_leave(&back, err) < 0)
		r = -EIO;
	return r;
}

static void announce_one(
	const struct sockets *sockets, struct rtnl *inner, const struct net_iface *iface)
{
	struct link_info link;

	link_ask(inner, iface->ifname, &link);
	if (rtnl_commit(inner, NULL) < 0 || !link.found || (link.flags & IFF_NOARP))
		return;
	for (size_t i = 0; i < iface->naddrs; i++)
		if (iface->addrs[i].family == AF_INET)
			send_arp(sockets->arp, &link, &iface->addrs[i]);
		else if (sockets->icmp >= 0)
			send_advertisement(sockets->icmp, &link, &iface->addrs[i]);
}

int net_announce(int netns_fd, const struct net_iface *ifaces, size_t n, struct err *err)
{
	struct sockets sockets = { -1, -1 };
	own_rtnl inner = { 0 };
	int r = open_sockets(netns_fd, &sockets, err);

	if (r == 0)
		r = rtnl_open(&inner, netns_fd, NETLINK_ROUTE, err);
	if (r == 0)
		await_ports(ifaces, n);
	for (size_t i = 0; r == 0 && i < n; i++)
		announce_one(&sockets, &inner, &ifaces[i]);
	fd_close(&sockets.arp);
	fd_close(&sockets.icmp);
	return r;
}
