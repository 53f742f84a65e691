/* `berth network`: what is declared, what the kernel has, and where the two differ. Asks the
 * configuration and the kernel, so it needs no supervisor. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "config/unit.h"
#include "netns/net.h"
#include "supervisor/base/own.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

struct command {
	struct unit_set set;
	bool json;
	char **names;
	int n;
};

/* One container on a network. */
struct member {
	const struct unit *unit;
	const struct net_iface *iface;
	char pin[512];
};

typedef int member_fn(const struct member *member, void *data, struct err *err);

static int members_each(const struct command *c, const struct net_bridge *network, member_fn *fn,
	void *data, struct err *err)
{
	const char *run_dir = cmd_globals.run_dir ? cmd_globals.run_dir : c->set.conf.run_dir;
	int r = 0;

	for (size_t i = 0; i < c->set.nunits; i++) {
		struct member member = { .unit = &c->set.units[i] };
		const struct container_spec *spec = member.unit->spec;

		for (size_t k = 0; r == 0 && spec && k < spec->net.nifaces; k++) {
			member.iface = &spec->net.ifaces[k];
			if (member.iface->bridge != network)
				continue;
			(void)snprintf(member.pin, sizeof member.pin, "%s/pin/%s.net", run_dir,
				spec->name);
			r = fn(&member, data, err);
		}
	}
	return r;
}

/* Is it asked for? By its name, or its file's; all, when none is named. */
static bool is_named(const struct command *c, const struct unit *unit)
{
	bool named = c->n == 0;

	for (int i = 0; unit->bridge && i < c->n; i++)
		named = named || strcmp(c->names[i], unit->bridge->name) == 0 ||
			strcmp(c->names[i], unit->id) == 0;
	return unit->bridge && named;
}

static const char *driver_of(const struct net_bridge *network)
{
	static const char *const names[] = {
		[NET_BRIDGE] = "bridge", [NET_MACVLAN] = "macvlan", [NET_IPVLAN] = "ipvlan"
	};

	return names[network->driver];
}

/* ---- as JSON ------------------------------------------------------------------------------------ */

static json_t *address_json(const struct net_addr *addr, bool with_prefix)
{
	return addr->family ? json_string(net_addr_print(addr, with_prefix).text) : json_null();
}

static json_t *view_json(const char *ifname, const struct net_view *view)
{
	json_t *addrs = json_array();
	char mac[20];

	for (size_t i = 0; i < view->naddrs; i++)
		(void)json_array_append_new(addrs, address_json(&view->addrs[i], true));
	(void)snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", view->mac[0], view->mac[1],
		view->mac[2], view->mac[3], view->mac[4], view->mac[5]);
	return json_pack("{s:s,s:b,s:b,s:s,s:s,s:i,s:s,s:o}", "name", ifname, "exists",
		(int)view->found, "up", (int)view->up, "kind", view->kind, "mac", mac, "mtu",
		(int)view->mtu, "alias", view->alias, "addresses", addrs);
}

static json_t *counters_json(const struct net_usage *usage)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "rx_bytes", (json_int_t)usage->rx_bytes,
		"rx_packets", (json_int_t)usage->rx_packets, "rx_dropped",
		(json_int_t)usage->rx_dropped, "tx_bytes", (json_int_t)usage->tx_bytes,
		"tx_packets", (json_int_t)usage->tx_packets, "tx_dropped",
		(json_int_t)usage->tx_dropped);
}

static json_t *ports_json(const struct net_spec *net)
{
	json_t *ports = json_array();

	for (size_t i = 0; i < net->nports; i++)
		(void)json_array_append_new(
			ports, json_string(net_port_print(&net->ports[i]).text));
	return ports;
}

