#include "supervisor/runtime/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"
#include "supervisor/runtime/mounts.h"

enum { TREE_DEPTH_MAX = 64, SECRET_SIZE_MAX = 1 << 20 };

/* ---- walking a tree by descriptors ------------------------------------------------------------- */

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* A stream over a directory that is opened anew, so that `fd` stays usable. */
static DIR *open_stream(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);

	if (!dir)
		fd_close(&again);
	return dir;
}

static int open_child(int dirfd, const char *name)
{
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	own_fd in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	own_fd out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n = 1;

	if (in < 0 || out < 0)
		return -errno;
	while (n > 0)
		n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
	if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) {
		char buf[65536];

		while ((n = read(in, buf, sizeof buf)) > 0) {
			int r = write_full(out, buf, (size_t)n);

			if (r < 0)
				return r;
		}
	}
	if (n < 0 || fchown(out, st->st_uid, st->st_gid) < 0 ||
		fchmod(out, st->st_mode & 07777) < 0)
		return -errno;
	return 0;
}

static int copy_link(int from, int to, const char *name, const struct stat *st)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, to, name) < 0 ||
		fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_tree(int from, int to, int depth);

static int copy_directory(int from, int to, const char *name, const struct stat *st, int depth)
{
	own_fd source = open_child(from, name);
	own_fd copy = -1;
	int r;

	if (source < 0 || mkdirat(to, name, 0700) < 0)
		return -errno;
	copy = open_child(to, name);
	if (copy < 0)
		return -errno;
	r = copy_tree(source, copy, depth + 1);
	if (r < 0)
		return r;
	if (fchown(copy, st->st_uid, st->st_gid) < 0 || fchmod(copy, st->st_mode & 07777) < 0)
		return -errno;
	return 0;
}

