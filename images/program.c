#include "images/program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "images/work.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

enum { TAG_LENGTH = 16, NAME_SIZE = 96 };

/* The directory in which bundles of one place lie. */
struct place {
	char path[256];
	int dir;
};

static int place_open(struct place *ret, const char *parent, struct err *err)
{
	int r;

	if ((size_t)snprintf(ret->path, sizeof ret->path, "%s/bundles", parent) >= sizeof ret->path)
		return err_sys(err, ENAMETOOLONG, "%s/bundles", parent);
	r = path_mkdirs(ret->path, 0700);
	ret->dir = r < 0 ? r : open(ret->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->dir < 0)
		return err_sys(err, r < 0 ? -r : errno, "make the directory %s", ret->path);
	return 0;
}

static bool can_execute(const struct place *place)
{
	struct statvfs st;

	return fstatvfs(place->dir, &st) == 0 && !(st.f_flag & ST_NOEXEC);
}

/* ---- older contents ------------------------------------------------------------------------------- */

static bool is_run_by(const char *pid, const char *dir)
{
	char path[64];
	char exe[4096];
	ssize_t n;

	if ((size_t)snprintf(path, sizeof path, "/proc/%s/exe", pid) >= sizeof path)
		return false;
	n = readlink(path, exe, sizeof exe - 1);
	exe[n > 0 ? n : 0] = '\0';
	return str_starts(exe, dir) && exe[strlen(dir)] == '/';
}

static bool in_use(const char *dir)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	bool found = false;

	if (!proc)
		return true;
	while (!found && (entry = readdir(proc)))
		found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			is_run_by(entry->d_name, dir);
	(void)closedir(proc);
	return found;
}

/* Of NAME-TAG the length of NAME; 0: another kind of file. */
static size_t bundle_length(const char *content)
{
	size_t n = strlen(content);
	const char *tag = n > TAG_LENGTH + 1 ? content + n - TAG_LENGTH : "";

	if (strlen(tag) != TAG_LENGTH || tag[-1] != '-' ||
		strspn(tag, "0123456789abcdef") != TAG_LENGTH)
		return 0;
	return n - TAG_LENGTH - 1;
}

typedef bool unwanted_fn(const char *bundle, const char *content, const void *data);

/* Removes the contents that are not wanted and not run from. */
static void contents_remove(const struct place *place, unwanted_fn *unwanted, const void *data)
{
	own_fd copy = openat(place->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!list)
		return;
	(void)fd_take(&copy); /* list has it */
	while ((entry = readdir(list))) {
		size_t n = bundle_length(entry->d_name);
		char bundle[NAME_SIZE];
		char path[512];

		if (n == 0 || n >= sizeof bundle)
			continue;
		(void)snprintf(bundle, sizeof bundle, "%.*s", (int)n, entry->d_name);
		(void)snprintf(path, sizeof path, "%s/%.200s", place->path, entry->d_name);
		if (unwanted(bundle, entry->d_name, data) && !in_use(path))
			(void)path_remove_tree(place->dir, entry->d_name);
	}
	(void)closedir(list);
}

/* What is kept of one bundle. */
struct kept {
	const char *bundle, *content;
};

static bool is_older(const char *bundle, const char *content, const void *data)
{
	const struct kept *kept = data;

	return strcmp(bundle, kept->bundle) == 0 && strcmp(content, kept->content) != 0;
}

struct naming {
	bool (*is_named)(const char *bundle, const void *data);
	const void *data;
};

static bool is_forgotten(const char *bundle, const char *content, const void *data)
{
	const struct naming *naming = data;

	(void)content;
	return !naming->is_named(bundle, naming->data);
}

void program_forget(const char *state_dir, const char *run_dir,
	bool (*is_named)(const char *bundle, const void *data), const void *data)
{
	const struct naming naming = { is_named, data };
	const char *const parents[] = { state_dir, run_dir };

	for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
		struct place place;

		(void)snprintf(place.path, sizeof place.path, "%.240s/bundles", parents[i]);
		place.dir = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (place.dir >= 0)
			contents_remove(&place, is_forgotten, &naming);
		fd_close(&place.dir);
	}
}

/* ---- extracting ------------------------------------------------------------------------------------ */

/* The stamp of a bundle in RUN_DIR/bundles: where a content lies that was compared since boot. */
struct stamp {
	char name[NAME_SIZE];
};

static struct stamp stamp_of(const char *bundle)
{
	struct stamp ret;

