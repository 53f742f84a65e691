/* Roots: preparing an archive with a worker that is played by a script, and, as root, mounting in a
 * mount namespace of our own. Everything is made below one temporary directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "images/rootfs.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

struct place {
	char dir[64];
	char img[96], archive[96], worker[96], lower[96], where[96], count[96];
};

static void file_make(const char *path, const char *text, mode_t mode)
{
	own_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	if (!p)
		return -1;
	(void)snprintf(p->dir, sizeof p->dir, "/tmp/berth-test-rootfs-XXXXXX");
	if (!mkdtemp(p->dir)) {
		free(p);
		return -1;
	}
	(void)snprintf(p->img, sizeof p->img, "%s/img", p->dir);
	(void)snprintf(p->archive, sizeof p->archive, "%s/root.tar", p->dir);
	(void)snprintf(p->worker, sizeof p->worker, "%s/worker", p->dir);
	(void)snprintf(p->lower, sizeof p->lower, "%s/lo:w,er", p->dir);
	(void)snprintf(p->where, sizeof p->where, "%s/where", p->dir);
	(void)snprintf(p->count, sizeof p->count, "%s/count", p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	own_fd tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = path_remove_tree(tmp, strrchr(p->dir, '/') + 1);

	free(p);
	return r;
}

/* A worker that counts its runs in DIR/count and does what it is told. */
static void worker_make(const struct place *p, const char *what)
{
	char text[512];

	(void)snprintf(text, sizeof text, "#!/bin/sh\necho run >> %s\n%s\n", p->count, what);
	file_make(p->worker, text, 0755);
}

static size_t runs(const struct place *p)
{
	char text[256];
	ssize_t n = file_read_at(AT_FDCWD, p->count, text, sizeof text);

	return n < 0 ? 0 : (size_t)n / strlen("run\n");
}

static void test_prepare_dir(void **state)
{
	const struct place *p = *state;
	struct root_spec spec = { .kind = ROOT_DIR, .path = p->dir };
	struct err err = { 0 };
	char ret[4096] = "untouched";

	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), 0);
	assert_string_equal(ret, p->dir);
	spec.path = "/nonexistent/root";
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), -ENOENT);
	assert_string_equal(err.text, "open the root /nonexistent/root: No such file or directory");
	spec.path = "/dev/null";
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), -ENOTDIR);
	spec.kind = ROOT_TAR;
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), -EINVAL);
	spec.kind = ROOT_NONE;
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), -EINVAL);
	assert_string_equal(ret, p->dir);
}

/* As if it had been handed out an hour ago. */
static int grow_old(const char *tree)
{
	const struct timespec times[2] = { { .tv_sec = time(NULL) - 3600 },
		{ .tv_nsec = UTIME_OMIT } };

	return utimensat(AT_FDCWD, tree, times, 0);
}

static void test_prepare_tar(void **state)
{
	const struct place *p = *state;
	struct root_spec spec = { .kind = ROOT_TAR, .path = p->archive };
	struct err err = { 0 };
	char first[4096];
	char ret[4096];

	file_make(p->archive, "one", 0644);
	worker_make(p, "test \"$1\" = unpack && cp \"$2\" \"$3/file\"");
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, first, sizeof first, &err), 0);
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), 0);
	assert_string_equal(ret, first);
	assert_int_equal(runs(p), 1);
	/* Another content: a new tree; the old one may just have been handed out to somebody. */
	file_make(p->archive, "second", 0644);
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), 0);
	assert_string_not_equal(ret, first);
	assert_int_equal(access(first, F_OK), 0);
	/* Later the old ones are removed. */
	assert_int_equal(grow_old(first) + grow_old(ret), 0);
	file_make(p->archive, "the third", 0644);
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), 0);
	assert_string_not_equal(ret, first);
	assert_int_equal(access(first, F_OK), -1);
	assert_int_equal(access(ret, F_OK), 0);
	assert_int_equal(runs(p), 3);
}

/* What is in img/ besides locks. */
static int trees(const struct place *p)
{
	DIR *dir = opendir(p->img);
	struct dirent *entry;
	int n = -2; /* . and .. */

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += strncmp(entry->d_name, ".lock-", 6) != 0;
	(void)closedir(dir);
	return n;
}