/* Files, directories and links; devices and sockets of an image have no business in a volume. */
static int copy_tree(int from, int to, int depth)
{
	__attribute__((cleanup(close_dir))) DIR *dir = open_stream(from);
	const struct dirent *entry;

	if (!dir)
		return -errno;
	if (depth > TREE_DEPTH_MAX)
		return -ELOOP;
	while ((entry = readdir(dir))) {
		struct stat st;
		int r = 0;

		if (is_dots(entry->d_name))
			continue;
		if (fstatat(from, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (S_ISDIR(st.st_mode))
			r = copy_directory(from, to, entry->d_name, &st, depth);
		else if (S_ISLNK(st.st_mode))
			r = copy_link(from, to, entry->d_name, &st);
		else if (S_ISREG(st.st_mode))
			r = copy_file(from, to, entry->d_name, &st);
		if (r < 0)
			return r;
	}
	return 0;
}

static int chown_tree(int fd, const struct ids *ids, int depth)
{
	__attribute__((cleanup(close_dir))) DIR *dir = open_stream(fd);
	const struct dirent *entry;

	if (!dir || fchown(fd, ids->uid, ids->gid) < 0)
		return -errno;
	if (depth > TREE_DEPTH_MAX)
		return -ELOOP;
	while ((entry = readdir(dir))) {
		own_fd child = -1;
		int r;

		if (is_dots(entry->d_name))
			continue;
		child = open_child(fd, entry->d_name);
		if (child >= 0) {
			r = chown_tree(child, ids, depth + 1);
			if (r < 0)
				return r;
		} else if (fchownat(fd, entry->d_name, ids->uid, ids->gid, AT_SYMLINK_NOFOLLOW) <
			   0) {
			return -errno;
		}
	}
	return 0;
}

static int remove_tree(int dirfd, const char *name, int depth)
{
	own_fd fd = open_child(dirfd, name);

	if (fd < 0)
		return errno == ENOENT || unlinkat(dirfd, name, 0) == 0 ? 0 : -errno;
	if (depth > TREE_DEPTH_MAX)
		return -ELOOP;
	{
		__attribute__((cleanup(close_dir))) DIR *dir = open_stream(fd);
		const struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			int r = is_dots(entry->d_name) ? 0
						       : remove_tree(fd, entry->d_name, depth + 1);

			if (r < 0)
				return r;
		}
	}
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* ---- volumes ----------------------------------------------------------------------------------- */

int volume_fill(int rootfd, const char *target, int dirfd, bool with_mode)
{
	own_fd found = path_open_in(rootfd, target, O_PATH | O_DIRECTORY, 0);
	own_fd from = -1;
	own_fd to = -1;
	struct stat st;
	int r;

	if (found < 0)
		return found == -ENOENT || found == -ENOTDIR ? 0 : found;
	from = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	to = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return -errno;
	r = copy_tree(from, to, 0);
	if (r < 0 || !with_mode)
		return r;
	if (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
		return -errno;
	return 0;
}

/* Built as PARENT/.NAME.new and renamed: there wholly, or not at all. */
static int volume_make(const struct mount_spec *mount, int rootfd, struct err *err)
{
	const char *name = strrchr(mount->source, '/') + 1;
	char parent[4096];
	char tmp[256];
	own_fd dir = -1;
	own_fd volume = -1;
	int r;

	(void)snprintf(parent, sizeof parent, "%.*s", (int)(name - mount->source), mount->source);
	(void)snprintf(tmp, sizeof tmp, ".%.240s.new", name);
	r = path_mkdirs(parent, 0700);
	if (r < 0)
		return err_sys(err, -r, "mkdir %s", parent);
	dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, errno, "open %s", parent);
	r = remove_tree(dir, tmp, 0);
	if (r < 0)
		return err_sys(err, -r, "remove a half-made volume %s%s", parent, tmp);
	if (mkdirat(dir, tmp, 0755) < 0 || (volume = open_child(dir, tmp)) < 0)
		return err_sys(err, errno, "make the volume %s", mount->source);
	if (mount->copy_up)
		r = volume_fill(rootfd, mount->target, volume, true);
	if (r < 0)
		return err_sys(
			err, -r, "copy %s of the image into the volume %s", mount->target, name);
	if (mount->mode && fchmod(volume, mount->mode) < 0)
		return err_sys(err, errno, "chmod the volume %s", name);
	if ((mount->uid || mount->gid) && fchown(volume, mount->uid, mount->gid) < 0)
		return err_sys(err, errno, "chown the volume %s", name);
	if (syncfs(volume) < 0 || renameat(dir, tmp, dir, name) < 0 || fsync(dir) < 0)
		return err_sys(err, errno, "make the volume %s", mount->source);
	return 0;
}

int volume_ensure(
	const struct mount_spec *mount, int rootfd, const struct ids *ids, struct err *err)
{
	int r = 0;

	if (access(mount->source, F_OK) < 0)
		r = volume_make(mount, rootfd, err);
	if (r == 0 && mount->chown)
		r = volume_chown(mount->source, ids, err);
	return r;
}

int volume_chown(const char *path, const struct ids *ids, struct err *err)
{
	own_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : chown_tree(fd, ids, 0);

	return r < 0 ? err_sys(err, -r, "chown %s for the container's user", path) : 0;
}

/* ---- files ------------------------------------------------------------------------------------- */

/* The tmpfs of this container's staged files: at RUN_DIR/stage, in our own mount namespace only, for
 * a bind of a file needs a mount that is attached somewhere (before Linux 6.15). */
static int stage_open(const char *run_dir, struct err *err)
{
	static int stage = -1;
	own_fd mount = -1;
	own_fd where = -1;
	char path[256];
	int r;

	if (stage >= 0)
		return stage;
	(void)snprintf(path, sizeof path, "%s/stage", run_dir);
	r = path_mkdirs(path, 0700);
	if (r < 0)
		return err_sys(err, -r, "mkdir %s", path);
	where = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	mount = mount_new("tmpfs", (const struct mount_option[]){ { "mode", "0700" } }, 1,
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
	if (mount < 0)
		return mount;
	r = where < 0 ? -errno : mount_attach(mount, where);
	if (r < 0)
		return err_sys(err, -r, "mount a tmpfs on %s", path);
	stage = fd_take(&mount);
	return stage;
}

int volume_stage_file(const char *run_dir, const struct mount_spec *mount, struct err *err)
{
	static char content[SECRET_SIZE_MAX];
	static unsigned count;
	own_fd file = -1;
	char name[16];
	ssize_t n;
	int stage = stage_open(run_dir, err);
	int tree;

	if (stage < 0)
		return stage;
	n = file_read_at(AT_FDCWD, mount->source, content, sizeof content);
	if (n < 0)
		return err_sys(err, (int)-n, "read %s", mount->source);
	(void)snprintf(name, sizeof name, "%u", count++);
	file = openat(stage, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0 || write_full(file, content, (size_t)n) < 0 ||
		fchown(file, mount->uid, mount->gid) < 0 || fchmod(file, mount->mode) < 0)
		return err_sys(err, errno, "copy %s", mount->source);
	explicit_bzero(content, (size_t)n);
	fd_close(&file);
	file = openat(stage, name, O_PATH | O_CLOEXEC);
	tree = file < 0 ? -errno : mount_clone(file, false);
	if (tree >= 0 && mount_set(tree, MOUNT_ATTR_RDONLY, 0, false) < 0)
		return err_sys(err, errno, "make %s read-only", mount->target);
	return tree < 0 ? err_sys(err, -tree, "bind the copy of %s", mount->source) : tree;
}

int volume_shared_text(
	const char *run_dir, const char *text, char *ret_path, size_t size, struct err *err)
{
	char dir[256];
	char name[24];
	char mine[48];
	uint64_t number = 0;
	own_fd dirfd = -1;
	int r;

	(void)snprintf(dir, sizeof dir, "%s/etc", run_dir);
	(void)snprintf(name, sizeof name, "%016llx", str_hash(text));
	if ((size_t)snprintf(ret_path, size, "%s/%s", dir, name) >= size)
		return err_set(err, ENAMETOOLONG, "path %s/%s is too long", dir, name);
	if (access(ret_path, F_OK) == 0)
		return 0;
	r = path_mkdirs(dir, 0755);
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r < 0 || dirfd < 0)
		return err_sys(err, r < 0 ? -r : errno, "open %s", dir);
	/* Builders of siblings do this at the same time, each as process 1 of its namespace, so a pid
	 * tells none apart. The first link wins: one that were replaced could not be mounted any more
	 * by who has it open. */
	if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
		number = clock_monotonic();
	(void)snprintf(mine, sizeof mine, "%s.%016" PRIx64, name, number);
	r = file_replace_at(dirfd, mine, text, strlen(text), 0644, 0);
	if (r == 0 && linkat(dirfd, mine, dirfd, name, 0) < 0 && errno != EEXIST)
		r = -errno;
	(void)unlinkat(dirfd, mine, 0);
	return r < 0 ? err_sys(err, -r, "write %s", ret_path) : 0;
}
