/*
 * The applier. An archive is written by somebody else, so nothing in it is believed:
 *
 * A name is split into parts; ".." is refused and an absolute name is relative. The directory of an
 * entry is opened by openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS: a link that an earlier
 * entry made is never gone through. The last part is made with O_EXCL and O_NOFOLLOW, after removing
 * what has that name. Owner, mode, attributes and times are set on the descriptor of what was just
 * made, never by a name, and never on a hard link, whose target may be older. Devices are not made:
 * a container's /dev is berth's work.
 */
#include "images/worker/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

int apply_init(struct apply *apply, int root, struct err *err)
{
	struct statvfs fs;
	uint64_t budget;

	if (fstatvfs(root, &fs) < 0)
		return err_sys(err, errno, "statvfs");
	budget = (uint64_t)fs.f_bavail * fs.f_frsize / 10 * 9;
	memset(apply, 0, sizeof *apply);
	apply->root = root;
	apply->owner = geteuid() == 0;
	/* ramfs, which an initramfs may be, knows no size. */
	apply->budget = fs.f_blocks ? budget : UINT64_MAX;
	apply->parent_fd = -1;
	apply->file = -1;
	return 0;
}

void apply_done(struct apply *apply)
{
	for (size_t i = 0; i < apply->ndirs; i++)
		free(apply->dirs[i].path);
	free(apply->dirs);
	fd_close(&apply->parent_fd);
	fd_close(&apply->file);
	apply->dirs = NULL;
	apply->ndirs = apply->room = 0;
}

/* ---- names -------------------------------------------------------------------------------------- */

int apply_path(const char *path, char *ret, size_t size)
{
	size_t used = 0;
	int depth = 0;

	while (*(path += strspn(path, "/"))) {
		size_t n = strcspn(path, "/");

		if (n > 255 || (n == 2 && memcmp(path, "..", 2) == 0))
			return -EINVAL;
		if (n != 1 || *path != '.') {
			if (++depth > APPLY_DEPTH_MAX || used + n + 2 > size)
				return -EINVAL;
			if (used)
				ret[used++] = '/';
			memcpy(ret + used, path, n);
			used += n;
		}
		path += n;
	}
	ret[used] = '\0';
	return 0;
}

static const char *leaf_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The directory `path` below the root, which must be there. */
static int dir_open(const struct apply *apply, const char *path)
{
	return path_open_beneath(apply->root, *path ? path : ".", O_PATH | O_DIRECTORY, 0);
}

/* Makes what is missing of a directory, part by part; nothing is followed. */
static int dirs_make(const struct apply *apply, const char *path)
{
	own_fd dir = dir_open(apply, "");
	char part[256];

	while (dir >= 0 && *path) {
		size_t n = strcspn(path, "/");
		int next;

		memcpy(part, path, n);
		part[n] = '\0';
		path += n + (path[n] == '/');
		if (mkdirat(dir, part, 0755) < 0 && errno != EEXIST)
			return -errno;
		next = path_open_beneath(dir, part, O_PATH | O_DIRECTORY, 0);
		fd_close(&dir);
		dir = next;
	}
	return fd_take(&dir);
}

/* Opens the directory of apply->path as apply->parent_fd; most entries are in the last one's. */
static int parent_open(struct apply *apply, struct err *err)
{
	char parent[APPLY_PATH_SIZE];
	size_t n = (size_t)(leaf_of(apply->path) - apply->path);
	int fd;

	memcpy(parent, apply->path, n);
	parent[n ? n - 1 : 0] = '\0';
	if (apply->parent_fd >= 0 && strcmp(parent, apply->parent) == 0)
		return 0;
	fd = dir_open(apply, parent);
	if (fd == -ENOENT)
		fd = dirs_make(apply, parent);
	if (fd == -ELOOP || fd == -ENOTDIR)
		return err_set(err, EINVAL, "%s is a link or a file, not a directory", parent);
	if (fd < 0)
		return err_sys(err, -fd, "open %s", parent);
	fd_close(&apply->parent_fd);
	apply->parent_fd = fd;
	memcpy(apply->parent, parent, strlen(parent) + 1);
	return 0;
}