static void test_prepare_failures(void **state)
{
	const struct place *p = *state;
	struct root_spec spec = { .kind = ROOT_TAR, .path = p->archive };
	struct err err = { 0 };
	char ret[4096];

	file_make(p->archive, "one", 0644);
	worker_make(p, "mkdir \"$3/half\"; echo 'worker: unpack x: entry y: no' >&2; exit 1");
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), -EINVAL);
	assert_string_equal(err.text, "unpack x: entry y: no");
	worker_make(p, "kill -9 $$");
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), -EIO);
	assert_non_null(strstr(err.text, "killed by signal 9"));
	assert_int_equal(
		rootfs_prepare(&spec, p->img, "/nonexistent", ret, sizeof ret, &err), -EINVAL);
	assert_non_null(strstr(err.text, "exec /nonexistent: No such file"));
	assert_int_equal(trees(p), 0);
	worker_make(p, "echo fine > \"$3/file\"");
	assert_int_equal(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err), 0);
	assert_int_equal(trees(p), 1);
}

static void test_prepare_together(void **state)
{
	const struct place *p = *state;
	struct root_spec spec = { .kind = ROOT_TAR, .path = p->archive };

	file_make(p->archive, "one", 0644);
	worker_make(p, "sleep 0.2; echo whole > \"$3/file\"");
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			char ret[4096];

			_exit(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, NULL) != 0);
		}
	}
	for (int i = 0; i < 4; i++) {
		int status = -1;

		(void)wait(&status);
		assert_int_equal(status, 0);
	}
	assert_int_equal(runs(p), 1);
}

/* ---- mounts, in a child with a mount namespace of its own --------------------------------------- */

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			(void)fprintf(stderr, "line %d: %s: %s (%s)\n", __LINE__, #what, err.text, \
				strerror(errno));                                                  \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int touch(const char *dir, const char *name)
{
	own_fd at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_fd fd = openat(at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : 0;
}

static int fill(const char *dir, const char *name, size_t mib)
{
	static const char block[1 << 20] = { 1 };
	own_fd at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_fd fd = openat(at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && i < mib; i++)
		r = write_full(fd, block, sizeof block);
	return r;
}

static int mounts_of(const char *where)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	own_mem char *line = NULL;
	size_t size = 0;
	int n = 0;

	while (file && getline(&line, &size, file) > 0)
		n += strstr(line, where) != NULL;
	if (file)
		(void)fclose(file);
	return n;
}

static int live(const struct place *p)
{
	struct root_spec spec = { .kind = ROOT_DIR, .path = p->lower, .upper_size = 4 << 20 };
	struct err err = { 0 };
	struct stat st;
	char sub[128];

	if (unshare(CLONE_NEWNS) < 0)
		return 77;
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mkdir(p->lower, 0755) == 0 && mkdir(p->where, 0755) == 0);
	CHECK(chmod(p->lower, 01751) == 0 && chown(p->lower, 7, 8) == 0);
	CHECK(touch(p->lower, "below") == 0);
	/* Writable: by an upper layer of limited size, never the lower. */
	CHECK(rootfs_mount(&spec, p->lower, p->where, &err) == 0);
	CHECK(mounts_of(p->where) == 2); /* the upper layer's, and on it the root */
	CHECK(stat(p->where, &st) == 0 && (st.st_mode & 07777) == 01751 && st.st_uid == 7);
	CHECK(touch(p->where, "above") == 0 && touch(p->lower, "other") == 0);
	CHECK(faccessat(AT_FDCWD, p->lower, F_OK, 0) == 0);
	(void)snprintf(sub, sizeof sub, "%s/above", p->lower);
	CHECK(access(sub, F_OK) < 0);
	CHECK(fill(p->where, "large", 8) == -ENOSPC);
	CHECK(umount2(p->where, MNT_DETACH) == 0 && mounts_of(p->where) == 1);
	CHECK(umount2(p->where, MNT_DETACH) == 0 && mounts_of(p->where) == 0);
	/* Read-only, with what is mounted below. */
	(void)snprintf(sub, sizeof sub, "%s/sub", p->lower);
	CHECK(mkdir(sub, 0755) == 0 && mount("t", sub, "tmpfs", 0, NULL) == 0);
	spec.readonly = true;
	CHECK(rootfs_mount(&spec, p->lower, p->where, &err) == 0);
	CHECK(touch(p->where, "x") == -EROFS && touch(p->where, "sub/x") == -EROFS);
	CHECK(touch(p->lower, "x") == 0 && touch(sub, "x") == 0);
	CHECK(umount2(p->where, MNT_DETACH) == 0 && umount2(sub, MNT_DETACH) == 0);
	/* Failures leave nothing. */
	spec.readonly = false;
	CHECK(rootfs_mount(&spec, "/nonexistent", p->where, &err) == -ENOENT);
	CHECK(rootfs_mount(&spec, "/proc", "/nonexistent", &err) == -ENOENT);
	CHECK(mounts_of(p->where) == 0);
	return 0;
}

