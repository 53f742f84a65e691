/*
 * The tree: NAME/{supervisor,workers/W,c/UNIT/RUN}.
 *
 * cgroup v2 lets a cgroup hold either processes or controllers for its children. So the process moves
 * to NAME/supervisor before anything is enabled, and controllers are switched on from the top down,
 * each by a write of its own: one that is refused does not take the others with it.
 */
#include "cgroups/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cgroups/impl.h"
#include "cgroups/parse.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

static const struct {
	unsigned bit;
	const char *enable;
} switches[] = {
	{ CGROUP_CPU, "+cpu" },
	{ CGROUP_MEMORY, "+memory" },
	{ CGROUP_PIDS, "+pids" },
};

static unsigned controllers_of(int dirfd, const char *file)
{
	char text[256];

	return file_read_at(dirfd, file, text, sizeof text) < 0 ? 0 : parse_controllers(text);
}

/* Enables what can be for the children of a directory: the bits that are enabled afterwards. */
static unsigned controllers_enable(int dirfd, unsigned want)
{
	for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
		if (want & switches[i].bit)
			(void)file_write_at(dirfd, "cgroup.subtree_control", switches[i].enable);
	return controllers_of(dirfd, "cgroup.subtree_control") & want;
}

/* ---- where the hierarchy is --------------------------------------------------------------------- */

/* The cgroup2 mount that shows most: the first that shows the top, else the first. */
static int mount_find(struct cgroup_mount *ret, struct err *err)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	own_mem char *line = NULL;
	size_t size = 0;
	bool found = false;
	ssize_t n;

	if (!file)
		return err_sys(err, errno, "open /proc/self/mountinfo");
	while ((n = getline(&line, &size, file)) > 0) {
		struct cgroup_mount mount;
		size_t length = (size_t)n - (line[n - 1] == '\n');

		if (parse_mountinfo_line(line, length, &mount) < 0)
			continue;
		if (!found || (strcmp(ret->root, "/") != 0 && strcmp(mount.root, "/") == 0))
			*ret = mount;
		found = true;
	}
	(void)fclose(file);
	return found ? 1 : 0;
}

static int mount_make(const char *where, struct cgroup_mount *ret, struct err *err)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int r = path_mkdirs(where, 0755);

	if (r < 0)
		return err_sys(err, -r, "mkdir %s", where);
	if (strlen(where) >= sizeof ret->point)
		return err_sys(err, ENAMETOOLONG, "mount cgroup2 on %s", where);
	if (mount("cgroup2", where, "cgroup2", flags, NULL) < 0) {
		if (errno == ENODEV)
			return err_set(err, ENODEV,
				"mount cgroup2: this kernel has no cgroup v2: it needs "
				"CONFIG_CGROUPS and Linux 5.10");
		return err_sys(err, errno, "mount cgroup2 on %s", where);
	}
	(void)snprintf(ret->root, sizeof ret->root, "/");
	(void)snprintf(ret->point, sizeof ret->point, "%s", where);
	return 0;
}

/* ---- our directory in it ------------------------------------------------------------------------ */

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* systemd marks a subtree that it gave away (systemd 251: user.delegate too). */
static bool is_delegated(int fd)
{
	static const char *const names[] = { "user.delegate", "trusted.delegate" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char value[2];

		if (fgetxattr(fd, names[i], value, sizeof value) == 1 && value[0] == '1')
			return true;
	}
	return false;
}

/* The directory that was delegated to us: our own cgroup, or the one above when we were put (by an
 * earlier run, or DelegateSubgroup=) into NAME/supervisor. -ENOENT: there is none. */
static int delegated_open(const struct cgroup_mount *mount, char *path, size_t size)
{
	char text[4096];
	char own[4096];
	own_fd fd = -1;
	char *slash;

	if (file_read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) < 0 ||
		parse_self_cgroup(text, own, sizeof own) < 0 ||
		parse_own_dir(mount, own, path, size) < 0)
		return -ENOENT;
	fd = open_dir(path);
	if (fd >= 0 && is_delegated(fd))
		return fd_take(&fd);
	slash = strrchr(path, '/');
	if (!slash || strcmp(slash, "/supervisor") != 0)
		return -ENOENT;
	*slash = '\0';
	fd_close(&fd);
	fd = open_dir(path);
	if (fd >= 0 && is_delegated(fd))
		return fd_take(&fd);
	return -ENOENT;
}

