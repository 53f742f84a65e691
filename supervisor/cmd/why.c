/* `berth why`: the state of a unit in plain sentences: what, why, what next, what to do. One function
 * for each state; the table says which. */
#include <string.h>

#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

static bool has(const json_t *unit, const char *key)
{
	return *show_text(unit, key) != '\0';
}

/* What a run that ended badly asks for. */
static void advise(const json_t *unit)
{
	const json_t *last = json_object_get(unit, "last_exit");
	const char *name = show_text(unit, "name");

	if (!last) /* it never ran, so it said nothing */
		return;
	if (json_is_true(json_object_get(last, "oom")))
		printf("It needs more memory than it may have: raise Memory= (MemoryMax=) in %s, "
		       "or "
		       "look why it grows.\n",
			show_text(unit, "file"));
	else
		printf("'berth logs -n 50 %s' shows what it said last.\n", name);
}

static void last_run(const json_t *unit)
{
	if (*show_exit(unit).text)
		printf("Its last run (number %lld) %s.\n", show_int(unit, "run"),
			show_exit(unit).text);
	if (has(unit, "failure"))
		printf("The failure: %s.\n", show_text(unit, "failure"));
}

static void why_inactive(const json_t *unit)
{
	const char *name = show_text(unit, "name");

	if (json_is_true(json_object_get(unit, "by_hand")))
		printf("%s does not run: it was stopped by hand, and stays so until 'berth start "
		       "%s'.\n",
			name, name);
	else
		printf("%s does not run: nothing asks for it. It has no [Install] WantedBy= that "
		       "is "
		       "reached, and no unit that runs needs it. 'berth start %s' starts it.\n",
			name, name);
	last_run(unit);
}

static void why_waiting(const json_t *unit)
{
	printf("%s does not run yet: it waits for the units it comes after (%s).\n",
		show_text(unit, "name"), show_text(unit, "sub"));
	last_run(unit);
}

static void why_starting(const json_t *unit)
{
	printf("%s is being started since %s%s%s.\n", show_text(unit, "name"),
		show_ago(show_text(unit, "since")).text, has(unit, "sub") ? ": " : "",
		show_text(unit, "sub"));
	last_run(unit);
}

static void why_running(const json_t *unit)
{
	printf("%s runs (pid %lld) since %s, and is not ready yet%s%s.\n", show_text(unit, "name"),
		show_int(unit, "pid"), show_ago(show_text(unit, "started")).text,
		has(unit, "sub") ? ": " : "", show_text(unit, "sub"));
	if (has(unit, "health_text"))
		printf("The last health probe failed: %s.\n", show_text(unit, "health_text"));
	if (has(unit, "status_text"))
		printf("It says: %s.\n", show_text(unit, "status_text"));
}

static void why_ready(const json_t *unit)
{
	bool unhealthy = strcmp(show_text(unit, "health"), "unhealthy") == 0;

	printf("%s runs (pid %lld) since %s, %s.\n", show_text(unit, "name"), show_int(unit, "pid"),
		show_ago(show_text(unit, "started")).text,
		unhealthy ? "and is unhealthy; its Restart= leaves it as it is" : "as it should");
	if (unhealthy || show_int(unit, "health_failures"))
		printf("Its health probe failed %s in a row: %s.\n",
			show_times(show_int(unit, "health_failures")).text,
			show_text(unit, "health_text"));
	if (show_int(unit, "restarts"))
		printf("It was restarted %s. The run before this one %s.\n",
			show_times(show_int(unit, "restarts")).text, show_exit(unit).text);
}

static void why_stopping(const json_t *unit)
{
	printf("%s is being stopped since %s%s%s.\n", show_text(unit, "name"),
		show_ago(show_text(unit, "since")).text, has(unit, "sub") ? ": " : "",
		show_text(unit, "sub"));
}

static void why_killing(const json_t *unit)
{
	printf("%s did not end when it was asked to; everything in it was sent SIGKILL %s ago and "
	       "is "
	       "not gone yet.\n",
		show_text(unit, "name"), show_ago(show_text(unit, "since")).text);
}

static void why_draining(const json_t *unit)
{
	printf("%s has ended; what it started besides, or the rest of its log, is being cleared "
	       "away.\n",
		show_text(unit, "name"));
	last_run(unit);
}

