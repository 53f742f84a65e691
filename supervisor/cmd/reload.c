/* `berth reload`: the configuration read anew by the supervisor that runs. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

enum { RETRY_MS = 20, SILENCE_SEC = 30 };

/* Does the next supervisor answer? While the last one stops what is gone, it does not yet. */
static bool has_begun(bool *ret_silent)
{
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	json_t *status = NULL;
	bool answered = client_open(&client, &err) >= 0 &&
			client_call(&client, "GetStatus", NULL, &status, &err) >= 0;
	bool begun = answered && !json_object_get(status, "shutting_down");

	*ret_silent = !answered;
	json_decref(status);
	client_close(&client);
	return begun;
}

/* What comes after `berth reload` in a script finds the new set in force. */
static int await_next(void)
{
	uint64_t heard = clock_monotonic();
	bool silent;

	while (!has_begun(&silent)) {
		if (!silent)
			heard = clock_monotonic();
		else if (clock_monotonic() - heard > SILENCE_SEC * NSEC_PER_SEC)
			return cmd_fail(CMD_FAILED,
				"reload: the set was read, but no supervisor answers since: its "
				"own messages say why");
		(void)poll(NULL, 0, RETRY_MS);
	}
	return CMD_OK;
}

static size_t tell(const json_t *plan, const char *key, const char *words)
{
	const json_t *names = json_object_get(plan, key);
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		printf("%s: %s\n", json_string_value(name), words);
	}
	return json_array_size(names);
}

int cmd_reload(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	json_t *plan = NULL;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (cmd_global(c, "reload"))
			return CMD_USAGE;
	}
	if (optind < argc)
		return cmd_usage("reload", "\"%s\": it takes no names", argv[optind]);
	if (client_open(&client, &err) < 0 || client_call(&client, "Reload", NULL, &plan, &err) < 0)
		return client_fail(&client, &err);
	client_close(&client);
	if (json)
		show_json(plan);
	else if (tell(plan, "removed", "is gone, and stopped") +
			 tell(plan, "changed", "is defined otherwise, and restarted") +
			 tell(plan, "updated",
				 "its ports, names or walls are others, and it goes on") +
			 tell(plan, "added", "is new") ==
		 0)
		printf("no unit has changed\n");
	json_decref(plan);
	return await_next();
}
