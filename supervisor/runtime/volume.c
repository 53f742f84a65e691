#include "supervisor/runtime/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"
#include "supervisor/runtime/mounts.h"
#include "supervisor/runtime/tree.h"

enum { VOLUME_MODE = 0755, RACES_MAX = 64, SECRET_SIZE_MAX = 1 << 20 };

/* ---- one at a time ------------------------------------------------------------------------------ */

/* A lock that a file system does not have (NFS) is no reason not to start. */
static int lock(int fd, int how)
{
	return flock(fd, how) < 0 && (errno == EINTR || errno == EWOULDBLOCK) ? -errno : 0;
}

/* Is `fd` what the name stands for? */
static bool is_still(int fd, int dirfd, const char *name)
{
	struct stat mine;
	struct stat there;

	return fstat(fd, &mine) == 0 && fstatat(dirfd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       there.st_ino == mine.st_ino && there.st_dev == mine.st_dev;
}

/* The directory PARENT/TMP, empty, and ours alone until we end; or -EEXIST: `name`, which it is to
 * become, is there. Whoever else makes the same waits for the lock; what one who died left goes. */
static int open_unborn(int parent, const char *name, const char *tmp)
{
	for (int i = 0; i < RACES_MAX; i++) {
		own_fd fd = -1;

		if (mkdirat(parent, tmp, VOLUME_MODE) < 0 && errno != EEXIST)
			return -errno;
		fd = path_open_child(parent, tmp, O_RDONLY | O_DIRECTORY);
		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return fd;
		if (lock(fd, LOCK_EX) < 0 || !is_still(fd, parent, tmp))
			continue;
		if (faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
			(void)path_remove_tree(parent, tmp);
			return -EEXIST;
		}
		if (tree_is_empty(fd, NULL) == 1)
			return fd_take(&fd);
		if (path_remove_tree(parent, tmp) < 0)
			return -EBUSY;
	}
	return -EAGAIN;
}

/* ---- filling a volume --------------------------------------------------------------------------- */

/* Inside a volume that exists already: what is copied into FILL_NEW, and, once that is whole and on
 * the disk under the name FILL_WHOLE, moved up entry by entry. Cut off at any instruction, the next
 * start throws the one away and goes on with the other; no container sees either. */
#define FILL_NEW   ".berth-copy.new"
#define FILL_WHOLE ".berth-copy"

/* A new file system is empty all the same. */
static bool is_no_content(const char *name)
{
	return strcmp(name, FILL_NEW) == 0 || strcmp(name, "lost+found") == 0;
}

/* What the image has at the target, or -ENOENT: nothing, no directory, or its own root (a link to /
 * in an image is no reason to copy all of it). */
static int open_content(int rootfd, const char *target)
{
	own_fd found = path_open_in(rootfd, target, O_PATH | O_DIRECTORY, 0);
	struct stat st;
	struct stat root;
	int fd;

	if (found == -ENOTDIR)
		return -ENOENT;
	if (found < 0)
		return found;
	if (fstat(found, &st) < 0 || fstat(rootfd, &root) < 0)
		return -errno;
	if (st.st_dev == root.st_dev && st.st_ino == root.st_ino)
		return -ENOENT;
	fd = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int volume_fill(int rootfd, const char *target, int dirfd, bool with_owner)
{
	own_fd from = open_content(rootfd, target);
	own_fd to = -1;
	int r;

	if (from < 0)
		return from == -ENOENT ? 0 : from;
	to = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		return -errno;
	r = tree_copy(from, to);
	return r < 0 || !with_owner ? r : tree_copy_owner(from, to);
}

/* What is whole goes up into the volume, then the empty directory goes. */
static int fill_finish(int volume)
{
	int fd = path_open_child(volume, FILL_WHOLE, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return fd == -ENOENT ? 0 : fd < 0 ? fd : -errno;
	(void)lock(dirfd(dir), LOCK_EX);
	while (r == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
			renameat(dirfd(dir), name, volume, name) < 0 && errno != ENOENT)
			r = -errno;
	}
	(void)closedir(dir);
	if (r == 0 && fsync(volume) < 0)
		r = -errno;
	if (r == 0 && unlinkat(volume, FILL_WHOLE, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

/* As it was made, not as somebody has set it. */
static bool is_untouched(int volume)
{
	struct stat st;

	return fstat(volume, &st) == 0 && st.st_uid == 0 && st.st_gid == 0 &&
	       (st.st_mode & 07777) == VOLUME_MODE;
}

static int fill_from(int volume, int from, int copy)
{
	int r = is_untouched(volume) ? tree_copy_owner(from, volume) : 0;

	if (r == 0)
		r = tree_copy(from, copy);
	if (r < 0)
		return r;
	if (syncfs(copy) < 0 || renameat(volume, FILL_NEW, volume, FILL_WHOLE) < 0 ||
		fsync(volume) < 0)
		return -errno;
	return 0;
}

/* A volume that is there and empty: made by hand, or on a device that is new. */
static int fill_if_empty(int volume, int rootfd, const char *target)
{
	own_fd from = -1;
	own_fd copy = -1;
	int r = fill_finish(volume);

	if (r < 0 || tree_is_empty(volume, is_no_content) != 1)
		return r;
	from = open_content(rootfd, target);
	if (from < 0)
		return from == -ENOENT ? 0 : from;
	copy = open_unborn(volume, FILL_WHOLE, FILL_NEW);
	if (copy == -EEXIST)
		return fill_finish(volume);
	if (copy < 0)
		return copy;
	/* Filled by another container while we waited. */
	if (tree_is_empty(volume, is_no_content) != 1)
		return unlinkat(volume, FILL_NEW, AT_REMOVEDIR) < 0 ? -errno : 0;
	r = fill_from(volume, from, copy);
	if (r < 0)
		(void)path_remove_tree(volume, FILL_NEW);
	fd_close(&copy); /* its lock too */
	return r < 0 ? r : fill_finish(volume);
}

/* ---- volumes ----------------------------------------------------------------------------------- */

static int open_parent(const char *path, const char *name, struct err *err)
{
	char parent[4096];
	int fd;
	int r;

	(void)snprintf(parent, sizeof parent, "%.*s", (int)(name - path), path);
	r = path_mkdirs(parent, 0700);
	if (r < 0)
		return err_sys(err, -r, "mkdir %s", parent);
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", parent) : fd;
}

/* What is to be in it, in the directory that becomes the volume. */
static int make_content(const struct mount_spec *mount, int volume, int rootfd, struct err *err)
{
	const char *name = strrchr(mount->source, '/') + 1;
	int r = 0;

	if (fchmod(volume, mount->mode ? mount->mode : VOLUME_MODE) < 0)
		return err_sys(err, errno, "chmod the volume %s", name);
	if (mount->copy_up)
		r = volume_fill(rootfd, mount->target, volume, true);
	if (r < 0)
		return err_sys(
			err, -r, "copy %s of the image into the volume %s", mount->target, name);
	if (mount->mode && fchmod(volume, mount->mode) < 0)
		return err_sys(err, errno, "chmod the volume %s", name);
	if ((mount->uid || mount->gid) && fchown(volume, mount->uid, mount->gid) < 0)
		return err_sys(err, errno, "chown the volume %s", name);
	return syncfs(volume) < 0 ? err_sys(err, errno, "sync the volume %s", name) : 0;
}

/* Built as PARENT/.NAME.new, synced and renamed: there wholly, or not at all. What cannot be finished,
 * for the disk is full, gives the disk back at once. */
int volume_make(const struct mount_spec *mount, int rootfd, struct err *err)
{
	const char *name = strrchr(mount->source, '/') + 1;
	char tmp[256];
	own_fd dir = open_parent(mount->source, name, err);
	own_fd volume = -1;
	int r;

	if (dir < 0)
		return dir;
	(void)snprintf(tmp, sizeof tmp, ".%.240s.new", name);
	volume = open_unborn(dir, name, tmp);
	if (volume == -EEXIST)
		return 0;
	if (volume < 0)
		return err_sys(err, -volume, "make the volume %s", mount->source);
	r = make_content(mount, volume, rootfd, err);
	if (r == 0 && renameat(dir, tmp, dir, name) < 0)
		r = err_sys(err, errno, "make the volume %s", mount->source);
	if (r < 0) {
		(void)path_remove_tree(dir, tmp);
		return r;
	}
	return fsync(dir) < 0 ? err_sys(err, errno, "sync the volume %s", mount->source) : 0;
}

/* The directory, locked, and still the one of that name. */
static int open_locked(const struct mount_spec *mount, int rootfd, struct err *err)
{
	for (int i = 0; i < RACES_MAX; i++) {
		own_fd fd = open(mount->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 && errno == ENOENT) {
			int r = volume_make(mount, rootfd, err);

			if (r < 0)
				return r;
			continue;
		}
		if (fd < 0 || lock(fd, LOCK_SH) < 0)
			return err_sys(err, errno, "open the volume %s", mount->source);
		if (is_still(fd, AT_FDCWD, mount->source))
			return fd_take(&fd);
	}
	return err_set(
		err, EAGAIN, "open the volume %s: it is removed again and again", mount->source);
}

int volume_ensure(
	const struct mount_spec *mount, int rootfd, const struct ids *ids, struct err *err)
{
	own_fd fd = open_locked(mount, rootfd, err);
	int r = 0;

	if (fd < 0)
		return fd;
	r = mount->copy_up ? fill_if_empty(fd, rootfd, mount->target) : 0;
	/* What cannot be written cannot be filled, and is what it is. */
	if (r < 0 && r != -EROFS)
		return err_sys(err, -r, "copy %s of the image into the volume %s", mount->target,
			mount->source);
	if (mount->chown) {
		r = tree_chown(fd, ids->uid, ids->gid);
		if (r < 0)
			return err_sys(err, -r, "chown %s for the container's user", mount->source);
	}
	return fd_take(&fd);
}

int volume_remove(const char *path, struct err *err)
{
	const char *name = strrchr(path, '/') + 1;
	own_fd dir = open_parent(path, name, err);
	own_fd fd = -1;
	char trash[256];
	int r;

	if (dir < 0)
		return dir;
	(void)snprintf(trash, sizeof trash, ".%.240s.trash", name);
	r = path_remove_tree(dir, trash);
	if (r < 0)
		return err_sys(err, -r, "remove %s, which is left of another removal", trash);
	fd = path_open_child(dir, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return err_sys(err, -fd, "open the volume %s", name);
	if (lock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, EBUSY, "a container is being made of the volume %s", name);
	if (renameat(dir, name, dir, trash) < 0 || fsync(dir) < 0)
		return err_sys(err, errno, "remove the volume %s", name);
	r = path_remove_tree(dir, trash);
	return r < 0 ? err_sys(err, -r, "remove what was in the volume %s", name) : 0;
}

/* ".NAME.new" of a builder, ".NAME.trash" of a removal: all names of volumes begin otherwise. */
static bool is_leaving(const char *name)
{
	return name[0] == '.' && (str_ends(name, ".new") || str_ends(name, ".trash"));
}

static void sweep_one(int dir, const char *name)
{
	own_fd fd = path_open_child(dir, name, O_RDONLY | O_DIRECTORY);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && is_still(fd, dir, name))
		(void)path_remove_tree(dir, name);
}

int volume_sweep(const char *volumes, struct err *err)
{
	DIR *dir = opendir(volumes);
	const struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open %s", volumes);
	while ((entry = readdir(dir)))
		if (is_leaving(entry->d_name))
			sweep_one(dirfd(dir), entry->d_name);
	(void)closedir(dir);
	return 0;
}

int volume_chown(const char *path, const struct ids *ids, struct err *err)
{
	own_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : tree_chown(fd, ids->uid, ids->gid);

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

int volume_text_refresh(const char *run_dir, const char *name, const char *text)
{
	size_t n = strlen(text);
	own_mem char *old = malloc(n + 2);
	char path[300];
	own_fd fd = -1;
	ssize_t got;

	(void)snprintf(path, sizeof path, "%s/etc/%s", run_dir, name);
	if (!old)
		return -ENOMEM;
	got = file_read_at(AT_FDCWD, path, old, n + 2);
	if (got == -ENOENT || (got == (ssize_t)n && memcmp(old, text, n) == 0))
		return 0;
	/* In place: a file that is mounted elsewhere cannot be replaced there. */
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	got = write_full(fd, text, n);
	if (got == 0 && ftruncate(fd, (off_t)n) < 0)
		got = -errno;
	return (int)got;
}

int volume_shared_text(const char *run_dir, const char *given, const char *text, char *ret_path,
	size_t size, struct err *err)
{
	char dir[256];
	char name[40];
	char mine[64];
	uint64_t number = 0;
	own_fd dirfd = -1;
	int r;

	(void)snprintf(dir, sizeof dir, "%s/etc", run_dir);
	(void)snprintf(name, sizeof name, "%s", given ? given : "");
	if (!given)
		(void)snprintf(name, sizeof name, "%016llx", str_hash(text));
	if ((size_t)snprintf(ret_path, size, "%s/%s", dir, name) >= size)
		return err_set(err, ENAMETOOLONG, "path %s/%s is too long", dir, name);
	if (access(ret_path, F_OK) == 0) {
		r = given ? volume_text_refresh(run_dir, name, text) : 0;
		return r < 0 ? err_sys(err, -r, "write %s", ret_path) : 0;
	}
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
