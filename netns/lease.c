/* Which address a unit gets. Pure: text and plain data in, plain data out.
 *
 * Three passes, each over all units, so that a later unit's stronger claim is never lost to an
 * earlier unit's weaker one: what the files fix, what was stored, what the hash proposes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netns/net.h"
#include "supervisor/base/str.h"

struct plan {
	const struct net_subnet *subnet;
	uint64_t span;         /* of the subnet */
	uint64_t first, count; /* of the range: where it begins in the subnet, and its length */
	const struct net_lease *leases;
	struct net_addr *addrs; /* family 0: not decided yet */
	size_t n;
};

/* The unit that has the address, or n. */
static size_t plan_owner(const struct plan *plan, const struct net_addr *addr)
{
	for (size_t i = 0; i < plan->n; i++)
		if (net_addr_equal(&plan->addrs[i], addr))
			return i;
	return plan->n;
}

/* May a unit have it at all: in the subnet and neither the network's own nor a special one. */
static bool plan_usable(const struct plan *plan, const struct net_addr *addr)
{
	const struct net_addr *net = &plan->subnet->net;
	const struct net_addr *gateway = &plan->subnet->gateway;
	struct net_addr first = net_addr_nth(net, 0);
	struct net_addr last = net_addr_nth(net, plan->span - 1);

	if (!net_addr_in(net, addr))
		return false;
	if (gateway->family && memcmp(gateway->bytes, addr->bytes, 16) == 0)
		return false;
	/* A /31 has neither network nor broadcast (RFC 3021); IPv6 has no broadcast. */
	if (plan->span > 2 && net_addr_equal(&first, addr))
		return false;
	return plan->span <= 2 || addr->prefix != 32 || !net_addr_equal(&last, addr);
}

static int plan_fixed(struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct net_lease *lease = &plan->leases[i];
		struct net_addr addr = lease->fixed;
		struct net_addr_text text = net_addr_print(&addr, false);
		size_t owner;

		if (!addr.family)
			continue;
		addr.prefix = addr.family == plan->subnet->net.family
				      ? net_addr_nth(&plan->subnet->net, 0).prefix
				      : addr.prefix;
		if (!plan_usable(plan, &addr))
			return err_set(err, EINVAL,
				"%s: address %s is not free for containers in subnet %s",
				lease->unit, text.text,
				net_addr_print(&plan->subnet->net, true).text);
		owner = plan_owner(plan, &addr);
		if (owner < plan->n)
			return err_set(err, EADDRINUSE, "%s: address %s belongs to %s already",
				lease->unit, text.text, plan->leases[owner].unit);
		plan->addrs[i] = addr;
	}
	return 0;
}

/* One line "ADDRESS UNIT" of the stored text. A damaged line is as good as none: the unit then gets
 * its hashed address. */
static void plan_stored_line(struct plan *plan, const char *line, size_t len)
{
	struct net_addr addr;
	char text[160];
	char *unit;

	if (len >= sizeof text)
		return;
	memcpy(text, line, len);
	text[len] = '\0';
	unit = strchr(text, ' ');
	if (!unit)
		return;
	*unit++ = '\0';
	if (strchr(text, '/') || net_addr_parse(text, &addr) < 0 || !plan_usable(plan, &addr) ||
		net_addr_index(&plan->subnet->net, &addr) - plan->first >= plan->count ||
		plan_owner(plan, &addr) < plan->n)
		return;
	for (size_t i = 0; i < plan->n; i++)
		if (!plan->addrs[i].family && strcmp(plan->leases[i].unit, unit) == 0)
			plan->addrs[i] = addr;
}

static int plan_full(const struct plan *plan, const char *unit, struct err *err)
{
	const struct net_addr_text net = net_addr_print(&plan->subnet->net, true);

	if (plan->count < plan->span)
		return err_set(err, ENOSPC,
			"%s: the range of subnet %s is full: give the network a larger IPRange=",
			unit, net.text);
	return err_set(err, ENOSPC,
		"%s: subnet %s is full: give the network a larger Subnet=", unit, net.text);
}

static int plan_hashed(struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->n; i++) {
		uint64_t start = str_hash(plan->leases[i].unit) % plan->count;
		uint64_t tried = 0;
		struct net_addr addr;

		if (plan->addrs[i].family)
			continue;
		/* n units and three special addresses can be in the way: more probes find nothing. */
		for (; tried < plan->count && tried < plan->n + 4; tried++) {
			addr = net_addr_nth(
				&plan->subnet->net, plan->first + (start + tried) % plan->count);
			if (plan_usable(plan, &addr) && plan_owner(plan, &addr) == plan->n)
				break;
		}
		if (tried == plan->count || tried == plan->n + 4)
			return plan_full(plan, plan->leases[i].unit, err);
		plan->addrs[i] = addr;
	}
	return 0;
}

static int plan_run(struct plan *plan, const char *stored, struct err *err)
{
	int r = plan_fixed(plan, err);

	if (r < 0)
		return r;
	for (const char *line = stored ? stored : ""; *line;) {
		size_t len = strcspn(line, "\n");

		plan_stored_line(plan, line, len);
		line += len + (line[len] == '\n');
	}
	return plan_hashed(plan, err);
}

int net_lease_assign(const struct net_subnet *subnet, struct net_lease *leases, size_t n,
	const char *stored, struct err *err)
{
	struct plan plan = {
		.subnet = subnet,
		.span = net_addr_span(&subnet->net),
		.leases = leases,
		.addrs = calloc(n ? n : 1, sizeof *plan.addrs),
		.n = n,
	};
	int r;

	if (!plan.addrs)
		return err_sys(err, ENOMEM, "assign addresses");
	plan.count = plan.span;
	if (subnet->range.first.family) {
		plan.first = net_addr_index(&subnet->net, &subnet->range.first);
		plan.count = net_addr_index(&subnet->net, &subnet->range.last) - plan.first + 1;
	}
	r = plan_run(&plan, stored, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		leases[i].addr = plan.addrs[i];
	free(plan.addrs);
	return r;
}

ssize_t net_lease_print(const struct net_lease *leases, size_t n, char *buf, size_t size)
{
	struct strbuf out = { .text = buf, .size = size };

	if (!size)
		return -ENOSPC;
	buf[0] = '\0';
	for (size_t i = 0; i < n; i++)
		strbuf_add(&out, "%s %s\n", net_addr_print(&leases[i].addr, false).text,
			leases[i].unit);
	return out.cut ? -ENOSPC : (ssize_t)out.used;
}
