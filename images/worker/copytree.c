#include "images/worker/copytree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "supervisor/base/own.h"

enum { BLOCK = 128 * 1024, XATTRS_SIZE = 64 * 1024 };

/* The first name of a file that has several. */
struct seen {
	ino_t ino;
	char path[];
};

struct copying {
	struct apply *apply;
	struct progress *progress;
	struct err *err;
	struct stat top, avoid;
	uint64_t done;
	void *seen; /* struct seen, by tsearch */
	char path[APPLY_PATH_SIZE];
};

static int by_ino(const void *a, const void *b)
{
	const struct seen *x = a;
	const struct seen *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

/* The name that the file has already, or NULL: then it has this one from now on. */
static const char *name_before(struct copying *it, const struct stat *st)
{
	size_t n = strlen(it->path) + 1;
	struct seen *new = malloc(sizeof *new + n);
	struct seen **found;

	if (!new)
		return NULL;
	new->ino = st->st_ino;
	memcpy(new->path, it->path, n);
	found = tsearch(new, &it->seen, by_ino);
	if (found && *found == new)
		return NULL;
	free(new);
	return found ? (*found)->path : NULL;
}

static int copy_data(struct copying *it, int fd, int64_t size)
{
	static char block[BLOCK];
	int64_t offset = 0;

	while (offset < size) {
		size_t want = size - offset < BLOCK ? (size_t)(size - offset) : BLOCK;
		ssize_t n = pread(fd, block, want, offset);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(it->err, errno, "read it");
		if (n == 0)
			return err_set(it->err, EINVAL, "it became shorter while it was read");
		r = apply_data(it->apply, block, (size_t)n, offset, it->err);
		if (r < 0)
			return r;
		offset += n;
		it->done += (uint64_t)n;
		progress_tell(it->progress, it->done);
	}
	return 0;
}

static int copy_xattrs(struct copying *it, int fd)
{
	static char names[XATTRS_SIZE], value[XATTRS_SIZE];
	ssize_t n = flistxattr(fd, names, sizeof names);

	if (n < 0)
		return errno == ENOTSUP ? 0 : err_sys(it->err, errno, "list its attributes");
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(fd, name, value, sizeof value);
		int r;

		if (size < 0)
			return err_sys(it->err, errno, "read the attribute %s", name);
		r = apply_xattr(it->apply, name, value, (size_t)size, it->err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* `fd` is the file or directory, or -1 for what is not opened; `link` of a link its target. */
static int copy_entry(
	struct copying *it, int fd, const char *link, bool hard, const struct stat *st)
{
	const struct apply_entry entry = {
		.path = *it->path ? it->path : ".",
		.link = link,
		.hardlink = hard,
		.type = st->st_mode & S_IFMT,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim,
		.size = S_ISREG(st->st_mode) && !hard ? st->st_size : 0,
	};
	int r = apply_begin(it->apply, &entry, it->err);

	if (r == 1)
		r = copy_data(it, fd, st->st_size);
	if (r == 0 && fd >= 0 && !hard)
		r = copy_xattrs(it, fd);
	return r < 0 ? r : apply_end(it->apply, it->err);
}

static int copy_link(struct copying *it, int dir, const char *name, const struct stat *st)
{
	char target[APPLY_PATH_SIZE];
	ssize_t n = readlinkat(dir, name, target, sizeof target - 1);

	if (n < 0)
		return err_sys(it->err, errno, "read the link");
	target[n] = '\0';
	return copy_entry(it, -1, target, false, st);
}

static int copy_dir(struct copying *it, int fd /* taken */, size_t used);

static int copy_name(struct copying *it, int dir, const char *name, size_t used)
{
	size_t n = strlen(name);
	const char *before = NULL;
	own_fd fd = -1;
	struct stat st;

	if (used + n + 2 > sizeof it->path)
		return err_set(it->err, ENAMETOOLONG, "its path is too long");
	it->path[used] = '/';
	used += used > 0;
	memcpy(it->path + used, name, n + 1);
	used += n;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(it->err, errno, "look at it");
	if (S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode) && st.st_dev == it->avoid.st_dev && st.st_ino == it->avoid.st_ino)
		return 0;
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		before = name_before(it, &st);
	if (before)
		return copy_entry(it, -1, before, true, &st);
	if (S_ISLNK(st.st_mode))
		return copy_link(it, dir, name, &st);
	if (S_ISFIFO(st.st_mode))
		return copy_entry(it, -1, NULL, false, &st);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(it->err, errno, "open it");
	return S_ISDIR(st.st_mode) ? copy_dir(it, fd_take(&fd), used)
				   : copy_entry(it, fd, NULL, false, &st);
}

static int copy_dir(struct copying *it, int fd, size_t used)
{
	DIR *names = fdopendir(fd);
	const struct dirent *entry;
	struct stat st;
	int r;

	if (!names) {
		r = err_sys(it->err, errno, "read the directory");
		fd_close(&fd);
		return r;
	}
	r = fstat(fd, &st) < 0 ? err_sys(it->err, errno, "look at it")
			       : copy_entry(it, fd, NULL, false, &st);
	while (r == 0 && st.st_dev == it->top.st_dev && (entry = readdir(names))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = copy_name(it, fd, entry->d_name, used);
		if (r == 0)
			it->path[used] = '\0';
	}
	(void)closedir(names);
	return r;
}

int copytree(int from, int avoid, struct apply *apply, struct progress *progress, struct err *err)
{
	struct copying it = { .apply = apply, .progress = progress, .err = err };
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0 || fstat(from, &it.top) < 0 || fstat(avoid, &it.avoid) < 0) {
		r = err_sys(err, errno, "open it");
		fd_close(&fd);
		return r;
	}
	r = copy_dir(&it, fd, 0);
	tdestroy(it.seen, free);
	return r < 0 ? err_wrap(err, "entry %.200s", *it.path ? it.path : ".") : 0;
}
