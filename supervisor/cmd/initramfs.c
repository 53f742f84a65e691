#include "supervisor/cmd/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/elf.h"
#include "images/work.h"
#include "supervisor/base/own.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/core/modules.h"

enum { PATH_SIZE = 4096 };

/* ---- the kernel ------------------------------------------------------------------------------------- */

/* x86: a boot image has its release at an offset that its header names (boot.rst, "kernel_version"). */
static bool release_in(const char *kernel, char *ret, size_t size)
{
	own_fd file = open(kernel, O_RDONLY | O_CLOEXEC);
	unsigned char head[0x210];
	ssize_t n;

	if (file < 0 || pread(file, head, sizeof head, 0) != (ssize_t)sizeof head ||
		memcmp(head + 0x202, "HdrS", 4) != 0)
		return false;
	n = pread(file, ret, size - 1, (head[0x20e] | head[0x20f] << 8) + 0x200);
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, " ")] = '\0';
	return *ret != '\0';
}

/* Elsewhere it is in the file's name, as Debian and others write it: vmlinuz-RELEASE. */
static bool release_named(const char *kernel, char *ret, size_t size)
{
	const char *slash = strrchr(kernel, '/');
	const char *dash = strchr(slash ? slash : kernel, '-');

	return dash && (size_t)snprintf(ret, size, "%s", dash + 1) < size && *ret;
}

/* Where its modules are: in its own directory, beside that as in a tree that a package was unpacked
 * into, or on this machine. */
static int modules_find(struct initramfs *in, char *ret, struct err *err)
{
	static const char *const places[] = { "../lib/modules/", "../usr/lib/modules/" };
	const char *slash = strrchr(in->kernel, '/');
	int n = slash ? (int)(slash - in->kernel + 1) : 0;

	if (!release_in(in->kernel, in->release, sizeof in->release) &&
		!release_named(in->kernel, in->release, sizeof in->release))
		return err_set(err, EINVAL,
			"%s does not say which kernel it is: give --modules lib/modules/RELEASE",
			in->kernel);
	(void)snprintf(ret, PATH_SIZE, "%.*s./modules.dep", n, in->kernel);
	if (access(ret, F_OK) == 0) {
		*strrchr(ret, '/') = '\0';
		return 0;
	}
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		(void)snprintf(ret, PATH_SIZE, "%.*s%s%s", n, in->kernel, places[i], in->release);
		if (access(ret, F_OK) == 0)
			return 0;
	}
	(void)snprintf(ret, PATH_SIZE, "/lib/modules/%s", in->release);
	return access(ret, F_OK) == 0 ? 0
				      : err_set(err, ENOENT,
						"there are no modules of %s, neither beside %s nor "
						"in %s: give --modules DIR",
						in->release, in->kernel, ret);
}

static int modules_dir(struct initramfs *in, char *ret, struct err *err)
{
	char whole[PATH_MAX];
	const char *slash;

	if (access(in->kernel ? in->kernel : in->modules, R_OK) < 0)
		return err_sys(err, errno, "read %s", in->kernel ? in->kernel : in->modules);
	if (!in->modules)
		return modules_find(in, ret, err);
	if (!realpath(in->modules, whole))
		return err_sys(err, errno, "read %s", in->modules);
	slash = strrchr(whole, '/');
	(void)snprintf(in->release, sizeof in->release, "%s", slash + 1);
	(void)snprintf(ret, PATH_SIZE, "%s", whole);
	return 0;
}

/* ---- the list --------------------------------------------------------------------------------------- */

struct listing {
	FILE *list; /* for berth-worker: images/worker/cpio.h */
	struct initramfs *in;
	struct arena *arena;
};

static void add(struct listing *l, const char *kind, const char *name, const char *path)
{
	(void)fprintf(l->list, "%s\n%s\n%s\n", kind, name + (*name == '/'), path);
}

