/* `berth check` and `berth cat`: what the files say, before anything is touched. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "config/print.h"
#include "config/unit.h"
#include "netns/net.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/runtime/rlimits.h"

/* What is no mistake of the files, and yet will not start here: the machine they are checked on need
 * not be the one they are for. */
static void network_note(const struct net_bridge *network, const char *why)
{
	printf("note: this machine will not start what is on network %s: %s\n", network->name, why);
}

static void nft_notes(const struct unit_set *set)
{
	if (net_has_nft())
		return;
	for (size_t i = 0; i < set->nunits; i++) {
		const struct unit *unit = &set->units[i];
		const struct net_spec *net = unit->spec ? &unit->spec->net : NULL;
		size_t k = 0;

		while (net && k < net->nports && net->ports[k].proxied)
			k++;
		if (net && k < net->nports)
			printf("%s: note: this machine will not start it: the kernel has no "
			       "nf_tables to publish port %u with: write [X-Berth] "
			       "PublishMode=proxy, or modprobe nf_tables\n",
				unit->file, net->ports[k].host_port);
	}
	printf("note: the kernel of this machine has no nf_tables: containers do not reach the "
	       "outside, and reach every service of the host: modprobe nf_tables, or build it with "
	       "CONFIG_NF_TABLES\n");
}

static void print_note(const char *text, void *data)
{
	(void)data;
	printf("note: %s\n", text);
}

static void network_notes(const struct unit_set *set)
{
	bool asked = false;

	for (size_t i = 0; i < set->nbridges; i++) {
		const struct net_bridge *network = set->bridges[i];
		struct err err = { 0 };

		if (net_subnet_first(network, AF_INET6) && net_ip6_probe(NULL, &err) < 0)
			network_note(network, err.text);
		if (!net_is_ours(network))
			continue;
		if (net_subnet_first(network, AF_INET) && !network->internal &&
			net_forward_probe() < 0)
			network_note(network,
				"it forwards no packets, and /proc/sys is read-only: set "
				"net.ipv4.ip_forward=1 before berth starts, or write Internal=yes");
		if (!asked)
			nft_notes(set);
		asked = true;
	}
	if (net_by_rules(set->ports, set->nports))
		net_walls_of_others(set->instance, print_note, NULL);
}

static void limits_notes(const struct unit_set *set)
{
	struct cgroup_tree tree;
	bool looked = cgroup_tree_look(&tree, NULL) >= 0;

	for (size_t i = 0; i < set->nunits; i++) {
		const struct unit *unit = &set->units[i];
		struct err err = { 0 };
		char dropped[200] = "";

		if (!unit->spec)
			continue;
		/* Another user's limits say nothing of berth's. */
		if ((geteuid() == 0 &&
			    rlimits_check(unit->spec, dropped, sizeof dropped, &err) < 0) ||
			(looked && cgroup_limits_check(&tree, &unit->spec->limits, &err) < 0))
			printf("%s: note: this machine will not start it: %s; or write "
			       "LimitsPolicy=best-effort\n",
				unit->file, err.text);
	}
}

/* Of units that wait for it, or always ask for it; what is there needs no registry. */
static bool must_fetch(const struct unit_set *set, uint32_t image)
{
	const struct strv *argv = &set->units[image].spec->process.argv;

	if (!strv_has(argv, "pull"))
		return false;
	for (size_t i = 0; i < set->nunits; i++) {
		const struct unit *unit = &set->units[i];

		for (size_t k = 0; k < unit->requires.n; k++)
			if (unit->requires.v[k] == image &&
				(unit->spec->root.kind == ROOT_NONE || strv_has(argv, "always")))
				return true;
	}
	return false;
}

static void fetch_notes(const struct unit_set *set)
{
	if (appliance_fetch())
		return;
	for (uint32_t i = 0; i < set->nunits; i++)
		if (set->units[i].kind == UNIT_IMAGE && must_fetch(set, i))
			printf("%s: note: this machine will not pull %s: berth-fetch is neither "
			       "beside berth nor in ../libexec: put it there, or bring the image "
			       "in "
			       "by berth image import FILE\n",
				set->units[i].file,
				set->units[i]
					.spec->process.argv
					.v[set->units[i].spec->process.argv.n - 1]);
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "strict", no_argument, NULL, 's' }, { 0 } };
	struct unit_set set = { 0 };
	struct err err = { 0 };
	bool strict = false;
	struct stat st;
	const char *dir;
	int r;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			strict = true;
		else if (cmd_global(c, "check"))
			return CMD_USAGE;
	}
	if (optind + 1 < argc)
		return cmd_usage("check", "one directory at most");
	if (optind < argc && stat(argv[optind], &st) == 0 && !S_ISDIR(st.st_mode))
		return cmd_fail(CMD_FAILED,
			"check: %s is a file: units are checked as a set, so name the directory "
			"that it "
			"is in",
			argv[optind]);
	if (optind < argc)
		cmd_globals.config_dir = argv[optind];
	if (appliance_config(&dir, &err) < 0 || unit_set_load(&set, dir, &err) < 0)
		return cmd_fail(CMD_FAILED, "%s", err.text);
	network_notes(&set);
	limits_notes(&set);
	fetch_notes(&set);
	r = check_print(&set, stdout);
	if (r < 0)
		return cmd_fail(CMD_FAILED, "check: %s", strerror(-r));
	return r > 0 || (strict && set.nproblems) ? CMD_FAILED : CMD_OK;
}

int cmd_cat(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS, { 0 } };
	struct unit_set set = { 0 };
	struct err err = { 0 };
	const char *dir;
	int r = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (cmd_global(c, "cat"))
			return CMD_USAGE;
	if (optind == argc)
		return cmd_usage("cat", "the name of a unit is missing");
	if (appliance_config(&dir, &err) < 0 || unit_set_load(&set, dir, &err) < 0)
		return cmd_fail(CMD_FAILED, "%s", err.text);
	for (; optind < argc && r == 0; optind++)
		r = cat_print(&set, argv[optind], stdout);
	if (r == -ENOENT)
		return cmd_fail(CMD_NO_UNIT, "%s: no such unit; 'berth check' says what was read",
			argv[optind - 1]);
	if (r < 0)
		return cmd_fail(CMD_FAILED, "%s: %s", argv[optind - 1], strerror(-r));
	return CMD_OK;
}
