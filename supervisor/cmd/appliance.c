#include "supervisor/cmd/appliance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/bundle.h"
#include "images/work.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/runtime/seal.h"

#define WORKER "berth-worker"
#define FETCH  "berth-fetch"

static char config_dir[128]; /* of the payload, once it is known */
static char private_dir[128];

/* ---- writing one directory ------------------------------------------------------------------------ */

/* Opens a new file below `dir`, its directories made. The names were checked by bundle_read. */
static int file_make(int dir, const char *path, mode_t mode, struct err *err)
{
	char part[600];
	int fd;

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		(void)snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		if (mkdirat(dir, part, 0700) < 0 && errno != EEXIST)
			return err_sys(err, errno, "mkdir %s", part);
	}
	fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	return fd < 0 ? err_sys(err, errno, "make %s", path) : fd;
}

static int entry_copy(
	int file, const struct bundle_entry *entry, int dir, const char *path, struct err *err)
{
	own_fd out = file_make(dir, path, entry->kind == BUNDLE_PROGRAM ? 0500 : 0600, err);
	off_t at = (off_t)entry->offset;
	uint64_t left = entry->length;

	if (out < 0)
		return out;
	while (left > 0) {
		ssize_t n = sendfile(out, file, &at, left < 1 << 30 ? (size_t)left : 1 << 30);

		if (n <= 0)
			return err_sys(err, n < 0 ? errno : EIO, "write %s", path);
		left -= (uint64_t)n;
	}
	return 0;
}

/* Config finds an image or a bundle by this: image_in_payload in config/image.c, bundle_in_payload in
 * config/bundle.c. */
static int place_write(const struct bundle_entry *entry, int dir, const char *path, struct err *err)
{
	own_fd out = file_make(dir, path, 0600, err);
	char text[80];
	int n = snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64 " %s\n", entry->offset,
		entry->length, bundle_tag(entry->digest).text);
	int r = out < 0 ? out : write_full(out, text, (size_t)n);

	return r < 0 && out >= 0 ? err_sys(err, -r, "write %s", path) : r;
}

static int entry_put(int file, const struct bundle_entry *entry, int dir, struct err *err)
{
	char path[640];

	switch (entry->kind) {
	case BUNDLE_CONFIG:
		return entry_copy(file, entry, dir, entry->name, err);
	case BUNDLE_IMAGE:
		(void)snprintf(path, sizeof path, ".payload/%s", entry->name);
		return place_write(entry, dir, path, err);
	case BUNDLE_IMAGE_CONFIG:
		(void)snprintf(path, sizeof path, ".payload/%s.image.json", entry->name);
		return entry_copy(file, entry, dir, path, err);
	case BUNDLE_PROGRAM:
		if (bundle_stays(entry)) {
			(void)snprintf(path, sizeof path, ".bundles/%s", entry->name);
			return place_write(entry, dir, path, err);
		}
		(void)snprintf(path, sizeof path, ".programs/%s", entry->name);
		return entry_copy(file, entry, dir, path, err);
	case BUNDLE_KIND_COUNT:
		break;
	}
	return 0;
}

/* ---- making it -------------------------------------------------------------------------------------- */

/* Beside our program file, or below ../libexec. */
static const char *installed(const char *name)
{
	static char path[600];
	const char *program = seal_program_path();
	const char *slash = strrchr(program, '/');
	int n = slash ? (int)(slash - program) : 0;

	(void)snprintf(path, sizeof path, "%.*s/%s", n, program, name);
	if (access(path, X_OK) < 0)
		(void)snprintf(path, sizeof path, "%.*s/../libexec/%s", n, program, name);
	return path;
}

/* The worker of the payload, whose own bytes are compared by itself: it guards against damage. */
static int payload_verify(int file, int dir, struct err *err)
{
	const struct fd_path path = fd_path(dir);
	const char *worker;
	char own[64];

	(void)snprintf(own, sizeof own, "%s/.programs/" WORKER, path.text);
	worker = own;
	if (access(own, R_OK) < 0)
		worker = installed(WORKER);
	return work_run(
		&(const struct work){
			.program = worker, .words = { "verify", "files" }, .in = file },
		err);
}

