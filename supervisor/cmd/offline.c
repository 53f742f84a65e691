#include "supervisor/cmd/offline.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/signals.h"
#include "supervisor/base/str.h"
#include "supervisor/base/sys.h"
#include "supervisor/core/state.h"
#include "supervisor/core/supervisor.h"

static void put_text(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		(void)json_object_set_new(o, key, json_string(text));
}

static void put_time(json_t *o, const char *key, uint64_t realtime)
{
	if (realtime)
		put_text(o, key, clock_rfc3339(realtime).text);
}

/* The pid on record is still that very process. */
static bool lives(const struct state_record *record)
{
	uint64_t starttime = 0;

	return record->pid > 0 && proc_starttime(record->pid, &starttime) == 0 &&
	       starttime == record->starttime;
}

static json_t *exit_json(const struct service_exit *last)
{
	json_t *o = json_pack(
		"{s:b,s:I}", "oom", (int)last->oom, "memory_peak", (json_int_t)last->memory_peak);

	if (last->status && last->signal)
		put_text(o, "signal", signal_name(last->signal));
	else if (last->status)
		(void)json_object_set_new(o, "code", json_integer(last->code));
	return o;
}

static json_t *unit_json(const char *name, const struct state_record *record, bool same_boot)
{
	enum service_state state = record->state;
	bool alive = same_boot && lives(record);
	json_t *o = json_object();

	if ((unsigned)state >= SERVICE_STATE_COUNT)
		state = SERVICE_INACTIVE;
	put_text(o, "name", name);
	put_text(o, "unit", record->unit);
	if (alive) {
		put_text(o, "state", service_state_name(state));
		(void)json_object_set_new(o, "pid", json_integer(record->pid));
		put_time(o, "started", record->started);
	} else {
		bool ended = state == SERVICE_FAILED || state == SERVICE_DONE;

		put_text(o, "state", service_state_name(ended ? state : SERVICE_INACTIVE));
		put_text(o, "sub", record->pid > 0 ? "ended while no supervisor was there" : "");
	}
	put_time(o, "since", record->since);
	(void)json_object_set_new(o, "run", json_integer((json_int_t)record->run));
	(void)json_object_set_new(o, "restarts", json_integer(record->restarts));
	(void)json_object_set_new(o, "wanted", json_boolean(record->wanted));
	(void)json_object_set_new(o, "by_hand", json_boolean(record->by_hand));
	put_text(o, "failure", record->failure);
	put_text(o, "dropped", record->dropped);
	if (record->last.known)
		(void)json_object_set_new(o, "last_exit", exit_json(&record->last));
	return o;
}

json_t *offline_units(const char *run_dir)
{
	char boot[64] = "";
	char path[4096];
	json_t *units;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/state", run_dir);
	dir = opendir(path);
	if (!dir)
		return NULL;
	(void)file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot);
	boot[strcspn(boot, "\n")] = '\0';
	units = json_array();
	for (struct dirent *e; (e = readdir(dir));) {
		struct state_record record;

		if (name_valid(e->d_name) &&
			state_read(&sys_linux, dirfd(dir), e->d_name, &record) == 0)
			(void)json_array_append_new(units,
				unit_json(e->d_name, &record, strcmp(record.boot_id, boot) == 0));
	}
	(void)closedir(dir);
	return units;
}