static int mkdir_open(int dirfd, const char *name)
{
	if (mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return path_open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
}

/* A directory that somebody named: it has to be one of a cgroup2 file system. */
static int named_open(struct cgroup_tree *tree, const char *path, struct err *err)
{
	own_fd fd = open_dir(path);
	struct statfs st;

	if (fd < 0)
		return err_sys(err, -fd, "open the cgroup %s", path);
	if (fstatfs(fd, &st) < 0 || st.f_type != CGROUP2_SUPER_MAGIC)
		return err_set(
			err, EINVAL, "open the cgroup %s: it is no cgroup v2 directory", path);
	if (snprintf(tree->path, sizeof tree->path, "%s", path) >= (int)sizeof tree->path)
		return err_sys(err, ENAMETOOLONG, "cgroup %s", path);
	tree->delegated = tree->apart = true;
	return fd_take(&fd);
}

/* Finds or makes the directory of the tree: the descriptor, with tree->path and ->delegated set. */
static int tree_dir(struct cgroup_tree *tree, const struct cgroup_mount *mount, const char *name,
	struct err *err)
{
	own_fd top = open_dir(mount->point);
	int fd;

	if (top < 0)
		return err_sys(err, -top, "open %s", mount->point);
	tree->at_top = controllers_of(top, "cgroup.controllers");
	if (*name == '/')
		return named_open(tree, name, err);
	fd = delegated_open(mount, tree->path, sizeof tree->path);
	if (fd >= 0) {
		tree->delegated = true;
		return fd;
	}
	if (snprintf(tree->path, sizeof tree->path, "%s/%s", mount->point, name) >=
		(int)sizeof tree->path)
		return err_sys(err, ENAMETOOLONG, "cgroup %s/%s", mount->point, name);
	(void)controllers_enable(top, tree->at_top);
	fd = mkdir_open(top, name);
	if (fd < 0)
		return err_sys(err, -fd, "make the cgroup %s", tree->path);
	return fd;
}

/* Moves us to NAME/supervisor and enables controllers below NAME, NAME/c and NAME/workers. */
static int tree_fill(struct cgroup_tree *tree, struct err *err)
{
	static const char *const inner[] = { "c", "workers" };
	own_fd self = mkdir_open(tree->fd, "supervisor");
	unsigned enabled;
	int r;

	if (self < 0)
		return err_sys(err, -self, "make the cgroup %s/supervisor", tree->path);
	r = tree->apart ? 0 : file_write_at(self, "cgroup.procs", "0");
	if (r < 0)
		return err_sys(err, -r, "move to the cgroup %s/supervisor", tree->path);
	enabled = controllers_enable(tree->fd, controllers_of(tree->fd, "cgroup.controllers"));
	for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
		own_fd dir = mkdir_open(tree->fd, inner[i]);

		if (dir < 0)
			return err_sys(err, -dir, "make the cgroup %s/%s", tree->path, inner[i]);
		enabled &= controllers_enable(dir, enabled);
	}
	tree->controllers = enabled;
	return 0;
}

int cgroup_tree_open(
	struct cgroup_tree *ret, const char *name, const char *mount_at, struct err *err)
{
	struct cgroup_tree tree = { .fd = -1 };
	struct cgroup_mount mount;
	char text[4096];
	int r = mount_find(&mount, err);

	if (r < 0)
		return r;
	if (r == 0 && !mount_at)
		return err_set(err, ENODEV,
			"no cgroup2 file system is mounted: mount -t cgroup2 cgroup2 "
			"/sys/fs/cgroup");
	if (r == 0)
		r = mount_make(mount_at, &mount, err);
	if (r < 0)
		return r;
	if (file_read_at(AT_FDCWD, "/proc/cgroups", text, sizeof text) > 0)
		parse_proc_cgroups(text, &tree.bound_v1, &tree.hybrid);
	tree.fd = tree_dir(&tree, &mount, name, err);
	if (tree.fd < 0)
		return tree.fd;
	r = tree_fill(&tree, err);
	if (r < 0) {
		cgroup_tree_done(&tree);
		return r;
	}
	*ret = tree;
	return 0;
}

int cgroup_tree_join(struct cgroup_tree *ret, const char *path, struct err *err)
{
	struct cgroup_tree tree = { .fd = open_dir(path), .apart = true };
	own_fd workers = -1;

	if (tree.fd < 0)
		return err_sys(err, -tree.fd, "open the cgroup %s", path);
	workers = openat(tree.fd, "workers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (workers < 0) {
		int code = errno;

		cgroup_tree_done(&tree);
		return err_sys(err, code, "open the cgroup %s/workers", path);
	}
	tree.controllers = controllers_of(workers, "cgroup.subtree_control");
	(void)snprintf(tree.path, sizeof tree.path, "%s", path);
	*ret = tree;
	return 0;
}

