/*
 * Mounting a root: by the new mount API, because its file descriptors cannot be turned round between
 * two calls, and because the kernel then says in words what it did not like.
 *
 * The upper layer is one tmpfs with upper/ and work/ in it. An overlay takes its layers by path and
 * only from attached mounts (6.1 refuses detached ones), so the tmpfs stands at `where`, and the
 * overlay on top of it. It is not taken away in between: an unmount waits for every CPU to pass by.
 * The pivot into the overlay leaves it behind with the old root, so the container's mount table has
 * one entry.
 */
#include "images/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/fs.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

/* ---- the upper layer ---------------------------------------------------------------------------- */

/* An inode costs about 1 KiB that `size=` does not count. */
enum { BYTES_PER_INODE = 1024, INODES_MIN = 8192 };

static int upper_mount(uint64_t size, struct err *err)
{
	char bytes[32];
	char inodes[32];
	const struct fs_param params[] = {
		{ "mode", "0755" },
		{ "size", bytes },
		{ "nr_inodes", inodes },
	};
	uint64_t count = size / BYTES_PER_INODE;

	(void)snprintf(bytes, sizeof bytes, "%" PRIu64, size);
	(void)snprintf(inodes, sizeof inodes, "%" PRIu64, count < INODES_MIN ? INODES_MIN : count);
	return fs_make("tmpfs", params, size ? 3 : 1, MOUNT_ATTR_NODEV, err);
}

/* upper/ and work/; the root directory of an overlay looks as its upper directory does. */
static int layers_make(int tmpfs, int lower, struct err *err)
{
	struct stat st;

	if (mkdirat(tmpfs, "upper", 0755) < 0 || mkdirat(tmpfs, "work", 0700) < 0 ||
		fstat(lower, &st) < 0 || fchownat(tmpfs, "upper", st.st_uid, st.st_gid, 0) < 0 ||
		fchmodat(tmpfs, "upper", st.st_mode & 07777, 0) < 0)
		return err_sys(err, errno, "make the upper layer");
	return 0;
}

/* ---- the overlay -------------------------------------------------------------------------------- */

/*
 * A lower path with one of overlay's own separators in it goes by way of its descriptor. The others
 * go by name, because that is what mountinfo shows, and by which a tree in use is recognised.
 */
static bool plain_path(const char *path)
{
	return !strpbrk(path, ":,\\");
}

/* What an image brings must not steer the overlay: no redirects, no metadata-only copies. */
static int overlay_make(
	const char *lower_path, int lower, const char *where, int tmpfs, struct err *err)
{
	const struct fd_path lower_fd = fd_path(lower);
	const struct fd_path tmpfs_fd = fd_path(tmpfs);
	/* By name where that can be: the first look into /proc of a new process costs as much as all of
	 * the mount calls here. */
	bool by_name = plain_path(where) && strlen(where) < NAME_MAX;
	const char *layers = by_name ? where : tmpfs_fd.text;
	char upper[NAME_MAX + 8];
	char work[NAME_MAX + 8];
	const struct fs_param params[] = {
		{ "source", "berth" },
		{ "lowerdir", plain_path(lower_path) ? lower_path : lower_fd.text },
		{ "upperdir", upper },
		{ "workdir", work },
		{ "redirect_dir", "nofollow" },
		{ "metacopy", "off" },
		{ "index", "off" },
		{ "xino", "off" },
	};

	(void)snprintf(upper, sizeof upper, "%s/upper", layers);
	(void)snprintf(work, sizeof work, "%s/work", layers);
	return fs_make("overlay", params, sizeof params / sizeof params[0], MOUNT_ATTR_NODEV, err);
}

static int mount_overlay(
	const struct root_spec *spec, const char *lower_path, const char *where, struct err *err)
{
	own_fd lower = open(lower_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	own_fd tmpfs = -1;
	own_fd overlay = -1;
	int r;

	if (lower < 0)
		return err_sys(err, errno, "open the root %s", lower_path);
	tmpfs = upper_mount(spec->upper_size, err);
	if (tmpfs < 0)
		return err_wrap(err, "make the upper layer");
	r = fs_attach(tmpfs, where, err);
	if (r < 0)
		return r;
	r = layers_make(tmpfs, lower, err);
	if (r == 0) {
		overlay = overlay_make(lower_path, lower, where, tmpfs, err);
		r = overlay < 0 ? err_wrap(err, "lay a writable layer over %s", lower_path)
				: fs_attach(overlay, where, err);
	}
	if (r < 0)
		(void)umount2(where, MNT_DETACH);
	return r;
}

/* ---- read-only ---------------------------------------------------------------------------------- */

/* Before 5.12: without what is mounted below, so that nothing writable can be reached. */
static int bind_readonly_old(const char *lower, const char *where, struct err *err)
{
	const unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODEV;

	if (mount(lower, where, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, errno, "bind %s on %s", lower, where);
	if (mount(NULL, where, NULL, flags, NULL) < 0) {
		int code = errno;

		(void)umount2(where, MNT_DETACH);
		return err_sys(err, code, "make %s read-only", where);
	}
	return 0;
}

static int mount_readonly(const char *lower, const char *where, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE };
	own_fd tree =
		open_tree(AT_FDCWD, lower, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0)
		return err_sys(err, errno, "open the root %s", lower);
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0) {
		if (errno == ENOSYS)
			return bind_readonly_old(lower, where, err);
		return err_sys(err, errno, "make %s read-only", lower);
	}
	return fs_attach(tree, where, err);
}

int rootfs_mount(
	const struct root_spec *spec, const char *lower, const char *where, struct err *err)
{
	if (spec->kind == ROOT_NONE)
		return err_set(err, EINVAL, "no root to mount");
	return spec->readonly ? mount_readonly(lower, where, err)
			      : mount_overlay(spec, lower, where, err);
}
