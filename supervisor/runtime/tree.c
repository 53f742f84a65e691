#include "supervisor/runtime/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

enum { DEPTH_MAX = 256, XATTR_MAX = 65536 };

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

/* ---- copying ----------------------------------------------------------------------------------- */

/* What belongs to the file; not what belongs to the place where it lies (overlay's own, labels). */
static bool is_kept(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
	       strncmp(name, "system.posix_acl_", 17) == 0;
}

/* A file system that cannot keep them keeps the rest. */
static int copy_xattr(int from, int to, const char *name)
{
	static char value[XATTR_MAX];
	ssize_t n = fgetxattr(from, name, value, sizeof value);

	if (n >= 0 && fsetxattr(to, name, value, (size_t)n, 0) == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == ENODATA ? 0 : -errno;
}

static int copy_xattrs(int from, int to)
{
	static char names[XATTR_MAX];
	ssize_t n = flistxattr(from, names, sizeof names);
	int r = 0;

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = names; r == 0 && name < names + n; name += strlen(name) + 1)
		if (is_kept(name))
			r = copy_xattr(from, to, name);
	return r;
}

/* In this order: a change of owner takes set-id bits and capabilities away. */
static int copy_rest(int from, int to, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	r = copy_xattrs(from, to);
	if (r == 0 && futimens(to, times) < 0)
		r = -errno;
	return r;
}

static int copy_bytes(int in, int out)
{
	char buf[65536];
	ssize_t n = 1;

	while (n > 0)
		n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
	if (n == 0)
		return 0;
	if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	while ((n = read(in, buf, sizeof buf)) > 0) {
		int r = write_full(out, buf, (size_t)n);

		if (r < 0)
			return r;
	}
	return n < 0 ? -errno : 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	own_fd in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	own_fd out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (in < 0 || out < 0)
		return -errno;
	r = copy_bytes(in, out);
	return r < 0 ? r : copy_rest(in, out, st);
}

static int copy_link(int from, int to, const char *name, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, to, name) < 0 ||
		fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_entries(int from, int to, int depth);

static int copy_directory(int from, int to, const char *name, const struct stat *st, int depth)
{
	own_fd source = path_open_child(from, name, O_RDONLY | O_DIRECTORY);
	own_fd copy = -1;
	int r;

	if (source < 0)
		return source;
	if (mkdirat(to, name, 0700) < 0)
		return -errno;
	copy = path_open_child(to, name, O_RDONLY | O_DIRECTORY);
	if (copy < 0)
		return copy;
	r = copy_entries(source, copy, depth + 1);
	return r < 0 ? r : copy_rest(source, copy, st);
}

static int copy_entry(int from, int to, const char *name, int depth)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return copy_directory(from, to, name, &st, depth);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to, name, &st);
	return S_ISREG(st.st_mode) ? copy_file(from, to, name, &st) : 0;
}

static int copy_entries(int from, int to, int depth)
{
	__attribute__((cleanup(close_dir))) DIR *dir = open_stream(from);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	while (r == 0 && (entry = readdir(dir)))
		if (!is_dots(entry->d_name))
			r = copy_entry(from, to, entry->d_name, depth);
	return r;
}

int tree_copy(int from, int to)
{
	return copy_entries(from, to, 0);
}

int tree_copy_owner(int from, int to)
{
	struct stat st;

	return fstat(from, &st) < 0 ? -errno : copy_rest(from, to, &st);
}

/* ---- owners ------------------------------------------------------------------------------------ */

static int chown_one(int fd, uint32_t uid, uint32_t gid, struct stat *st)
{
	if (fstat(fd, st) < 0)
		return -errno;
	if (st->st_uid == uid && st->st_gid == gid)
		return 0;
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Each name is opened once and only its descriptor is used: whoever exchanges the name meanwhile
 * has a file of his own changed, or none. */
static int chown_entries(int fd, uint32_t uid, uint32_t gid, int depth)
{
	__attribute__((cleanup(close_dir))) DIR *dir = open_stream(fd);
	const struct dirent *entry;
	struct stat st;
	int r = 0;

	if (!dir)
		return -errno;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	while (r == 0 && (entry = readdir(dir))) {
		own_fd child = is_dots(entry->d_name) ? -ENOENT
						      : path_open_child(fd, entry->d_name, O_PATH);

		/* Gone meanwhile, or something is mounted there. */
		if (child == -ENOENT || child == -EXDEV)
			continue;
		r = child < 0 ? child : chown_one(child, uid, gid, &st);
		if (r == 0 && S_ISDIR(st.st_mode))
			r = chown_entries(child, uid, gid, depth + 1);
	}
	return r;
}

int tree_chown(int fd, uint32_t uid, uint32_t gid)
{
	struct stat st;
	int r = chown_one(fd, uid, gid, &st);

	return r < 0 ? r : chown_entries(fd, uid, gid, 0);
}

int tree_is_empty(int fd, tree_ignored_fn *ignored)
{
	__attribute__((cleanup(close_dir))) DIR *dir = open_stream(fd);
	const struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (!is_dots(entry->d_name) && !(ignored && ignored(entry->d_name)))
			return 0;
	return 1;
}
