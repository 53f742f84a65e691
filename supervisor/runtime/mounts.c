#include "supervisor/runtime/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/own.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1 /* open_tree(2) */
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* The kernel's own sentence about what it refused: "e overlay: …" read from the context. */
static int context_error(int context, int code, const char *type, const char *what, struct err *err)
{
	char log[256];
	ssize_t n = read(context, log, sizeof log - 1);

	if (n <= 0)
		return err_sys(err, code, "mount %s: %s", type, what);
	log[n] = '\0';
	log[strcspn(log, "\n")] = '\0';
	return err_sys(err, code, "mount %s: %s: %s", type, what, n > 2 ? log + 2 : log);
}

static int mount_make(const char *type, const struct mount_option *options, size_t n,
	uint64_t attributes, bool sloppy, struct err *err)
{
	own_fd context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	int fd;

	if (context < 0)
		return err_sys(err, errno, "mount %s", type);
	for (size_t i = 0; i < n; i++) {
		unsigned how = options[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (syscall(SYS_fsconfig, context, how, options[i].key, options[i].value, 0) < 0 &&
			!(sloppy && errno == EINVAL))
			return context_error(context, errno, type, options[i].key, err);
	}
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return context_error(context, errno, type, "create", err);
	fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
	if (fd < 0)
		return context_error(context, errno, type, "mount", err);
	return fd;
}

int mount_new(const char *type, const struct mount_option *options, size_t n, uint64_t attributes,
	struct err *err)
{
	return mount_make(type, options, n, attributes, false, err);
}

int mount_new_sloppy(const char *type, const struct mount_option *options, size_t n,
	uint64_t attributes, struct err *err)
{
	return mount_make(type, options, n, attributes, true, err);
}

int mount_clone(int fd, bool recursive)
{
	unsigned flags =
		OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	long tree = syscall(SYS_open_tree, fd, "", flags);

	return tree < 0 ? -errno : (int)tree;
}

int mount_set(int mount_fd, uint64_t attributes, uint64_t propagation, bool recursive)
{
	struct mount_attr attr = { .attr_set = attributes, .propagation = propagation };
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	return syscall(SYS_mount_setattr, mount_fd, "", flags, &attr, sizeof attr) < 0 ? -errno : 0;
}

int mount_attach(int mount_fd, int target_fd)
{
	long r = syscall(SYS_move_mount, mount_fd, "", target_fd, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);

	return r < 0 ? -errno : 0;
}
