/* What berth has set on links of the host, on record: so that what is not wanted any more can be taken
 * back by whoever comes later, and nothing else. */
#ifndef BERTH_RUNTIME_UPLINK_H
#define BERTH_RUNTIME_UPLINK_H

#include "netns/net_spec.h"
#include "supervisor/base/err.h"
#include "supervisor/base/str.h"

/* One setting of one link: by berth.conf, or by a lease. */
struct uplink_set {
	struct net_uplink link;
	struct strv dns;
	const char *search; /* domains, or NULL */
};

/*
 * uplink_put - the link is as `set` says, and RUN_DIR/uplink/OWNER says so
 *
 * owner: a link's name for what berth.conf says of it, with ":dhcp" behind for its lease; net_uplink_apply
 * has the rules. RUN_DIR/resolv.conf then has the name servers of all owners.
 * Gives: 1, and the link's name; 0: there is no such link (yet), and nothing is on record.
 * Blocks: for netlink answers, and on RUN_DIR.
 */
int uplink_put(const char *run_dir, const char *owner, const struct uplink_set *set,
	char ret_name[static 16], struct err *err);
/* All that this owner has set is taken back. 0 also when there is nothing. */
int uplink_drop(const char *run_dir, const char *owner, struct err *err);
/* The owners that `keep` does not want are dropped. */
void uplink_prune(const char *run_dir, bool (*keep)(const char *owner, void *data), void *data);
/* The first IPv4 address on record; family 0: there is none. */
struct net_addr uplink_address(const char *run_dir, const char *owner);

#endif
