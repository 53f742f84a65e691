/*
 * The kernel's file systems in a container's root. By the child, in its own namespaces: proc shows the
 * pid namespace of who mounts it, sysfs the network namespace, cgroup2 the cgroup namespace.
 *
 * Every target is opened inside the root, once, and mounted on by descriptor: the image, and whoever
 * writes to it meanwhile, cannot lead a mount elsewhere.
 */
#include "supervisor/runtime/kernelfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/runtime/mounts.h"

/* ---- STAGE_KERNEL_FS --------------------------------------------------------------------------- */

/* A mount point that must be a plain directory of the root, not a link to somewhere: a mount that
 * lands elsewhere is CVE-2019-19921 and, for /dev, CVE-2026-41579. */
static int plain_directory(const struct plan *plan, const char *path, struct err *err)
{
	int fd = path_open_beneath(plan->root_fd, path, O_PATH | O_DIRECTORY, 0);

	if (fd == -ENOENT) {
		if (mkdirat(plan->root_fd, path, 0755) < 0)
			return err_sys(err, errno, "make /%s in the root", path);
		fd = path_open_beneath(plan->root_fd, path, O_PATH | O_DIRECTORY, 0);
	}
	if (fd == -ELOOP || fd == -ENOTDIR || fd == -EXDEV)
		return err_set(err, EINVAL,
			"/%s of the root is a link or a file: it must be a directory", path);
	return fd < 0 ? err_sys(err, -fd, "open /%s of the root", path) : fd;
}

enum { NODEV = MOUNT_ATTR_NODEV, NOEXEC = MOUNT_ATTR_NOEXEC, NOSUID = MOUNT_ATTR_NOSUID };

static char shm_size[32];

/* The kernel's file systems, with the options of the OCI runtimes. */
static const struct kernel_fs {
	const char *path;
	const char *type;
	uint64_t attributes;
	struct mount_option options[4];
	bool optional; /* a kernel without it starts containers all the same */
} kernel_fs[] = {
	{ "proc", "proc", NOSUID | NOEXEC | NODEV, { { 0 } }, false },
	{ "sys", "sysfs", NOSUID | NOEXEC | NODEV | MOUNT_ATTR_RDONLY, { { 0 } }, false },
	{ "sys/fs/cgroup", "cgroup2", NOSUID | NOEXEC | NODEV | MOUNT_ATTR_RDONLY, { { 0 } },
		true },
	{ "dev", "tmpfs", NOSUID | MOUNT_ATTR_STRICTATIME,
		{ { "mode", "755" }, { "size", "65536k" } }, false },
	{ "dev/pts", "devpts", NOSUID | NOEXEC,
		{ { "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", "5" } }, false },
	{ "dev/shm", "tmpfs", NOSUID | NOEXEC | NODEV, { { "mode", "1777" }, { "size", shm_size } },
		false },
	{ "dev/mqueue", "mqueue", NOSUID | NOEXEC | NODEV, { { 0 } }, true },
};

static int mount_kernel_fs(const struct plan *plan, const struct kernel_fs *fs, struct err *err)
{
	own_fd where = plain_directory(plan, fs->path, err);
	own_fd mount = -1;
	size_t n = 0;
	int r;

	if (where < 0)
		return where;
	while (n < 4 && fs->options[n].key)
		n++;
	mount = mount_new(fs->type, fs->options, n, fs->attributes, err);
	if (mount < 0)
		return mount;
	r = mount_attach(mount, where);
	return r < 0 ? err_sys(err, -r, "mount %s on /%s", fs->type, fs->path) : 0;
}

/* Before the old root is detached: in a user namespace a new proc or sysfs must find a full one that
 * is still visible. By us and not by the builder: proc shows the pid namespace of who mounts it. */