int cgroup_tree_look(struct cgroup_tree *ret, struct err *err)
{
	struct cgroup_tree tree = { .fd = -1 };
	struct cgroup_mount mount;
	own_fd top = -1;
	own_fd own = -1;
	char text[4096];
	int r = mount_find(&mount, err);

	if (r < 0)
		return r;
	if (file_read_at(AT_FDCWD, "/proc/cgroups", text, sizeof text) > 0)
		parse_proc_cgroups(text, &tree.bound_v1, &tree.hybrid);
	tree.controllers = (CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS) & ~tree.bound_v1;
	if (r > 0) {
		top = open_dir(mount.point);
		tree.at_top = top < 0 ? 0 : controllers_of(top, "cgroup.controllers");
		own = delegated_open(&mount, tree.path, sizeof tree.path);
		tree.delegated = own >= 0;
		tree.controllers =
			own < 0 ? tree.at_top : controllers_of(own, "cgroup.controllers");
	}
	*ret = tree;
	return 0;
}

void cgroup_tree_done(struct cgroup_tree *tree)
{
	fd_close(&tree->fd);
}

int cgroup_tree_renew(struct cgroup_tree *tree, struct err *err)
{
	struct cgroup_tree again = {
		.at_top = tree->at_top, .bound_v1 = tree->bound_v1, .hybrid = tree->hybrid
	};
	int r;

	/* Only one that others made: in every other our own process lives. A directory that was
	 * removed has no files. */
	if (!tree->apart || faccessat(tree->fd, "cgroup.procs", F_OK, 0) == 0)
		return 0;
	again.fd = named_open(&again, tree->path, err);
	r = again.fd < 0 ? again.fd : tree_fill(&again, err);
	if (r < 0) {
		cgroup_tree_done(&again);
		return err_wrap(err, "the cgroup that was made for berth is gone: start its unit");
	}
	cgroup_tree_done(tree);
	*tree = again;
	return 1;
}

/* ---- leaves ------------------------------------------------------------------------------------- */

int cgroup_open(const struct cgroup_tree *tree, const char *path)
{
	return path_open_beneath(tree->fd, path, O_RDONLY | O_DIRECTORY, 0);
}

/* Opens the parent of `path`, made part by part with controllers enabled; *ret_name: the last part. */
static int parent_make(
	const struct cgroup_tree *tree, const char *path, const char **ret_name, struct err *err)
{
	own_fd dir = cgroup_open(tree, ".");
	const char *rest = path;
	const char *slash;

	if (dir < 0)
		return err_sys(err, -dir, "open the cgroup %s", tree->path);
	while ((slash = strchr(rest, '/'))) {
		char part[256];
		int next;

		if (slash == rest || (size_t)(slash - rest) >= sizeof part)
			return err_sys(err, EINVAL, "cgroup %s", path);
		memcpy(part, rest, (size_t)(slash - rest));
		part[slash - rest] = '\0';
		next = mkdir_open(dir, part);
		if (next < 0)
			return err_sys(err, -next, "make the cgroup %s/%.*s", tree->path,
				(int)(slash - path), path);
		fd_close(&dir);
		dir = next;
		/* Two writes less for each start when it is so already. */
		if (controllers_of(dir, "cgroup.subtree_control") != tree->controllers &&
			controllers_enable(dir, tree->controllers) != tree->controllers)
			return err_set(err, EBUSY,
				"enable controllers for %s/%.*s: a process lives in it", tree->path,
				(int)(slash - path), path);
		rest = slash + 1;
	}
	if (!*rest || strcmp(rest, ".") == 0 || strcmp(rest, "..") == 0)
		return err_sys(err, EINVAL, "cgroup %s", path);
	*ret_name = rest;
	return fd_take(&dir);
}

static int leaf_fill(const struct cgroup_tree *tree, int leaf, const struct cgroup_limits *limits,
	struct strbuf *dropped, struct err *err)
{
	struct err why = { 0 };
	int r = limits_apply(tree, leaf, limits, dropped, err);

	if (r < 0 || !limits->devices_filter)
		return r;
	r = devices_attach(leaf, limits, &why);
	if (r >= 0)
		return 0;
	if (limits->best_effort) {
		(void)err_wrap(&why, "no device filter");
		dropped_add(dropped, why.text);
		return 0;
	}
	if (err)
		*err = why;
	return r;
}

