/* Links, addresses and routes: each verb adds one request to a batch (rtnl_commit sends it). */
#ifndef BERTH_NETNS_LINK_H
#define BERTH_NETNS_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "netns/net.h"
#include "netns/rtnl.h"

enum { LINK_ALIAS = 256 }; /* IFALIASZ of linux/if.h, which cannot be met with net/if.h */

struct link_info {
	bool found;
	bool forwards; /* as the port of a bridge */
	int ifindex;
	int master; /* the bridge it is a port of; 0: none */
	int peer;   /* the other end of a veth pair, or what a macvlan, ipvlan or VLAN sits on; in
		     * that one's own namespace's numbers */
	uint32_t flags, mtu;
	unsigned mode; /* of a macvlan or ipvlan */
	unsigned vlan; /* of a VLAN; of a bridge that filters them, the one of untagged frames */
	uint8_t mac[6];
	char kind[16]; /* "bridge", "veth", …; "" for a real device */
	char name[IFNAMSIZ];
	char alias[LINK_ALIAS];
};

/* What a link's settings shall be; zero fields are left as they are. */
struct link_set {
	const char *alias;
	const uint8_t *mac; /* NULL or all zero: the kernel's choice */
	uint32_t mtu;
	int master;
	bool up;
};

/* A reply's RTM_NEWLINK message. */
void link_parse(const struct nlmsghdr *header, struct link_info *ret);
/* *ret is filled by the commit; found stays false when there is no such link. */
void link_ask(struct rtnl *nl, const char *ifname, struct link_info *ret);
void link_ask_index(struct rtnl *nl, int ifindex, struct link_info *ret);
/* What it carried is added to *ret by the commit. */
void usage_ask(struct rtnl *nl, int ifindex, struct net_usage *ret);
/* All links: the reader gets RTM_NEWLINK messages. A batch of its own. */
void link_ask_all(struct rtnl *nl, rtnl_reply_fn *reply, void *data);

/* Fails with EEXIST where there is a link of that name. */
void link_new_bridge(struct rtnl *nl, const char *ifname, const struct link_set *set);
/* The pair, with one end born in the namespace `netns_fd`. set: of the end that is here. */
void link_new_veth(struct rtnl *nl, const char *ifname, const struct link_set *set, int netns_fd,
	const char *peer_ifname, const uint8_t *peer_mac);
/* A macvlan or ipvlan on `parent`, born in the namespace `netns_fd`. */
void link_new_child(struct rtnl *nl, const struct net_iface *iface, int parent, int netns_fd);
void link_new_vlan(struct rtnl *nl, const char *ifname, int parent, unsigned vlan);
/* By number, never by name: a number is the link that was looked at. */
void link_change(struct rtnl *nl, int ifindex, const char *ifname, const struct link_set *set);
/* As a port of its bridge (a request of its own, after the one that made it a port): frames may
 * leave where they came in. Where br_netfilter is loaded the bridge itself sends a container's call
 * to its own published port back, and drops it else. */
void link_hairpin(struct rtnl *nl, int ifindex, const char *ifname);
/* The VLAN of untagged frames on a bridge of ours and all its ports to come; 0: no VLANs. Three
 * requests, for the kernel changes the number only while it does not filter. */
void link_bridge_vlan(struct rtnl *nl, int ifindex, const char *ifname, unsigned vlan);
/* A port's untagged frames are in this VLAN, and no more in `old` (0: none). */
void link_port_vlan(struct rtnl *nl, int ifindex, const char *ifname, unsigned vlan, unsigned old);
void link_delete(struct rtnl *nl, int ifindex, const char *ifname);

/* The address with its subnet's prefix; without duplicate address detection. There already: fine. */
void addr_add(struct rtnl *nl, int ifindex, const struct net_addr *addr);
/* The same for so many seconds; 0: for ever. */
void addr_lease(struct rtnl *nl, int ifindex, const struct net_addr *addr, uint32_t lifetime);
void addr_delete(struct rtnl *nl, int ifindex, const struct net_addr *addr);
/* The default route on that link, through the gateway or, where neighbours are not asked for
 * (ipvlan in mode l3), to the link itself; replaces the one there is. */
void route_default(struct rtnl *nl, int ifindex, const struct net_addr *gateway, bool direct);
/* One of several routes to one place, told apart by their metrics. leased: it says that it is a DHCP
 * server's. onlink: who it leads through is in no subnet of ours, and is a neighbour all the same. */
void route_metric(struct rtnl *nl, int ifindex, const struct net_route *route, uint32_t metric,
	bool leased, bool onlink);
void route_metric_delete(
	struct rtnl *nl, int ifindex, const struct net_route *route, uint32_t metric, bool leased);

/* Is a link ours: it carries the alias, or it was born with the MAC address that stands for the
 * alias and we died before we wrote it. */
bool link_is_ours(const struct link_info *link, const char *alias);
/* The MAC address that stands for an alias. */
void link_alias_mac(const char *alias, uint8_t ret[static 6]);

#endif