int step_kernel_fs(struct plan *plan, struct err *err)
{
	(void)snprintf(shm_size, sizeof shm_size, "%llu", (unsigned long long)plan->spec->shm_size);
	for (size_t i = 0; i < sizeof kernel_fs / sizeof kernel_fs[0]; i++) {
		const struct kernel_fs *fs = &kernel_fs[i];
		int r = mount_kernel_fs(plan, fs, err);

		if (r < 0 && fs->optional && (r == -ENODEV || r == -ENOENT || r == -EBUSY)) {
			if (strcmp(fs->type, "cgroup2") != 0)
				(void)plan_report(plan, REPORT_WARN, err, -1);
		} else if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* ---- STAGE_DEVICES ------------------------------------------------------------------------------ */

static const struct device_node {
	const char *name;
	unsigned major, minor;
} device_nodes[] = {
	{ "null", 1, 3 },
	{ "zero", 1, 5 },
	{ "full", 1, 7 },
	{ "random", 1, 8 },
	{ "urandom", 1, 9 },
	{ "tty", 5, 0 },
};

static const struct device_link {
	const char *name;
	const char *target;
} device_links[] = {
	{ "ptmx", "pts/ptmx" },
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
	{ "core", "/proc/kcore" },
};

/* AddDevice=: the same node as on the host, with the container's user as its owner. */
static int add_device(const struct plan *plan, const struct device_spec *device, struct err *err)
{
	const char *slash = strrchr(device->target, '/');
	char parent[4096];
	own_fd dir = -1;
	struct stat st;

	if (stat(device->host, &st) < 0) {
		if (device->optional && errno == ENOENT)
			return 0;
		return err_sys(err, errno, "add the device %s", device->host);
	}
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, EINVAL, "add the device %s: it is not a device", device->host);
	(void)snprintf(
		parent, sizeof parent, "%.*s", (int)(slash - device->target), device->target);
	dir = path_mkdirs_in(plan->root_fd, parent, 0755, err);
	if (dir < 0)
		return dir;
	if (mknodat(dir, slash + 1, st.st_mode, st.st_rdev) < 0 ||
		fchownat(dir, slash + 1, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "make %s", device->target);
	return 0;
}

/* After /dev is mounted, and only into it: the image's own /dev is never written to. */
int step_devices(struct plan *plan, struct err *err)
{
	own_fd dev = path_open_beneath(plan->root_fd, "dev", O_PATH | O_DIRECTORY, 0);
	mode_t saved = umask(0);
	int r = 0;

	if (dev < 0)
		return err_sys(err, -dev, "open /dev of the root");
	for (size_t i = 0; i < sizeof device_nodes / sizeof device_nodes[0]; i++) {
		const struct device_node *node = &device_nodes[i];

		if (mknodat(dev, node->name, S_IFCHR | 0666, makedev(node->major, node->minor)) < 0)
			return err_sys(err, errno, "make /dev/%s", node->name);
	}
	for (size_t i = 0; i < sizeof device_links / sizeof device_links[0]; i++)
		if (symlinkat(device_links[i].target, dev, device_links[i].name) < 0)
			return err_sys(err, errno, "make /dev/%s", device_links[i].name);
	for (size_t i = 0; r >= 0 && i < plan->spec->ndevices; i++)
		r = add_device(plan, &plan->spec->devices[i], err);
	(void)umask(saved);
	return r;
}

/* ---- STAGE_MASKS -------------------------------------------------------------------------------- */

static const char *const masked_paths[] = {
	"proc/acpi",
	"proc/asound",
	"proc/kcore",
	"proc/keys",
	"proc/latency_stats",
	"proc/sched_debug",
	"proc/scsi",
	"proc/timer_list",
	"proc/timer_stats",
	"proc/interrupts",
	"sys/devices/virtual/powercap",
	"sys/firmware",
	"sys/fs/selinux",
};

static const char *const readonly_paths[] = {
	"proc/bus",
	"proc/fs",
	"proc/irq",
	"proc/sys",
	"proc/sysrq-trigger",
};

/* Unmask=: "ALL", or the paths, as written with their first slash. */
static bool is_unmasked(const struct plan *plan, const char *path)
{
	const struct strv *unmask = &plan->spec->unmask;

	for (size_t i = 0; i < unmask->n; i++)
		if (strcmp(unmask->v[i], "ALL") == 0 || strcmp(unmask->v[i] + 1, path) == 0)
			return true;
	return false;
}

/* Hides what is there: a file behind the host's null device, a directory behind an empty one. One
 * read-only tmpfs serves all directories: the first gets it, the others a bind of that. */
static int mask(const struct plan *plan, const char *path, int *empty, struct err *err)
{
	own_fd target = path_open_in(plan->root_fd, path, O_PATH, 0);
	own_fd cover = -1;
	struct stat st;
	int r;

	if (target < 0)
		return target == -ENOENT || target == -ENOTDIR
			       ? 0
			       : err_sys(err, -target, "open /%s", path);
	if (fstat(target, &st) < 0)
		return err_sys(err, errno, "stat /%s", path);
	if (!S_ISDIR(st.st_mode)) {
		cover = mount_clone(plan->null_fd, false);
	} else if (*empty < 0) {
		const struct mount_option options[] = { { "nr_blocks", "1" },
			{ "nr_inodes", "1" } };

		*empty = mount_new(
			"tmpfs", options, 2, MOUNT_ATTR_RDONLY | NOSUID | NODEV | NOEXEC, err);
		if (*empty < 0)
			return *empty;
		r = mount_attach(*empty, target);
		return r < 0 ? err_sys(err, -r, "mask /%s", path) : 0;
	} else {
		cover = mount_clone(*empty, false);
	}
	r = cover < 0 ? cover : mount_attach(cover, target);
	return r < 0 ? err_sys(err, -r, "mask /%s", path) : 0;
}

static int make_readonly(const struct plan *plan, const char *path, struct err *err)
{
	own_fd target = path_open_in(plan->root_fd, path, O_PATH, 0);
	own_fd tree = -1;
	int r;

	if (target < 0)
		return target == -ENOENT ? 0 : err_sys(err, -target, "open /%s", path);
	tree = mount_clone(target, true);
	r = tree < 0 ? tree : mount_set(tree, MOUNT_ATTR_RDONLY, MS_PRIVATE, true);
	if (r >= 0)
		r = mount_attach(tree, target);
	return r < 0 ? err_sys(err, -r, "make /%s read-only", path) : 0;
}

/* /sys/devices/system/cpu/cpu<N>/thermal_throttle tells a neighbour's load. */
static int mask_cpus(const struct plan *plan, int *empty, struct err *err)
{
	char path[80];
	int r = 0;

	for (int i = 0; r >= 0 && i < 4096; i++) {
		own_fd cpu = -1;

		(void)snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d", i);
		cpu = path_open_in(plan->root_fd, path, O_PATH, 0);
		if (cpu < 0)
			break;
		(void)snprintf(
			path, sizeof path, "sys/devices/system/cpu/cpu%d/thermal_throttle", i);
		r = mask(plan, path, empty, err);
	}
	return r;
}

/* After every mount: a mount made later would cover a mask. Last of all the root itself becomes
 * read-only, when mount points no longer have to be made in it. */
int step_masks(struct plan *plan, struct err *err)
{
	own_fd empty = -1;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < sizeof masked_paths / sizeof masked_paths[0]; i++)
		if (!is_unmasked(plan, masked_paths[i]))
			r = mask(plan, masked_paths[i], &empty, err);
	if (r >= 0 && !is_unmasked(plan, "sys/devices/system/cpu"))
		r = mask_cpus(plan, &empty, err);
	for (size_t i = 0; r >= 0 && i < plan->spec->mask.n; i++)
		r = mask(plan, plan->spec->mask.v[i] + 1, &empty, err);
	for (size_t i = 0; r >= 0 && i < sizeof readonly_paths / sizeof readonly_paths[0]; i++)
		if (!is_unmasked(plan, readonly_paths[i]))
			r = make_readonly(plan, readonly_paths[i], err);
	if (r >= 0 && plan->spec->root.readonly) {
		r = mount_set(plan->root_fd, MOUNT_ATTR_RDONLY, 0, false);
		if (r < 0)
			return err_sys(err, -r, "make the root read-only");
	}
	return r;
}
