#include "supervisor/cmd/install.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/unit.h"
#include "images/bundle.h"
#include "images/elf.h"
#include "images/work.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/progress.h"
#include "supervisor/cmd/show.h"
#include "supervisor/runtime/seal.h"

enum { PATH_SIZE = 4096, PIECE = 32 << 20, KEYS_MAX = WORK_WORDS - 3 };

struct install {
	const char *file, *signature;
	const char *target; /* our own program file */
	char dir[PATH_SIZE];
	char name[256]; /* the copy until it takes the target's name */
	char copy[PATH_SIZE];
	int dirfd, copyfd;
	struct unit_set set; /* the running appliance's configuration: the keys */
	struct progress progress;
};

/* ---- before anything is written --------------------------------------------------------------------- */

static int target_find(struct install *in, struct err *err)
{
	own_fd self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct bundle bundle;
	const char *slash;
	int r;

	in->target = seal_program_path();
	if (self < 0)
		return err_sys(err, errno, "open /proc/self/exe");
	r = bundle_read(self, &bundle, err);
	if (r == -ENODATA)
		return err_set(err, EINVAL,
			"%s is not an appliance: say it with the file that is to be replaced, "
			"as in ./site bundle install FILE",
			in->target);
	if (r < 0)
		return r;
	bundle_done(&bundle);
	if (strcmp(in->target, "/init") == 0)
		return err_set(err, EINVAL,
			"this appliance is an initramfs, in memory: put a new initramfs where the "
			"boot loader reads it");
	slash = strrchr(in->target, '/');
	(void)snprintf(in->dir, sizeof in->dir, "%.*s", (int)(slash - in->target + 1), in->target);
	if ((size_t)snprintf(in->name, sizeof in->name, ".%s.new", slash + 1) >= sizeof in->name ||
		(size_t)snprintf(in->copy, sizeof in->copy, "%s%s", in->dir, in->name) >=
			sizeof in->copy)
		return err_sys(err, ENAMETOOLONG, "%s", in->target);
	in->dirfd = open(in->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return in->dirfd < 0 ? err_sys(err, errno, "open %s", in->dir) : 0;
}

/* A key that cannot be read must not count as none. */
static int keys_read(struct install *in, struct err *err)
{
	const char *config = NULL;
	int r = appliance_config(&config, err);

	if (r == 0)
		r = unit_set_load_conf(&in->set, config, err);
	if (r < 0)
		return r;
	if (in->set.nerrors)
		return err_set(err, EINVAL, "berth.conf of this appliance has errors (see check)");
	if (in->set.conf.update_keys.n > KEYS_MAX)
		return err_set(err, E2BIG, "UpdateKey=: more than %d keys", KEYS_MAX);
	return 0;
}

/* ---- the copy ------------------------------------------------------------------------------------------ */

static int copy_make(struct install *in, struct err *err)
{
	own_fd from = open(in->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	off_t at = 0;

	if (from < 0 || fstat(from, &st) < 0)
		return err_sys(err, errno, "open %s", in->file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s: not a file", in->file);
	(void)path_remove_tree(in->dirfd, in->name);
	in->copyfd = openat(
		in->dirfd, in->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
	if (in->copyfd < 0)
		return err_sys(err, errno, "make %s", in->copy);
	while (at < st.st_size) {
		ssize_t n = sendfile(in->copyfd, from, &at, PIECE);

		if (n <= 0)
			return err_sys(
				err, n < 0 ? errno : EIO, "copy %s to %s", in->file, in->copy);
		progress_step(&in->progress, &(const struct work_step){ .done = (uint64_t)at,
						     .total = (uint64_t)st.st_size,
						     .what = "copy" });
	}
	return 0;
}

/* Read only from here on: a program that is open for writing cannot be executed. */
static int copy_reopen(struct install *in, struct err *err)
{
	struct stat old;
	int r = 0;

	if (stat(in->target, &old) < 0 || fchown(in->copyfd, old.st_uid, old.st_gid) < 0 ||
		fchmod(in->copyfd, (old.st_mode & 07777) | 0100) < 0 || fsync(in->copyfd) < 0)
		r = err_sys(err, errno, "write %s", in->copy);
	fd_close(&in->copyfd);
	if (r == 0) {
		in->copyfd = openat(in->dirfd, in->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		r = in->copyfd < 0 ? err_sys(err, errno, "open %s", in->copy) : 0;
	}
	return r;
}

/* ---- the checks ---------------------------------------------------------------------------------------- */

static int check_signature(struct install *in, struct err *err)
{
	const struct strv *keys = &in->set.conf.update_keys;
	struct work work = { .program = appliance_worker(),
		.in = in->copyfd,
		.step = progress_step,
		.context = &in->progress };
	char beside[PATH_SIZE];
	size_t words = 0;

	if (!keys->n)
		return in->signature ? err_set(err, EINVAL,
					       "a signature was given, and there is no UpdateKey= "
					       "in berth.conf of this appliance to check it by")
				     : 0;
	(void)snprintf(beside, sizeof beside, "%.4000s.minisig", in->file);
	if (!in->signature && access(beside, F_OK) < 0)
		return err_set(err, EPERM,
			"it is not signed: %s is not there, and this appliance has UpdateKey=",
			beside);
	work.words[words++] = "signature";
	work.words[words++] = in->signature ? in->signature : beside;
	for (size_t i = 0; i < keys->n; i++)
		work.words[words++] = keys->v[i];
	return work_run(&work, err);
}

static int check_content(struct install *in, struct err *err)
{
	const struct work verify = { .program = appliance_worker(),
		.words = { "verify" },
		.in = in->copyfd,
		.step = progress_step,
		.context = &in->progress };
	own_fd self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct bundle bundle;
	int r = bundle_read(in->copyfd, &bundle, err);

	if (r < 0)
		return r;
	bundle_done(&bundle);
	if (elf_machine(in->copyfd) != elf_machine(self))
		return err_set(err, EINVAL, "it is for another architecture");
	return work_run(&verify, err);
}

/* Its libraries are there, its configuration is right for this machine: asked before it is needed. */
static int check_start(const struct install *in, struct err *err)
{
	const struct work check = { .program = in->copy, .words = { "check" }, .in = -1 };
	int r = work_run(&check, err);

	return r < 0 ? err_wrap(err, "it would not start here, its own check says") : 0;
}

static int install(struct install *in, struct err *err)
{
	int r = target_find(in, err);

	if (r == 0)
		r = keys_read(in, err);
	if (r == 0)
		r = copy_make(in, err);
	if (r == 0)
		r = copy_reopen(in, err);
	if (r == 0)
		r = check_signature(in, err);
	if (r == 0)
		r = check_content(in, err);
	if (r == 0)
		r = check_start(in, err);
	if (r == 0 && (renameat(in->dirfd, in->name, in->dirfd, strrchr(in->target, '/') + 1) < 0 ||
			      fsync(in->dirfd) < 0))
		r = err_sys(err, errno, "rename %s to %s", in->copy, in->target);
	return r;
}

int bundle_install(const char *file, const char *signature, bool json)
{
	struct install in = { .file = file, .signature = signature, .dirfd = -1, .copyfd = -1 };
	struct err err = { 0 };
	size_t keys;
	int r;

	progress_begin(&in.progress, "install", json);
	r = install(&in, &err);
	progress_end(&in.progress);
	if (r < 0 && in.dirfd >= 0 && in.name[0])
		(void)unlinkat(in.dirfd, in.name, 0);
	keys = in.set.conf.update_keys.n;
	unit_set_done(&in.set);
	fd_close(&in.copyfd);
	fd_close(&in.dirfd);
	if (r < 0)
		return cmd_fail(CMD_FAILED, "bundle: %s is not installed: %s", file, err.text);
	if (!keys)
		(void)cmd_fail(
			0, "bundle: who made %s was not checked: there is no UpdateKey=", file);
	if (json) {
		show_json_line(json_pack("{s:s}", "installed", in.target));
		return CMD_OK;
	}
	printf("%s is the new one from the next start of its supervisor on; containers stay as "
	       "they "
	       "are\n",
		in.target);
	return CMD_OK;
}
