/*
 * The applier. An archive is written by somebody else, so nothing in it is believed:
 *
 * A name is split into parts; ".." is refused and an absolute name is relative. The directory of an
 * entry is opened by openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS: a link that an earlier
 * entry made is never gone through. The last part is made with O_EXCL and O_NOFOLLOW, after removing
 * what has that name. Owner, mode, attributes and times are set on the descriptor of what was just
 * made, never by a name, and never on a hard link, whose target may be older. Devices are not made:
 * a container's /dev is berth's work.
 *
 * In a layer (apply->view) the directory of an entry may be known only to a layer below, or be a link.
 * Then the path is resolved in user space, in the view of all layers, which is its root; what comes
 * out has no links in it and is made, part by part, in this layer.
 */
#include "images/worker/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "images/worker/sparse.h"
#include "images/worker/upper.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

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
	view_dir_done(&apply->below);
	fd_close(&apply->parent_fd);
	fd_close(&apply->file);
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

/* The directory of a layer's entry, by way of links where there are some. */
static int dir_in_view(const struct apply *apply, const char *path, struct err *err)
{
	char real[VIEW_PATH_SIZE];
	int r = view_resolve(apply->view, path, real);

	if (r < 0)
		return err_sys(err, -r, "follow the links of %s", path);
	return upper_mkdirs(apply->view, real, apply->sums ? &apply->sums->stale : NULL, err);
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
	if (fd < 0 && apply->view) {
		fd = dir_in_view(apply, parent, err);
		if (fd < 0)
			return fd;
	}
	if (fd == -ENOENT)
		fd = dirs_make(apply, parent);
	if (fd == -ELOOP || fd == -ENOTDIR)
		return err_set(err, EINVAL, "%s is a link or a file, not a directory", parent);
	if (fd < 0)
		return err_sys(err, -fd, "open %s", parent);
	fd_close(&apply->parent_fd);
	view_dir_done(&apply->below);
	apply->parent_fd = fd;
	memcpy(apply->parent, parent, strlen(parent) + 1);
	return 0;
}

/* The parent as the view has it, from this layer down. */
static int parent_view(struct apply *apply, struct err *err)
{
	char real[VIEW_PATH_SIZE];
	int r;

	if (apply->below.n)
		return 0;
	r = view_resolve(apply->view, apply->parent, real);
	apply->in_root = r == 0 && !*real;
	if (r == 0)
		r = view_open(apply->view, real, &apply->below);
	return r < 0 ? err_sys(err, -r, "look at %s in the layers below", apply->parent) : 0;
}

