/* What ps, status and why have in common: units as JSON, from the supervisor or from what it left in
 * RUN_DIR/state, and how their parts are said. */
#ifndef BERTH_CMD_SHOW_H
#define BERTH_CMD_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "supervisor/base/err.h"
#include "supervisor/cmd/client.h"

/*
 * show_units - all units, as the type Unit of org.berth.Supervisor
 *
 * Gives: an array of the caller's. When no supervisor answers: what RUN_DIR/state records, after
 *        saying so on stderr; *ret_offline is then true. NULL: neither is there, `err` says why.
 */
json_t *show_units(bool *ret_offline, struct err *err);
/* The unit of that name among them (borrowed), or NULL. */
json_t *show_find(const json_t *units, const char *name);

/* Members of a JSON object: "" or 0 when absent. */
const char *show_text(const json_t *o, const char *key);
long long show_int(const json_t *o, const char *key);

/* The state is one in which the payload runs. */
bool show_is_running(const json_t *unit);

struct show_buf {
	char text[200];
};
/* Nanoseconds of CLOCK_REALTIME for an RFC 3339 text; 0: none. */
uint64_t show_time(const char *rfc3339);
/* "3min 20s" from then until now; "-" for none. */
struct show_buf show_ago(const char *rfc3339);
/* The same for a time to come. */
struct show_buf show_until(const char *rfc3339);
/* "64.0M" */
struct show_buf show_bytes(uint64_t bytes);
/* "once", "3 times" */
struct show_buf show_times(long long n);
/* "ready (healthy)", "backoff (next try in 3s)" */
struct show_buf show_state(const json_t *unit);
/* "exited with code 1", "was killed by SIGKILL", "was killed for using too much memory (peak 64.0M)";
 * "" when no run has ended. */
struct show_buf show_exit(const json_t *unit);
/* The words of an array of strings, separated by ", ", and "..." for those without room; "-" for none. */
struct show_buf show_list(const json_t *array);

/* A table: a line for each unit, a cell for each of the n columns (SHOW_COLUMNS_MAX at most). */
enum { SHOW_COLUMNS_MAX = 16 };
typedef struct show_buf show_cell_fn(const json_t *unit, size_t column);
void show_columns(const json_t *units, const char *const *names, size_t n, show_cell_fn *cell_of);
/* The whole of ps -a as a table. */
void show_table(const json_t *units);

/* The last `lines` records of a container's log; false when there is none. `since` as in
 * logfile_tail. */
bool show_log_tail(
	FILE *to, const char *name, uint64_t lines, const char *since, const char *indent);

/* Pretty-printed JSON and a newline. */
void show_json(const json_t *json);
/* In one line, as those of a progress before it; and it is released. */
void show_json_line(json_t *json);

#endif
