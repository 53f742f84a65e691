#include "images/worker/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

int view_add(struct view *view, int layer, struct err *err)
{
	if (view->n == VIEW_LAYERS_MAX)
		return err_set(err, E2BIG, "more than %d layers", VIEW_LAYERS_MAX);
	view->layers[view->n++] = layer;
	return 0;
}

bool view_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* ---- directories -------------------------------------------------------------------------------- */

void view_dir_done(struct view_dir *dir)
{
	for (size_t i = 0; i < dir->n; i++)
		fd_close(&dir->parts[i]);
	dir->n = 0;
	dir->top = false;
}

int view_root(const struct view *view, struct view_dir *ret)
{
	*ret = (struct view_dir){ .top = view->n > 0 };
	for (size_t i = view->n; i-- > 0; ret->n++) {
		ret->parts[ret->n] = fcntl(view->layers[i], F_DUPFD_CLOEXEC, 0);
		if (ret->parts[ret->n] < 0) {
			int r = -errno;

			view_dir_done(ret);
			return r;
		}
	}
	return 0;
}

static bool is_opaque(int dir)
{
	char value;

	return fgetxattr(dir, VIEW_OPAQUE, &value, 1) == 1 && value == 'y';
}

/*
 * Layer by layer from the top: a directory takes part; anything else, a whiteout too, ends it; a
 * layer that has nothing of that name is passed by; nothing is below an opaque one.
 */
int view_enter(struct view_dir *dir, const char *name)
{
	struct view_dir in = { .n = 0 };
	int r = -ENOENT;

	for (size_t i = 0; i < dir->n; i++) {
		int fd = openat(dir->parts[i], name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0) {
			r = errno == ELOOP ? -ENOTDIR : -errno;
			break;
		}
		in.top |= dir->top && i == 0;
		in.parts[in.n++] = fd;
		if (is_opaque(fd))
			break;
	}
	view_dir_done(dir);
	*dir = in;
	return in.n ? 0 : r;
}

int view_open(const struct view *view, const char *path, struct view_dir *ret)
{
	char part[256];
	int r = view_root(view, ret);

	while (r == 0 && *(path += strspn(path, "/"))) {
		size_t n = strcspn(path, "/");

		if (n >= sizeof part) {
			view_dir_done(ret);
			return -ENAMETOOLONG;
		}
		memcpy(part, path, n);
		part[n] = '\0';
		path += n;
		r = view_enter(ret, part);
	}
	return r;
}

static int look_from(
	const struct view_dir *dir, size_t first, const char *name, struct view_found *ret)
{
	for (size_t i = first; i < dir->n; i++) {
		if (fstatat(dir->parts[i], name, &ret->st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		ret->dir = dir->parts[i];
		ret->top = dir->top && i == 0;
		return view_is_whiteout(&ret->st) ? -ENOENT : 0;
	}
	return -ENOENT;
}

int view_look(const struct view_dir *dir, const char *name, struct view_found *ret)
{
	return look_from(dir, 0, name, ret);
}

int view_look_below(const struct view_dir *dir, const char *name, struct view_found *ret)
{
	return look_from(dir, dir->top, name, ret);
}

/* ---- links -------------------------------------------------------------------------------------- */

/* A path that is being resolved: [0, done) is known to have no links, the rest is still to do. */
struct resolving {
	char path[VIEW_PATH_SIZE];
	size_t done;
};

/* Puts the target of a link in the place of the part [at, at + n). */
static int put_target(struct resolving *it, size_t at, size_t n, const char *target, size_t length)
{
	char text[VIEW_PATH_SIZE];
	size_t kept = *target == '/' ? 0 : it->done;
	const char *rest = it->path + at + n;
	size_t left = strlen(rest);

	if (kept + 1 + length + left + 1 > sizeof text)
		return -ENAMETOOLONG;
	memcpy(text, it->path, kept);
	text[kept] = '/';
	memcpy(text + kept + 1, target, length);
	memcpy(text + kept + 1 + length, rest, left + 1);
	memcpy(it->path, text, kept + 1 + length + left + 1);
	it->done = kept;
	return 0;
}

/* Takes ".." and the part before it away; above the top is the top. */
static void go_up(struct resolving *it, size_t at)
{
	size_t to = it->done;

	while (to > 0 && it->path[--to] != '/')
		continue;
	memmove(it->path + to, it->path + at + 2, strlen(it->path + at + 2) + 1);
	it->done = to;
}

static int read_link(const struct view_found *found, const char *name, char *target, size_t size)
{
	ssize_t n = readlinkat(found->dir, name, target, size);

	if (n < 0)
		return -errno;
	return n == 0 || (size_t)n == size ? -ENAMETOOLONG : (int)n;
}

/*
 * Goes on with one part. Gives 1 when what comes next is in *dir, 0 when `done` went back and the
 * directory has to be opened anew; *missing: from here on nothing is there to look at.
 */
static int resolve_part(struct resolving *it, struct view_dir *dir, bool *missing, int *links)
{
	size_t at = it->done + strspn(it->path + it->done, "/");
	size_t n = strcspn(it->path + at, "/");
	char target[VIEW_PATH_SIZE];
	struct view_found found;
	char part[256];
	int r;

	if (n == 0 || (n == 1 && it->path[at] == '.')) {
		memmove(it->path + it->done, it->path + at + n, strlen(it->path + at + n) + 1);
		return 1;
	}
	if (n == 2 && memcmp(it->path + at, "..", 2) == 0) {
		go_up(it, at);
		return 0;
	}
	if (n >= sizeof part)
		return -ENAMETOOLONG;
	memcpy(part, it->path + at, n);
	part[n] = '\0';
	if (!*missing && view_look(dir, part, &found) == 0 && S_ISLNK(found.st.st_mode)) {
		if (++*links > VIEW_LINKS_MAX)
			return -ELOOP;
		r = read_link(&found, part, target, sizeof target);
		return r < 0 ? r : put_target(it, at, n, target, (size_t)r);
	}
	if (!*missing && view_enter(dir, part) < 0)
		*missing = true;
	/* One slash only, so that `done` can be walked backwards. */
	memmove(it->path + it->done + (it->done > 0), it->path + at, strlen(it->path + at) + 1);
	if (it->done > 0)
		it->path[it->done++] = '/';
	it->done += n;
	return 1;
}

int view_resolve(const struct view *view, const char *path, char ret[static VIEW_PATH_SIZE])
{
	struct resolving it = { .done = 0 };
	struct view_dir dir = { .n = 0 };
	int links = 0;
	int r = 0;

	if (strlen(path) >= sizeof it.path)
		return -ENAMETOOLONG;
	memcpy(it.path, path, strlen(path) + 1);
	while (r >= 0 && it.path[it.done]) {
		bool missing = false;
		char done[VIEW_PATH_SIZE];

		memcpy(done, it.path, it.done);
		done[it.done] = '\0';
		view_dir_done(&dir);
		missing = view_open(view, done, &dir) < 0;
		do
			r = resolve_part(&it, &dir, &missing, &links);
		while (r == 1 && it.path[it.done]);
	}
	view_dir_done(&dir);
	if (r < 0)
		return r;
	memcpy(ret, it.path, it.done + 1);
	return 0;
}