/* Makes room for the entry; *ret_was: what was there, 0 for nothing. */
static int leaf_remove(struct apply *apply, mode_t *ret_was, struct err *err)
{
	const char *leaf = leaf_of(apply->path);
	struct stat st;
	int r;

	*ret_was = 0;
	if (fstatat(apply->parent_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "look at it");
	*ret_was = st.st_mode & S_IFMT;
	if (apply->sums && !view_is_whiteout(&st))
		apply->sums->stale = true;
	r = path_remove_tree(apply->parent_fd, leaf);
	return r < 0 ? err_sys(err, -r, "replace what is there") : 0;
}

/* ---- kinds of entries --------------------------------------------------------------------------- */

/*
 * Length, owner, mode, in this order, once the content is there and before attributes: a change of
 * length or owner clears set-uid and capabilities. Most files are born with all three as they shall be;
 * set-uid and set-gid are never born.
 */
static int dress(struct apply *apply, struct err *err)
{
	const struct apply_entry *now = &apply->now;
	int fd = apply->file;
	struct stat st;

	if (apply->dressed)
		return 0;
	apply->dressed = true;
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at it");
	apply->ino = st.st_ino;
	if (now->type == S_IFREG && st.st_size != now->size && ftruncate(fd, now->size) < 0)
		return err_sys(err, errno, "set the length");
	if (apply->owner && (st.st_uid != now->uid || st.st_gid != now->gid) &&
		fchown(fd, now->uid, now->gid) < 0)
		return err_sys(err, errno, "set the owner");
	if ((st.st_mode & 07777) != (now->mode & 07777) && fchmod(fd, now->mode & 07777) < 0)
		return err_sys(err, errno, "set the mode");
	return 0;
}

/* A directory takes the place of something else: that, or a whiteout, hid what is below. */
static int dir_replaced(struct apply *apply, struct err *err)
{
	int r = apply->view ? parent_view(apply, err) : 0;

	return r < 0 || !apply->view ? r : upper_hide(&apply->below, leaf_of(apply->path), err);
}

static int make_dir(struct apply *apply, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	/* What comes goes into it, until the end. */
	const mode_t mode = (apply->now.mode & 01777) | 0700;
	const char *leaf = leaf_of(apply->path);
	mode_t was = 0;
	int r = 0;

	if (mkdirat(apply->parent_fd, leaf, mode) < 0 && errno != EEXIST)
		return err_sys(err, errno, "mkdir");
	apply->file = path_open_beneath(apply->parent_fd, leaf, flags, 0);
	if (apply->file >= 0)
		return 0;
	r = leaf_remove(apply, &was, err);
	if (r < 0)
		return r;
	if (mkdirat(apply->parent_fd, leaf, mode) < 0)
		return err_sys(err, errno, "mkdir");
	apply->file = path_open_beneath(apply->parent_fd, leaf, flags, 0);
	if (apply->file < 0)
		return err_sys(err, -apply->file, "open it");
	return was ? dir_replaced(apply, err) : 0;
}

/* "." may say how the root looks, not what it is. */
static int make_root(struct apply *apply, struct err *err)
{
	if (apply->now.type != S_IFDIR || apply->now.hardlink)
		return err_set(err, EINVAL, "the root is not a directory");
	apply->file = path_open_beneath(apply->root, ".", O_RDONLY | O_DIRECTORY, 0);
	return apply->file < 0 ? err_sys(err, -apply->file, "open it") : 0;
}

/* Counted before it comes, holes too: what unpacks to more than there is room for is a trap. */
static int size_take(struct apply *apply, struct err *err)
{
	if (apply->now.size < 0)
		return err_set(err, EINVAL, "a size below zero");
	if ((uint64_t)apply->now.size > apply->budget)
		return err_set(err, ENOSPC, "its content does not fit into the free space");
	apply->budget -= (uint64_t)apply->now.size;
	return 0;
}

/* What makes a name under which something may be: -EEXIST has no words, it is tried again. */
static int made(int result, const char *what, struct err *err)
{
	if (result >= 0)
		return 0;
	return errno == EEXIST ? -EEXIST : err_sys(err, errno, "%s", what);
}

static int make_file(struct apply *apply, struct err *err)
{
	int r;

	apply->summed = 0;
	if (apply->sums)
		sha256_init(&apply->sum);
	apply->file = openat(apply->parent_fd, leaf_of(apply->path),
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, apply->now.mode & 01777);
	r = made(apply->file, "create it", err);
	return r < 0 ? r : 1;
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
	int r;

	if (!apply->now.link || !*apply->now.link)
		return err_set(err, EINVAL, "a symbolic link to nothing");
	r = made(
		symlinkat(apply->now.link, apply->parent_fd, leaf_of(apply->path)), "symlink", err);
	return r < 0 ? r : owner_by_name(apply, err);
}

static int make_fifo(struct apply *apply, struct err *err)
{
	const mode_t mode = S_IFIFO | (apply->now.mode & 0777);
	int r = made(mknodat(apply->parent_fd, leaf_of(apply->path), mode, 0), "mkfifo", err);

	return r < 0 ? r : owner_by_name(apply, err);
}

/*
 * The directory that the target of a hard link is in. In a layer it may lie below, by way of links;
 * the target is then copied up first, for the two have to be one file.
 */
static int target_dir(
	const struct apply *apply, const char *path, const char *leaf, struct err *err)
{
	int fd = dir_open(apply, path);
	char real[VIEW_PATH_SIZE];
	struct view_found found;
	struct view_dir dir;
	struct stat st;
	int r;

	if (!apply->view || (fd >= 0 && fstatat(fd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0))
		return fd;
	fd_close(&fd);
	r = view_resolve(apply->view, path, real);
	if (r == 0)
		r = view_open(apply->view, real, &dir);
	if (r < 0)
		return r;
	r = view_look(&dir, leaf, &found);
	if (r == 0)
		r = fd = upper_mkdirs(apply->view, real, NULL, err);
	if (r >= 0 && !found.top && !S_ISDIR(found.st.st_mode))
		r = upper_copy(fd, leaf, &found, err);
	view_dir_done(&dir);
	if (r < 0)
		fd_close(&fd);
	return r < 0 ? r : fd;
}

/* The target must be there already; it is not followed, and its owner and mode stay. */
static int make_hardlink(struct apply *apply, struct err *err)
{
	char target[APPLY_PATH_SIZE];
	own_fd dir = -1;
	const char *leaf = target;
	const char *parent = "";
	char *slash;
	struct stat st;

	if (apply_path(apply->now.link, target, sizeof target) < 0 || !*target)
		return err_set(err, EINVAL, "a hard link to %s leaves the root", apply->now.link);
	slash = strrchr(target, '/');
	if (slash) {
		*slash = '\0';
		parent = target;
		leaf = slash + 1;
	}
	dir = target_dir(apply, parent, leaf, err);
	if (dir < 0 || fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0 || view_is_whiteout(&st))
		return err_set(err, EINVAL, "a hard link to %s, which is not in the %s before it",
			apply->now.link, apply->view ? "image" : "archive");
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode) && !S_ISFIFO(st.st_mode))
		return err_set(
			err, EINVAL, "a hard link to %s, which is a directory", apply->now.link);
	return made(linkat(dir, leaf, apply->parent_fd, leaf_of(apply->path), 0), "link", err);
}

