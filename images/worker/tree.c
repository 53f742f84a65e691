#include "images/worker/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "images/worker/upper.h"
#include "supervisor/base/own.h"

/* 48 bytes each; archives with more files than that are read again. */
enum { SUMS_MAX = 65536, DEPTH_MAX = 512, BLOCK = 128 * 1024, XATTRS_MAX = 64 };

struct tree_walk {
	struct tree_sums *sums;
	bool settle; /* times */
	bool count;  /* digest, bytes, entries */
	uint64_t sum[SHA256_DIGEST_SIZE / 8];
	struct tree_count *ret;
	char path[PATH_MAX];
	struct err *err;
};

/* ---- contents that are known -------------------------------------------------------------------- */

void tree_sum_add(struct tree_sums *sums, const struct tree_sum *sum)
{
	if (sums->n == SUMS_MAX)
		return;
	if (sums->n == sums->room) {
		size_t room = sums->room ? sums->room * 2 : 1024;
		struct tree_sum *grown = realloc(sums->sums, room * sizeof *grown);

		if (!grown)
			return;
		sums->sums = grown;
		sums->room = room;
	}
	sums->sums[sums->n++] = *sum;
}

void tree_sums_done(struct tree_sums *sums)
{
	free(sums->sums);
	*sums = (struct tree_sums){ .n = 0 };
}

static int by_ino(const void *a, const void *b)
{
	const struct tree_sum *x = a;
	const struct tree_sum *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

static const struct tree_sum *sum_find(const struct tree_sums *sums, ino_t ino)
{
	const struct tree_sum key = { .ino = ino };

	if (!sums || sums->stale || !sums->n)
		return NULL;
	return bsearch(&key, sums->sums, sums->n, sizeof key, by_ino);
}

/* ---- one record --------------------------------------------------------------------------------- */

static void put_number(struct sha256_ctx *sha, uint64_t value, size_t bytes)
{
	uint8_t text[8];

	for (size_t i = 0; i < bytes; i++)
		text[i] = (uint8_t)(value >> 8 * i);
	sha256_update(sha, bytes, text);
}

static void put_text(struct sha256_ctx *sha, const char *text)
{
	sha256_update(sha, strlen(text) + 1, (const uint8_t *)text);
}

static bool xattr_counts(const char *name)
{
	return upper_xattr_kept(name) || strcmp(name, VIEW_OPAQUE) == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int put_xattrs(struct sha256_ctx *sha, int fd)
{
	static char names[64 * 1024], value[64 * 1024];
	const char *counted[XATTRS_MAX];
	ssize_t n = flistxattr(fd, names, sizeof names);
	size_t count = 0;

	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		if (!xattr_counts(name))
			continue;
		if (count == XATTRS_MAX)
			return -E2BIG;
		counted[count++] = name;
	}
	qsort(counted, count, sizeof counted[0], by_name);
	for (size_t i = 0; i < count; i++) {
		ssize_t size = fgetxattr(fd, counted[i], value, sizeof value);

		if (size < 0)
			return -errno;
		put_text(sha, counted[i]);
		put_number(sha, (uint64_t)size, 4);
		sha256_update(sha, (size_t)size, (const uint8_t *)value);
	}
	return 0;
}

static int put_content(struct tree_walk *walk, struct sha256_ctx *sha, int fd,
	const struct stat *st, const struct tree_sum *known)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	int r = known ? 0 : digest_range(fd, 0, (uint64_t)st->st_size, digest, walk->err);

	if (r < 0)
		return r;
	put_number(sha, (uint64_t)st->st_size, 8);
	sha256_update(sha, SHA256_DIGEST_SIZE, known ? known->digest : digest);
	return 0;
}

static void record_close(struct tree_walk *walk, struct sha256_ctx *sha, const struct stat *st)
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(sha, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		walk->sum[i / 8] += (uint64_t)digest[i] << 8 * (i % 8);
	walk->ret->entries++;
	walk->ret->bytes += (uint64_t)st->st_blocks * 512 / (st->st_nlink ? st->st_nlink : 1);
}

static void record_open(struct tree_walk *walk, struct sha256_ctx *sha, const struct stat *st)
{
	sha256_init(sha);
	put_text(sha, walk->path);
	put_number(sha, st->st_mode, 4);
	put_number(sha, st->st_uid, 4);
	put_number(sha, st->st_gid, 4);
	put_number(sha, 0, 1);
}

static const uint8_t nothing[8 + SHA256_DIGEST_SIZE];

/* A directory or a file, by its descriptor; -1 for a file of which all is known. */
static int record_fd(
	struct tree_walk *walk, int fd, const struct stat *st, const struct tree_sum *known)
{
	struct sha256_ctx sha;
	int r = 0;

