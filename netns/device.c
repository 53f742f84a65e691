/* Links of the host that are lent to a container, whole: moved into its namespace, and back.
 *
 * A lent link carries its story in its alias: "berth:INSTANCE:UNIT:device:NAME=MTU=ALIAS", the last two
 * as it had them. So whoever finds it in a namespace can give it back under its name, also after a
 * death at any instruction; and one request both moves it and writes the alias. Its addresses and
 * routes are lost on each move: that is the kernel's way. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/link.h"
#include "netns/net.h"
#include "netns/parent.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { LENT_MAX = 32 };

static const char lent_word[] = ":device:";

bool net_is_lent(const char *alias)
{
	return str_starts(alias, "berth:") && strstr(alias, lent_word);
}

/* ---- the one request ---------------------------------------------------------------------------- */

/* A link's move to another namespace, with its name and alias there. */
static void link_move(struct rtnl *nl, int ifindex, const char *what, int netns_fd,
	const char *ifname, const char *alias, uint32_t mtu, bool up)
{
	const struct ifinfomsg info = {
		.ifi_index = ifindex,
		.ifi_flags = up ? IFF_UP : 0,
		.ifi_change = up ? IFF_UP : 0,
	};

	rtnl_begin(nl, RTM_NEWLINK, 0, &info, sizeof info, "move device %s", what);
	rtnl_u32(nl, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	rtnl_text(nl, IFLA_IFNAME, ifname);
	rtnl_put(nl, IFLA_IFALIAS, alias, strlen(alias));
	if (mtu)
		rtnl_u32(nl, IFLA_MTU, mtu);
}

/* ---- back --------------------------------------------------------------------------------------- */

struct lent {
	struct link_info v[LENT_MAX];
	size_t n;
	const struct net_device *keep; /* these stay */
	size_t nkeep;
};

static bool is_kept(const struct lent *lent, const char *alias)
{
	for (size_t i = 0; i < lent->nkeep; i++) {
		size_t n = strlen(lent->keep[i].alias);

		if (strncmp(alias, lent->keep[i].alias, n) == 0 &&
			(alias[n] == '\0' || alias[n] == '='))
			return true;
	}
	return false;
}

static void reply_link(const struct nlmsghdr *header, void *data)
{
	struct lent *lent = data;
	struct link_info link = { 0 };

	link_parse(header, &link);
	if (link.found && net_is_lent(link.alias) && !is_kept(lent, link.alias) &&
		lent->n < LENT_MAX)
		lent->v[lent->n++] = link;
}

/* Under its own name; when somebody took that meanwhile, under one of the kernel's choice. */
static int give_back(struct rtnl *nl, const struct link_info *link, int host_fd, struct err *err)
{
	const char *story = strstr(link->alias, lent_word) + strlen(lent_word);
	char none[] = "";
	char *end = none;
	const char *alias = strchr(story, '=');
	unsigned long mtu = alias ? strtoul(alias + 1, &end, 10) : 0;
	char name[IFNAMSIZ];
	int r;

	(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(story, "="), story);
	alias = !alias ? "" : *end == '=' ? end + 1 : alias + 1;
	mtu = *end == '=' && mtu <= 65535 && mtu != link->mtu ? mtu : 0;
	link_move(nl, link->ifindex, name, host_fd, name, alias, (uint32_t)mtu, false);
	rtnl_allow(nl, ENODEV);
	r = rtnl_commit(nl, err);
	if (r != -EEXIST)
		return r;
	link_move(nl, link->ifindex, name, host_fd, "lent%d", alias, (uint32_t)mtu, false);
	rtnl_allow(nl, ENODEV);
	r = rtnl_commit(nl, err);
	return r < 0 ? r
		     : err_set(err, EEXIST,
			       "device %s came back to the host, but its name was taken: it is "
			       "called "
			       "lentN now",
			       name);
}

int net_devices_back(int netns_fd, const struct net_device *keep, size_t nkeep, struct err *err)
{
	own_fd host_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct lent lent = { .keep = keep, .nkeep = nkeep };
	own_rtnl nl = { 0 };
	int first = 0;
	int r;

	if (host_fd < 0)
		return err_sys(err, errno, "open the host's network namespace");
	r = rtnl_open(&nl, netns_fd, NETLINK_ROUTE, err);
	if (r < 0)
		return r;
	link_ask_all(&nl, reply_link, &lent);
	r = rtnl_commit(&nl, err);
	/* One that stays keeps none of the others. */
	for (size_t i = 0; r == 0 && i < lent.n; i++) {
		struct err one = { 0 };
		int given = give_back(&nl, &lent.v[i], host_fd, &one);

		if (given < 0 && first == 0) {
			first = given;
			if (err)
				*err = one;
		}
	}
	return r < 0 ? r : first;
}

/* ---- out ---------------------------------------------------------------------------------------- */

struct take {
	struct rtnl host, inner;
	int netns_fd;
	const struct net_device *devices;
	struct link_info *links;
	size_t n;
};

static int refuse(const struct net_device *device, struct err *err, const char *why,
	const char *other, const char *cure)
{
	return err_set(err, EINVAL, "move device %s: %s%s: %s", device->name, why, other, cure);
}

/* May the host do without it? */
static int take_check(struct take *take, const struct net_device *device,
	const struct link_info *link, struct err *err)
{
	char uplink[IFNAMSIZ];
	char master[IFNAMSIZ] = "another link";
	int r;

	if (!link->found)
		return err_set(
			err, ENODEV, "move device %s: the host has no such link", device->name);
	if (link->flags & IFF_LOOPBACK)
		return refuse(device, err, "it is the host's loopback", "", "name another");
	if (*link->alias && str_starts(link->alias, "berth:") && !net_is_lent(link->alias))
		return refuse(device, err, "berth itself made it", "", "name another");
	if (link->master) {
		(void)if_indextoname((unsigned)link->master, master);
		return refuse(device, err, "it is a port of ", master, "take it out of that first");
	}
	r = link_is_uplink(&take->host, link, uplink, err);
	if (r < 0 || !*uplink)
		return r;
	return refuse(device, err, "the host's default route is by ", uplink,
		"name another, or take the route away first");
}

/* All that are still with the host are looked at before the first is moved. */
static int take_look(struct take *take, struct err *err)
{
	struct link_info inside;
	int r = 0;

	for (size_t i = 0; r == 0 && i < take->n; i++) {
		const struct net_device *device = &take->devices[i];
		size_t n = strlen(device->alias);

		link_ask(&take->inner, device->ifname, &inside);
		r = rtnl_commit(&take->inner, err);
		if (r < 0 || (inside.found && strncmp(inside.alias, device->alias, n) == 0))
			continue; /* there already: links[i] stays without a number */
		link_ask(&take->host, device->name, &take->links[i]);
		r = rtnl_commit(&take->host, err);
		if (r == 0)
			r = take_check(take, device, &take->links[i], err);
	}
	return r;
}

/* By number, in one send with a last look at who has that number; when the two are not what was
 * looked at, it goes back. */
static int take_move(struct take *take, const struct net_device *device,
	const struct link_info *link, struct err *err)
{
	struct link_info now;
	bool lent = net_is_lent(link->alias); /* a death on the way home left it so */
	char alias[LINK_ALIAS];
	int r = lent ? snprintf(alias, sizeof alias, "%s%s", device->alias,
			       strchrnul(link->alias, '='))
		     : snprintf(alias, sizeof alias, "%s=%u=%s", device->alias, link->mtu,
			       link->alias);

	if (r >= (int)sizeof alias)
		return err_set(err, EINVAL,
			"move device %s: its alias is too long to be kept beside ours: shorten it",
			device->name);
	link_ask_index(&take->host, link->ifindex, &now);
	link_move(&take->host, link->ifindex, device->name, take->netns_fd, device->ifname, alias,
		0, true);
	r = rtnl_commit(&take->host, err);
	if (r == -EEXIST)
		return err_wrap(err, "the name %s is taken in the container", device->ifname);
	if (r == 0 && (!now.found || strcmp(now.name, device->name) != 0))
		r = err_set(err, ENODEV, "move device %s: it was renamed meanwhile", device->name);
	return r;
}

static int take_run(struct take *take, struct err *err)
{
	int r = take_look(take, err);

	for (size_t i = 0; r == 0 && i < take->n; i++)
		if (take->links[i].found)
			r = take_move(take, &take->devices[i], &take->links[i], err);
	return r;
}

int net_devices_take(int netns_fd, const struct net_device *devices, size_t n, struct err *err)
{
	struct link_info links[LENT_MAX] = { 0 };
	struct take take = { .netns_fd = netns_fd, .devices = devices, .links = links, .n = n };
	int r;

	if (n > LENT_MAX)
		return err_set(err, EINVAL, "move %zu devices: at most %d", n, LENT_MAX);
	if (n == 0)
		return 0;
	r = rtnl_open(&take.host, -1, NETLINK_ROUTE, err);
	if (r == 0)
		r = rtnl_open(&take.inner, netns_fd, NETLINK_ROUTE, err);
	if (r == 0)
		r = take_run(&take, err);
	rtnl_close(&take.inner);
	rtnl_close(&take.host);
	if (r < 0)
		(void)net_devices_back(netns_fd, NULL, 0, NULL);
	return r;
}
