/* Which addresses and routes a namespace has. */
#ifndef BERTH_NETNS_ADDRS_H
#define BERTH_NETNS_ADDRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netns/net_spec.h"
#include "netns/rtnl.h"

struct addr_entry {
	int ifindex;
	uint8_t scope;  /* RT_SCOPE_* */
	bool permanent; /* it has no time after which it goes */
	struct net_addr addr;
};

/* The zero value is the empty list; addr_list_done frees it. */
struct addr_list {
	struct addr_entry *v;
	size_t n, cap;
	bool failed; /* out of memory */
};

/* All addresses of one link, or (0) of all links. Sends a batch of its own. */
int addrs_list(struct rtnl *nl, int ifindex, struct addr_list *list, struct err *err);
void addr_list_done(struct addr_list *list);
/* Has the link the address, with this length of the subnet? */
bool addr_list_has(const struct addr_list *list, int ifindex, const struct net_addr *addr);

#endif
