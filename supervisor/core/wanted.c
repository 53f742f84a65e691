/*
 * What was asked for by hand. RUN_DIR/wanted/NAME says "start" or "stop" from the moment of the
 * request; a worker copies that directory to STATE_DIR/wanted, where it outlives a reboot.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"
#include "supervisor/core/service.h"

static int open_stored(const struct supervisor *sv)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof path, "%s/wanted", sv->env.state_dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A unit that is gone, and comes back one day, begins anew. And what was cut off while it was written. */
static void forget_gone(const struct supervisor *sv, int fd)
{
	int copy = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	if (!dir) {
		fd_close(&copy);
		return;
	}
	for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		bool is_unit = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;

		for (size_t i = 0; i < sv->nservices && !is_unit; i++)
			is_unit = strcmp(sv->services[i].unit->stem, entry->d_name) == 0;
		if (!is_unit)
			(void)unlinkat(fd, entry->d_name, 0);
	}
	(void)closedir(dir);
}

/* Runs once, before the loop turns: it may read a disk. */
void wanted_load(struct supervisor *sv)
{
	own_fd stored = open_stored(sv);

	forget_gone(sv, stored);
	forget_gone(sv, sv->wanted_fd);
	for (size_t i = 0; i < sv->nservices; i++) {
		struct service *s = &sv->services[i];
		char text[16];
		ssize_t n = sv->sys->read_at(sv->wanted_fd, s->unit->stem, text, sizeof text);

		s->asked = s->unit->wanted;
		s->by_hand = false;
		if (n < 0 && stored >= 0)
			n = file_read_at(stored, s->unit->stem, text, sizeof text);
		if (n < 0)
			continue;
		s->by_hand = true;
		s->asked = str_starts(text, "start");
	}
}

static int mirror(const void *data, struct err *err)
{
	const struct supervisor *sv = data;
	own_fd stored = -1;
	char path[512];
	DIR *dir;
	int r;

	(void)snprintf(path, sizeof path, "%s/wanted", sv->env.state_dir);
	r = path_mkdirs(path, 0700);
	if (r >= 0)
		r = stored = open_stored(sv);
	if (r < 0)
		return err_sys(err, -r, "open %s", path);
	forget_gone(sv, stored);
	(void)snprintf(path, sizeof path, "%s/wanted", sv->env.run_dir);
	dir = opendir(path);
	if (!dir)
		return err_sys(err, errno, "open %s", path);
	for (const struct dirent *entry = readdir(dir); entry && r >= 0; entry = readdir(dir)) {
		char text[16], old[16];
		ssize_t n = file_read_at(dirfd(dir), entry->d_name, text, sizeof text);

		if (entry->d_name[0] == '.' || n < 0 ||
			(file_read_at(stored, entry->d_name, old, sizeof old) == n &&
				strcmp(old, text) == 0))
			continue;
		r = file_replace_at(stored, entry->d_name, text, (size_t)n, 0600, 1);
		if (r < 0)
			(void)err_sys(
				err, -r, "write %s/wanted/%s", sv->env.state_dir, entry->d_name);
	}
	(void)closedir(dir);
	return r;
}

static void mirror_begin(struct supervisor *sv);

static void mirrored(struct supervisor *sv, int r, const struct err *err, void *data)
{
	(void)data;
	sv->wanted_mirroring = false;
	if (r < 0)
		supervisor_note(
			sv, "a start or stop by hand will not outlive a reboot: %s", err->text);
	if (sv->wanted_changed)
		mirror_begin(sv);
}

/* One at a time, so that an older answer never overwrites a newer one. */
static void mirror_begin(struct supervisor *sv)
{
	struct err err = { 0 };

	sv->wanted_changed = true;
	if (sv->wanted_mirroring)
		return;
	sv->wanted_changed = false;
	if (job_start(sv, "remember what is wanted", mirror, mirrored, sv, &err) < 0)
		log_warning("%s", err.text);
	else
		sv->wanted_mirroring = true;
}

void wanted_save(struct service *s)
{
	struct supervisor *sv = s->sv;
	const char *text = s->asked ? "start\n" : "stop\n";
	int r;

	s->by_hand = true;
	if (sv->wanted_fd < 0)
		return;
	r = sv->sys->replace_at(sv->wanted_fd, s->unit->stem, text, strlen(text));
	if (r < 0)
		log_warning("%s: cannot record that it is wanted to %s", s->unit->stem, text);
	else
		mirror_begin(sv);
}