int cgroup_make(struct cgroup_tree *tree, const char *path, const struct cgroup_limits *limits,
	struct cgroup_dropped *dropped, struct err *err)
{
	char text[sizeof(struct cgroup_dropped)] = "";
	struct strbuf words = STRBUF(text);
	const char *name = path;
	own_fd parent = parent_make(tree, path, &name, err);
	own_fd leaf = -1;
	int r;

	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) < 0)
		return err_sys(err, errno, "make the cgroup %s/%s", tree->path, path);
	leaf = path_open_beneath(parent, name, O_RDONLY | O_DIRECTORY, 0);
	if (leaf < 0)
		r = err_sys(err, -leaf, "open the cgroup %s/%s", tree->path, path);
	else
		r = leaf_fill(tree, leaf, limits, &words, err);
	if (r < 0) {
		(void)unlinkat(parent, name, AT_REMOVEDIR);
		return r;
	}
	if (dropped)
		memcpy(dropped->text, text, sizeof text);
	return fd_take(&leaf);
}

/* ---- walking and removing ----------------------------------------------------------------------- */

static int each_in(int fd, int (*each)(const char *name, void *data), void *data)
{
	own_fd copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (copy < 0)
		return -errno;
	dir = fdopendir(copy);
	if (!dir)
		return -errno;
	(void)fd_take(&copy); /* dir has it */
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			r = each(entry->d_name, data);
	(void)closedir(dir);
	return r;
}

int cgroup_each(const struct cgroup_tree *tree, const char *path,
	int (*each)(const char *name, void *data), void *data)
{
	own_fd fd = cgroup_open(tree, path);

	return fd < 0 ? fd : each_in(fd, each, data);
}

static int name_keep(const char *name, void *data)
{
	(void)snprintf(data, 256, "%s", name);
	return 1;
}

/* memory.current as it is written; false: 0, or no memory controller. */
static bool read_current(int fd, char *text, size_t size)
{
	uint64_t bytes;

	return file_read_at(fd, "memory.current", text, size) > 0 &&
	       parse_number(text, &bytes) >= 0 && bytes > 0;
}

bool cgroup_keeps_pages(int fd)
{
	char text[32];

	return read_current(fd, text, sizeof text);
}

void cgroup_reclaim(int fd)
{
	char text[32];

	if (read_current(fd, text, sizeof text))
		(void)file_write_at(fd, "memory.reclaim", text); /* EAGAIN: not all of it */
}

/* Removes one directory that has none below it: 0, or 1 after a deeper one was removed instead. */
static int remove_deepest(int parent, const char *name)
{
	own_fd dir = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_fd child = -1;
	char deeper[256];
	int below = 0;

	(void)snprintf(deeper, sizeof deeper, "%s", name);
	for (;;) {
		char next[256];

		child = path_open_beneath(dir, deeper, O_RDONLY | O_DIRECTORY, 0);
		if (child < 0)
			return child;
		if (each_in(child, name_keep, next) != 1)
			break;
		memcpy(deeper, next, sizeof deeper);
		fd_close(&dir);
		dir = fd_take(&child);
		below = 1;
	}
	if (cgroup_populated(child) > 0)
		return -EBUSY;
	if (unlinkat(dir, deeper, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return below;
}

int cgroup_remove(const struct cgroup_tree *tree, const char *path)
{
	const char *slash = strrchr(path, '/');
	char above[256] = ".";
	own_fd parent = -1;
	int r;

	if (slash && snprintf(above, sizeof above, "%.*s", (int)(slash - path), path) >=
			     (int)sizeof above)
		return -ENAMETOOLONG;
	parent = cgroup_open(tree, above);
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	do
		r = remove_deepest(parent, slash ? slash + 1 : path);
	while (r == 1);
	return r == -ENOENT ? 0 : r;
}

/* Leaves NAME/supervisor; a delegated tree takes us in itself, when nothing is enabled in it. */
static int self_move_out(const struct cgroup_tree *tree)
{
	if (tree->apart)
		return 0;
	if (!tree->delegated)
		return file_write_at(tree->fd, "../cgroup.procs", "0");
	for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
		char disable[16];

		(void)snprintf(disable, sizeof disable, "-%s", switches[i].enable + 1);
		if (tree->controllers & switches[i].bit)
			(void)file_write_at(tree->fd, "cgroup.subtree_control", disable);
	}
	return file_write_at(tree->fd, "cgroup.procs", "0");
}

int cgroup_tree_remove(struct cgroup_tree *tree, struct err *err)
{
	static const char *const names[] = { "c", "workers", "supervisor" };
	int r;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		r = i == 2 ? self_move_out(tree) : 0;
		if (r < 0)
			return err_sys(err, -r, "leave the cgroup %s/supervisor", tree->path);
		r = cgroup_remove(tree, names[i]);
		if (r < 0)
			return err_sys(err, -r, "remove the cgroup %s/%s", tree->path, names[i]);
	}
	if (!tree->delegated && rmdir(tree->path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove the cgroup %s", tree->path);
	cgroup_tree_done(tree);
	return 0;
}
