#include "supervisor/base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/own.h"

enum { RACES_MAX = 128 };

static int open2(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = resolve,
	};

	for (int i = 0; i < RACES_MAX; i++) {
		long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

int path_open_in(int rootfd, const char *path, int flags, mode_t mode)
{
	return open2(rootfd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int path_open_on_mount(int rootfd, const char *path, int flags)
{
	return open2(
		rootfd, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	return open2(dirfd, path, flags, mode,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int path_open_child(int dirfd, const char *name, int flags)
{
	return open2(dirfd, name, flags | O_NOFOLLOW, 0, RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
}

/* One part of a path, as a string of its own. Gives the rest, or NULL at the end; -> *ret_err. */
static const char *next_part(const char *path, char part[static 256], int *ret)
{
	size_t n;

	*ret = 0;
	path += strspn(path, "/");
	n = strcspn(path, "/");
	if (n == 0)
		return NULL;
	if (n > 255) {
		*ret = -ENAMETOOLONG;
		return NULL;
	}
	memcpy(part, path, n);
	part[n] = '\0';
	if (strcmp(part, "..") == 0) {
		*ret = -EINVAL;
		return NULL;
	}
	return path + n;
}

/* Opens the directory that `prefix` (length n of path) names inside the root, links resolved. */
static int open_prefix(int rootfd, const char *path, size_t n)
{
	char prefix[4096];

	if (n >= sizeof prefix)
		return -ENAMETOOLONG;
	memcpy(prefix, path, n);
	prefix[n] = '\0';
	return path_open_in(rootfd, n ? prefix : "/", O_PATH | O_DIRECTORY, 0);
}

int path_mkdirs_in(int rootfd, const char *path, mode_t mode, struct err *err)
{
	own_fd dir = open_prefix(rootfd, path, 0);
	const char *rest = path;
	char part[256];
	int r;

	if (dir < 0)
		return err_sys(err, -dir, "open the root");
	while ((rest = next_part(rest, part, &r))) {
		int next;

		/* Each prefix is resolved afresh from the root, so that a link in it stays inside. */
		if (mkdirat(dir, part, mode) < 0 && errno != EEXIST)
			return err_sys(err, errno, "mkdir %.*s", (int)(rest - path), path);
		next = open_prefix(rootfd, path, (size_t)(rest - path));
		if (next < 0)
			return err_sys(err, -next, "open %.*s", (int)(rest - path), path);
		fd_close(&dir);
		dir = next;
	}
	if (r < 0)
		return err_sys(err, -r, "path %s", path);
	return fd_take(&dir);
}

int path_touch_in(int rootfd, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char parent[4096];
	own_fd dir = -1;
	own_fd file = -1;
	int fd;

	if (!*name || strcmp(name, "..") == 0 || strcmp(name, ".") == 0 ||
		strlen(path) >= sizeof parent)
		return err_set(err, EINVAL, "path %s: not the name of a file", path);
	fd = path_open_in(rootfd, path, O_PATH, 0);
	if (fd >= 0)
		return fd;
	if (fd != -ENOENT)
		return err_sys(err, -fd, "open %s", path);
	(void)snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 0, path);
	dir = path_mkdirs_in(rootfd, parent, 0755, err);
	if (dir < 0)
		return dir;
	file = openat(dir, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (file < 0)
		return err_sys(err, errno, "create %s", path);
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(err, errno, "open %s", path);
}

int path_mkdirs(const char *path, mode_t mode)
{
	char prefix[4096];
	bool readonly = false;

	/* Most often it is there, or only its last part is not. */
	if (mkdir(path, mode) == 0 || (errno == EEXIST && access(path, F_OK) == 0))
		return 0;
	for (const char *end = path + 1;; end++) {
		if (*end && *end != '/')
			continue;
		if ((size_t)(end - path) >= sizeof prefix)
			return -ENAMETOOLONG;
		(void)snprintf(prefix, sizeof prefix, "%.*s", (int)(end - path), path);
		if (mkdir(prefix, mode) < 0 && errno != EEXIST) {
			if (errno != EROFS)
				return -errno;
			readonly = true;
		}
		if (!*end)
			break;
	}
	if (access(path, F_OK) == 0)
		return 0;
	return readonly && errno == ENOENT ? -EROFS : -errno;
}

enum { TREE_DEPTH_MAX = 512 };

static int remove_in(int parent, const char *name, int depth)
{
	own_fd fd = -1;
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth >= TREE_DEPTH_MAX)
		return -ELOOP;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* somebody else removes it too */
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)fd_take(&fd); /* dir has it */
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = remove_in(dirfd(dir), entry->d_name, depth + 1);
	(void)closedir(dir);
	if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int path_remove_tree(int dirfd, const char *name)
{
	return remove_in(dirfd, name, 0);
}

struct fd_path fd_path(int fd)
{
	struct fd_path ret;

	(void)snprintf(ret.text, sizeof ret.text, "/proc/self/fd/%d", fd);
	return ret;
}