static int member_json(const struct member *member, void *data, struct err *err)
{
	const struct net_iface *iface = member->iface;
	json_t *o = json_pack("{s:s,s:o,s:o,s:b,s:o}", "unit", member->unit->id, "ipv4",
		address_json(&iface->addr4, false), "ipv6", address_json(&iface->addr6, false),
		"default_route", (int)iface->default_route, "ports",
		ports_json(&member->unit->spec->net));
	own_fd pin = netns_open(member->pin, err);
	struct net_usage usage;
	struct net_view view;

	(void)json_array_append_new(data, o);
	if (iface->bridge->driver == NET_BRIDGE) {
		if (net_look(-1, iface->host_ifname, &view, err) < 0)
			return -err->code;
		(void)json_object_set_new(o, "host_link", view_json(iface->host_ifname, &view));
	}
	if (pin < 0)
		return pin == -ENOENT ? 0 : pin;
	if (net_look(pin, iface->ifname, &view, err) < 0 || net_usage(member->pin, &usage, err) < 0)
		return -err->code;
	(void)json_object_set_new(o, "link", view_json(iface->ifname, &view));
	(void)json_object_set_new(o, "counters", counters_json(&usage));
	return 0;
}

static json_t *labels_json(const struct strv *labels)
{
	json_t *o = json_object();

	for (size_t i = 0; i < labels->n; i++) {
		size_t n = strcspn(labels->v[i], "=");

		(void)json_object_setn_new(o, labels->v[i], n,
			json_string(labels->v[i][n] ? labels->v[i] + n + 1 : ""));
	}
	return o;
}

static json_t *network_json(const struct command *c, const struct unit *unit, struct err *err)
{
	const struct net_bridge *network = unit->bridge;
	json_t *members = json_array();
	struct net_view view;

	if (net_look(-1, network->ifname, &view, err) < 0 ||
		members_each(c, network, member_json, members, err) < 0)
		return NULL;
	return json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "name",
		network->name, "unit", unit->id, "driver", driver_of(network), "managed",
		(int)net_is_ours(network), "internal", (int)network->internal, "isolate",
		(int)network->isolate, "subnet4", address_json(&network->subnet4, true), "gateway4",
		address_json(&network->gateway4, false), "subnet6",
		address_json(&network->subnet6, true), "gateway6",
		address_json(&network->gateway6, false), "labels", labels_json(&unit->labels),
		"link", view_json(network->ifname, &view), "members", members);
}

static int do_inspect(struct command *c)
{
	json_t *array = json_array();
	struct err err = { 0 };

	for (size_t i = 0; i < c->set.nunits; i++) {
		json_t *network = NULL;

		if (!is_named(c, &c->set.units[i]))
			continue;
		network = network_json(c, &c->set.units[i], &err);
		if (!network)
			return cmd_fail(CMD_FAILED, "network: %s", err.text);
		(void)json_array_append_new(array, network);
	}
	show_json(array);
	return CMD_OK;
}

/* ---- as a table --------------------------------------------------------------------------------- */

static int print_member(const struct member *member, void *data, struct err *err)
{
	bool *first = data;

	(void)err;
	printf("%s%s", *first ? "" : ", ", member->unit->stem);
	*first = false;
	return 0;
}

static int do_ls(struct command *c)
{
	if (c->json)
		return do_inspect(c);
	printf("%-20s%-9s%-17s%-20s%-24s%s\n", "NAME", "DRIVER", "LINK", "IPV4", "IPV6", "MEMBERS");
	for (size_t i = 0; i < c->set.nunits; i++) {
		const struct net_bridge *network = c->set.units[i].bridge;
		bool first = true;

		if (!is_named(c, &c->set.units[i]))
			continue;
		printf("%-19s %-8s %-16s %-19s %-23s ", network->name, driver_of(network),
			network->ifname,
			network->subnet4.family ? net_addr_print(&network->subnet4, true).text
						: "-",
			network->subnet6.family ? net_addr_print(&network->subnet6, true).text
						: "-");
		(void)members_each(c, network, print_member, &first, NULL);
		puts(first ? "-" : "");
	}
	return CMD_OK;
}

/* ---- the comparison ----------------------------------------------------------------------------- */

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

static bool view_has(const struct net_view *view, const struct net_addr *addr)
{
	for (size_t i = 0; i < view->naddrs; i++)
		if (view->addrs[i].family == addr->family &&
			memcmp(view->addrs[i].bytes, addr->bytes, sizeof addr->bytes) == 0)
			return true;
	return !addr->family;
}

