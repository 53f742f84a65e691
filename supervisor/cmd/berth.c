/* main(): the table of verbs, help, and what to say when a verb is not known. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/near.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/lease.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage; /* what follows the name */
	const char *help;  /* NULL: for berth's own units, and in no list */
};

static const struct verb verbs[] = {
	{ "supervise", cmd_supervise, "[--log-level LEVEL]",
		"keep the declared units running; what runs already is taken up" },
	{ "init", cmd_init, "", "be process 1 of a machine (as /init, or init=/sbin/berth)" },
	{ "ps", cmd_ps, "[-a] [-q] [--filter KEY=VALUE] [--json]",
		"list what runs, or is meant to; -a: all units" },
	{ "status", cmd_status, "[--json] [NAME…]", "the whole, or units with their last lines" },
	{ "why", cmd_why, "NAME", "why a unit is in the state it is in, and what to do" },
	{ "inspect", cmd_inspect, "NAME", "everything about a unit, as JSON" },
	{ "stats", cmd_stats, "[--json] [NAME…]",
		"what the running units use: processor, memory, tasks, disk, network" },
	{ "port", cmd_port, "[--json] NAME [PORT[/tcp|udp]]",
		"where the ports of a container are published" },
	{ "is-active", cmd_is_active, "NAME…", "print the state; exit 0 when it runs, 3 when not" },
	{ "logs", cmd_logs, "[-f] [-n LINES] [-t] [--json] [NAME…]",
		"what a unit wrote; without a name: berth's own messages" },
	{ "start", cmd_start, "[--no-block] NAME…|--all",
		"start units, and wait until they are ready" },
	{ "stop", cmd_stop, "[--no-block] NAME…|--all",
		"stop units, and wait until they are gone" },
	{ "restart", cmd_restart, "[--no-block] NAME…|--all", "stop units and start them again" },
	{ "reload", cmd_reload, "[--json]",
		"read the configuration anew: all of it, or nothing when it has an error" },
	{ "kill", cmd_kill, "[-s SIGNAL] NAME…",
		"send a signal (SIGKILL) to a unit's main process" },
	{ "wait", cmd_wait, "[--healthy] [--timeout TIME] NAME…|--all",
		"wait until units have ended; --healthy: are ready" },
	{ "exec", cmd_exec, "[-it] [-u USER] [-w DIR] [-e KEY=VALUE] NAME COMMAND…",
		"run a further command in a running container" },
	{ "run", cmd_run,
		"[-it] [-v HOST:DIR] [-e KEY=VALUE] [-p PORT:PORT] [-m SIZE] [-u USER] [-w DIR] "
		"[--name NAME] [--network none|host] [--read-only] [--rm] ROOT|IMAGE [COMMAND…]",
		"one container in the foreground" },
	{ "check", cmd_check, "[--strict] [DIR]",
		"every problem of the units, with file and line" },
	{ "cat", cmd_cat, "NAME…", "a unit as it holds, and where each line comes from" },
	{ "pack", cmd_pack,
		"--config DIR [--images DIR] [--image REF=PATH] [--bundle NAME=PROGRAM] "
		"[--stub BERTH] [--compress "
		"lz4|none] [--initramfs [--kernel FILE] [--modules DIR] [--module NAME] "
		"[--sysroot DIR]] [--json] -o FILE",
		"one executable file of berth, a configuration and its images" },
	{ "bundle", cmd_bundle,
		"ls|verify [--json] [FILE] | install [--signature FILE] [--json] FILE",
		"what is packed into this file, or another; compare it with its digests; replace "
		"this file by another" },
	{ "image", cmd_image, "VERB [OPTION…]",
		"the store of images: import, ls, inspect, tag, rollback, rm, gc, verify, df" },
	{ "network", cmd_network, "ls|inspect|check [--json] [NAME…]",
		"the networks, who is on them, and whether the kernel has what they say" },
	{ "volume", cmd_volume, "ls|inspect|create|rm|prune [OPTION…] [NAME…]",
		"the volumes: list, tell all of one, make, remove, remove what no unit names" },
	{ "metrics", cmd_metrics, "", "the units in numbers, in Prometheus' text format" },
	{ "doctor", cmd_doctor, "[--json]", "what this machine can do, and what is missing" },
	{ "help", cmd_help, "[VERB]", "this list, or one verb's usage" },
	{ "version", cmd_version, "[--licenses]", "version, and what berth is made with" },
	{ "lease", cmd_lease, "", NULL },
};

