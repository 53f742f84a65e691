#include "supervisor/cmd/run_dir.h"

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/core/supervisor.h"

#define NAME_BEGINS "berth-run-"

static const char *const bases[] = { "/run", "/tmp" };

int run_dir_make(struct run_dir *dir)
{
	const char *base = bases[access(bases[0], W_OK) != 0];
	char units[sizeof dir->path + 8];

	(void)snprintf(
		dir->path, sizeof dir->path, "%s/" NAME_BEGINS "%d-XXXXXX", base, (int)getpid());
	if (!mkdtemp(dir->path)) {
		dir->path[0] = '\0';
		return -errno;
	}
	(void)snprintf(units, sizeof units, "%s/units", dir->path);
	return path_mkdirs(units, 0700);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

/* Unmounts what is mounted last below the directory. 1: there was one; 0: none is left. */
static int unmount_last(const char *dir)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char last[PATH_MAX] = "";
	own_mem char *line = NULL;
	size_t size = 0;

	if (!file)
		return -errno;
	while (getline(&line, &size, file) > 0) {
		char point[PATH_MAX];

		/* our own names have no blanks, so nothing below them is escaped */
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1 && str_starts(point, dir))
			memcpy(last, point, sizeof last);
	}
	(void)fclose(file);
	if (!last[0])
		return 0;
	return umount2(last, MNT_DETACH) < 0 ? -errno : 1;
}

/* Nothing is removed while something is mounted there: it may be the user's own directory. */
void run_dir_remove(struct run_dir *dir)
{
	int r = 1;

	if (!dir->path[0])
		return;
	while (r > 0)
		r = unmount_last(dir->path);
	if (r == 0)
		(void)nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	else
		(void)cmd_fail(0, "run: %s stays: what is mounted there cannot be unmounted: %s",
			dir->path, strerror(-r));
}

/* ---- those of runs that were killed ---------------------------------------------------------------- */

/* The units go, and with them every reason for what a supervisor finds; its configuration stays. */
static void forget_units(const char *dir)
{
	glob_t found = { 0 };
	char pattern[sizeof((struct run_dir *)0)->path + 16];

	(void)snprintf(pattern, sizeof pattern, "%s/units/*", dir);
	if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (!str_ends(found.gl_pathv[i], "/berth.conf"))
				(void)unlink(found.gl_pathv[i]);
	globfree(&found);
}

/* A supervisor has been at work there when there is its lock; before that, nothing else was made. */
static int end_what_runs(const char *dir, struct err *err)
{
	char units[sizeof((struct run_dir *)0)->path + 8];
	char run[sizeof units];
	char lock[sizeof units + 8];
	struct supervisor_options options = {
		.config_dir = units, .run_dir = run, .worker = appliance_worker()
	};
	struct supervisor *sv = NULL;
	int r;

	(void)snprintf(units, sizeof units, "%s/units", dir);
	(void)snprintf(run, sizeof run, "%s/run", dir);
	(void)snprintf(lock, sizeof lock, "%s/lock", run);
	if (access(lock, F_OK) < 0)
		return 0;
	forget_units(dir);
	r = supervisor_open(&sv, &options, err);
	if (r < 0)
		return r;
	supervisor_shutdown(sv, SHUTDOWN_STOP);
	(void)supervisor_run(sv);
	supervisor_close(sv);
	return 0;
}

static void sweep(struct run_dir *dir)
{
	struct err err = { 0 };
	int r = end_what_runs(dir->path, &err);

	if (r == 0)
		run_dir_remove(dir);
	else if (r != -EBUSY)
		(void)cmd_fail(0, "run: %s is left of a run that was killed, and stays: %s",
			dir->path, err.text);
}

/* Of nobody else, and of a process that is gone. */
static bool is_left(const char *path)
{
	const char *pid = strrchr(path, '/') + sizeof NAME_BEGINS;
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       kill((pid_t)strtol(pid, NULL, 10), 0) < 0 && errno == ESRCH;
}

void run_dirs_sweep(void)
{
	for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
		glob_t found = { 0 };
		char pattern[64];

		(void)snprintf(
			pattern, sizeof pattern, "%s/" NAME_BEGINS "[1-9]*-??????", bases[i]);
		if (glob(pattern, 0, NULL, &found) == 0)
			for (size_t k = 0; k < found.gl_pathc; k++) {
				struct run_dir dir;

				(void)snprintf(dir.path, sizeof dir.path, "%s", found.gl_pathv[k]);
				if (is_left(dir.path))
					sweep(&dir);
			}
		globfree(&found);
	}
}