/* A tree that is some container's root is kept, whatever becomes of its archive. */
static int live_stale(const struct place *p)
{
	struct root_spec spec = { .kind = ROOT_TAR, .path = p->archive };
	struct err err = { 0 };
	char first[4096];
	char second[4096];
	char third[4096];

	if (unshare(CLONE_NEWNS) < 0)
		return 77;
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mkdir(p->where, 0755) == 0);
	CHECK(rootfs_prepare(&spec, p->img, p->worker, first, sizeof first, &err) == 0);
	CHECK(rootfs_mount(&spec, first, p->where, &err) == 0);
	CHECK(grow_old(first) == 0 && truncate(p->archive, 100) == 0);
	CHECK(rootfs_prepare(&spec, p->img, p->worker, second, sizeof second, &err) == 0);
	CHECK(access(first, F_OK) == 0);
	CHECK(umount2(p->where, MNT_DETACH) == 0);
	CHECK(grow_old(first) == 0 && grow_old(second) == 0 && truncate(p->archive, 200) == 0);
	CHECK(rootfs_prepare(&spec, p->img, p->worker, third, sizeof third, &err) == 0);
	CHECK(access(first, F_OK) < 0 && access(second, F_OK) < 0 && access(third, F_OK) == 0);
	return 0;
}

enum { LAYERS = 100 };

/* Each has a file of its own, and one that the next one has too. */
static int layers_make(const struct place *p, char names[LAYERS][40], struct root_spec *spec)
{
	static const char *list[LAYERS + 1];

	for (int i = 0; i < LAYERS; i++) {
		char path[200];

		(void)snprintf(names[i], 40, "%032x", i);
		list[i] = names[i];
		(void)snprintf(path, sizeof path, "%s/%.32s", p->lower, names[i]);
		if (path_mkdirs(path, 0755) < 0 || touch(path, names[i]) < 0)
			return -1;
		(void)snprintf(path, sizeof path, "%s/%.32s/same", p->lower, names[i]);
		file_make(path, names[i], 0644);
	}
	spec->layers.v = list;
	spec->layers.n = LAYERS;
	return chmod(p->lower, 0700);
}

static bool holds(const char *dir, const char *name, const char *text)
{
	char path[200];
	char found[100] = "";

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return file_read_at(AT_FDCWD, path, found, sizeof found) >= 0 && strcmp(found, text) == 0;
}

static int live_layers(const struct place *p)
{
	static char names[LAYERS][40];
	struct root_spec spec = { .kind = ROOT_LAYERS, .path = p->lower, .upper_size = 4 << 20 };
	struct err err = { 0 };
	struct stat st;
	char ret[4096];

	if (unshare(CLONE_NEWNS) < 0)
		return 77;
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(layers_make(p, names, &spec) == 0 && mkdir(p->where, 0755) == 0);
	CHECK(rootfs_ready(&spec, p->img, ret, sizeof ret) && strcmp(ret, p->lower) == 0);
	CHECK(rootfs_mount(&spec, ret, p->where, &err) == 0);
	for (int i = 0; i < LAYERS; i++)
		CHECK(holds(p->where, names[i], ""));
	CHECK(holds(p->where, "same", names[LAYERS - 1]));
	CHECK(stat(p->where, &st) == 0 && (st.st_mode & 07777) == 0755);
	CHECK(mounts_of(names[LAYERS - 1]) == 1); /* by which store_gc knows them */
	CHECK(touch(p->where, "written") == 0);
	CHECK(umount2(p->where, MNT_DETACH) == 0 && umount2(p->where, MNT_DETACH) == 0);

	spec.readonly = true;
	CHECK(rootfs_mount(&spec, ret, p->where, &err) == 0);
	CHECK(holds(p->where, names[0], "") && holds(p->where, "same", names[LAYERS - 1]));
	CHECK(touch(p->where, "written") == -EROFS);
	CHECK(umount2(p->where, MNT_DETACH) == 0);
	spec.layers.n = 1;
	CHECK(rootfs_mount(&spec, ret, p->where, &err) == 0);
	CHECK(holds(p->where, "same", names[0]) && touch(p->where, "written") == -EROFS);
	CHECK(umount2(p->where, MNT_DETACH) == 0 && mounts_of(p->where) == 0);

	/* One that was removed. */
	spec.readonly = false;
	spec.layers.v = (const char *[]){ names[0], "gone" };
	spec.layers.n = 2;
	CHECK(rootfs_mount(&spec, ret, p->where, &err) == -ENOENT);
	CHECK(strstr(err.text, "the layer gone is not in") && mounts_of(p->where) == 0);
	return 0;
}

