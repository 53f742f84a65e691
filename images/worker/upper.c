/*
 * The times of a directory change with every name that is made in it, and are right only at the end.
 * Until then the access time, which making names leaves alone, holds what both shall be (tree.h).
 */
#include "images/worker/upper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "images/worker/sparse.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

enum { BLOCK = 64 * 1024, NAMES_SIZE = 64 * 1024, VALUE_SIZE = 64 * 1024 };

bool upper_xattr_kept(const char *name)
{
	if (strcmp(name, "security.capability") == 0)
		return true;
	/* user.overlay.* would steer an overlay that is mounted over the tree. */
	return str_starts(name, "user.") && !str_starts(name, "user.overlay.");
}

static int top_of(const struct view *view)
{
	return view->layers[view->n - 1];
}

/* ---- attributes --------------------------------------------------------------------------------- */

static int copy_xattrs(int from, int to)
{
	static char names[NAMES_SIZE], value[VALUE_SIZE];
	ssize_t n = flistxattr(from, names, sizeof names);

	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t size;

		if (!upper_xattr_kept(name))
			continue;
		size = fgetxattr(from, name, value, sizeof value);
		if (size < 0 || fsetxattr(to, name, value, (size_t)size, 0) < 0)
			return -errno;
	}
	return 0;
}

