/* `berth stats`: what the running units use, once. */
#include <stdio.h>
#include <string.h>

#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"
#include "supervisor/cmd/usage.h"

enum column { NAME, CPU, MEMORY, PEAK, TASKS, IO, NET, PACKETS, DROPPED, COLUMNS };

static const char *const titles[COLUMNS] = { "NAME", "CPU", "MEMORY", "PEAK", "TASKS",
	"READ/WRITTEN", "RECEIVED/SENT", "PACKETS", "DROPPED" };

/* "A/B" of two members, "-" when they are not known. */
static struct show_buf pair(const json_t *unit, const char *one, const char *two, bool bytes)
{
	struct show_buf ret = { "-" };

	if (!json_object_get(unit, one))
		return ret;
	if (bytes)
		(void)snprintf(ret.text, sizeof ret.text, "%.40s/%.40s",
			show_bytes((uint64_t)show_int(unit, one)).text,
			show_bytes((uint64_t)show_int(unit, two)).text);
	else
		(void)snprintf(ret.text, sizeof ret.text, "%lld/%lld", show_int(unit, one),
			show_int(unit, two));
	return ret;
}

static struct show_buf one(const json_t *unit, const char *key, bool bytes)
{
	struct show_buf ret = { "-" };

	if (!json_object_get(unit, key))
		return ret;
	if (bytes)
		return show_bytes((uint64_t)show_int(unit, key));
	(void)snprintf(ret.text, sizeof ret.text, "%lld", show_int(unit, key));
	return ret;
}

static struct show_buf cell(const json_t *unit, size_t column)
{
	struct show_buf ret = { "-" };

	switch ((enum column)column) {
	case NAME:
		(void)snprintf(ret.text, sizeof ret.text, "%s", show_text(unit, "name"));
		break;
	case CPU:
		if (json_object_get(unit, "cpu_usec"))
			(void)snprintf(ret.text, sizeof ret.text, "%.2fs",
				(double)show_int(unit, "cpu_usec") / 1e6);
		break;
	case MEMORY:
		return one(unit, "memory_current", true);
	case PEAK:
		return one(unit, "memory_peak", true);
	case TASKS:
		return one(unit, "pids_current", false);
	case IO:
		return pair(unit, "io_read_bytes", "io_write_bytes", true);
	case NET:
		return pair(unit, "net_rx_bytes", "net_tx_bytes", true);
	case PACKETS:
		return pair(unit, "net_rx_packets", "net_tx_packets", false);
	case DROPPED:
		return pair(unit, "net_rx_dropped", "net_tx_dropped", false);
	case COLUMNS:
		break;
	}
	return ret;
}

/* What --json gives of a unit: the names that it has in inspect. */
static json_t *numbers(const json_t *unit)
{
	static const char *const keys[] = { "name", "unit", "state", "started", "cpu_usec",
		"memory_current", "memory_peak", "pids_current", "io_read_bytes", "io_write_bytes",
		"net_rx_bytes", "net_rx_packets", "net_rx_dropped", "net_tx_bytes",
		"net_tx_packets", "net_tx_dropped" };
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (json_object_get(unit, keys[i]))
			(void)json_object_set(o, keys[i], json_object_get(unit, keys[i]));
	return o;
}

static bool is_named(int argc, char **argv, const json_t *units, const json_t *unit)
{
	for (int i = 0; i < argc; i++)
		if (show_find(units, argv[i]) == unit)
			return true;
	return argc == 0 && show_is_running(unit);
}

int cmd_stats(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	json_t *chosen = json_array();
	struct err err = { 0 };
	bool json = false;
	bool offline;
	json_t *units;
	json_t *unit;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (cmd_global(c, "stats"))
			return CMD_USAGE;
	}
	units = show_units(&offline, &err);
	if (!units)
		return cmd_fail(CMD_FAILED, "%s", err.text);
	for (int i = optind; i < argc; i++)
		if (!show_find(units, argv[i]))
			return cmd_fail(CMD_NO_UNIT, "%s: no such unit", argv[i]);
	for (size_t i = 0; (unit = json_array_get(units, i)); i++) {
		if (!is_named(argc - optind, argv + optind, units, unit))
			continue;
		usage_add(unit);
		(void)json_array_append_new(chosen, json ? numbers(unit) : json_incref(unit));
	}
	if (json)
		show_json(chosen);
	else
		show_columns(chosen, titles, COLUMNS, cell);
	return CMD_OK;
}