	record_open(walk, &sha, st);
	put_text(&sha, "");
	if (S_ISREG(st->st_mode))
		r = put_content(walk, &sha, fd, st, known);
	else
		sha256_update(&sha, sizeof nothing, nothing);
	if (r == 0 && fd >= 0) {
		r = put_xattrs(&sha, fd);
		if (r < 0)
			return err_sys(walk->err, -r, "read the attributes");
	}
	if (r == 0)
		record_close(walk, &sha, st);
	return r;
}

/* Anything else is what its name says: attributes of user.* are not for those. */
static int record_name(struct tree_walk *walk, int dir, const char *name, const struct stat *st)
{
	char target[PATH_MAX] = "";
	struct sha256_ctx sha;

	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(dir, name, target, sizeof target - 1);

		if (n < 0)
			return err_sys(walk->err, errno, "read the link");
		target[n] = '\0';
	}
	record_open(walk, &sha, st);
	put_text(&sha, target);
	sha256_update(&sha, sizeof nothing, nothing);
	record_close(walk, &sha, st);
	return 0;
}

/* ---- the walk ----------------------------------------------------------------------------------- */

static int walk_dir(struct tree_walk *walk, int fd /* taken */, size_t used, int depth);

static int walk_name(struct tree_walk *walk, int dir, const char *name, size_t used, int depth)
{
	size_t n = strlen(name);
	const struct tree_sum *known;
	own_fd fd = -1;
	struct stat st;

	if (used + n + 2 > sizeof walk->path)
		return err_set(walk->err, ENAMETOOLONG, "a path is too long");
	walk->path[used] = '/';
	memcpy(walk->path + used + (used > 0), name, n + 1);
	used += (used > 0) + n;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(walk->err, errno, "look at it");
	known = S_ISREG(st.st_mode) ? sum_find(walk->sums, st.st_ino) : NULL;
	if (S_ISDIR(st.st_mode) ||
		(walk->count && S_ISREG(st.st_mode) && !(known && known->bare))) {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME | O_NONBLOCK);
		if (fd < 0)
			return err_sys(walk->err, errno, "open it");
	}
	if (S_ISDIR(st.st_mode))
		return walk_dir(walk, fd_take(&fd), used, depth + 1);
	if (!walk->count)
		return 0;
	return S_ISREG(st.st_mode) ? record_fd(walk, fd, &st, known)
				   : record_name(walk, dir, name, &st);
}

static int walk_names(struct tree_walk *walk, DIR *names, size_t used, int depth)
{
	const struct dirent *entry;

	while ((entry = readdir(names))) {
		int r;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = walk_name(walk, dirfd(names), entry->d_name, used, depth);
		if (r < 0)
			return r;
		walk->path[used] = '\0';
	}
	return 0;
}

static int walk_dir(struct tree_walk *walk, int fd, size_t used, int depth)
{
	DIR *names = fdopendir(fd);
	struct stat st;
	int r = 0;

	if (!names) {
		r = err_sys(walk->err, errno, "read the directory");
		fd_close(&fd);
		return r;
	}
	if (depth > DEPTH_MAX)
		r = err_set(walk->err, ELOOP, "more than %d directories deep", DEPTH_MAX);
	else if (fstat(fd, &st) < 0)
		r = err_sys(walk->err, errno, "look at it");
	if (r == 0 && walk->count)
		r = record_fd(walk, fd, &st, NULL);
	if (r == 0)
		r = walk_names(walk, names, used, depth);
	if (r == 0 && walk->settle) {
		const struct timespec times[2] = { st.st_atim, st.st_atim };

		if (futimens(fd, times) < 0)
			r = err_sys(walk->err, errno, "set the time");
	}
	(void)closedir(names);
	return r;
}

static int walk_all(struct tree_walk *walk, int dir)
{
	own_fd fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);

	if (fd < 0)
		return err_sys(walk->err, errno, "open the directory");
	if (walk_dir(walk, fd_take(&fd), 0, 0) < 0)
		return err_wrap(walk->err, "%s", *walk->path ? walk->path : "the tree");
	return 0;
}

int tree_digest(
	int dir, struct tree_sums *sums, bool settle, struct tree_count *ret, struct err *err)
{
	struct tree_walk walk = {
		.sums = sums, .settle = settle, .count = true, .ret = ret, .err = err
	};
	struct sha256_ctx sha;
	int r;

	*ret = (struct tree_count){ .bytes = 0 };
	if (sums && sums->n)
		qsort(sums->sums, sums->n, sizeof sums->sums[0], by_ino);
	r = walk_all(&walk, dir);
	if (r < 0)
		return r;
	sha256_init(&sha);
	put_number(&sha, ret->entries, 8);
	for (size_t i = 0; i < sizeof walk.sum / sizeof walk.sum[0]; i++)
		put_number(&sha, walk.sum[i], 8);
	sha256_digest(&sha, sizeof ret->digest, ret->digest);
	return 0;
}

int tree_settle(int dir, struct err *err)
{
	struct tree_walk walk = { .settle = true, .err = err };

	return walk_all(&walk, dir);
}