static bool same_file(const struct apply *apply)
{
	char target[APPLY_PATH_SIZE];

	return apply->now.hardlink && apply_path(apply->now.link, target, sizeof target) == 0 &&
	       strcmp(target, apply->path) == 0;
}

/* What has no place in an image hides what has its name all the same. */
static int make_nothing(struct apply *apply, struct err *err)
{
	mode_t was;
	int r;

	apply->skipped++;
	apply->now.type = 0;
	if (!apply->view)
		return 0;
	r = leaf_remove(apply, &was, err);
	if (r == 0)
		r = parent_view(apply, err);
	return r < 0 ? r : upper_hide(&apply->below, leaf_of(apply->path), err);
}

/* ---- the entry ---------------------------------------------------------------------------------- */

/* -EEXIST: the name is taken. */
static int make_once(struct apply *apply, struct err *err)
{
	if (apply->now.hardlink)
		return make_hardlink(apply, err);
	switch (apply->now.type) {
	case S_IFREG:
		return make_file(apply, err);
	case S_IFLNK:
		return make_symlink(apply, err);
	default:
		return make_fifo(apply, err);
	}
}

static bool type_known(const struct apply_entry *entry)
{
	return entry->hardlink || entry->type == S_IFREG || entry->type == S_IFDIR ||
	       entry->type == S_IFLNK || entry->type == S_IFIFO;
}

static int path_take(struct apply *apply, const char *path, struct err *err)
{
	fd_close(&apply->file);
	if (++apply->entries > APPLY_ENTRIES_MAX)
		return err_set(err, E2BIG, "more than %d entries", APPLY_ENTRIES_MAX);
	if (apply_path(path, apply->path, sizeof apply->path) < 0)
		return err_set(err, EINVAL, "a name with .., or too long or too deep");
	return 0;
}

int apply_skip(struct apply *apply, const char *path, struct err *err)
{
	return path_take(apply, path, err);
}

int apply_begin(struct apply *apply, const struct apply_entry *entry, struct err *err)
{
	mode_t was;
	int r;

	apply->now = *entry;
	apply->dressed = false;
	apply->bare = true;
	r = path_take(apply, entry->path, err);
	if (r < 0)
		return r;
	if (!*apply->path)
		return make_root(apply, err);
	r = parent_open(apply, err);
	if (r < 0)
		return r;
	if (!type_known(entry))
		return make_nothing(apply, err);
	if (entry->type == S_IFDIR && !entry->hardlink)
		return make_dir(apply, err);
	if (same_file(apply))
		return 0;
	r = entry->hardlink || entry->type != S_IFREG ? 0 : size_take(apply, err);
	if (r == 0)
		r = make_once(apply, err);
	if (r != -EEXIST)
		return r;
	r = leaf_remove(apply, &was, err);
	if (r == 0)
		r = make_once(apply, err);
	return r == -EEXIST ? err_sys(err, EEXIST, "make it") : r;
}

