/* `berth port`: where the ports of a container are published, one a line, as podman prints it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

/* Is it the port that is asked for: "80", "80/tcp"; NULL: any? */
static bool is_wanted(const char *want, unsigned port, const char *protocol)
{
	char name[40];
	size_t digits = (size_t)snprintf(name, sizeof name, "%u/%s", port, protocol);

	digits -= strlen(protocol) + 1;
	return !want || strcmp(want, name) == 0 ||
	       (strlen(want) == digits && strncmp(want, name, digits) == 0);
}

/* "0.0.0.0:8000-8001->80-81/tcp", an object for each port of it that is wanted. */
static void range_take(json_t *list, const char *text, const char *want, const char *mode)
{
	const char *arrow = strstr(text, "->");
	const char *slash = strrchr(text, '/');
	const char *colon = arrow;
	unsigned host;
	unsigned first;
	unsigned last;
	char *end;

	while (colon && colon > text && *colon != ':')
		colon--;
	if (!colon || !slash)
		return;
	host = (unsigned)strtoul(colon + 1, NULL, 10);
	first = last = (unsigned)strtoul(arrow + 2, &end, 10);
	if (*end == '-')
		last = (unsigned)strtoul(end + 1, NULL, 10);
	for (unsigned port = first; port <= last; port++, host++)
		if (is_wanted(want, port, slash + 1))
			(void)json_array_append_new(list,
				json_pack("{s:i,s:s,s:s%,s:i,s:s}", "port", (int)port, "protocol",
					slash + 1, "host_address", text, (size_t)(colon - text),
					"host_port", (int)host, "publish_mode", mode));
}

/* As podman prints it; what is not by packet rules is said, where nobody reads but people. */
static void print(const json_t *list, bool all)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		bool proxied = strcmp(show_text(one, "publish_mode"), "proxy") == 0;

		if (all)
			printf("%lld/%s -> ", show_int(one, "port"), show_text(one, "protocol"));
		printf("%s:%lld%s\n", show_text(one, "host_address"), show_int(one, "host_port"),
			all && proxied ? " (proxy)" : "");
	}
}

int cmd_port(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	struct client client = CLIENT_NONE;
	json_t *list = json_array();
	struct err err = { 0 };
	json_t *answer = NULL;
	const json_t *unit;
	const json_t *port;
	bool json = false;
	const char *want;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (cmd_global(c, "port"))
			return CMD_USAGE;
	}
	if (optind + 1 != argc && optind + 2 != argc)
		return cmd_usage("port", "the name of one unit is expected");
	if (client_open(&client, &err) < 0 ||
		client_call(&client, "Inspect", json_pack("{s:s}", "name", argv[optind]), &answer,
			&err) < 0)
		return client_fail(&client, &err);
	want = argv[optind + 1];
	unit = json_object_get(answer, "unit");
	for (size_t i = 0; (port = json_array_get(json_object_get(unit, "ports"), i)); i++)
		range_take(list, json_string_value(port), want, show_text(unit, "publish_mode"));
	if (want && !json_array_size(list))
		return cmd_fail(CMD_FAILED, "%s: port %s is not published", argv[optind], want);
	if (json)
		show_json(list);
	else
		print(list, !want);
	return CMD_OK;
}
