/* What a DHCP server has said, as its client tells it: words in the environment, for a script. */
#ifndef BERTH_RUNTIME_LEASE_H
#define BERTH_RUNTIME_LEASE_H

#include "supervisor/runtime/uplink.h"

enum { LEASE_SERVERS_MAX = 8, LEASE_ROUTES_MAX = 24 };

/* Points into itself: it is not to be copied. */
struct lease {
	struct uplink_set set;
	struct net_addr addr;
	struct net_route routes[LEASE_ROUTES_MAX];
	const char *servers[LEASE_SERVERS_MAX];
	char names[LEASE_SERVERS_MAX][64], from[64];
};

/* The value of a word; "" when there is none. */
typedef const char *lease_word_fn(const char *name, void *data);

/*
 * lease_read - the words of udhcpc(8): ip mask router staticroutes msstaticroutes mtu dns domain search
 *              lease serverid interface
 *
 * A server is believed no further than its words are addresses, numbers and domains: what is not is
 * left out. Routes of option 121 (or 249) stand for the router's, as RFC 3442 has it.
 * metric: of the routes. now: in seconds, as clock_monotonic() has it.
 * Needs:  the words to live as long as *ret. Fails: -EINVAL, there is no address.
 */
int lease_read(lease_word_fn *word, void *data, uint32_t metric, uint64_t now, struct lease *ret,
	struct err *err);

#endif