/* What is written stays, in a directory or in a tmpfs that somebody else's namespace has. */
static int live_persist(const struct place *p)
{
	char upper[200];
	struct root_spec spec = {
		.kind = ROOT_DIR, .path = p->lower, .upper_size = 4 << 20, .upper_dir = upper
	};
	struct err err = { 0 };
	struct stat st;
	char ret[4096];

	if (unshare(CLONE_NEWNS) < 0)
		return 77;
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mkdir(p->lower, 0755) == 0 && mkdir(p->where, 0755) == 0);
	CHECK(chown(p->lower, 7, 8) == 0 && touch(p->lower, "below") == 0);
	for (enum root_persist kind = PERSIST_BOOT; kind <= PERSIST_PERMANENT; kind++) {
		spec.persist = kind;
		(void)snprintf(upper, sizeof upper, "%s/kept/%d", p->dir, (int)kind);
		CHECK(rootfs_ready(&spec, p->img, ret, sizeof ret) == (kind != PERSIST_BOOT));
		CHECK(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err) == 0);
		CHECK(rootfs_ready(&spec, p->img, ret, sizeof ret));
		CHECK(rootfs_mount(&spec, ret, p->where, &err) == 0);
		CHECK(stat(p->where, &st) == 0 && st.st_uid == 7);
		CHECK(touch(p->where, "written") == 0 && chown(p->where, 9, 9) == 0);
		if (kind == PERSIST_BOOT)
			CHECK(fill(p->where, "large", 8) == -ENOSPC);
		CHECK(umount2(p->where, MNT_DETACH) == 0 && mounts_of(p->where) == 0);
		CHECK(rootfs_mount(&spec, ret, p->where, &err) == 0);
		CHECK(holds(p->where, "written", "") && holds(p->where, "below", ""));
		CHECK(stat(p->where, &st) == 0 && st.st_uid == 9);
		CHECK(umount2(p->where, MNT_DETACH) == 0 && mounts_of(p->where) == 0);
	}
	CHECK(rootfs_prepare(&spec, p->img, p->worker, ret, sizeof ret, &err) == 0);
	CHECK(access(p->lower, F_OK) == 0 && mounts_of("kept") == 1);
	(void)snprintf(upper, sizeof upper, "%s/kept/%d", p->dir, (int)PERSIST_BOOT);
	CHECK(umount2(upper, MNT_DETACH) == 0);
	return 0;
}

static void run_live(int (*run)(const struct place *p), const struct place *p)
{
	int status = 0;
	pid_t pid;

	if (geteuid() != 0)
		skip(); /* mounting needs root */
	pid = fork();
	if (pid == 0)
		_exit(run(p));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip(); /* no mount namespace here */
	assert_int_equal(status, 0);
}

static void test_mount(void **state)
{
	run_live(live, *state);
}

static void test_mount_layers(void **state)
{
	run_live(live_layers, *state);
}

static void test_mount_persist(void **state)
{
	run_live(live_persist, *state);
}

static void test_stale_in_use(void **state)
{
	const struct place *p = *state;

	file_make(p->archive, "one", 0644);
	worker_make(p, "echo fine > \"$3/file\"");
	run_live(live_stale, p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_prepare_dir, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepare_tar, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepare_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepare_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mount, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mount_layers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mount_persist, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_in_use, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