static int add_libraries(struct listing *l, struct err *err)
{
	struct strv files = { 0 };
	char path[PATH_SIZE];
	int r = elf_closure(l->in->appliance, l->in->sysroot, l->arena, &files, err);

	if (r == 0)
		r = elf_closure(l->in->worker, l->in->sysroot, l->arena, &files, err);
	if (r == 0 && l->in->fetch)
		r = elf_closure(l->in->fetch, l->in->sysroot, l->arena, &files, err);
	for (size_t i = 0; i < files.n && r == 0; i++) {
		(void)snprintf(path, sizeof path, "%s%s", l->in->sysroot, files.v[i]);
		add(l, "program", files.v[i], path);
	}
	return r;
}

/* A small file of our own making, in the directory for such. */
static FILE *make(struct listing *l, const char *name, char *ret, struct err *err)
{
	FILE *file;

	(void)snprintf(ret, PATH_SIZE, "%.4000s/%s", l->in->tmp, name);
	file = fopen(ret, "we");
	if (!file)
		(void)err_sys(err, errno, "make %s", ret);
	return file;
}

static int close_made(FILE *file, const char *path, int r, struct err *err)
{
	return fclose(file) != 0 && r == 0 ? err_sys(err, errno, "write %s", path) : r;
}

static int add_load_list(struct listing *l, struct err *err)
{
	char path[PATH_SIZE];
	FILE *file = make(l, "modules-load", path, err);

	if (!file)
		return -err->code;
	for (size_t i = 0; i < l->in->more.n; i++)
		(void)fprintf(file, "%s\n", l->in->more.v[i]);
	add(l, "file", MODULES_LOAD_DIR "/berth.conf", path);
	return close_made(file, path, 0, err);
}

static int add_modules(struct listing *l, struct err *err)
{
	struct strv files = { 0 };
	char dir[PATH_SIZE];
	char name[PATH_SIZE];
	char path[2 * PATH_SIZE];
	FILE *dep;
	int r = modules_dir(l->in, dir, err);

	if (r == 0)
		r = modules_closure(dir, &l->in->more, l->arena, &files, err);
	if (r < 0)
		return r;
	dep = make(l, "modules.dep", path, err);
	if (!dep)
		return -err->code;
	r = close_made(dep, path, modules_write_dep(dir, &files, dep, err), err);
	(void)snprintf(name, sizeof name, "lib/modules/%s/modules.dep", l->in->release);
	add(l, "file", name, path);
	for (size_t i = 0; i < files.n; i++) {
		const char *end = strstr(files.v[i], ".ko");

		(void)snprintf(path, sizeof path, "%s/%s", dir, files.v[i]);
		(void)snprintf(name, sizeof name, "lib/modules/%s/%.*s.ko", l->in->release,
			(int)(end ? end - files.v[i] : (int)strlen(files.v[i])), files.v[i]);
		add(l, "module", name, path);
	}
	return r < 0 || l->in->more.n == 0 ? r : add_load_list(l, err);
}

static int add_all(struct listing *l, struct err *err)
{
	static const char *const dirs[] = { "dev", "etc", "proc", "run", "sys", "tmp", "var" };
	int r;

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
		add(l, "dir", dirs[i], "-");
	/* The kernel opens the first for process 1; a devtmpfs that comes later hides both. */
	add(l, "char", "dev/console", "5:1");
	add(l, "char", "dev/null", "1:3");
	r = add_libraries(l, err);
	if (r == 0 && (l->in->kernel || l->in->modules))
		r = add_modules(l, err);
	if (r == 0)
		add(l, "program", "init", l->in->appliance);
	return r;
}

int initramfs_make(struct initramfs *in, struct arena *arena, struct err *err)
{
	struct work work = { .program = appliance_worker(), .words = { "cpio", in->out } };
	struct listing l = { .in = in, .arena = arena };
	char path[PATH_SIZE];
	int r;

	(void)snprintf(path, sizeof path, "%.4000s/files", in->tmp);
	l.list = fopen(path, "w+e");
	if (!l.list)
		return err_sys(err, errno, "make %s", path);
	r = add_all(&l, err);
	if (r == 0 && (fflush(l.list) != 0 || fseek(l.list, 0, SEEK_SET) != 0))
		r = err_sys(err, errno, "write %s", path);
	work.in = fileno(l.list);
	if (r == 0)
		r = work_run(&work, err);
	(void)fclose(l.list);
	return r;
}