/* Owner before mode before attributes: a change of owner clears set-uid and capabilities. */
static int dress_as(int from, int to, const struct stat *st)
{
	const struct timespec times[2] = { st->st_mtim, st->st_mtim };
	int r;

	if (geteuid() == 0 && fchown(to, st->st_uid, st->st_gid) < 0)
		return -errno;
	if (fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	r = copy_xattrs(from, to);
	if (r < 0)
		return r;
	return futimens(to, times) < 0 ? -errno : 0;
}

/* ---- directories -------------------------------------------------------------------------------- */

static int open_dir(int dir, const char *name)
{
	return path_open_beneath(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* The part `name` of a path: made in `here`, which is the top of `dir`, or what is in its place. */
static int make_part(
	int here, const struct view_dir *dir, const char *name, bool *ret_replaced, struct err *err)
{
	struct view_found below;
	bool covers = view_look_below(dir, name, &below) == 0 && S_ISDIR(below.st.st_mode);
	/* A file of this layer, or a whiteout: it goes, and what it hid stays hidden. */
	bool replaces = unlinkat(here, name, 0) == 0;
	own_fd made = -1;
	own_fd from = -1;
	int r = 0;

	if (replaces && ret_replaced)
		*ret_replaced = true;
	if (mkdirat(here, name, 0755) < 0)
		return err_sys(err, errno, "make the directory %s", name);
	if (!covers)
		return 0;
	made = open_dir(here, name);
	if (made < 0)
		return err_sys(err, -made, "open %s", name);
	if (replaces) {
		r = fsetxattr(made, VIEW_OPAQUE, "y", 1, 0) < 0 ? -errno : 0;
	} else {
		from = open_dir(below.dir, name);
		r = from < 0 ? from : dress_as(from, made, &below.st);
	}
	return r < 0 ? err_sys(err, -r, "make %s as it is in the layer below", name) : 0;
}

int upper_mkdirs(const struct view *view, const char *path, bool *ret_replaced, struct err *err)
{
	own_fd here = fcntl(top_of(view), F_DUPFD_CLOEXEC, 0);
	struct view_dir dir;
	char part[256];
	int depth = 0;
	int r = view_root(view, &dir);

	while (r == 0 && here >= 0 && *(path += strspn(path, "/"))) {
		size_t n = strcspn(path, "/");
		own_fd next = -1;

		/* Links may lead deeper than any name in the archive does. */
		if (++depth > VIEW_DEPTH_MAX) {
			r = err_set(err, EINVAL, "more than %d directories deep", VIEW_DEPTH_MAX);
			break;
		}
		memcpy(part, path, n);
		part[n] = '\0';
		path += n;
		next = open_dir(here, part);
		if (next < 0) {
			r = make_part(here, &dir, part, ret_replaced, err);
			if (r < 0)
				break;
			next = open_dir(here, part);
		}
		fd_close(&here);
		here = fd_take(&next);
		r = view_enter(&dir, part);
		if (r < 0)
			(void)err_sys(err, -r, "open %s", part);
	}
	view_dir_done(&dir);
	if (r < 0)
		return r;
	return here < 0 ? err_sys(err, -here, "open a directory") : fd_take(&here);
}

int upper_root(const struct view *view, struct err *err)
{
	const int top = top_of(view);
	int below = view->n > 1 ? view->layers[view->n - 2] : -1;
	struct stat st;
	int r = 0;

	if (below < 0)
		return fchmod(top, 0755) < 0 ? err_sys(err, errno, "set the mode of the root") : 0;
	if (fstat(below, &st) < 0)
		r = -errno;
	else
		r = dress_as(below, top, &st);
	return r < 0 ? err_sys(err, -r, "make the root as it is in the layer below") : 0;
}

/* ---- files -------------------------------------------------------------------------------------- */

static int copy_data(int from, int to)
{
	static char block[BLOCK];
	off_t offset = 0;

	for (;;) {
		ssize_t n = pread(from, block, sizeof block, offset);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 || ftruncate(to, offset) < 0 ? -errno : 0;
		r = sparse_write(to, block, (size_t)n, offset);
		if (r < 0)
			return r;
		offset += n;
	}
}

static int copy_file(int dir, const char *name, const struct view_found *from)
{
	own_fd in = openat(from->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	own_fd out = -1;
	int r;

	if (in < 0)
		return -errno;
	out = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	r = copy_data(in, out);
	return r < 0 ? r : dress_as(in, out, &from->st);
}

static int copy_link(int dir, const char *name, const struct view_found *from)
{
	char target[VIEW_PATH_SIZE];
	ssize_t n = readlinkat(from->dir, name, target, sizeof target - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return symlinkat(target, dir, name) < 0 ? -errno : 0;
}

int upper_copy(int dir, const char *name, const struct view_found *from, struct err *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, from->st.st_mtim };
	int r;

	if (S_ISREG(from->st.st_mode))
		r = copy_file(dir, name, from);
	else if (S_ISLNK(from->st.st_mode))
		r = copy_link(dir, name, from);
	else if (S_ISFIFO(from->st.st_mode))
		r = mknodat(dir, name, from->st.st_mode, 0) < 0 ? -errno : 0;
	else
		r = -EINVAL;
	if (r == 0 && !S_ISREG(from->st.st_mode) && geteuid() == 0 &&
		fchownat(dir, name, from->st.st_uid, from->st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0 && utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, -r, "copy %s from the layer below", name) : 0;
}

/* ---- hiding ------------------------------------------------------------------------------------- */

/* What is here under that name already hides what is below, but for a directory, which merges. */
int upper_hide(const struct view_dir *dir, const char *name, struct err *err)
{
	struct view_found below;
	struct stat here;
	own_fd fd = -1;

	if (view_look_below(dir, name, &below) < 0)
		return 0;
	if (fstatat(dir->parts[0], name, &here, AT_SYMLINK_NOFOLLOW) < 0) {
		if (mknodat(dir->parts[0], name, S_IFCHR, makedev(0, 0)) < 0)
			return err_sys(err, errno, "hide %s of the layer below", name);
		return 0;
	}
	if (!S_ISDIR(here.st_mode) || !S_ISDIR(below.st.st_mode))
		return 0;
	fd = open_dir(dir->parts[0], name);
	if (fd < 0 || fsetxattr(fd, VIEW_OPAQUE, "y", 1, 0) < 0)
		return err_sys(err, fd < 0 ? -fd : errno, "make %s opaque", name);
	return 0;
}

/* Calls `each` for the names of a directory, without a trace in its access time. */
static int names_each(int dir, int (*each)(const struct view_dir *, const char *, struct err *),
	const struct view_dir *arg, struct err *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!names) {
		r = err_sys(err, errno, "read the directory");
		fd_close(&fd);
		return r;
	}
	while (r == 0 && (entry = readdir(names)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = each(arg, entry->d_name, err);
	(void)closedir(names);
	return r;
}

/* A whiteout in a directory that hides everything is one too many. */
static int whiteout_remove(const struct view_dir *dir, const char *name, struct err *err)
{
	struct stat st;

	if (fstatat(dir->parts[0], name, &st, AT_SYMLINK_NOFOLLOW) == 0 && view_is_whiteout(&st) &&
		unlinkat(dir->parts[0], name, 0) < 0)
		return err_sys(err, errno, "remove the whiteout %s", name);
	return 0;
}

int upper_opaque(const struct view_dir *dir, bool root, struct err *err)
{
	int r = 0;

	if (root) {
		for (size_t i = 1; i < dir->n && r == 0; i++)
			r = names_each(dir->parts[i], upper_hide, dir, err);
		return r;
	}
	if (dir->n < 2)
		return 0;
	if (fsetxattr(dir->parts[0], VIEW_OPAQUE, "y", 1, 0) < 0)
		return err_sys(err, errno, "make it opaque");
	return names_each(dir->parts[0], whiteout_remove, dir, err);
}
