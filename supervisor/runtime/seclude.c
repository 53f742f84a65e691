#include "supervisor/runtime/seclude.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "supervisor/base/own.h"
#include "supervisor/runtime/mounts.h"
#include "supervisor/runtime/seal.h"

int seclude_open(struct plan *plan, struct err *err)
{
	const char *program = plan->lower;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "make / private");
	if (plan->spec->own_program)
		program = seal_program_path();
	else if (!plan->spec->program.bundle)
		program = plan->lower = plan->process->argv.v[0];
	if (plan->program_fd < 0)
		plan->program_fd = open(program, O_PATH | O_CLOEXEC);
	return plan->program_fd < 0 ? err_sys(err, errno, "open %s", program) : 0;
}

/* Where a file or directory is mounted. */
static int make_place(int run, const struct plan_mount *mount)
{
	const char *name = strrchr(mount->target, '/') + 1;

	if (mount->is_dir && mkdirat(run, name, 0755) < 0)
		return -errno;
	return openat(run, name,
		mount->is_dir ? O_RDONLY | O_DIRECTORY | O_CLOEXEC
			      : O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		0444);
}

/* An empty /run, in which the files are mounted that it shall see. */
static int make_run(const struct plan *plan, struct err *err)
{
	static const struct mount_option options[] = { { "mode", "755" }, { "size", "64k" } };
	own_fd run = mount_new("tmpfs", options, 2, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, err);
	own_fd at = open("/run", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (run < 0)
		return err_wrap(err, "mount a tmpfs on /run");
	if (at < 0)
		return err_sys(err, errno, "open /run");
	/* First: before 6.15 nothing can be mounted on what is not mounted itself. */
	r = mount_attach(run, at);
	if (r < 0)
		return err_sys(err, -r, "mount a tmpfs on /run");
	for (size_t i = 0; r >= 0 && i < plan->nmounts; i++) {
		own_fd place = make_place(run, &plan->mounts[i]);

		r = place < 0 ? place : 0;
		if (r == 0 && !plan->mounts[i].is_dir)
			r = mount_attach(plan->mounts[i].fd, place);
		if (r < 0)
			return err_sys(err, -r, "mount %s", plan->mounts[i].target);
	}
	return 0;
}

/* Last: the steps before it write below /proc. */
int seclude_view(struct plan *plan, struct err *err)
{
	own_fd root = -1;
	int r = make_run(plan, err);

	if (r < 0)
		return r;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = root < 0 ? -errno : mount_set(root, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, true);
	if (r < 0)
		return err_sys(err, -r, "make the host's files read-only");
	/* Directories are for writing. */
	for (size_t i = 0; r >= 0 && i < plan->nmounts; i++) {
		own_fd place = plan->mounts[i].is_dir ? open(plan->mounts[i].target,
								O_PATH | O_DIRECTORY | O_CLOEXEC)
						      : -1;

		if (plan->mounts[i].is_dir)
			r = place < 0 ? -errno : mount_attach(plan->mounts[i].fd, place);
		if (r < 0)
			return err_sys(err, -r, "mount %s", plan->mounts[i].target);
	}
	return 0;
}