static void why_backoff(const json_t *unit)
{
	const char *next = show_text(unit, "next_try");

	printf("%s does not run: it ended and is started again in %s (restarted %s so far; "
	       "each quick end makes the pause longer).\n",
		show_text(unit, "name"), show_until(next).text,
		show_times(show_int(unit, "restarts")).text);
	last_run(unit);
	advise(unit);
	printf("'berth start %s' tries at once.\n", show_text(unit, "name"));
}

static void why_done(const json_t *unit)
{
	printf("%s is done: it ended well %s ago, and Restart=%s does not ask for another run.\n",
		show_text(unit, "name"), show_ago(show_text(unit, "since")).text,
		show_text(unit, "restart_policy"));
	last_run(unit);
}

static void why_failed(const json_t *unit)
{
	/* A .mount, and a .volume with Device=, have no [Service]. */
	const char *kind = show_text(unit, "kind");
	bool mounts = strcmp(kind, "mount") == 0 || strcmp(kind, "volume") == 0;

	printf("%s does not run: it failed %s ago, and Restart=%s does not ask for another try.\n",
		show_text(unit, "name"), show_ago(show_text(unit, "since")).text,
		show_text(unit, "restart_policy"));
	last_run(unit);
	advise(unit);
	printf("'berth start %s' tries again; %s would do so by itself.\n", show_text(unit, "name"),
		mounts ? "DefaultRestart=on-failure in berth.conf"
		       : "Restart=on-failure in [Service]");
}

static void why_unkillable(const json_t *unit)
{
	printf("%s cannot be ended: a process of it (cgroup %s) survived SIGKILL, so it hangs in "
	       "the "
	       "kernel, most often on a disk or a network file system. No second copy is started "
	       "before it is gone.\n",
		show_text(unit, "name"), show_text(unit, "cgroup"));
}

static void why_held(const json_t *unit)
{
	printf("%s has nothing that runs; HoldOpen= keeps its namespaces, so that 'berth exec %s "
	       "COMMAND' works.\n",
		show_text(unit, "name"), show_text(unit, "name"));
	last_run(unit);
}

static void why_external(const json_t *unit)
{
	printf("%s is not started: PreferHost= asks for the host's own, and %s. When that ends, "
	       "Restart=%s decides whether it is started.\n",
		show_text(unit, "name"), show_text(unit, "sub"), show_text(unit, "restart_policy"));
}

static void say_leases(const json_t *unit)
{
	const json_t *leases = json_object_get(unit, "leases");

	for (size_t i = 0; i < json_array_size(leases); i++) {
		const json_t *lease = json_array_get(leases, i);

		if (has(lease, "address"))
			printf("Its address on %s, %s, is leased by %s%s%s.\n",
				show_text(lease, "interface"), show_text(lease, "address"),
				has(lease, "from") ? show_text(lease, "from") : "a DHCP server",
				has(lease, "until") ? ", for another " : "",
				has(lease, "until") ? show_until(show_text(lease, "until")).text
						    : "");
		else
			printf("It has no address on %s: no DHCP server has leased one ('berth "
			       "why %s').\n",
				show_text(lease, "interface"), show_text(lease, "client"));
	}
}

static const struct {
	const char *state;
	void (*say)(const json_t *unit);
} states[] = {
	{ "inactive", why_inactive },
	{ "waiting", why_waiting },
	{ "starting", why_starting },
	{ "running", why_running },
	{ "ready", why_ready },
	{ "stopping", why_stopping },
	{ "killing", why_killing },
	{ "draining", why_draining },
	{ "backoff", why_backoff },
	{ "done", why_done },
	{ "failed", why_failed },
	{ "unkillable", why_unkillable },
	{ "held", why_held },
	{ "external", why_external },
};

int cmd_why(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS, { 0 } };
	struct err err = { 0 };
	const json_t *unit;
	json_t *units;
	bool offline;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (cmd_global(c, "why"))
			return CMD_USAGE;
	if (optind + 1 != argc)
		return cmd_usage("why", "the name of one unit is expected");
	units = show_units(&offline, &err);
	if (!units)
		return cmd_fail(CMD_FAILED, "%s", err.text);
	unit = show_find(units, argv[optind]);
	if (!unit)
		return cmd_fail(
			CMD_NO_UNIT, "%s: no such unit; 'berth ps -a' lists them", argv[optind]);
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (strcmp(states[i].state, show_text(unit, "state")) == 0)
			states[i].say(unit);
	say_leases(unit);
	if (has(unit, "dropped"))
		printf("On this machine: %s.\n", show_text(unit, "dropped"));
	if (offline)
		puts("No supervisor runs, so nothing would start it again: 'berth supervise' "
		     "does.");
	return CMD_OK;
}
