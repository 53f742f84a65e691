/* A kept namespace is made as good as new before the next run, as far as nobody else is in it.
 *
 * All processes of the old run are dead here, but its closed connections live on in the kernel for
 * minutes and hold the ports that the next run wants to listen on. What a run may have configured
 * goes too: addresses and routes that are not ours. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netns/addrs.h"
#include "netns/link.h"
#include "netns/net.h"
#include "netns/netns.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

/* ---- sockets ---------------------------------------------------------------------------------- */
static const struct {
	uint8_t family, protocol;
	const char *label; /* where the kernel counts them: /proc/net/sockstat, sockstat6 */
} kinds[] = {
	{ AF_INET, IPPROTO_TCP, "TCP:" },
	{ AF_INET6, IPPROTO_TCP, "TCP6:" },
	{ AF_INET, IPPROTO_UDP, "UDP:" },
	{ AF_INET6, IPPROTO_UDP, "UDP6:" },
	{ AF_INET, IPPROTO_RAW, "RAW:" },
	{ AF_INET6, IPPROTO_RAW, "RAW6:" },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* The number after a word of a line; 1 (there may be some) when it is not there. */
static unsigned long counted(const char *text, const char *label, const char *word)
{
	const char *line = strstr(text, label);
	const char *at = line ? strstr(line, word) : NULL;

	return at ? strtoul(at + strlen(word), NULL, 10) : 1;
}

/*
 * The list of sockets walks a table of the whole machine (a millisecond on a large one), so the
 * namespace's counters are asked first. What cannot be read counts as "some". Who cannot come back from
 * there must not go on: it would take the container's network for the host's.
 */
static int sockets_count(int netns_fd, bool some[static KINDS], struct err *err)
{
	char text[2][1024];
	int back = -1;
	int r = netns_enter(netns_fd, &back, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < 2; i++) {
		if (file_read_at(-1,
			    i ? "/proc/thread-self/net/sockstat6"
			      : "/proc/thread-self/net/sockstat",
			    text[i], sizeof text[i]) < 0)
			text[i][0] = '\0';
	}
	r = netns_leave(&back, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < KINDS; i++)
		some[i] = counted(text[kinds[i].family == AF_INET6], kinds[i].label, " inuse ") > 0;
	/* Connections in TIME_WAIT of both families are counted with IPv4's. */
	if (counted(text[0], "TCP:", " tw ") > 0)
		some[0] = some[1] = true;
	return 0;
}

enum { TIME_WAIT = 6 }; /* TCP_TIME_WAIT of netinet/tcp.h */

struct victims {
	struct rtnl *act;
	uint8_t protocol;
	uint32_t states; /* a bit for each */
	bool more;       /* a batch was full */
};

static void reply_socket(const struct nlmsghdr *header, void *data)
{
	const struct inet_diag_msg *msg = nlmsg_data(header);
	struct victims *victims = data;
	const struct inet_diag_req_v2 request = {
		.sdiag_family = msg->idiag_family,
		.sdiag_protocol = victims->protocol,
		.idiag_states = victims->states,
		.id = msg->id,
	};

	victims->more = victims->act->n == RTNL_BATCH && !victims->act->sent;
	if (victims->more)
		return;
	rtnl_begin(victims->act, SOCK_DESTROY, 0, &request, sizeof request, "destroy a socket");
	/* Gone by itself; or the kernel cannot: built without SOCK_DESTROY, or (6.1) not for what is
	 * in TIME_WAIT, which only hinders who listens without SO_REUSEADDR. */
	rtnl_allow(victims->act, ENOENT);
	rtnl_allow(victims->act, EOPNOTSUPP);
}

static int sockets_destroy(
	struct rtnl *ask, struct rtnl *act, size_t kind, uint32_t states, struct err *err)
{
	const struct inet_diag_req_v2 request = {
		.sdiag_family = kinds[kind].family,
		.sdiag_protocol = kinds[kind].protocol,
		.idiag_states = states,
	};
	struct victims victims = { .act = act, .protocol = kinds[kind].protocol, .states = states };
	int r;

	/* A table that does not empty (SOCK_DESTROY refused) must not keep us here. */
	for (int i = 0; i < 64; i++) {
		victims.more = false;
		rtnl_begin(ask, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request, sizeof request,
			"list the sockets");
		rtnl_reply(ask, reply_socket, &victims);
		/* A kernel without the diag module of this kind. */
		rtnl_allow(ask, ENOENT);
		rtnl_allow(ask, EOPNOTSUPP);
		r = rtnl_commit(ask, err);
		if (r == 0)
			r = rtnl_commit(act, err);
		if (r < 0 || !victims.more)
			return r;
	}
	return 0;
}

static int clear_sockets(int netns_fd, uint32_t states, struct err *err)
{
	own_rtnl ask = { 0 };
	own_rtnl act = { 0 };
	bool some[KINDS];
	int r = sockets_count(netns_fd, some, err);

	for (size_t i = 0; r == 0 && i < KINDS; i++) {
		if (!some[i])
			continue;
		if (!ask.sock) {
			r = rtnl_open(&ask, netns_fd, NETLINK_SOCK_DIAG, err);
			/* Without CONFIG_INET_DIAG the sockets stay. */
			if (r == -EPROTONOSUPPORT)
				return 0;
			if (r == 0)
				r = rtnl_open(&act, netns_fd, NETLINK_SOCK_DIAG, err);
		}
		if (r == 0)
			r = sockets_destroy(&ask, &act, i, states, err);
	}
	return r;
}

/* ---- addresses and routes --------------------------------------------------------------------- */
struct clear {
	const struct net_spec *net;
	struct link_info *links; /* of each interface, and of each device behind them */
	bool leased;             /* there is one whose address is a DHCP client's */
	struct rtnl *act;
	bool more;
};

/* On a network of others: what a DHCP client has set, or the kernel made of a router's word. Both have
 * their time, and whoever gave them may not do so again for long. */
static bool is_given(const struct clear *clear, const struct addr_entry *entry)
{
	const struct net_spec *net = clear->net;
	bool four = entry->addr.family == AF_INET;

	for (size_t i = 0; i < net->nifaces + net->ndevices; i++) {
		bool lent = i >= net->nifaces;
		bool leased = lent ? net->devices[i - net->nifaces].leased : net->ifaces[i].leased;

		if (clear->links[i].ifindex != entry->ifindex)
			continue;
		if (four)
			return leased;
		return !entry->permanent && (lent || !net_is_ours(net->ifaces[i].bridge));
	}
	return false;
}

static bool is_wanted(const struct clear *clear, const struct addr_entry *entry)
{
	static const struct net_addr loopback[] = {
		{ AF_INET, 8, { 127, 0, 0, 1 } },
		{ AF_INET6, 128, { [15] = 1 } },
	};

	/* The kernel's own fe80:: addresses. */
	if (entry->addr.family == AF_INET6 && entry->scope == RT_SCOPE_LINK)
		return true;
	for (size_t i = 0; i < 2; i++)
		if (net_addr_equal(&entry->addr, &loopback[i]))
			return true;
	if (is_given(clear, entry))
		return true;
	for (size_t i = 0; i < clear->net->nifaces; i++) {
		const struct net_iface *iface = &clear->net->ifaces[i];

		for (size_t k = 0; k < iface->naddrs; k++)
			if (clear->links[i].ifindex == entry->ifindex &&
				net_addr_equal(&entry->addr, &iface->addrs[k]))
				return true;
	}
	return false;
}

static int clear_addresses(struct clear *clear, struct rtnl *ask, struct err *err)
{
	struct addr_list list = { 0 };
	int r = addrs_list(ask, 0, &list, err);

	for (size_t i = 0; r == 0 && i < list.n; i++) {
		if (is_wanted(clear, &list.v[i]))
			continue;
		addr_delete(clear->act, list.v[i].ifindex, &list.v[i].addr);
		r = rtnl_commit(clear->act, err);
	}
	addr_list_done(&list);
	return r;
}

/* Default routes are put back by net_attach, so only what the kernel itself keeps is spared. */
static void reply_route(const struct nlmsghdr *header, void *data)
{
	static const uint16_t kept[] = { RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE };
	const struct rtmsg *route = nlmsg_data(header);
	struct clear *clear = data;
	struct nlattr *attrs[RTA_MAX + 1];

	if (header->nlmsg_type != RTM_NEWROUTE || route->rtm_protocol == RTPROT_KERNEL ||
		route->rtm_protocol == RTPROT_RA ||
		(clear->leased && route->rtm_protocol == RTPROT_DHCP) ||
		route->rtm_table == RT_TABLE_LOCAL || route->rtm_flags & RTM_F_CLONED ||
		nlmsg_parse((struct nlmsghdr *)(uintptr_t)header, sizeof *route, attrs, RTA_MAX,
			NULL) < 0)
		return;
	clear->more = clear->act->n == RTNL_BATCH && !clear->act->sent;
	if (clear->more)
		return;
	rtnl_begin(clear->act, RTM_DELROUTE, 0, route, sizeof *route, "remove a route");
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if (attrs[kept[i]])
			rtnl_put(clear->act, kept[i], nla_data(attrs[kept[i]]),
				(size_t)nla_len(attrs[kept[i]]));
	rtnl_allow(clear->act, ESRCH);
}

static int clear_routes(struct clear *clear, struct rtnl *ask, struct err *err)
{
	const struct rtmsg all = { 0 };
	int r;

	for (int i = 0; i < 64; i++) {
		clear->more = false;
		rtnl_begin(ask, RTM_GETROUTE, NLM_F_DUMP, &all, sizeof all, "list the routes");
		rtnl_reply(ask, reply_route, clear);
		r = rtnl_commit(ask, err);
		if (r == 0)
			r = rtnl_commit(clear->act, err);
		if (r < 0 || !clear->more)
			return r;
	}
	return 0;
}

/* A pair goes with its outer end; a macvlan or ipvlan of an older definition has no other end. Who may
 * make links of his own (CAP_NET_ADMIN) is given a new namespace. */
static void reply_link(const struct nlmsghdr *header, void *data)
{
	struct clear *clear = data;
	struct link_info link = { 0 };

	link_parse(header, &link);
	if ((strcmp(link.kind, "macvlan") != 0 && strcmp(link.kind, "ipvlan") != 0) ||
		net_is_lent(link.alias))
		return;
	for (size_t i = 0; i < clear->net->nifaces; i++)
		if (strcmp(clear->net->ifaces[i].ifname, link.name) == 0)
			return;
	if (clear->act->n < RTNL_BATCH || clear->act->sent)
		link_delete(clear->act, link.ifindex, link.name);
}

static int clear_links(struct clear *clear, struct rtnl *ask, struct err *err)
{
	int r;

	link_ask_all(ask, reply_link, clear);
	r = rtnl_commit(ask, err);
	return r < 0 ? r : rtnl_commit(clear->act, err);
}

static int clear_look(struct clear *clear, struct rtnl *ask, struct err *err)
{
	const struct net_spec *net = clear->net;

	for (size_t i = 0; i < net->nifaces; i++) {
		link_ask(ask, net->ifaces[i].ifname, &clear->links[i]);
		clear->leased |= net->ifaces[i].leased;
	}
	for (size_t i = 0; i < net->ndevices; i++) {
		link_ask(ask, net->devices[i].ifname, &clear->links[net->nifaces + i]);
		clear->leased |= net->devices[i].leased;
	}
	return rtnl_commit(ask, err);
}

static int clear_config(int netns_fd, const struct net_spec *net, struct err *err)
{
	own_rtnl ask = { 0 };
	own_rtnl act = { 0 };
	struct clear clear = { .net = net, .act = &act };
	int r = rtnl_open(&ask, netns_fd, NETLINK_ROUTE, err);

	if (r == 0)
		r = rtnl_open(&act, netns_fd, NETLINK_ROUTE, err);
	if (r < 0)
		return r;
	clear.links = calloc(net->nifaces + net->ndevices + 1, sizeof *clear.links);
	if (!clear.links)
		return err_sys(err, ENOMEM, "clear the network namespace");
	r = clear_look(&clear, &ask, err);
	if (r == 0)
		r = clear_links(&clear, &ask, err);
	if (r == 0)
		r = clear_addresses(&clear, &ask, err);
	if (r == 0)
		r = clear_routes(&clear, &ask, err);
	free(clear.links);
	return r;
}

int net_clear(int netns_fd, const struct net_spec *net, enum net_others others, struct err *err)
{
	/* A connection that waits to be accepted has no owner either, and one that is closed may have
	 * data on the way: of what others may have, these alone are surely done with. */
	int r = clear_sockets(
		netns_fd, others == NET_ALONE ? UINT32_MAX : UINT32_C(1) << TIME_WAIT, err);

	if (r == 0 && others != NET_OTHERS_ADMIN)
		r = clear_config(netns_fd, net, err);
	return r < 0 ? r : net_attach(netns_fd, net->ifaces, net->nifaces, err);
}

int net_remove(const char *pin)
{
	static const struct net_spec nothing;
	own_fd fd = netns_open(pin, NULL);
	own_rtnl ask = { 0 };
	own_rtnl act = { 0 };
	struct clear clear = { .net = &nothing, .act = &act };

	if (fd >= 0 && rtnl_open(&ask, fd, NETLINK_ROUTE, NULL) == 0 &&
		rtnl_open(&act, fd, NETLINK_ROUTE, NULL) == 0)
		(void)clear_links(&clear, &ask, NULL);
	if (fd >= 0)
		(void)clear_sockets(fd, UINT32_MAX, NULL);
	return netns_remove(pin);
}