static void private_remove(void)
{
	const char *name = strrchr(private_dir, '/') + 1;
	own_fd parent = -1;
	char path[128];

	(void)snprintf(path, sizeof path, "%.*s", (int)(name - private_dir), private_dir);
	parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0)
		(void)path_remove_tree(parent, name);
}

/* Opens the directory in which payloads' directories lie. */
static int base_open(char *ret, size_t size, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	int r = path_mkdirs(APPLIANCE_DIR, 0700);
	int fd = -1;

	(void)snprintf(ret, size, APPLIANCE_DIR);
	if (r == 0 && access(APPLIANCE_DIR, W_OK) == 0)
		fd = open(APPLIANCE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	(void)snprintf(private_dir, sizeof private_dir, "%.90s/berth-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(private_dir))
		return err_sys(err, errno, "make a directory below %s", tmp ? tmp : "/tmp");
	(void)atexit(private_remove);
	(void)snprintf(ret, size, "%s", private_dir);
	fd = open(private_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", private_dir) : fd;
}

static int dir_fill(
	int file, const struct bundle *bundle, int base, const char *name, struct err *err)
{
	own_fd dir = -1;
	int r = 0;

	if (mkdirat(base, name, 0700) < 0)
		return err_sys(err, errno, "mkdir %s", name);
	dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, errno, "open %s", name);
	for (size_t i = 0; i < bundle->n && r == 0; i++)
		r = entry_put(file, &bundle->entries[i], dir, err);
	return r < 0 ? r : payload_verify(file, dir, err);
}

static int dir_make(int file, const struct bundle *bundle, struct err *err)
{
	const struct bundle_tag tag = bundle_tag(bundle->digest);
	own_fd base = -1;
	char root[128];
	char name[48];
	int r;

	base = base_open(root, sizeof root, err);
	if (base < 0)
		return base;
	(void)snprintf(config_dir, sizeof config_dir, "%.100s/%s", root, tag.text);
	if (faccessat(base, tag.text, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	(void)snprintf(name, sizeof name, ".%s.%d", tag.text, (int)getpid());
	(void)path_remove_tree(base, name);
	r = dir_fill(file, bundle, base, name, err);
	/* Another berth may have been faster: what it made is the same. */
	if (r == 0 && renameat(base, name, base, tag.text) < 0 && errno != ENOTEMPTY &&
		errno != EEXIST)
		r = err_sys(err, errno, "rename %s/%s", root, name);
	(void)path_remove_tree(base, name);
	if (r < 0)
		config_dir[0] = '\0';
	return r;
}

/* What our own file has is in `config_dir`, which stays empty for a file that is no appliance. */
static int payload_put(struct err *err)
{
	own_fd file = -1;
	struct bundle bundle;
	int r;

	if (config_dir[0])
		return 0;
	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	r = file < 0 ? -ENODATA : bundle_read(file, &bundle, err);
	if (r == -ENODATA)
		return 0;
	if (r == 0) {
		r = dir_make(file, &bundle, err);
		bundle_done(&bundle);
	}
	return r < 0 ? err_wrap(err, "%s", seal_program_path()) : 0;
}

int appliance_config(const char **ret, struct err *err)
{
	int r;

	*ret = cmd_globals.config_dir;
	if (*ret)
		return 0;
	r = payload_put(err);
	if (config_dir[0])
		*ret = config_dir;
	return r;
}

/* Where one of them is that is not installed; NULL: we are no appliance, or it is not packed. */
static const char *packed(const char *name)
{
	static char path[200];

	/* Whoever is told of another configuration has the same programs. */
	if (payload_put(NULL) < 0 || !config_dir[0])
		return NULL;
	(void)snprintf(path, sizeof path, "%s/.programs/%s", config_dir, name);
	return access(path, R_OK) < 0 ? NULL : path;
}

const char *appliance_worker(void)
{
	const char *path = access(installed(WORKER), X_OK) < 0 ? packed(WORKER) : NULL;

	return path ? path : installed(WORKER);
}

const char *appliance_fetch(void)
{
	const char *path = installed(FETCH);

	return access(path, X_OK) < 0 ? packed(FETCH) : path;
}