enum { NVERBS = sizeof verbs / sizeof verbs[0] };

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < NVERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static const struct verb *verb_near(const char *name)
{
	const struct verb *near = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < NVERBS; i++) {
		unsigned d = near_distance(name, verbs[i].name);

		if (d < least && d < strlen(verbs[i].name) && verbs[i].help) {
			least = d;
			near = &verbs[i];
		}
	}
	return near;
}

static int unknown_verb(const char *name)
{
	const struct verb *near = verb_near(name);

	if (near)
		return cmd_fail(
			CMD_USAGE, "'%s' is not a verb; did you mean '%s'?", name, near->name);
	return cmd_fail(CMD_USAGE, "'%s' is not a verb; 'berth help' lists them", name);
}

int cmd_help(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		puts("usage: berth [--config DIR] [--run-dir DIR] VERB [OPTION…]\n\nverbs:");
		for (size_t i = 0; i < NVERBS; i++)
			if (verbs[i].help)
				printf("  %-11s%s\n", verbs[i].name, verbs[i].help);
		puts("\n'berth help VERB' shows what a verb takes. Without --config, units are "
		     "read "
		     "from\n/run/berth/units, /etc/berth and /usr/lib/berth.");
		return CMD_OK;
	}
	verb = verb_find(argv[1]);
	if (!verb || !verb->help)
		return unknown_verb(argv[1]);
	printf("usage: berth %s%s%s\n", verb->name, *verb->usage ? " " : "", verb->usage);
	printf("%s\n", verb->help);
	return CMD_OK;
}

/* Does the verb's own part of the line ask for help? What follows an operand may be a command's. */
static bool asks_help(int argc, char **argv)
{
	for (int i = 1; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 } };
	char *no_args[] = { argv[0], NULL };
	char full_name[64];
	const struct verb *verb;
	int c;

	if (lease_is_script())
		return lease_script(argc, argv);
	/* Kept as it is: a resident executes itself once more with these words. */
	cmd_globals.argv = calloc((size_t)argc + 1, sizeof *argv);
	if (!cmd_globals.argv)
		return cmd_fail(CMD_BERTH, "no memory");
	memcpy(cmd_globals.argv, argv, (size_t)argc * sizeof *argv);
	/* The kernel gives process 1 no verb, or words of its command line that are not ours. */
	if (getpid() == 1 && (argc < 2 || (argv[1][0] != '-' && !verb_find(argv[1]))))
		return cmd_init(1, no_args);
	while ((c = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		if (c == 'h')
			return cmd_help(1, no_args);
		if (c == 'V') {
			optind = 0; /* it begins anew, with other arguments */
			return cmd_version(1, no_args);
		}
		if (cmd_global(c, "help"))
			return CMD_USAGE;
	}
	if (optind >= argc) {
		(void)cmd_help(1, no_args);
		return CMD_USAGE;
	}
	argc -= optind;
	argv += optind;
	verb = verb_find(argv[0]);
	if (!verb)
		return unknown_verb(argv[0]);
	if (asks_help(argc, argv)) {
		char *help[] = { argv[0], argv[0], NULL };

		return cmd_help(2, help);
	}
	(void)snprintf(full_name, sizeof full_name, "berth %s", verb->name);
	argv[0] = full_name;
	cmd_globals.usage = verb->usage;
	optind = 0; /* getopt starts anew, for the verb's own table */
	return verb->run(argc, argv);
}
