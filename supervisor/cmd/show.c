#include "supervisor/cmd/show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/offline.h"
#include "supervisor/core/logfile.h"

json_t *show_units(bool *ret_offline, struct err *err)
{
	struct client client = CLIENT_NONE;
	json_t *answer = NULL;
	json_t *units = NULL;
	int r = client_open(&client, err);

	*ret_offline = false;
	if (r == 0) {
		r = client_call(&client, "List", NULL, &answer, err);
		if (r == 0)
			units = json_incref(json_object_get(answer, "units"));
		json_decref(answer);
		client_close(&client);
		return units;
	}
	units = offline_units(client_run_dir());
	if (!units)
		return NULL;
	*ret_offline = true;
	(void)fprintf(stderr, "berth: %s\nberth: what follows is what its files in %s/state say\n",
		err->text, client_run_dir());
	return units;
}

json_t *show_find(const json_t *units, const char *name)
{
	json_t *unit;
	size_t i;

	for (i = 0; (unit = json_array_get(units, i)); i++) {
		const char *id = show_text(unit, "unit");
		size_t stem = strcspn(name, ".");

		if (strcmp(show_text(unit, "name"), name) == 0 || strcmp(id, name) == 0 ||
			(strncmp(id, name, strlen(name)) == 0 && id[strlen(name)] == '.'))
			return unit;
		/* web.service is web.container, as in Quadlet */
		if (str_ends(name, ".service") && strncmp(id, name, stem + 1) == 0)
			return unit;
	}
	return NULL;
}

const char *show_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

long long show_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool show_is_running(const json_t *unit)
{
	static const char *const running[] = { "running", "ready", "stopping", "killing",
		"draining", "held", "unkillable", "external" };
	const char *state = show_text(unit, "state");

	for (size_t i = 0; i < sizeof running / sizeof running[0]; i++)
		if (strcmp(state, running[i]) == 0)
			return true;
	return false;
}

uint64_t show_time(const char *rfc3339)
{
	struct tm tm = { 0 };
	const char *rest = rfc3339 ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	uint64_t ns = 0;

	if (!rest)
		return 0;
	if (*rest == '.')
		ns = (uint64_t)(strtod(rest, NULL) * 1e9);
	return (uint64_t)timegm(&tm) * NSEC_PER_SEC + ns;
}

static struct show_buf span(uint64_t from, uint64_t to)
{
	struct show_buf ret = { "-" };

	uint64_t ns = to > from ? to - from : 0;

	if (from && to && ns >= NSEC_PER_SEC && ns < 10 * NSEC_PER_SEC)
		(void)snprintf(ret.text, sizeof ret.text, "%.1fs", (double)ns / 1e9);
	else if (from && to)
		(void)snprintf(ret.text, sizeof ret.text, "%s", clock_span(ns).text);
	return ret;
}

struct show_buf show_ago(const char *rfc3339)
{
	return span(show_time(rfc3339), clock_realtime());
}

struct show_buf show_until(const char *rfc3339)
{
	return span(clock_realtime(), show_time(rfc3339));
}

struct show_buf show_bytes(uint64_t bytes)
{
	static const char units[] = "BKMGTP";
	double value = (double)bytes;
	struct show_buf ret = { "" };
	size_t i = 0;

	for (; value >= 1024 && i + 2 < sizeof units; i++)
		value /= 1024;
	if (i)
		(void)snprintf(ret.text, sizeof ret.text, "%.1f%c", value, units[i]);
	else
		(void)snprintf(ret.text, sizeof ret.text, "%lluB", (unsigned long long)bytes);
	return ret;
}

struct show_buf show_times(long long n)
{
	struct show_buf ret = { "once" };

	if (n != 1)
		(void)snprintf(ret.text, sizeof ret.text, "%lld times", n);
	return ret;
}

struct show_buf show_state(const json_t *unit)
{
	const char *health = show_text(unit, "health");
	const char *next = show_text(unit, "next_try");
	const char *sub = show_text(unit, "sub");
	struct show_buf ret = { "" };
	struct strbuf buf = STRBUF(ret.text);

	strbuf_add(&buf, "%s", show_text(unit, "state"));
	if (*next)
		strbuf_add(&buf, " (next try in %s)", show_until(next).text);
	else if (*sub)
		strbuf_add(&buf, " (%s)", sub);
	if (*health && show_is_running(unit))
		strbuf_add(&buf, " (%s)", health);
	return ret;
}

struct show_buf show_exit(const json_t *unit)
{
	const json_t *last = json_object_get(unit, "last_exit");
	const json_t *code = json_object_get(last, "code");
	const char *signal = show_text(last, "signal");
	struct show_buf ret = { "" };
	struct strbuf buf = STRBUF(ret.text);