/* ---- hiding what is below ----------------------------------------------------------------------- */

/* Is the directory of the entry anywhere in the view? Where it is not, there is nothing to hide. */
static bool parent_exists(const struct apply *apply)
{
	char real[VIEW_PATH_SIZE];
	char parent[APPLY_PATH_SIZE];
	size_t n = (size_t)(leaf_of(apply->path) - apply->path);
	struct view_dir dir;

	memcpy(parent, apply->path, n);
	parent[n ? n - 1 : 0] = '\0';
	if (apply->parent_fd >= 0 && strcmp(parent, apply->parent) == 0)
		return true;
	if (view_resolve(apply->view, parent, real) < 0 || view_open(apply->view, real, &dir) < 0)
		return false;
	view_dir_done(&dir);
	return true;
}

int apply_hide(struct apply *apply, const char *path, struct err *err)
{
	int r = path_take(apply, path, err);

	if (r == 0 && !*apply->path)
		r = err_set(err, EINVAL, "a whiteout of the root");
	if (r == 0 && !parent_exists(apply))
		return 0;
	if (r == 0)
		r = parent_open(apply, err);
	if (r == 0)
		r = parent_view(apply, err);
	return r < 0 ? r : upper_hide(&apply->below, leaf_of(apply->path), err);
}

int apply_opaque(struct apply *apply, const char *path, struct err *err)
{
	int r = path_take(apply, path, err);

	if (r == 0 && !parent_exists(apply))
		return 0;
	if (r == 0)
		r = parent_open(apply, err);
	if (r == 0)
		r = parent_view(apply, err);
	if (r == 0)
		r = upper_opaque(&apply->below, apply->in_root, err);
	/* What was below a moment ago is so no more. */
	view_dir_done(&apply->below);
	return r;
}

/* ---- content and attributes --------------------------------------------------------------------- */

/* The file is new and gets its length at the end: zeros need not be written, and stay holes. */
int apply_data(struct apply *apply, const void *data, size_t n, int64_t offset, struct err *err)
{
	int r;

	if (offset < 0 || offset > apply->now.size || (int64_t)n > apply->now.size - offset)
		return err_set(err, EINVAL, "more content than its size says");
	if (apply->sums && offset == apply->summed) {
		sha256_update(&apply->sum, n, data);
		apply->summed += (int64_t)n;
	}
	r = sparse_write(apply->file, data, n, offset);
	return r < 0 ? err_sys(err, -r, "write it") : 0;
}

int apply_xattr(struct apply *apply, const char *name, const void *value, size_t n, struct err *err)
{
	int r;

	if (apply->file < 0 || !upper_xattr_kept(name))
		return 0;
	r = dress(apply, err);
	if (r < 0)
		return r;
	apply->bare = false;
	if (fsetxattr(apply->file, name, value, n, 0) == 0)
		return 0;
	/* tmpfs has user.* since 6.6; who is not root may not give capabilities. */
	if (errno == ENOTSUP || (errno == EPERM && !apply->owner))
		return 0;
	return err_sys(err, errno, "set the attribute %s", name);
}

/* The content's digest, where it came in one piece. */
static void sum_keep(struct apply *apply)
{
	struct tree_sum sum = { .ino = apply->ino, .bare = apply->bare };

	if (!apply->sums || apply->summed != apply->now.size)
		return;
	sha256_digest(&apply->sum, sizeof sum.digest, sum.digest);
	tree_sum_add(apply->sums, &sum);
}

int apply_end(struct apply *apply, struct err *err)
{
	/* What a directory has as access time becomes both its times at the end: tree_settle. */
	const struct timespec times[2] = { apply->now.mtime, apply->now.mtime };
	int r = 0;

	if (apply->now.hardlink || !apply->now.type)
		return 0;
	if (apply->file >= 0)
		r = dress(apply, err);
	if (r < 0)
		return r;
	if (apply->file >= 0)
		r = futimens(apply->file, times);
	else
		r = utimensat(apply->parent_fd, leaf_of(apply->path), times, AT_SYMLINK_NOFOLLOW);
	if (r == 0 && apply->now.type == S_IFREG)
		sum_keep(apply);
	fd_close(&apply->file);
	return r < 0 ? err_sys(err, errno, "set the time") : 0;
}
