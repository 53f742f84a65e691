/* `berth ps`: what runs, one line each. */
#include <string.h>

#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

enum { FILTERS_MAX = 16 };

struct filter {
	const char *key, *value;
};

struct ps {
	bool all, quiet, json;
	struct filter filters[FILTERS_MAX];
	size_t n;
};

/* "label=KEY", "label=KEY=VALUE", "name=PART", or any text of the unit: "state=ready". */
static bool passes(const json_t *unit, const struct filter *filter)
{
	const json_t *labels = json_object_get(unit, "labels");
	const char *equals = strchr(filter->value, '=');
	const char *value;

	if (strcmp(filter->key, "name") == 0)
		return strstr(show_text(unit, "name"), filter->value) != NULL;
	if (strcmp(filter->key, "label") != 0)
		return strcmp(show_text(unit, filter->key), filter->value) == 0;
	if (!equals)
		return json_object_get(labels, filter->value) != NULL;
	value = json_string_value(
		json_object_getn(labels, filter->value, (size_t)(equals - filter->value)));
	return value && strcmp(value, equals + 1) == 0;
}

/* Without -a: what runs, and what is meant to. */
static bool shown(const struct ps *ps, const json_t *unit)
{
	for (size_t i = 0; i < ps->n; i++)
		if (!passes(unit, &ps->filters[i]))
			return false;
	return ps->all || ps->n || show_is_running(unit) ||
	       json_is_true(json_object_get(unit, "wanted")) ||
	       strcmp(show_text(unit, "state"), "failed") == 0;
}

static int parse(int argc, char **argv, struct ps *ps)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "all", no_argument, NULL, 'a' }, { "quiet", no_argument, NULL, 'q' },
		{ "filter", required_argument, NULL, 'f' }, { "json", no_argument, NULL, 'j' },
		{ 0 } };
	char *equals;
	int c;

	while ((c = getopt_long(argc, argv, "aqf:", options, NULL)) != -1) {
		if (c == 'a')
			ps->all = true;
		else if (c == 'q')
			ps->quiet = true;
		else if (c == 'j')
			ps->json = true;
		else if (c != 'f' && cmd_global(c, "ps"))
			return CMD_USAGE;
		if (c != 'f')
			continue;
		equals = strchr(optarg, '=');
		if (!equals || ps->n == FILTERS_MAX)
			return cmd_usage(
				"ps", "--filter takes KEY=VALUE, at most %d times", FILTERS_MAX);
		*equals = '\0';
		ps->filters[ps->n++] = (struct filter){ optarg, equals + 1 };
	}
	if (optind < argc)
		return cmd_usage("ps", "'%s' is one word too many", argv[optind]);
	return 0;
}

int cmd_ps(int argc, char **argv)
{
	struct ps ps = { 0 };
	struct err err = { 0 };
	json_t *kept = json_array();
	const json_t *unit;
	json_t *units;
	bool offline;
	size_t i;

	if (parse(argc, argv, &ps))
		return CMD_USAGE;
	units = show_units(&offline, &err);
	if (!units)
		return cmd_fail(CMD_FAILED, "%s", err.text);
	for (i = 0; (unit = json_array_get(units, i)); i++)
		if (shown(&ps, unit))
			(void)json_array_append(kept, (json_t *)(size_t)unit);
	if (ps.json)
		show_json(kept);
	else if (ps.quiet)
		for (i = 0; (unit = json_array_get(kept, i)); i++)
			puts(show_text(unit, "name"));
	else
		show_table(kept);
	return CMD_OK;
}
