/* What a network of the host's own links sits on: bridges that are not ours, parents of macvlan and
 * ipvlan. */
#ifndef BERTH_NETNS_PARENT_H
#define BERTH_NETNS_PARENT_H

#include "netns/link.h"

/*
 * parent_ensure - the link that an interface of such a network sits on, in the caller's namespace
 *
 * Gives: *ret. A parent "eth0.20" that is not there is made as a VLAN of eth0, with an alias of ours;
 *        a parent that is down is brought up. Of an unmanaged bridge nothing is changed.
 * Fails: -ENODEV there is no such link; -EINVAL it is of another kind, or of another VLAN, or (mode
 *        passthru) carries the host's default route.
 */
int parent_ensure(
	struct rtnl *nl, const struct net_iface *iface, struct link_info *ret, struct err *err);

/* Does the host reach others by this link: a default route leads to it, to the bridge or bond it is
 * a port of, or to what sits on it? Sends batches of its own. *ret: the name of that one, or "". */
int link_is_uplink(
	struct rtnl *nl, const struct link_info *link, char ret[static IFNAMSIZ], struct err *err);

#endif