	(void)snprintf(ret.name, sizeof ret.name, "%.70s.compared", bundle);
	return ret;
}

static bool was_compared(const struct place *stamps, const char *bundle, const char *where)
{
	char text[512];

	return file_read_at(stamps->dir, stamp_of(bundle).name, text, sizeof text) > 0 &&
	       strcmp(text, where) == 0;
}

static int stamp_put(
	const struct place *stamps, const char *bundle, const char *where, struct err *err)
{
	const struct stamp stamp = stamp_of(bundle);
	int r = file_replace_at(stamps->dir, stamp.name, where, strlen(where), 0600, 0);

	return r < 0 ? err_sys(err, -r, "write %s/%s", stamps->path, stamp.name) : 0;
}

/* Compared and written by the worker, file by file. */
static int extract_into(const struct program_spec *spec, const struct place *place,
	const char *content, const char *where, const char *worker, struct err *err)
{
	own_fd file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const struct work work = {
		.program = worker, .words = { "extract", spec->bundle, where }, .in = file
	};
	int r;

	if (file < 0)
		return err_sys(err, errno, "open the running file");
	if (mkdirat(place->dir, content, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "mkdir %s", where);
	r = work_run(&work, err);
	if (r < 0)
		return r;
	return fsync(place->dir) < 0 ? err_sys(err, errno, "write %s out", place->path) : 0;
}

static int extract_at(const struct program_spec *spec, const struct place *place,
	const struct place *stamps, const char *worker, char *ret, size_t size, struct err *err)
{
	char content[NAME_SIZE];
	char where[512];
	int r = 0;

	(void)snprintf(content, sizeof content, "%.70s-%.16s", spec->bundle, spec->tag);
	(void)snprintf(where, sizeof where, "%s/%s", place->path, content);
	/* First, for both may not fit. */
	contents_remove(place, is_older, &(const struct kept){ spec->bundle, content });
	if (spec->verify_always || !was_compared(stamps, spec->bundle, where) ||
		faccessat(place->dir, content, F_OK, 0) < 0) {
		r = extract_into(spec, place, content, where, worker, err);
		if (r == 0)
			r = stamp_put(stamps, spec->bundle, where, err);
		else if (!in_use(where))
			(void)path_remove_tree(place->dir, content);
		if (r < 0)
			return r;
	}
	if ((size_t)snprintf(ret, size, "%s/%s", where, spec->file) >= size)
		return err_sys(err, ENAMETOOLONG, "%s/%s", where, spec->file);
	return 0;
}

/* Where it survives the boot, where it does not, and last where only its bytes are of use: a program
 * there is copied into memory (supervisor/runtime/build.c). */
static int extract(const struct program_spec *spec, const char *state_dir, const char *run_dir,
	const char *worker, char *ret, size_t size, struct err *err)
{
	struct place state = { .dir = -1 };
	struct place run = { .dir = -1 };
	own_fd lock = -1;
	int r = place_open(&run, run_dir, err);

	if (r < 0)
		return r;
	lock = file_lock(run.dir, ".lock", err);
	r = lock < 0 ? lock : place_open(&state, state_dir, err);
	if (r == 0)
		r = can_execute(&state) ? extract_at(spec, &state, &run, worker, ret, size, err)
					: -ENOEXEC;
	if (r < 0 && lock >= 0)
		r = extract_at(spec, &run, &run, worker, ret, size, err);
	fd_close(&state.dir);
	fd_close(&run.dir);
	return r;
}

/* NULL: the host has none of them. */
static const char *host_program(const struct program_spec *spec)
{
	for (size_t i = 0; i < spec->host.n; i++) {
		struct stat st;

		if (stat(spec->host.v[i], &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0111)
			return spec->host.v[i];
	}
	return NULL;
}

int program_prepare(const struct program_spec *spec, const char *state_dir, const char *run_dir,
	const char *worker, char *ret, size_t size, struct err *err)
{
	const char *host = host_program(spec);
	int r = 0;

	if (host && (size_t)snprintf(ret, size, "%s", host) >= size)
		r = err_sys(err, ENAMETOOLONG, "%s", host);
	else if (host)
		return 0;
	else if (!spec->dir)
		r = extract(spec, state_dir, run_dir, worker, ret, size, err);
	else if ((size_t)snprintf(ret, size, "%s/%s", spec->dir, spec->file) >= size)
		r = err_sys(err, ENAMETOOLONG, "%s/%s", spec->dir, spec->file);
	return r < 0 ? err_wrap(err, "bundle %s", spec->bundle) : 0;
}