static int member_check(const struct member *member, void *data, struct err *err)
{
	const struct net_iface *iface = member->iface;
	struct check *check = data;
	own_fd pin = netns_open(member->pin, err);
	struct net_view view;
	int r;

	if (pin < 0)
		return pin == -ENOENT ? 0 : pin;
	check->used = true;
	r = net_is_attached(iface, 1, err);
	if (r >= 0 && net_look(pin, iface->ifname, &view, err) < 0)
		r = -err->code;
	if (r < 0)
		return r;
	if (r == 0)
		wrong(check, member->unit->id, iface->host_ifname, "is not on its bridge");
	if (!view.found)
		wrong(check, member->unit->id, iface->ifname, "is missing in the container");
	else if (!view_has(&view, &iface->addr4) || !view_has(&view, &iface->addr6))
		wrong(check, member->unit->id, iface->ifname, "has not its address");
	return 0;
}

static int bridge_check(
	const struct command *c, struct check *check, const struct net_view *view, struct err *err)
{
	const struct net_bridge *network = check->network;
	bool complete = view_has(view, &network->gateway4) && view_has(view, &network->gateway6);
	struct err why = { 0 };
	int r = view->found && complete ? 0 : net_bridge_check(c->set.instance, network, &why);

	if (r == -EEXIST || r == -EADDRINUSE) {
		puts(why.text);
		check->wrong++;
	} else if (r < 0) {
		return err_set(err, -r, "%s", why.text);
	} else if (check->used && !view->found) {
		wrong(check, "bridge", network->ifname, "is missing");
	} else if (check->used && !view->up) {
		wrong(check, "bridge", network->ifname, "is down");
	} else if (check->used && !complete) {
		wrong(check, "bridge", network->ifname, "has not the gateway's address");
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
		wrong(check, driver_of(network), name, "is missing");
	else if (check->used && !view->up)
		wrong(check, driver_of(network), network->ifname, "is down");
	return 0;
}

static int network_check(const struct command *c, struct check *check, struct err *err)
{
	const struct net_bridge *network = check->network;
	struct net_view view;
	int r = members_each(c, network, member_check, check, err);

	if (r < 0)
		return r;
	if (net_look(-1, network->ifname, &view, err) < 0)
		return -err->code;
	return net_is_ours(network) ? bridge_check(c, check, &view, err)
				    : parent_check(check, &view, err);
}

static int do_check(struct command *c)
{
	struct err err = { 0 };
	int found = 0;

	for (size_t i = 0; i < c->set.nunits; i++) {
		struct check check = { .network = c->set.units[i].bridge };

		if (!is_named(c, &c->set.units[i]))
			continue;
		if (network_check(c, &check, &err) < 0)
			return cmd_fail(CMD_FAILED, "network: %s", err.text);
		found += check.wrong;
	}
	return found ? CMD_FAILED : CMD_OK;
}

/* ---- the verb ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct command *c);
} verbs[] = { { "ls", do_ls }, { "inspect", do_inspect }, { "check", do_check } };

static int names_check(const struct command *c)
{
	for (int i = 0; i < c->n; i++) {
		struct command one = { .names = &c->names[i], .n = 1 };
		bool known = false;

		for (size_t k = 0; k < c->set.nunits; k++)
			known = known || is_named(&one, &c->set.units[k]);
		if (!known)
			return cmd_fail(CMD_NO_UNIT,
				"network: there is no network %s: berth network ls", c->names[i]);
	}
	return CMD_OK;
}

int cmd_network(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	struct command c = { 0 };
	struct err err = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'j')
			c.json = true;
		else if (cmd_global(option, "network"))
			return CMD_USAGE;
	}
	for (size_t i = 0; optind < argc && i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, argv[optind]) != 0)
			continue;
		c.names = argv + optind + 1;
		c.n = argc - optind - 1;
		if (unit_set_load(&c.set, cmd_globals.config_dir, &err) < 0)
			return cmd_fail(CMD_FAILED, "network: %s", err.text);
		option = names_check(&c);
		return option ? option : verbs[i].run(&c);
	}
	return cmd_usage("network", "ls, inspect or check is expected");
}
