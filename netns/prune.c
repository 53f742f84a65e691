/* Taking away the links that carry our name and that nobody wants any more. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "netns/link.h"
#include "netns/net.h"
#include "supervisor/base/str.h"

struct prune {
	char prefix[64];
	bool (*wanted)(const char *ifname, const char *alias, void *data);
	void *data;
	int *found;
	size_t n, cap;
	bool failed;
};

static void reply_link(const struct nlmsghdr *header, void *data)
{
	struct prune *prune = data;
	struct link_info link = { 0 };

	link_parse(header, &link);
	/* One that was lent is not ours to delete: it lost its alias's end on the way home at most. */
	if (!link.found || !str_starts(link.alias, prune->prefix) || net_is_lent(link.alias) ||
		prune->wanted(link.name, link.alias, prune->data))
		return;
	if (prune->n == prune->cap) {
		size_t cap = prune->cap ? prune->cap * 2 : 16;
		int *grown = realloc(prune->found, cap * sizeof *grown);

		if (!grown) {
			prune->failed = true;
			return;
		}
		prune->found = grown;
		prune->cap = cap;
	}
	prune->found[prune->n++] = link.ifindex;
}

static int prune_run(struct prune *prune, struct rtnl *nl, struct err *err)
{
	struct err first = { 0 };
	int r;

	link_ask_all(nl, reply_link, prune);
	r = rtnl_commit(nl, err);
	if (r == 0 && prune->failed)
		r = err_sys(err, ENOMEM, "list the links");
	if (r < 0)
		return r;
	/* One that cannot be deleted keeps none of the others. */
	for (size_t i = 0; i < prune->n; i++) {
		struct err one = { 0 };
		char text[24];

		(void)snprintf(text, sizeof text, "number %d", prune->found[i]);
		link_delete(nl, prune->found[i], text);
		if (rtnl_commit(nl, &one) < 0)
			err_keep(&first, &one);
	}
	if (first.code && err)
		*err = first;
	return -first.code;
}

int net_prune(const char *instance,
	bool (*wanted)(const char *ifname, const char *alias, void *data), void *data,
	struct err *err)
{
	struct prune prune = { .wanted = wanted, .data = data };
	own_rtnl nl = { 0 };
	int r;

	(void)snprintf(prune.prefix, sizeof prune.prefix, "berth:%.40s:", instance);
	r = rtnl_open(&nl, -1, NETLINK_ROUTE, err);
	if (r == 0)
		r = prune_run(&prune, &nl, err);
	free(prune.found);
	return r;
}
