/* `berth start`, `stop`, `restart`, `kill`, `wait`: what changes a unit, or waits for a change. */
#include <poll.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/num.h"
#include "supervisor/base/signals.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

enum { FAILURE_LINES = 50 };

static json_t *names_json(char **names)
{
	json_t *array = json_array();

	for (; *names; names++)
		(void)json_array_append_new(array, json_string(*names));
	return array;
}

/* A failure is told with its reason and the last lines that it may have left. */
static void tell_failure(const char *verb, const json_t *result, const char *since)
{
	const char *name = show_text(result, "name");
	const char *failure = show_text(result, "failure");
	const char *state = show_text(result, "state");

	if (strcmp(show_text(result, "outcome"), "overtaken") == 0) {
		(void)cmd_fail(0, "%s: another request came before this one was done; it is %s now",
			name, state);
		return;
	}
	if (str_starts(failure, "cannot "))
		(void)cmd_fail(0, "%s: %s", name, failure);
	else
		(void)cmd_fail(0, "%s: cannot %s: %s", name, verb, *failure ? failure : state);
	if (show_log_tail(stderr, name, FAILURE_LINES, since, "  | "))
		(void)cmd_fail(
			0, "%s: above are its last lines; 'berth why %s' says more", name, name);
}

/* All units that may be stopped, for stop --all. */
static json_t *every_name(struct client *client, struct err *err)
{
	json_t *names = json_array();
	json_t *answer = NULL;
	const json_t *unit;
	size_t i;

	if (client_call(client, "List", NULL, &answer, err) < 0)
		return NULL;
	for (i = 0; (unit = json_array_get(json_object_get(answer, "units"), i)); i++)
		(void)json_array_append_new(names, json_string(show_text(unit, "unit")));
	json_decref(answer);
	return names;
}

static int request(int argc, char **argv, const char *verb, const char *method)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "no-block", no_argument, NULL, 'b' }, { "all", no_argument, NULL, 'a' }, { 0 } };
	struct clock_text since = clock_rfc3339(clock_realtime());
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	json_t *answer = NULL;
	const json_t *result;
	bool no_block = false;
	bool all = false;
	int code = CMD_OK;
	json_t *names;
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'b')
			no_block = true;
		else if (c == 'a')
			all = true;
		else if (cmd_global(c, verb))
			return CMD_USAGE;
	}
	if (all == (optind < argc))
		return cmd_usage(verb, "say which unit, or --all");
	if (client_open(&client, &err) < 0)
		return client_fail(&client, &err);
	names = all ? every_name(&client, &err) : names_json(argv + optind);
	if (!names || client_call(&client, method,
			      json_pack("{s:o,s:b}", "names", names, "no_block", (int)no_block),
			      &answer, &err) < 0)
		return client_fail(&client, &err);
	for (i = 0; (result = json_array_get(json_object_get(answer, "results"), i)); i++) {
		const char *outcome = show_text(result, "outcome");

		if (strcmp(outcome, "done") == 0 || (no_block && strcmp(outcome, "pending") == 0))
			continue;
		tell_failure(verb, result, since.text);
		code = CMD_FAILED;
	}
	return code;
}

int cmd_start(int argc, char **argv)
{
	return request(argc, argv, "start", "Start");
}

int cmd_stop(int argc, char **argv)
{
	return request(argc, argv, "stop", "Stop");
}

int cmd_restart(int argc, char **argv)
{
	return request(argc, argv, "restart", "Restart");
}

int cmd_kill(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "signal", required_argument, NULL, 's' }, { 0 } };
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	int signal = 9;
	int c;

	while ((c = getopt_long(argc, argv, "s:", options, NULL)) != -1) {
		if (c == 's')
			signal = signal_from_name(optarg);
		else if (cmd_global(c, "kill"))
			return CMD_USAGE;
		if (signal < 0)
			return cmd_usage("kill", "'%s' is no signal", optarg);
	}
	if (optind == argc)
		return cmd_usage("kill", "the name of a unit is missing");
	if (client_open(&client, &err) < 0)
		return client_fail(&client, &err);
	for (; optind < argc; optind++)
		if (client_call(&client, "Kill",
			    json_pack("{s:s,s:i}", "name", argv[optind], "signal", signal), NULL,
			    &err) < 0)
			return client_fail(&client, &err);
	return CMD_OK;
}

/* ---- wait -------------------------------------------------------------------------------------- */

static int told(const json_t *answer, bool healthy)
{
	bool reached = json_is_true(json_object_get(answer, "reached"));
	const json_t *unit;
	size_t i;

	for (i = 0; (unit = json_array_get(json_object_get(answer, "units"), i)); i++) {
		const char *state = show_text(unit, "state");

		if (healthy && (strcmp(state, "failed") == 0 || strcmp(state, "inactive") == 0 ||
				       strcmp(state, "unkillable") == 0))
			(void)cmd_fail(0, "%s: is %s, and will not become ready by itself%s%s",
				show_text(unit, "name"), state,
				*show_text(unit, "failure") ? ": " : "",
				show_text(unit, "failure"));
		else if (!healthy)
			printf("%s %s\n", show_text(unit, "name"),
				*show_exit(unit).text ? show_exit(unit).text : "never ran");
	}
	return reached ? CMD_OK : CMD_FAILED;
}

static int wait_for(char **names, bool healthy, uint64_t timeout)
{
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	json_t *answer = NULL;
	struct pollfd p = { .events = POLLIN };
	int ms = timeout == NSEC_NEVER || timeout / NSEC_PER_MSEC > 0x7fffffff
			 ? -1
			 : (int)(timeout / NSEC_PER_MSEC);

	if (client_open(&client, &err) < 0 ||
		client_send(&client, "Wait",
			json_pack("{s:o,s:b}", "names", names_json(names), "healthy", (int)healthy),
			false, NULL, 0, &err) < 0)
		return client_fail(&client, &err);
	p.fd = client.sock;
	if (poll(&p, 1, ms) == 0)
		return cmd_fail(CMD_FAILED, "not %s within %s: 'berth ps' shows what they are",
			healthy ? "ready" : "stopped", clock_span(timeout).text);
	if (client_receive(&client, &answer, NULL, NULL, &err) < 0)
		return client_fail(&client, &err);
	return told(answer, healthy);
}

int cmd_wait(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "healthy", no_argument, NULL, 'h' }, { "all", no_argument, NULL, 'a' },
		{ "timeout", required_argument, NULL, 't' }, { 0 } };
	uint64_t timeout = NSEC_NEVER;
	bool healthy = false;
	bool all = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h')
			healthy = true;
		else if (c == 'a')
			all = true;
		else if (c != 't' && cmd_global(c, "wait"))
			return CMD_USAGE;
		if (c == 't' && num_duration(optarg, &timeout) < 0)
			return cmd_usage("wait", "'%s' is no time; 30, 5min and 1h are", optarg);
	}
	if (all == (optind < argc))
		return cmd_usage("wait", "say which unit, or --all");
	return wait_for(argv + optind, healthy, timeout);
}
