/* `berth port`: where the ports of a container are published, one a line, as podman prints it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

/* "0.0.0.0:8000-8001->80-81/tcp", a port each: those that `want` names ("80", "80/tcp"; NULL: all).
 * Gives how many. */
static int print_range(const char *text, const char *want)
{
	const char *arrow = strstr(text, "->");
	const char *slash = strrchr(text, '/');
	const char *colon = arrow;
	unsigned long host;
	unsigned long first;
	unsigned long last;
	char *end;
	int n = 0;

	while (colon && colon > text && *colon != ':')
		colon--;
	if (!colon || !slash)
		return 0;
	host = strtoul(colon + 1, NULL, 10);
	first = last = strtoul(arrow + 2, &end, 10);
	if (*end == '-')
		last = strtoul(end + 1, NULL, 10);
	for (unsigned long port = first; port <= last; port++, host++) {
		char name[40];
		size_t digits;

		(void)snprintf(name, sizeof name, "%lu%s", port, slash);
		digits = strcspn(name, "/");
		if (want && strcmp(want, name) != 0 &&
			(strlen(want) != digits || strncmp(want, name, digits) != 0))
			continue;
		if (!want)
			printf("%s -> ", name);
		printf("%.*s:%lu\n", (int)(colon - text), text, host);
		n++;
	}
	return n;
}

int cmd_port(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS, { 0 } };
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	json_t *answer = NULL;
	const json_t *port;
	const json_t *ports;
	const char *want;
	int found = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (cmd_global(c, "port"))
			return CMD_USAGE;
	if (optind + 1 != argc && optind + 2 != argc)
		return cmd_usage("port", "the name of one unit is expected");
	if (client_open(&client, &err) < 0 ||
		client_call(&client, "Inspect", json_pack("{s:s}", "name", argv[optind]), &answer,
			&err) < 0)
		return client_fail(&client, &err);
	want = argv[optind + 1];
	ports = json_object_get(json_object_get(answer, "unit"), "ports");
	for (size_t i = 0; (port = json_array_get(ports, i)); i++)
		found += print_range(json_string_value(port), want);
	if (want && !found)
		return cmd_fail(CMD_FAILED, "%s: port %s is not published", argv[optind], want);
	return CMD_OK;
}
