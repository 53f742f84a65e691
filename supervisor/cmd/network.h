/* `berth network`: what its verbs share. */
#ifndef BERTH_CMD_NETWORK_H
#define BERTH_CMD_NETWORK_H

#include "config/unit.h"
#include "netns/net.h"

struct network_command {
	struct unit_set set;
	bool json;
	char **names;
	int n;
};

/* One container on a network. */
struct network_member {
	const struct unit *unit;
	const struct net_iface *iface;
	const char *run_dir;
	char pin[512];
};

typedef int network_member_fn(const struct network_member *member, void *data, struct err *err);

/* Each member of a network, until one fails. */
int network_members(const struct network_command *c, const struct net_bridge *network,
	network_member_fn *fn, void *data, struct err *err);
/* Is it a network that is asked for? By its name, or its file's; all, when none is named. */
bool network_is_named(const struct network_command *c, const struct unit *unit);
const char *network_driver(const struct net_bridge *network);

/* The verbs: exit codes. */
int network_inspect(struct network_command *c);
int network_check(struct network_command *c);

#endif
