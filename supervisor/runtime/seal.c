#include "supervisor/runtime/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/own.h"
#include "supervisor/runtime/mounts.h"

static char program_path[4096];

const char *seal_program_path(void)
{
	ssize_t n;

	if (!program_path[0]) {
		n = readlink("/proc/self/exe", program_path, sizeof program_path - 1);
		program_path[n > 0 ? n : 0] = '\0';
	}
	return program_path;
}

/* The second time round. Not taken on trust: anybody can set a variable. */
static int check_sealed(int file, const char *path, struct err *err)
{
	struct statvfs st;

	(void)snprintf(program_path, sizeof program_path, "%s", path);
	(void)unsetenv("BERTH_SEALED");
	if (fstatvfs(file, &st) < 0 || !(st.f_flag & ST_RDONLY))
		return err_set(err, EINVAL, "seal berth's program file: it is still writable");
	return 0;
}

int seal_self(char **argv, struct err *err)
{
	own_fd file = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	const char *sealed = getenv("BERTH_SEALED");
	own_fd tree = -1;
	int r;

	if (file < 0)
		return err_sys(err, errno, "open /proc/self/exe");
	if (sealed)
		return check_sealed(file, sealed, err);
	tree = mount_clone(file, false);
	if (tree < 0)
		return err_sys(err, -tree, "seal berth's program file: open_tree");
	r = mount_set(tree, MOUNT_ATTR_RDONLY, 0, false);
	if (r < 0)
		return err_sys(err, -r, "seal berth's program file: mount_setattr");
	if (setenv("BERTH_SEALED", seal_program_path(), 1) < 0)
		return err_sys(err, errno, "seal berth's program file");
	(void)syscall(SYS_execveat, tree, "", argv, environ, AT_EMPTY_PATH);
	r = errno;
	(void)unsetenv("BERTH_SEALED");
	return err_sys(err, r, "seal berth's program file: exec");
}
