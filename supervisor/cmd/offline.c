#include "supervisor/cmd/offline.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

/* "key=value" lines; only what is known by name is taken. */
static void take(json_t *unit, const char *line)
{
	static const struct {
		const char *key, *as;
		bool number;
	} keys[] = {
		{ "state=", "state", false },
		{ "pid=", "pid", true },
		{ "run=", "run", true },
		{ "restarts=", "restarts", true },
		{ "unit=", "unit", false },
	};

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const char *value = line + strlen(keys[i].key);
		uint64_t number = 0;

		if (!str_starts(line, keys[i].key))
			continue;
		if (!keys[i].number)
			(void)json_object_set_new(unit, keys[i].as, json_string(value));
		else if (num_u64(value, &number) == 0)
			(void)json_object_set_new(
				unit, keys[i].as, json_integer((json_int_t)number));
	}
}

static json_t *record(int dirfd, const char *name)
{
	char text[8192];
	json_t *unit;
	char *save = NULL;
	pid_t pid;

	if (!name_valid(name) || file_read_at(dirfd, name, text, sizeof text) < 0)
		return NULL;
	unit = json_pack("{s:s,s:s,s:s}", "name", name, "unit", name, "state", "inactive");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		take(unit, line);
	pid = (pid_t)json_integer_value(json_object_get(unit, "pid"));
	if (pid <= 0 || kill(pid, 0) < 0) {
		(void)json_object_set_new(unit, "state", json_string("inactive"));
		(void)json_object_del(unit, "pid");
	}
	return unit;
}

json_t *offline_units(const char *run_dir)
{
	json_t *units = json_array();
	char path[4096];
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/state", run_dir);
	dir = opendir(path);
	if (!dir) {
		json_decref(units);
		return NULL;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		json_t *unit = record(dirfd(dir), e->d_name);

		if (unit)
			(void)json_array_append_new(units, unit);
	}
	(void)closedir(dir);
	return units;
}