	if (!last)
		return ret;
	if (json_is_true(json_object_get(last, "oom"))) {
		strbuf_add(&buf, "was killed for using too much memory (OOM");
		if (show_int(last, "memory_peak"))
			strbuf_add(&buf, ", peak %s",
				show_bytes((uint64_t)show_int(last, "memory_peak")).text);
		strbuf_add(&buf, ")");
	} else if (*signal) {
		strbuf_add(&buf, "was killed by %s", signal);
	} else if (code) {
		strbuf_add(&buf, "exited with code %lld", (long long)json_integer_value(code));
	} else {
		strbuf_add(
			&buf, "ended while no supervisor was there, so its exit code is not known");
	}
	return ret;
}

struct show_buf show_list(const json_t *array)
{
	struct show_buf ret = { "" };
	struct strbuf buf = STRBUF(ret.text);
	const json_t *item;
	size_t i;

	for (i = 0; (item = json_array_get(array, i)); i++) {
		/* Half an address is another one. */
		if (buf.used + json_string_length(item) + sizeof ", ..." > sizeof ret.text)
			break;
		strbuf_add(&buf, "%s%s", i ? ", " : "", json_string_value(item));
	}
	if (item)
		strbuf_add(&buf, ", ...");
	else if (!buf.used)
		strbuf_add(&buf, "-");
	return ret;
}

/* ---- the table --------------------------------------------------------------------------------- */

enum column {
	COL_NAME,
	COL_STATE,
	COL_SINCE,
	COL_PID,
	COL_RESTARTS,
	COL_ADDRESS,
	COL_PORTS,
	COL_IMAGE,
	COLUMNS
};

static const char *const titles[COLUMNS] = {
	[COL_NAME] = "NAME",
	[COL_STATE] = "STATE",
	[COL_SINCE] = "SINCE",
	[COL_PID] = "PID",
	[COL_RESTARTS] = "RESTARTS",
	[COL_ADDRESS] = "ADDRESS",
	[COL_PORTS] = "PORTS",
	[COL_IMAGE] = "IMAGE",
};

static struct show_buf cell(const json_t *unit, size_t column)
{
	struct show_buf ret = { "-" };

	switch ((enum column)column) {
	case COL_NAME:
		(void)snprintf(ret.text, sizeof ret.text, "%s", show_text(unit, "name"));
		break;
	case COL_STATE:
		return show_state(unit);
	case COL_SINCE:
		return show_ago(show_text(unit, "since"));
	case COL_PID:
		if (show_int(unit, "pid"))
			(void)snprintf(ret.text, sizeof ret.text, "%lld", show_int(unit, "pid"));
		break;
	case COL_RESTARTS:
		(void)snprintf(ret.text, sizeof ret.text, "%lld", show_int(unit, "restarts"));
		break;
	case COL_ADDRESS:
		return show_list(json_object_get(unit, "addresses"));
	case COL_PORTS:
		return show_list(json_object_get(unit, "ports"));
	case COL_IMAGE:
		if (*show_text(unit, "image"))
			(void)snprintf(ret.text, sizeof ret.text, "%s", show_text(unit, "image"));
		break;
	case COLUMNS:
		break;
	}
	return ret;
}

void show_columns(const json_t *units, const char *const *names, size_t n, show_cell_fn *cell_of)
{
	size_t width[SHOW_COLUMNS_MAX];
	const json_t *unit;
	size_t i;

	for (size_t c = 0; c < n; c++) {
		width[c] = strlen(names[c]);
		for (i = 0; (unit = json_array_get(units, i)); i++) {
			size_t length = strlen(cell_of(unit, c).text);

			width[c] = length > width[c] ? length : width[c];
		}
	}
	for (size_t c = 0; c < n; c++)
		printf("%-*s", c == n - 1 ? 0 : (int)width[c] + 2, names[c]);
	putchar('\n');
	for (i = 0; (unit = json_array_get(units, i)); i++) {
		for (size_t c = 0; c < n; c++)
			printf("%-*s", c == n - 1 ? 0 : (int)width[c] + 2, cell_of(unit, c).text);
		putchar('\n');
	}
}

void show_table(const json_t *units)
{
	show_columns(units, titles, COLUMNS, cell);
}

/* ---- logs -------------------------------------------------------------------------------------- */

struct tail {
	FILE *to;
	const char *indent;
	bool any;
};

static int tail_line(const struct log_record *record, void *data)
{
	struct tail *tail = data;

	(void)fprintf(tail->to, "%s%.*s\n", tail->indent, (int)record->n, record->text);
	tail->any = true;
	return 0;
}

bool show_log_tail(
	FILE *to, const char *name, uint64_t lines, const char *since, const char *indent)
{
	struct tail tail = { .to = to, .indent = indent };

	(void)logfile_tail(client_log_dir(), name, lines, since, tail_line, &tail, NULL, NULL);
	return tail.any;
}

void show_json_line(json_t *json)
{
	(void)json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

void show_json(const json_t *json)
{
	(void)json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
}
