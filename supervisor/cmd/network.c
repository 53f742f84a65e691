/* `berth network`: what is declared, what the kernel has, and where the two differ. Asks the
 * configuration and the kernel, so it needs no supervisor. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/base/str.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/network.h"

int network_members(const struct network_command *c, const struct net_bridge *network,
	network_member_fn *fn, void *data, struct err *err)
{
	const char *run_dir = cmd_globals.run_dir ? cmd_globals.run_dir : c->set.conf.run_dir;
	int r = 0;

	for (size_t i = 0; i < c->set.nunits; i++) {
		struct network_member member = { .unit = &c->set.units[i], .run_dir = run_dir };
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

bool network_is_named(const struct network_command *c, const struct unit *unit)
{
	bool named = c->n == 0;

	for (int i = 0; unit->bridge && i < c->n; i++)
		named = named || strcmp(c->names[i], unit->bridge->name) == 0 ||
			strcmp(c->names[i], unit->id) == 0;
	return unit->bridge && named;
}

const char *network_driver(const struct net_bridge *network)
{
	static const char *const names[] = {
		[NET_BRIDGE] = "bridge", [NET_MACVLAN] = "macvlan", [NET_IPVLAN] = "ipvlan"
	};

	return names[network->driver];
}

/* ---- as a table --------------------------------------------------------------------------------- */

static int print_member(const struct network_member *member, void *data, struct err *err)
{
	bool *first = data;

	(void)err;
	printf("%s%s", *first ? "" : ", ", member->unit->stem);
	*first = false;
	return 0;
}

static struct subnets_text {
	char text[NET_SUBNETS_MAX * sizeof(struct net_addr_text)];
} subnets_of(const struct net_bridge *network, int family)
{
	struct subnets_text ret = { "" };
	struct strbuf text = STRBUF(ret.text);

	for (size_t i = 0; i < network->nsubnets; i++)
		if (network->subnets[i].net.family == family)
			strbuf_add(&text, "%s%s", text.used ? "," : "",
				net_addr_print(&network->subnets[i].net, true).text);
	if (!text.used)
		strbuf_add(&text, "-");
	return ret;
}

static int do_ls(struct network_command *c)
{
	if (c->json)
		return network_inspect(c);
	printf("%-20s%-9s%-17s%-20s%-24s%s\n", "NAME", "DRIVER", "LINK", "IPV4", "IPV6", "MEMBERS");
	for (size_t i = 0; i < c->set.nunits; i++) {
		const struct net_bridge *network = c->set.units[i].bridge;
		bool first = true;

		if (!network_is_named(c, &c->set.units[i]))
			continue;
		printf("%-19s %-8s %-16s %-19s %-23s ", network->name, network_driver(network),
			network->ifname, subnets_of(network, AF_INET).text,
			subnets_of(network, AF_INET6).text);
		(void)network_members(c, network, print_member, &first, NULL);
		puts(first ? "-" : "");
	}
	return CMD_OK;
}

/* ---- the verb ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct network_command *c);
} verbs[] = { { "ls", do_ls }, { "inspect", network_inspect }, { "check", network_check } };

static int names_check(const struct network_command *c)
{
	for (int i = 0; i < c->n; i++) {
		struct network_command one = { .names = &c->names[i], .n = 1 };
		bool known = false;

		for (size_t k = 0; k < c->set.nunits; k++)
			known = known || network_is_named(&one, &c->set.units[k]);
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
	struct network_command c = { 0 };
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
