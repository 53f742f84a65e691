#include "images/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

static const char *const rooms[] = { "layers", "images", "names", "tmp", "trash" };

/* ---- opening ----------------------------------------------------------------------------------- */

int store_open(struct store *ret, const char *path, struct err *err)
{
	struct store store = STORE_NONE;

	if ((size_t)snprintf(store.path, sizeof store.path, "%s", path) >= sizeof store.path)
		return err_sys(err, ENAMETOOLONG, "the store %s", path);
	store.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store.dir < 0)
		return errno == ENOENT ? -ENOENT : err_sys(err, errno, "open the store %s", path);
	*ret = store;
	return 0;
}

static int make_err(struct err *err, int code, const char *path)
{
	if (code == EROFS)
		return err_set(err, EROFS,
			"the store %s is on a file system that is mounted read-only: remount it "
			"(mount -o remount,rw), or set StateDir= or StoreDir= in berth.conf",
			path);
	return err_sys(err, code, "make the store %s", path);
}

static int rooms_make(const struct store *store, struct err *err)
{
	for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
		if (mkdirat(store->dir, rooms[i], 0700) < 0 && errno != EEXIST)
			return make_err(err, errno, store->path);
	return 0;
}

static int lock_take(struct store *store, bool wait, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	own_fd fd = openat(store->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int code;

	if (fd < 0)
		return make_err(err, errno, store->path);
	while (fcntl(fd, wait ? F_SETLKW : F_SETLK, &lock) < 0) {
		code = errno;
		if (code == EINTR)
			continue;
		if (code != EAGAIN && code != EACCES)
			return err_sys(err, code, "lock the store %s", store->path);
		if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			return err_set(err, EBUSY, "process %d is writing to the store %s",
				(int)lock.l_pid, store->path);
		lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	}
	store->lock = fd_take(&fd);
	return 0;
}

int store_each(const struct store *store, const char *room, const char *what, store_each_fn *fn,
	void *data, struct err *err)
{
	own_fd fd = openat(store->dir, room, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, errno, "read %s/%s", store->path, room);
	(void)fd_take(&fd); /* dir has it */
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = fn(dirfd(dir), entry->d_name, data);
	(void)closedir(dir);
	return r < 0 ? err_sys(err, -r, "%s %s/%s", what, store->path, room) : 0;
}

/* A pull that nobody has gone on with for a week. The directory for its blobs changes with each of them. */
static bool is_abandoned(int dir, const char *name)
{
	static const time_t week = 7 * 24 * 60 * 60;
	char blobs[300];
	struct stat st;

	(void)snprintf(blobs, sizeof blobs, "%s/blobs/sha256", name);
	if (fstatat(dir, blobs, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
		fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return st.st_mtim.tv_sec < time(NULL) - week;
}

static int sweep_tmp(int dir, const char *name, void *data)
{
	(void)data;
	return str_starts(name, "pull-") && !is_abandoned(dir, name) ? 0
								     : path_remove_tree(dir, name);
}

/* What file_replace_at had not renamed yet. */
static int sweep_name(int dir, const char *name, void *data)
{
	(void)data;
	return name[0] == '.' && unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int store_open_locked(struct store *ret, const char *path, bool wait, struct err *err)
{
	struct store store = STORE_NONE;
	int r = path_mkdirs(path, 0700);

	if (r < 0)
		return make_err(err, -r, path);
	r = store_open(&store, path, err);
	if (r == 0)
		r = lock_take(&store, wait, err);
	if (r == 0)
		r = rooms_make(&store, err);
	if (r == 0)
		r = store_each(&store, "tmp", "clear", sweep_tmp, NULL, err);
	if (r == 0)
		r = store_each(&store, "names", "clear", sweep_name, NULL, err);
	if (r < 0) {
		store_close(&store);
		return r;
	}
	*ret = store;
	return 0;
}

void store_unlock(struct store *store)
{
	fd_close(&store->lock);
}

void store_close(struct store *store)
{
	fd_close(&store->lock);
	fd_close(&store->dir);
}

/* ---- putting in -------------------------------------------------------------------------------- */

int store_tmp_make(const struct store *store, char *ret, struct err *err)
{
	char path[STORE_PATH_SIZE];

	if ((size_t)snprintf(path, sizeof path, "%s/tmp/%d.%" PRIx64, store->path, (int)getpid(),
		    clock_monotonic()) >= sizeof path)
		return err_sys(err, ENAMETOOLONG, "%s/tmp", store->path);
	if (mkdir(path, 0700) < 0)
		return err_sys(err, errno, "mkdir %s", path);
	memcpy(ret, path, strlen(path) + 1);
	return 0;
}

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void store_tmp_remove(const struct store *store, const char *path)
{
	own_fd tmp = openat(store->dir, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (tmp >= 0)
		(void)path_remove_tree(tmp, last_of(path));
}

int store_import_read(const char *tmp, struct store_import *ret, struct err *err)
{
	own_fd dir = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct store_name name;
	char names[16 * 1024] = "";
	char text[100];
	ssize_t n;

	if (dir < 0 || file_read_at(dir, "id", text, sizeof text) < 0 ||
		store_name_parse(text, &name) < 0)
		return err_set(err, EINVAL, "the worker told no id of the image");
	n = file_read_at(dir, "names", names, sizeof names);
	if (n < 0 && n != -ENOENT)
		return err_sys(err, (int)-n, "read %s/names", tmp);
	ret->names = strdup(names);
	if (!ret->names)
		return err_sys(err, ENOMEM, "read %s/names", tmp);
	memcpy(ret->id, name.id, sizeof ret->id);
	return 0;
}

/* A thing that is here already is the same one: names are digests. */
static int move_in(int from, const char *name, int to, const char *to_name, struct err *err)
{
	if (renameat(from, name, to, to_name) == 0 || errno == EEXIST || errno == ENOTEMPTY)
		return 0;
	return err_sys(err, errno, "rename %s to %s", name, to_name);
}

/* Every layer that the image has is in the store, or comes with it. */
static int layers_check(
	const struct store_image *image, int new_layers, int layers, struct err *err)
{
	for (size_t i = 0; i < image->nlayers; i++) {
		const char *chain = image->layers[i].chain;

		if ((new_layers < 0 || faccessat(new_layers, chain, F_OK, 0) < 0) &&
			faccessat(layers, chain, F_OK, 0) < 0)
			return err_set(err, EUCLEAN, "layer %zu (%s) is missing", i + 1, chain);
	}
	return 0;
}

/* Into their places, each directory made durable before the next one refers to it. */
static int born_move(const struct store_image *image, const char *id, int tmp, int new_layers,
	int layers, int images, struct err *err)
{
	const struct timespec never[2] = { { 0 }, { .tv_nsec = UTIME_OMIT } };

	/* Handed out to nobody yet: see store_hand_out. */
	(void)utimensat(tmp, "image", never, AT_SYMLINK_NOFOLLOW);
	for (size_t i = 0; i < image->nlayers && new_layers >= 0; i++) {
		const char *chain = image->layers[i].chain;
		int r;

		if (faccessat(new_layers, chain, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		r = move_in(new_layers, chain, layers, chain, err);
		if (r < 0)
			return r;
	}
	if (fsync(layers) < 0)
		return err_sys(err, errno, "write the directory layers/ out");
	if (move_in(tmp, "image", images, id, err) < 0)
		return -err->code;
	if (fsync(images) < 0)
		return err_sys(err, errno, "write the directory images/ out");
	return 0;
}

static int commit(const struct store *store, const char *tmp, const char *id, struct err *err)
{
	own_fd dir = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_fd layers = openat(store->dir, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_fd images = openat(store->dir, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_fd new_layers = -1;
	struct store_image image = { 0 };
	char born[STORE_PATH_SIZE + 8];
	int r;

	(void)snprintf(born, sizeof born, "%s/image", tmp);
	if (dir < 0 || layers < 0 || images < 0)
		return err_sys(err, errno, "open %s", tmp);
	new_layers = openat(dir, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = store_image_read(born, &image, err);
	if (r == 0)
		r = layers_check(&image, new_layers, layers, err);
	/* Not fsync: a layer is thousands of files, and one of them that is not on the disk is an
	 * empty file after a power cut. */
	if (r == 0 && syncfs(store->dir) < 0)
		r = err_sys(err, errno, "write the store out");
	if (r == 0)
		r = born_move(&image, id, dir, new_layers, layers, images, err);
	store_image_done(&image);
	return r;
}

int store_commit(const struct store *store, const char *tmp, const char *id, struct err *err)
{
	int r = commit(store, tmp, id, err);

	store_tmp_remove(store, tmp);
	return r < 0 ? err_wrap(err, "put the image into the store") : 0;
}

/* ---- names ------------------------------------------------------------------------------------- */

/* By a temporary file, fdatasync, rename, fsync of names/. */
static int name_write(
	const struct store *store, const char *ref, const struct store_name *name, struct err *err)
{
	own_fd dir = openat(store->dir, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char file[REFERENCE_SIZE];
	char text[200];
	struct strbuf buf = STRBUF(text);
	int r;

	if (dir < 0 || store_name_escape(ref, file, sizeof file) < 0)
		return err_sys(err, dir < 0 ? errno : ENAMETOOLONG, "name the image %s", ref);
	strbuf_add(&buf, "sha256:%s\n", name->id);
	if (*name->previous)
		strbuf_add(&buf, "sha256:%s\n", name->previous);
	r = file_replace_at(dir, file, text, buf.used, 0600, 1);
	return r < 0 ? err_sys(err, -r, "name the image %s", ref) : 0;
}

int store_name_set(const struct store *store, const char *ref, const char *id,
	struct store_name *ret_was, struct err *err)
{
	struct store_name was = { 0 };
	struct store_name name = { 0 };
	int r = store_name_read(store->path, ref, &was, err);

	/* A broken one is replaced: that is the cure. */
	if (r < 0 && r != -ENOENT && r != -EUCLEAN)
		return r;
	if (ret_was)
		*ret_was = was;
	if (strcmp(was.id, id) == 0)
		return 0;
	memcpy(name.id, id, sizeof name.id);
	memcpy(name.previous, was.id, sizeof name.previous);
	return name_write(store, ref, &name, err);
}

int store_name_rollback(
	const struct store *store, const char *ref, struct store_name *ret, struct err *err)
{
	struct store_name name;
	struct store_name back = { 0 };
	struct store_image image = { 0 };
	int r = store_name_read(store->path, ref, &name, err);

	if (r < 0)
		return r;
	if (!*name.previous)
		return err_set(err, ENODATA,
			"%s has always been this image: there is none before it", ref);
	r = store_load(store->path, name.previous, &image, err);
	store_image_done(&image);
	if (r == -ENOENT)
		return err_set(
			err, ENODATA, "the image that %s was before is not in the store", ref);
	if (r < 0)
		return r;
	memcpy(back.id, name.previous, sizeof back.id);
	memcpy(back.previous, name.id, sizeof back.previous);
	r = name_write(store, ref, &back, err);
	if (r == 0)
		*ret = back;
	return r;
}

int store_name_remove(const struct store *store, const char *ref, struct err *err)
{
	own_fd dir = openat(store->dir, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char file[REFERENCE_SIZE];

	if (dir < 0 || store_name_escape(ref, file, sizeof file) < 0)
		return err_sys(err, dir < 0 ? errno : ENAMETOOLONG, "remove the name %s", ref);
	if (unlinkat(dir, file, 0) < 0)
		return errno == ENOENT ? -ENOENT : err_sys(err, errno, "remove the name %s", ref);
	return fsync(dir) < 0 ? err_sys(err, errno, "write the directory names/ out") : 0;
}

struct reading {
	const struct store *store;
	struct store_names *names;
};

static int name_add(int dir, const char *file, void *data)
{
	struct reading *reading = data;
	struct store_names *names = reading->names;
	struct store_entry *more;
	struct store_entry entry = { 0 };
	char text[200];
	ssize_t n;

	/* Of a writer that is at work, or nobody's. */
	if (file[0] == '.' || store_name_unescape(file, entry.ref, sizeof entry.ref) < 0)
		return 0;
	n = file_read_at(dir, file, text, sizeof text);
	if (n == -ENOENT)
		return 0; /* removed meanwhile */
	if (n < 0 || store_name_parse(text, &entry.name) < 0)
		entry.name = (struct store_name){ 0 };
	more = realloc(names->v, (names->n + 1) * sizeof *more);
	if (!more)
		return -ENOMEM;
	names->v = more;
	names->v[names->n++] = entry;
	return 0;
}

static int entry_compare(const void *a, const void *b)
{
	return strcmp(((const struct store_entry *)a)->ref, ((const struct store_entry *)b)->ref);
}

int store_names_read(const struct store *store, struct store_names *ret, struct err *err)
{
	struct store_names names = { 0 };
	struct reading reading = { store, &names };
	int r = store_each(store, "names", "read", name_add, &reading, err);

	if (r < 0) {
		store_names_done(&names);
		return r;
	}
	if (names.n)
		qsort(names.v, names.n, sizeof *names.v, entry_compare);
	*ret = names;
	return 0;
}

void store_names_done(struct store_names *names)
{
	free(names->v);
	*names = (struct store_names){ 0 };
}

/* ---- room -------------------------------------------------------------------------------------- */

#define RESERVE_MAX (1ULL << 30)

static uint64_t reserve_of(uint64_t size)
{
	return size / 20 < RESERVE_MAX ? size / 20 : RESERVE_MAX;
}

/* "12.5M" */
static const char *megabytes(uint64_t bytes, char ret[24])
{
	(void)snprintf(ret, 24, "%.1fM", (double)bytes / 1048576);
	return ret;
}

int store_space(const struct store *store, struct store_space *ret, struct err *err)
{
	struct statvfs st;

	if (fstatvfs(store->dir, &st) < 0)
		return err_sys(err, errno, "ask for the free space of %s", store->path);
	ret->size = (uint64_t)st.f_blocks * st.f_frsize;
	ret->available = (uint64_t)st.f_bavail * st.f_frsize;
	ret->reserve = reserve_of(ret->size);
	return 0;
}

int store_room(const struct store *store, uint64_t bytes, struct err *err)
{
	struct store_space space = { 0 };
	char texts[4][24];
	int r = store_space(store, &space, err);

	if (r < 0)
		return r;
	if (space.available >= space.reserve && space.available - space.reserve >= bytes)
		return 0;
	return err_set(err, ENOSPC,
		"no room in %s: %s are needed, %s are free, of which %s are kept for berth's own "
		"state: %s are missing: remove images (berth image ls, rm, gc), or make room",
		store->path, megabytes(bytes, texts[0]), megabytes(space.available, texts[1]),
		megabytes(space.reserve, texts[2]),
		megabytes(bytes + space.reserve - space.available, texts[3]));
}

uint64_t store_image_bytes(const struct store *store, const struct store_image *image)
{
	char path[STORE_ID_SIZE + 20];
	struct stat st;
	uint64_t bytes = 0;

	for (size_t i = 0; i < image->nlayers; i++)
		bytes += image->layers[i].bytes;
	(void)snprintf(path, sizeof path, "images/%s/root.img", image->id);
	if (!image->nlayers && fstatat(store->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		bytes = (uint64_t)st.st_size;
	return bytes;
}
