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
#include <stdlib.h>
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

int rootfs_upper_mount(uint64_t size, const char *where, struct err *err)
{
	own_fd tmpfs = upper_mount(size, err);
	int r = tmpfs < 0 ? tmpfs : fs_attach(tmpfs, where, err);

	return r < 0 ? err_wrap(err, "make the upper layer") : 0;
}

/*
 * upper/ and work/ in it; the root directory of an overlay looks as its upper directory does, so that
 * gets the looks of the lower one before it gets its name. What is kept from an earlier start stays.
 */
static int layers_make(int base, int lower, struct err *err)
{
	struct stat st;

	if (mkdirat(base, "work", 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the upper layer");
	if (faccessat(base, "upper", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if ((mkdirat(base, "new", 0700) < 0 && errno != EEXIST) || fstat(lower, &st) < 0 ||
		fchownat(base, "new", st.st_uid, st.st_gid, 0) < 0 ||
		fchmodat(base, "new", st.st_mode & 07777, 0) < 0 ||
		renameat(base, "new", base, "upper") < 0)
		return err_sys(err, errno, "make the upper layer");
	return 0;
}

/* The directory in which upper/ and work/ are: what is kept has one, else a tmpfs is put at `where`. */
static int upper_open(const struct root_spec *spec, const char *where, struct err *err)
{
	const char *path = spec->upper_dir ? spec->upper_dir : where;
	int fd;
	int r;

	if (spec->upper_dir)
		r = path_mkdirs(path, 0700);
	else
		r = rootfs_upper_mount(spec->upper_size, where, err);
	if (r < 0)
		return spec->upper_dir ? err_sys(err, -r, "make %s for what it writes", path) : r;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}

/* ---- the overlay -------------------------------------------------------------------------------- */

/* Room for the paths of one overlay: those of a value are as long as fsconfig(2) takes. */
enum { VALUE_SIZE = 256, LAYER_NAME = 40, OPTIONS = 7, PAGE = 4096 };

/*
 * A path with one of overlay's own separators in it goes by way of its descriptor. The others go by
 * name, because that is what mountinfo shows, and by which a tree in use is recognised.
 */
static bool plain_path(const char *path, size_t more)
{
	return !strpbrk(path, ":,\\") && strlen(path) + more < VALUE_SIZE;
}

/* What an image brings must not steer the overlay: no redirects, no metadata-only copies. */
struct overlay {
	char lower[VALUE_SIZE]; /* the only one, or the directory that they are all in */
	char upper[VALUE_SIZE], work[VALUE_SIZE]; /* "": it is read-only */
	const struct strv *layers; /* names in `lower`, the lowest first; none: `lower` */
};

static size_t common_params(const struct overlay *overlay, struct fs_param *ret)
{
	size_t n = 0;

	ret[n++] = (struct fs_param){ "redirect_dir", "nofollow" };
	ret[n++] = (struct fs_param){ "metacopy", "off" };
	ret[n++] = (struct fs_param){ "index", "off" };
	ret[n++] = (struct fs_param){ "xino", "off" };
	if (*overlay->upper) {
		ret[n++] = (struct fs_param){ "upperdir", overlay->upper };
		ret[n++] = (struct fs_param){ "workdir", overlay->work };
	}
	return n;
}

/* Linux 6.8 takes the lower layers one by one. Before 6.5 overlay's words are only collected here, and
 * looked at when it is mounted: then any word is taken. */
static bool takes_layers(void)
{
	own_fd fs = fsopen("overlay", FSOPEN_CLOEXEC);

	return fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "no-such-word", "/", 0) < 0 &&
	       fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0;
}

static int overlay_by_layers(const struct overlay *overlay, struct err *err)
{
	size_t n = overlay->layers->n;
	struct fs_param *params = calloc(n + OPTIONS, sizeof *params);
	char(*paths)[VALUE_SIZE] = calloc(n, sizeof *paths);
	int r;

	if (!params || !paths) {
		free(params);
		free(paths);
		return err_sys(err, ENOMEM, "name the layers");
	}
	params[0] = (struct fs_param){ "source", "berth" };
	for (size_t i = 0; i < n; i++) { /* the highest first */
		(void)snprintf(paths[i], sizeof paths[i], "%.200s/%s", overlay->lower,
			overlay->layers->v[n - 1 - i]);
		params[1 + i] = (struct fs_param){ "lowerdir+", paths[i] };
	}
	r = fs_make("overlay", params, 1 + n + common_params(overlay, params + 1 + n),
		MOUNT_ATTR_NODEV, err);
	free(params);
	free(paths);
	return r;
}

/* One lower layer. */
static int overlay_on_one(const struct overlay *overlay, struct err *err)
{
	struct fs_param params[2 + OPTIONS] = { { "source", "berth" },
		{ "lowerdir", overlay->lower } };
	size_t n = 2 + common_params(overlay, params + 2);

	return fs_make("overlay", params, n, MOUNT_ATTR_NODEV, err);
}

/* Before 6.8 all options of a mount share one page: so the layers go by their names alone, seen from
 * the directory that they are in. */
static int overlay_old(
	const struct overlay *overlay, int layers_dir, const char *where, struct err *err)
{
	struct fs_param params[OPTIONS];
	size_t n = common_params(overlay, params);
	own_fd back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char text[PAGE];
	struct strbuf buf = STRBUF(text);
	int code = 0;

	strbuf_add(&buf, "lowerdir=");
	for (size_t i = overlay->layers->n; i > 0; i--)
		strbuf_add(&buf, "%s%s", overlay->layers->v[i - 1], i > 1 ? ":" : "");
	for (size_t i = 0; i < n; i++)
		strbuf_add(&buf, ",%s=%s", params[i].key, params[i].value);
	if (buf.cut)
		return err_set(err, E2BIG,
			"%zu layers are too many for this kernel: Linux 6.8 takes up to 500; make "
			"one file system of the image (mkfs.erofs)",
			overlay->layers->n);
	if (back < 0 || fchdir(layers_dir) < 0)
		return err_sys(err, errno, "enter %s", overlay->lower);
	if (mount("berth", where, "overlay", MS_NODEV, text) < 0)
		code = errno;
	if (fchdir(back) < 0 && !code)
		code = errno;
	return code ? err_sys(err, code, "overlay of %zu layers", overlay->layers->n) : 0;
}

static int overlay_mount(
	const struct overlay *overlay, int lower_dir, const char *where, struct err *err)
{
	own_fd mnt = -1;

	if (overlay->layers->n && !takes_layers())
		return overlay_old(overlay, lower_dir, where, err);
	mnt = overlay->layers->n ? overlay_by_layers(overlay, err) : overlay_on_one(overlay, err);
	return mnt < 0 ? mnt : fs_attach(mnt, where, err);
}

/* The top layer's directory, whose looks the root has; or the lower directory itself. */
static int top_open(
	const struct root_spec *spec, int lower, const char *lower_path, struct err *err)
{
	const char *name = spec->layers.n ? spec->layers.v[spec->layers.n - 1] : ".";
	int fd = openat(lower, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ENOENT,
			"the layer %s is not in %s any more: import the image again", name,
			lower_path);
	return fd < 0 ? err_sys(err, errno, "open %s/%s", lower_path, name) : fd;
}

/* By name where that can be: the first look into /proc of a new process costs as much as all of the
 * mount calls here. */
static void overlay_name(struct overlay *overlay, const char *lower_path, int lower,
	const char *upper_path, int upper)
{
	const struct fd_path lower_fd = fd_path(lower);
	const struct fd_path upper_fd = fd_path(upper);

	(void)snprintf(overlay->lower, sizeof overlay->lower, "%s",
		plain_path(lower_path, LAYER_NAME) ? lower_path : lower_fd.text);
	if (upper < 0)
		return;
	if (!plain_path(upper_path, sizeof "/upper"))
		upper_path = upper_fd.text;
	(void)snprintf(overlay->upper, sizeof overlay->upper, "%.240s/upper", upper_path);
	(void)snprintf(overlay->work, sizeof overlay->work, "%.240s/work", upper_path);
}

static int mount_overlay(
	const struct root_spec *spec, const char *lower_path, const char *where, struct err *err)
{
	struct overlay overlay = { .layers = &spec->layers };
	own_fd lower = open(lower_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	own_fd top = -1;
	own_fd upper = -1;
	int r;

	if (lower < 0)
		return err_sys(err, errno, "open the root %s", lower_path);
	top = top_open(spec, lower, lower_path, err);
	if (top < 0)
		return top;
	upper = upper_open(spec, where, err);
	if (upper < 0)
		return upper;
	r = layers_make(upper, top, err);
	if (r == 0) {
		overlay_name(&overlay, lower_path, lower, spec->upper_dir ? spec->upper_dir : where,
			upper);
		if (overlay_mount(&overlay, lower, where, err) < 0)
			r = err_wrap(err, "lay a writable layer over %s", lower_path);
	}
	if (r < 0 && !spec->upper_dir)
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

/* Layers without a writable one over them; a single one is no overlay. */
static int mount_layers_readonly(
	const struct root_spec *spec, const char *lower_path, const char *where, struct err *err)
{
	struct overlay overlay = { .layers = &spec->layers };
	own_fd lower = open(lower_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	own_fd top = -1;
	char path[PAGE];
	int r;

	if (lower < 0)
		return err_sys(err, errno, "open the root %s", lower_path);
	top = top_open(spec, lower, lower_path, err);
	if (top < 0)
		return top;
	if (spec->layers.n == 1) {
		(void)snprintf(path, sizeof path, "%s/%s", lower_path, spec->layers.v[0]);
		return mount_readonly(path, where, err);
	}
	overlay_name(&overlay, lower_path, lower, "", -1);
	r = overlay_mount(&overlay, lower, where, err);
	return r < 0 ? err_wrap(err, "lay %zu layers over each other", spec->layers.n) : 0;
}

int rootfs_mount(
	const struct root_spec *spec, const char *lower, const char *where, struct err *err)
{
	if (spec->kind == ROOT_NONE)
		return err_set(err, EINVAL, "no root to mount");
	if (!spec->readonly)
		return mount_overlay(spec, lower, where, err);
	if (spec->kind == ROOT_LAYERS)
		return mount_layers_readonly(spec, lower, where, err);
	return mount_readonly(lower, where, err);
}
