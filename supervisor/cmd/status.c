/* `berth status`, `berth is-active` and `berth inspect`: one unit's state, in three degrees of
 * detail. */
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

enum { STATUS_LINES = 10 };

static void line(const char *key, const char *value)
{
	if (*value && strcmp(value, "-") != 0)
		printf("%12s: %s\n", key, value);
}

static void memory_line(const json_t *unit)
{
	struct show_buf now = show_bytes((uint64_t)show_int(unit, "memory_current"));
	struct show_buf peak = show_bytes((uint64_t)show_int(unit, "memory_peak"));

	if (!show_int(unit, "memory_current"))
		return;
	if (show_int(unit, "memory_peak"))
		printf("%12s: %s (peak %s)\n", "memory", now.text, peak.text);
	else
		printf("%12s: %s\n", "memory", now.text);
}

/* "ready in 250ms, prepared in 90ms, started in 92ms": each counted from the launch. */
static void start_line(const json_t *unit)
{
	static const char *const keys[] = { "ready_usec", "prepare_usec", "start_usec" };
	static const char *const words[] = { "ready in", "prepared in", "started in" };
	const char *between = "";

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		long long usec = show_int(unit, keys[i]);

		if (!usec)
			continue;
		if (!*between)
			printf("%12s: ", "last start");
		printf("%s%s %s", between, words[i],
			clock_span((uint64_t)usec * NSEC_PER_USEC).text);
		between = ", ";
	}
	if (*between)
		putchar('\n');
}

static void print_unit(const json_t *unit)
{
	const char *since = show_text(unit, "since");
	const char *description = show_text(unit, "description");

	printf("%s%s%s\n", show_text(unit, "unit"), *description ? " - " : "", description);
	printf("%12s: %s", "state", show_state(unit).text);
	if (*since)
		/* To the second: the rest is for programs, which have --json. */
		printf(", since %.19sZ (%s ago)", since, show_ago(since).text);
	putchar('\n');
	line("file", show_text(unit, "file"));
	line("image", show_text(unit, "image"));
	line("bundle", show_text(unit, "bundle"));
	if (show_int(unit, "pid"))
		printf("%12s: pid %lld, run %lld, restarted %s\n", "process", show_int(unit, "pid"),
			show_int(unit, "run"), show_times(show_int(unit, "restarts")).text);
	start_line(unit);
	line("says", show_text(unit, "status_text"));
	line("address", show_list(json_object_get(unit, "addresses")).text);
	line("ports", show_list(json_object_get(unit, "ports")).text);
	memory_line(unit);
	line("last run", show_exit(unit).text);
	line("failure", show_text(unit, "failure"));
	line("last probe", show_text(unit, "health_text"));
	line("limits", show_text(unit, "dropped"));
	puts("");
	if (!show_log_tail(stdout, show_text(unit, "name"), STATUS_LINES, NULL, "    "))
		puts("    (nothing in its log)");
}

/* The supervisor itself, above the table. */
static void print_supervisor(void)
{
	struct client client = CLIENT_NONE;
	json_t *status = NULL;
	const json_t *note;
	struct err err;
	size_t i;

	if (client_open(&client, &err) < 0)
		return;
	if (client_call(&client, "GetStatus", NULL, &status, &err) == 0) {
		printf("berth %s, pid %lld, state in %s\n", show_text(status, "version"),
			show_int(status, "pid"), show_text(status, "state_dir"));
		if (*show_text(status, "shutting_down"))
			printf("shutting down: %s\n", show_text(status, "shutting_down"));
		for (i = 0; (note = json_array_get(json_object_get(status, "notes"), i)); i++)
			printf("note: %s\n", json_string_value(note));
		puts("");
	}
	json_decref(status);
	client_close(&client);
}

static int print_all(bool json)
{
	struct err err = { 0 };
	bool offline;
	json_t *units = show_units(&offline, &err);

	if (!units)
		return cmd_fail(CMD_FAILED, "%s", err.text);
	if (json) {
		show_json(units);
	} else {
		print_supervisor();
		show_table(units);
	}
	return CMD_OK;
}

/* The worst of the names' codes: no such unit is worse than not running. */
static int print_some(char **names, bool json)
{
	struct err err = { 0 };
	bool offline;
	json_t *units = show_units(&offline, &err);
	json_t *found = json_array();
	int code = CMD_OK;

	if (!units)
		return cmd_fail(CMD_FAILED, "%s", err.text);
	for (bool first = true; *names; names++) {
		json_t *unit = show_find(units, *names);

		if (!unit) {
			code = cmd_fail(
				CMD_NO_UNIT, "%s: no such unit; 'berth ps -a' lists them", *names);
			continue;
		}
		if (!show_is_running(unit) && code == CMD_OK)
			code = CMD_NOT_RUNNING;
		(void)json_array_append(found, unit);
		if (json)
			continue;
		if (!first)
			puts("");
		first = false;
		print_unit(unit);
	}
	if (json)
		show_json(found);
	return code;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (cmd_global(c, "status"))
			return CMD_USAGE;
	}
	return optind < argc ? print_some(argv + optind, json) : print_all(json);
}

int cmd_is_active(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS, { 0 } };
	struct err err = { 0 };
	int code = CMD_OK;
	json_t *units;
	bool offline;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (cmd_global(c, "is-active"))
			return CMD_USAGE;
	if (optind == argc)
		return cmd_usage("is-active", "the name of a unit is missing");
	units = show_units(&offline, &err);
	if (!units)
		return cmd_fail(CMD_FAILED, "%s", err.text);
	for (; optind < argc; optind++) {
		const json_t *unit = show_find(units, argv[optind]);

		puts(unit ? show_text(unit, "state") : "unknown");
		if (!unit)
			code = CMD_NO_UNIT;
		else if (!show_is_running(unit) && code == CMD_OK)
			code = CMD_NOT_RUNNING;
	}
	return code;
}

int cmd_inspect(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	json_t *answer = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c != 'j' && cmd_global(c, "inspect"))
			return CMD_USAGE;
	if (optind + 1 != argc)
		return cmd_usage("inspect", "the name of one unit is expected");
	if (client_open(&client, &err) < 0 ||
		client_call(&client, "Inspect", json_pack("{s:s}", "name", argv[optind]), &answer,
			&err) < 0)
		return client_fail(&client, &err);
	show_json(json_object_get(answer, "unit"));
	return CMD_OK;
}
