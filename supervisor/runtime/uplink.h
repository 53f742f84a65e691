/* What berth has set on a link of the host, or a DHCP server on one of a container, on record: so that
 * what is not wanted any more can be taken back by whoever comes later, and nothing else. */
#ifndef BERTH_RUNTIME_UPLINK_H
#define BERTH_RUNTIME_UPLINK_H

#include <stdio.h>

#include "netns/net_spec.h"
#include "supervisor/base/err.h"
#include "supervisor/base/str.h"

/* One setting of one link: by berth.conf, or (link.leased) by a lease. */
struct uplink_set {
	struct net_uplink link;
	struct strv dns;
	const char *search; /* domains, or NULL */
	const char *from;   /* who leased it, or NULL */
	uint64_t until;     /* in seconds, as clock_monotonic() has it; 0: for ever */
};

/* Whose setting it is, which says where its record lies. */
struct uplink_owner {
	char dir[300];
	const char *name;
	const char *run_dir; /* its RUN_DIR/resolv.conf follows; NULL: none does */
};

/* On the host: a link's name for what berth.conf says of it, with ":dhcp" behind for its lease. */
struct uplink_owner uplink_of_host(const char *run_dir, const char *name);
/* Of a container: by the unit whose process asks for it. RUN_DIR/lease/CLIENT is that one's to write. */
struct uplink_owner uplink_of_client(const char *run_dir, const char *client);

/*
 * uplink_put - the link, in the caller's network namespace, is as `set` says, and the record says so
 *
 * net_uplink_apply has the rules. RUN_DIR/resolv.conf then has the name servers of all owners.
 * Gives: 1, and the link's name; 0: there is no such link (yet), and nothing is on record.
 * Blocks: for netlink answers, and on RUN_DIR.
 */
int uplink_put(const struct uplink_owner *owner, const struct uplink_set *set,
	char ret_name[static 16], struct err *err);
/* All that this owner has set is taken back. 0 also when there is nothing. */
int uplink_drop(const struct uplink_owner *owner, struct err *err);
/* The owners on the host that `keep` does not want are dropped. */
void uplink_prune(const char *run_dir, bool (*keep)(const char *owner, void *data), void *data);

/* What is on record; NULL: nothing. Lives until the next call. A client that parses what others send
 * may have written it: nothing in it but addresses, numbers and domains. */
const struct uplink_set *uplink_record(const struct uplink_owner *owner);
/* The same, unless its time is over. */
const struct uplink_set *uplink_lease(const struct uplink_owner *owner);
/* The first IPv4 address of a setting; family 0: there is none. */
struct net_addr uplink_address(const struct uplink_set *set);

/* Words that may stand in a resolv.conf as domains. */
bool uplink_is_domains(const char *text);
/* "nameserver …" and "search …", a line each. */
void uplink_resolv(const struct uplink_set *set, FILE *out);

#endif
