#include "supervisor/cmd/offline.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/signals.h"
#include "supervisor/base/str.h"
#include "supervisor/base/sys.h"
#include "supervisor/core/json_put.h"
#include "supervisor/core/state.h"
#include "supervisor/core/supervisor.h"

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
		json_put_text(o, "signal", signal_name(last->signal));
	else if (last->status)
		json_put_int(o, "code", (uint64_t)last->code);
	return o;
}

static json_t *unit_json(const char *name, const struct state_record *record, bool same_boot)
{
	enum service_state state = record->state;
	bool alive = same_boot && lives(record);
	json_t *o = json_object();

	if ((unsigned)state >= SERVICE_STATE_COUNT)
		state = SERVICE_INACTIVE;
	json_put_text(o, "name", name);
	json_put_text(o, "unit", record->unit);
	if (alive) {
		json_put_text(o, "state", service_state_name(state));
		json_put_int(o, "pid", (uint64_t)record->pid);
		json_put_time(o, "started", record->started);
	} else {
		bool ended = state == SERVICE_FAILED || state == SERVICE_DONE;

		json_put_text(o, "state", service_state_name(ended ? state : SERVICE_INACTIVE));
		json_put_text(
			o, "sub", record->pid > 0 ? "ended while no supervisor was there" : "");
	}
	json_put_time(o, "since", record->since);
	json_put_int(o, "run", record->run);
	json_put_int(o, "restarts", record->restarts);
	json_put_bool(o, "wanted", record->wanted);
	json_put_bool(o, "by_hand", record->by_hand);
	json_put_text(o, "failure", record->failure);
	json_put_text(o, "dropped", record->dropped);
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