/* Makes room for the entry. Any directory we know by descriptor may be gone with it. */
static int leaf_remove(struct apply *apply, struct err *err)
{
	const char *leaf = leaf_of(apply->path);
	struct stat st;
	int r;

	if (fstatat(apply->parent_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "look at it");
	r = path_remove_tree(apply->parent_fd, leaf);
	return r < 0 ? err_sys(err, -r, "replace what is there") : 0;
}

/* ---- kinds of entries --------------------------------------------------------------------------- */

/*
 * Length, owner, mode, in this order, once the content is there and before attributes: a change of
 * length or owner clears set-uid and capabilities.
 */
static int dress(struct apply *apply, struct err *err)
{
	int fd = apply->file;

	if (apply->dressed)
		return 0;
	apply->dressed = true;
	if (apply->now.type == S_IFREG && ftruncate(fd, apply->now.size) < 0)
		return err_sys(err, errno, "set the length");
	if (apply->owner && fchown(fd, apply->now.uid, apply->now.gid) < 0)
		return err_sys(err, errno, "set the owner");
	if (fchmod(fd, apply->now.mode & 07777) < 0)
		return err_sys(err, errno, "set the mode");
	return 0;
}

static int dir_remember(struct apply *apply)
{
	struct apply_dir *dir;

	if (apply->ndirs == apply->room) {
		size_t room = apply->room ? apply->room * 2 : 256;
		struct apply_dir *grown = realloc(apply->dirs, room * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		apply->dirs = grown;
		apply->room = room;
	}
	dir = &apply->dirs[apply->ndirs];
	dir->path = strdup(apply->path);
	dir->mtime = apply->now.mtime;
	if (!dir->path)
		return -ENOMEM;
	apply->ndirs++;
	return 0;
}

static int make_dir(struct apply *apply, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	const char *leaf = leaf_of(apply->path);
	own_fd fd = path_open_beneath(apply->parent_fd, leaf, flags, 0);
	int r;

	if (fd < 0) {
		r = leaf_remove(apply, err);
		if (r < 0)
			return r;
		if (mkdirat(apply->parent_fd, leaf, 0700) < 0)
			return err_sys(err, errno, "mkdir");
		fd = path_open_beneath(apply->parent_fd, leaf, flags, 0);
		if (fd < 0)
			return err_sys(err, -fd, "open it");
	}
	apply->file = fd_take(&fd);
	return dir_remember(apply) < 0 ? err_sys(err, ENOMEM, "remember it") : 0;
}

/* "." may say how the root looks, not what it is. */
static int make_root(struct apply *apply, struct err *err)
{
	if (apply->now.type != S_IFDIR || apply->now.hardlink)
		return err_set(err, EINVAL, "the root is not a directory");
	apply->file = path_open_beneath(apply->root, ".", O_RDONLY | O_DIRECTORY, 0);
	if (apply->file < 0)
		return err_sys(err, -apply->file, "open it");
	return dir_remember(apply) < 0 ? err_sys(err, ENOMEM, "remember it") : 0;
}

static int make_file(struct apply *apply, struct err *err)
{
	if (apply->now.size < 0)
		return err_set(err, EINVAL, "a size below zero");
	apply->file = openat(apply->parent_fd, leaf_of(apply->path),
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return apply->file < 0 ? err_sys(err, errno, "create it") : 1;
}

static int owner_by_name(const struct apply *apply, struct err *err)
{
	if (apply->owner && fchownat(apply->parent_fd, leaf_of(apply->path), apply->now.uid,
				    apply->now.gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "set the owner");
	return 0;
}

static int make_symlink(struct apply *apply, struct err *err)
{
	if (!apply->now.link || !*apply->now.link)
		return err_set(err, EINVAL, "a symbolic link to nothing");
	if (symlinkat(apply->now.link, apply->parent_fd, leaf_of(apply->path)) < 0)
		return err_sys(err, errno, "symlink");
	return owner_by_name(apply, err);
}

static int make_fifo(struct apply *apply, struct err *err)
{
	const mode_t mode = S_IFIFO | (apply->now.mode & 0777);

	if (mknodat(apply->parent_fd, leaf_of(apply->path), mode, 0) < 0)
		return err_sys(err, errno, "mkfifo");
	return owner_by_name(apply, err);
}

/* The target must be in the archive already; it is not followed, and its owner and mode stay. */
static int make_hardlink(struct apply *apply, struct err *err)
{
	char target[APPLY_PATH_SIZE];
	own_fd dir = -1;
	char *leaf;
	struct stat st;
	int r;

	if (apply_path(apply->now.link, target, sizeof target) < 0 || !*target)
		return err_set(err, EINVAL, "a hard link to %s leaves the root", apply->now.link);
	if (strcmp(target, apply->path) == 0)
		return 0;
	leaf = strrchr(target, '/');
	if (leaf)
		*leaf++ = '\0';
	dir = dir_open(apply, leaf ? target : "");
	if (dir < 0 || fstatat(dir, leaf ? leaf : target, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, EINVAL,
			"a hard link to %s, which is not in the archive before it",
			apply->now.link);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode) && !S_ISFIFO(st.st_mode))
		return err_set(
			err, EINVAL, "a hard link to %s, which is a directory", apply->now.link);
	r = leaf_remove(apply, err);
	if (r < 0)
		return r;
	if (linkat(dir, leaf ? leaf : target, apply->parent_fd, leaf_of(apply->path), 0) < 0)
		return err_sys(err, errno, "link to %s", apply->now.link);
	return 0;
}

/* ---- the entry ---------------------------------------------------------------------------------- */

int apply_begin(struct apply *apply, const struct apply_entry *entry, struct err *err)
{
	int r;

	fd_close(&apply->file);
	apply->now = *entry;
	apply->dressed = false;
	if (++apply->entries > APPLY_ENTRIES_MAX)
		return err_set(err, E2BIG, "more than %d entries", APPLY_ENTRIES_MAX);
	if (apply_path(entry->path, apply->path, sizeof apply->path) < 0)
		return err_set(err, EINVAL, "a name with .., or too long or too deep");
	if (!*apply->path)
		return make_root(apply, err);
	if (!entry->hardlink && entry->type != S_IFREG && entry->type != S_IFDIR &&
		entry->type != S_IFLNK && entry->type != S_IFIFO) {
		apply->skipped++;
		apply->now.type = 0;
		return 0;
	}
	r = parent_open(apply, err);
	if (r < 0)
		return r;
	if (entry->hardlink)
		return make_hardlink(apply, err);
	if (entry->type == S_IFDIR)
		return make_dir(apply, err);
	r = leaf_remove(apply, err);
	if (r < 0)
		return r;
	if (entry->type == S_IFREG)
		return make_file(apply, err);
	return entry->type == S_IFLNK ? make_symlink(apply, err) : make_fifo(apply, err);
}

enum { BLOCK = 4096 };

static bool all_zero(const char *data, size_t n)
{
	return data[0] == '\0' && memcmp(data, data + 1, n - 1) == 0;
}

/* How much from here on is all zeros, or all not, by blocks of the file. */
static size_t same_kind(const char *data, size_t n, int64_t offset, bool *ret_zero)
{
	size_t used = 0;

	while (used < n) {
		size_t block = BLOCK - (size_t)((offset + (int64_t)used) % BLOCK);
		bool zero;

		if (block > n - used)
			block = n - used;
		zero = all_zero(data + used, block);
		if (used && zero != *ret_zero)
			break;
		*ret_zero = zero;
		used += block;
	}
	return used;
}

/* The file is new and gets its length at the end: zeros need not be written, and stay holes. */
int apply_data(struct apply *apply, const void *data, size_t n, int64_t offset, struct err *err)
{
	const char *from = data;

	/* Counted as it comes: zeros that end as holes took the reader's time all the same. */
	if (n > apply->budget)
		return err_set(err, ENOSPC, "its content does not fit into the free space");
	apply->budget -= n;
	if (offset < 0 || offset > apply->now.size || (int64_t)n > apply->now.size - offset)
		return err_set(err, EINVAL, "more content than its size says");
	while (n) {
		bool zero = false;
		size_t run = same_kind(from, n, offset, &zero);
		ssize_t done = zero ? (ssize_t)run : pwrite(apply->file, from, run, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(err, errno, "write it");
		from += done;
		offset += done;
		n -= (size_t)done;
	}
	return 0;
}

static bool xattr_kept(const char *name)
{
	if (strcmp(name, "security.capability") == 0)
		return true;
	/* user.overlay.* would steer an overlay that is mounted over the tree. */
	return str_starts(name, "user.") && !str_starts(name, "user.overlay.");
}

int apply_xattr(struct apply *apply, const char *name, const void *value, size_t n, struct err *err)
{
	int r;

	if (apply->file < 0 || !xattr_kept(name))
		return 0;
	r = dress(apply, err);
	if (r < 0)
		return r;
	if (fsetxattr(apply->file, name, value, n, 0) == 0)
		return 0;
	/* tmpfs has user.* since 6.6; who is not root may not give capabilities. */
	if (errno == ENOTSUP || (errno == EPERM && !apply->owner))
		return 0;
	return err_sys(err, errno, "set the attribute %s", name);
}

int apply_end(struct apply *apply, struct err *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, apply->now.mtime };
	int r = 0;

	if (apply->now.hardlink || !apply->now.type)
		return 0;
	if (apply->file >= 0)
		r = dress(apply, err);
	if (r < 0)
		return r;
	if (apply->now.type == S_IFREG)
		r = futimens(apply->file, times);
	else if (apply->now.type != S_IFDIR)
		r = utimensat(apply->parent_fd, leaf_of(apply->path), times, AT_SYMLINK_NOFOLLOW);
	fd_close(&apply->file);
	return r < 0 ? err_sys(err, errno, "set the time") : 0;
}

void apply_finish(struct apply *apply)
{
	for (size_t i = apply->ndirs; i-- > 0;) {
		const struct apply_dir *dir = &apply->dirs[i];
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, dir->mtime };
		own_fd fd = path_open_beneath(
			apply->root, *dir->path ? dir->path : ".", O_RDONLY | O_DIRECTORY, 0);

		/* Something else may have taken its place since. */
		if (fd >= 0)
			(void)futimens(fd, times);
	}
}
