/* The table of family bridge, for the batch that writes both. */
#ifndef BERTH_NETNS_GUARD_H
#define BERTH_NETNS_GUARD_H

#include "netns/net_spec.h"
#include "netns/nft.h"

/* Its messages; without members the table is removed. nft->family must be NFPROTO_BRIDGE. */
void guard_write(struct nft *nft, const struct net_rules *rules);
/* Has somebody written whom a member may talk to? Then there is no going without the table. */
bool guard_is_asked(const struct net_rules *rules);

#endif
