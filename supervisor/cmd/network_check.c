/* `berth network check`: where the kernel differs from what is declared, a line each, and what mends
 * it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/base/own.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/network.h"
#include "supervisor/runtime/helpers.h"

struct check {
	const struct net_bridge *network;
	bool used; /* some member has its namespace now */
	int wrong;
};

static void wrong(struct check *check, const char *what, const char *ifname, const char *why)
{
	printf("%s: %s %s %s\n", check->network->name, what, ifname, why);
	check->wrong++;
}

static int member_check(const struct network_member *member, void *data, struct err *err)
{
	static const char *const words[] = { [NET_UNPLUGGED] = "is not on its bridge",
		[NET_GONE] = "is missing in the container",
		[NET_DOWN] = "is down in the container",
		[NET_NO_ADDRESS] = "has not its address",
		[NET_NO_ROUTE] = "has not its default route" };
	const struct net_iface *iface = member->iface;
	struct check *check = data;
	own_fd pin = netns_open(member->pin, err);
	bool own = helpers_is_net_admin(member->unit->spec);
	char why[100];
	int r;

	if (pin < 0)
		return pin == -ENOENT ? 0 : pin;
	check->used = true;
	r = net_compare(pin, iface, err);
	if (r <= 0)
		return r;
	/* Who may configure his network may have meant it. */
	(void)snprintf(why, sizeof why, "%s: berth %s%s", words[r],
		own && r != NET_UNPLUGGED ? "restart " : "reload",
		own && r != NET_UNPLUGGED ? member->unit->stem : "");
	wrong(check, member->unit->id, r == NET_UNPLUGGED ? iface->host_ifname : iface->ifname,
		why);
	return 0;
}

/* What the packet rules say of a network of ours. */
struct rules_seen {
	const struct net_bridge *network;
	bool there;
	size_t ports;
};

static void rule_count(const struct net_rule *rule, void *data)
{
	struct rules_seen *seen = data;

	seen->there = seen->there || (strcmp(rule->kind, "calls") == 0 &&
					     strcmp(rule->ifname, seen->network->ifname) == 0);
	seen->ports +=
		strcmp(rule->kind, "published") == 0 && net_subnet_of(seen->network, &rule->addr);
}

static int rules_check(const struct network_command *c, struct check *check, struct err *err)
{
	struct rules_seen seen = { .network = check->network };
	size_t wanted = 0;
	char why[80];
	int r = net_rules_look(c->set.instance, rule_count, &seen, err);

	for (size_t i = 0; i < c->set.nports; i++)
		if (net_subnet_of(check->network, &c->set.ports[i].addr))
			wanted += c->set.ports[i].count;
	(void)snprintf(why, sizeof why, "are %zu of %zu: berth reload", seen.ports, wanted);
	if (r == 0 && !seen.there)
		wrong(check, "its", "packet rules", "are missing: berth reload");
	else if (r == 0 && seen.ports != wanted)
		wrong(check, "its", "published ports", why);
	return r;
}

/* NULL: the bridge has them all. */
static const struct net_addr *lost_gateway(
	const struct net_bridge *network, const struct net_view *view)
{
	for (size_t i = 0; i < network->nsubnets; i++)
		if (!net_view_has(view, &network->subnets[i].gateway))
			return &network->subnets[i].gateway;
	return NULL;
}

static int bridge_check(const struct network_command *c, struct check *check,
	const struct net_view *view, struct err *err)
{
	const struct net_bridge *network = check->network;
	const struct net_addr *lost = lost_gateway(network, view);
	struct err why = { 0 };
	int r = view->found && !lost ? 0 : net_bridge_check(c->set.instance, network, &why);

	if (r == -EEXIST || r == -EADDRINUSE) {
		puts(why.text);
		check->wrong++;
	} else if (r < 0) {
		return err_set(err, -r, "%s", why.text);
	} else if (check->used && !view->found) {
		wrong(check, "bridge", network->ifname, "is missing: berth reload");
	} else if (check->used && !view->up) {
		wrong(check, "bridge", network->ifname, "is down: berth reload");
	} else if (check->used && lost) {
		char words[120];

		(void)snprintf(words, sizeof words,
			"has not the gateway's address %s: berth reload",
			net_addr_print(lost, false).text);
		wrong(check, "bridge", network->ifname, words);
	}
	return 0;
}

/* A VLAN that is missing is made with the first container; what it stands on is somebody else's. */
static int parent_check(struct check *check, const struct net_view *view, struct err *err)
{
	const struct net_bridge *network = check->network;
	struct net_view base = { 0 };
	char name[16];

	(void)snprintf(name, sizeof name, "%s", network->ifname);
	if (!check->used && network->driver != NET_BRIDGE)
		name[strcspn(name, ".")] = '\0';
	if (net_look(-1, name, &base, err) < 0)
		return -err->code;
	if (!base.found)
		wrong(check, network_driver(network), name, "is missing");
	else if (check->used && !view->up)
		wrong(check, network_driver(network), network->ifname, "is down");
	return 0;
}

static int one_check(const struct network_command *c, struct check *check, struct err *err)
{
	const struct net_bridge *network = check->network;
	struct net_view view;
	int r = network_members(c, network, member_check, check, err);

	if (r < 0)
		return r;
	if (net_look(-1, network->ifname, &view, err) < 0 ||
		(check->used && net_is_ours(network) && rules_check(c, check, err) < 0))
		return -err->code;
	return net_is_ours(network) ? bridge_check(c, check, &view, err)
				    : parent_check(check, &view, err);
}

int network_check(struct network_command *c)
{
	struct err err = { 0 };
	int found = 0;

	for (size_t i = 0; i < c->set.nunits; i++) {
		struct check check = { .network = c->set.units[i].bridge };

		if (!network_is_named(c, &c->set.units[i]))
			continue;
		if (one_check(c, &check, &err) < 0)
			return cmd_fail(CMD_FAILED, "network: %s", err.text);
		found += check.wrong;
	}
	return found ? CMD_FAILED : CMD_OK;
}
