/*
 * Removing what no name needs any more.
 *
 * Under the lock it is decided and renamed into trash/, the image before its layers, so that an image
 * which can be found is always whole; that takes milliseconds. The files are removed afterwards, at
 * idle priority, and by whoever comes next when that one is killed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "images/inuse.h"
#include "images/store.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/priority.h"

enum { HANDED_OUT_SEC = 60 };

/* ---- sets of names ------------------------------------------------------------------------------ */

/* Names of directories: at most 64 digits each. */
struct set {
	char (*v)[STORE_ID_SIZE];
	size_t n;
};

static bool set_has(const struct set *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->v[i], name) == 0)
			return true;
	return false;
}

static int set_add(struct set *set, const char *name)
{
	size_t n = strlen(name);
	void *more;

	if (n >= sizeof set->v[0])
		return 0; /* none of ours */
	if ((set->n & (set->n - 1)) == 0) {
		more = realloc(set->v, (set->n ? 2 * set->n : 1) * sizeof *set->v);
		if (!more)
			return -ENOMEM;
		set->v = more;
	}
	memcpy(set->v[set->n++], name, n + 1);
	return 0;
}

static int set_take(int dir, const char *name, void *data)
{
	(void)dir;
	return name[0] == '.' ? 0 : set_add(data, name);
}

static int set_read(const struct store *store, const char *room, struct set *ret, struct err *err)
{
	return store_each(store, room, "read", set_take, ret, err);
}

/* ---- what is kept -------------------------------------------------------------------------------- */

struct gc {
	const struct store *store;
	bool dry;
	struct inuse inuse;
	struct set images, layers;           /* all that are there */
	struct set named;                    /* images that a name or a pin means */
	struct set kept_images, kept_layers; /* these, and what is in use */
	struct set counted;                  /* layers whose bytes are in `freed` */
	struct store_freed freed;
};

/* Far in the future: the clock was set back since; then it does not hold it. */
static bool handed_out(const struct gc *gc, const char *id)
{
	char path[STORE_ID_SIZE + 8];
	struct timespec now;
	struct stat st;

	(void)snprintf(path, sizeof path, "images/%s", id);
	if (fstatat(gc->store->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		clock_gettime(CLOCK_REALTIME, &now) < 0)
		return true;
	return st.st_atim.tv_sec > now.tv_sec - HANDED_OUT_SEC &&
	       st.st_atim.tv_sec <= now.tv_sec + HANDED_OUT_SEC;
}

/* Its mount below RUN_DIR/img is called after the first 16 digits: see config/image.c. */
static bool image_in_use(const struct gc *gc, const char *id)
{
	char tag[20];

	(void)snprintf(tag, sizeof tag, "-%.16s", id);
	return handed_out(gc, id) || inuse_has(&gc->inuse, tag);
}

static int named_find(struct gc *gc, const struct store_pins *pins, struct err *err)
{
	struct store_names names = { 0 };
	int r = store_names_read(gc->store, &names, err);
	int full = 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < names.n && r == 0; i++)
		if (!*names.v[i].name.id)
			r = err_set(err, EUCLEAN,
				"nothing is removed: what %s means is not known, its file in "
				"%s/names "
				"is broken: berth image rm %s, and import it again",
				names.v[i].ref, gc->store->path, names.v[i].ref);
	for (size_t i = 0; i < names.n && full == 0; i++) {
		full = set_add(&gc->named, names.v[i].name.id);
		if (full == 0 && *names.v[i].name.previous)
			full = set_add(&gc->named, names.v[i].name.previous);
	}
	for (size_t i = 0; i < pins->n && full == 0; i++)
		full = set_add(&gc->named, pins->v[i].id);
	store_names_done(&names);
	if (r < 0)
		return r;
	return full < 0 ? err_sys(err, ENOMEM, "find the images that are named") : 0;
}

/* The layers of an image that stays stay. */
static int image_keep(struct gc *gc, const char *id, struct err *err)
{
	struct store_image image = { 0 };
	int r = store_load(gc->store->path, id, &image, err);
	int full = set_add(&gc->kept_images, id);

	for (size_t i = 0; r == 0 && i < image.nlayers && full == 0; i++)
		full = set_add(&gc->kept_layers, image.layers[i].chain);
	store_image_done(&image);
	if (full < 0)
		return err_sys(err, ENOMEM, "find the layers that are needed");
	return r;
}

static int keep_find(struct gc *gc, struct err *err)
{
	for (size_t i = 0; i < gc->images.n; i++) {
		const char *id = gc->images.v[i];
		bool named = set_has(&gc->named, id);
		int r = named || image_in_use(gc, id) ? image_keep(gc, id, err) : 0;

		/* What it needs is not known: better too much is kept. One that nobody names is no
		 * reason to keep everything: its layers in use are found by themselves. */
		if (r < 0 && named)
			return err_wrap(err, "nothing is removed");
	}
	for (size_t i = 0; i < gc->layers.n; i++)
		if (inuse_has(&gc->inuse, gc->layers.v[i]) &&
			set_add(&gc->kept_layers, gc->layers.v[i]) < 0)
			return err_sys(err, ENOMEM, "find the layers that are in use");
	return 0;
}

/* ---- what goes ----------------------------------------------------------------------------------- */

/* Its layers count when they go too; a file system counts by itself. */
static void image_count(struct gc *gc, const char *id)
{
	struct store_image image = { 0 };

	gc->freed.images++;
	if (store_load(gc->store->path, id, &image, NULL) < 0)
		return;
	if (!image.nlayers)
		gc->freed.bytes += store_image_bytes(gc->store, &image);
	for (size_t i = 0; i < image.nlayers; i++) {
		const char *chain = image.layers[i].chain;

		if (!set_has(&gc->kept_layers, chain) && !set_has(&gc->counted, chain) &&
			set_add(&gc->counted, chain) == 0)
			gc->freed.bytes += image.layers[i].bytes;
	}
	store_image_done(&image);
}

/* What lies there under that name is an older one, half removed. */
static int to_trash(const struct gc *gc, const char *room, const char *name, struct err *err)
{
	own_fd from = openat(gc->store->dir, room, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	own_fd trash = openat(gc->store->dir, "trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char to[STORE_ID_SIZE + 40];

	if (gc->dry)
		return 0;
	(void)snprintf(to, sizeof to, "%.64s.%d.%" PRIx64, name, (int)getpid(), clock_monotonic());
	if (from < 0 || trash < 0 || renameat(from, name, trash, to) < 0)
		return err_sys(err, errno, "move %s/%s to the trash", room, name);
	return 0;
}

static int room_sync(const struct gc *gc, const char *room, struct err *err)
{
	own_fd fd = openat(gc->store->dir, room, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (gc->dry)
		return 0;

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, errno, "write the directory %s/ out", room);
	return 0;
}

static int remove_others(struct gc *gc, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < gc->images.n; i++)
		if (!set_has(&gc->kept_images, gc->images.v[i])) {
			image_count(gc, gc->images.v[i]);
			r = to_trash(gc, "images", gc->images.v[i], err);
		}
	if (r == 0 && gc->freed.images)
		r = room_sync(gc, "images", err);
	for (size_t i = 0; r == 0 && i < gc->layers.n; i++)
		if (!set_has(&gc->kept_layers, gc->layers.v[i])) {
			gc->freed.layers++;
			r = to_trash(gc, "layers", gc->layers.v[i], err);
		}
	if (r == 0 && gc->freed.layers)
		r = room_sync(gc, "layers", err);
	return r;
}

int store_gc(const struct store *store, const struct store_pins *pins, bool dry,
	struct store_freed *ret, struct err *err)
{
	struct gc gc = { .store = store, .dry = dry };
	int r = set_read(store, "images", &gc.images, err);

	inuse_read(&gc.inuse);
	if (r == 0)
		r = set_read(store, "layers", &gc.layers, err);
	if (r == 0)
		r = named_find(&gc, pins, err);
	if (r == 0)
		r = keep_find(&gc, err);
	if (r == 0)
		r = remove_others(&gc, err);
	*ret = gc.freed;
	inuse_done(&gc.inuse);
	free(gc.images.v);
	free(gc.layers.v);
	free(gc.named.v);
	free(gc.kept_images.v);
	free(gc.kept_layers.v);
	free(gc.counted.v);
	return r;
}

int store_discard(const struct store *store, const char *room, const char *name, struct err *err)
{
	struct gc gc = { .store = store };
	bool is_image = strcmp(room, "images") == 0;
	bool used;
	int r;

	inuse_read(&gc.inuse);
	used = is_image ? image_in_use(&gc, name) : inuse_has(&gc.inuse, name);
	inuse_done(&gc.inuse);
	if (used)
		return err_set(err, EBUSY,
			"%s/%s is not discarded: a container runs on it: stop that first", room,
			name);
	r = to_trash(&gc, room, name, err);
	return r < 0 ? r : room_sync(&gc, room, err);
}

void store_hand_out(const char *store, const char *id)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };
	char path[STORE_PATH_SIZE];

	if ((size_t)snprintf(path, sizeof path, "%s/images/%s", store, id) < sizeof path)
		(void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

int store_images_list(
	const struct store *store, char (**ret)[STORE_ID_SIZE], size_t *n, struct err *err)
{
	struct set ids = { 0 };
	int r = set_read(store, "images", &ids, err);

	if (r < 0) {
		free(ids.v);
		return r;
	}
	*ret = ids.v;
	*n = ids.n;
	return 0;
}

/* ---- pins ---------------------------------------------------------------------------------------- */

static int pin_add(struct store_pins *pins, const char *line)
{
	const char *blank = strchr(line, ' ');
	struct store_pin pin = { 0 };
	struct store_pin *more;

	if (!blank || (size_t)(blank - line) != sizeof pin.id - 1)
		return 0; /* none of ours */
	memcpy(pin.id, line, sizeof pin.id - 1);
	(void)snprintf(pin.unit, sizeof pin.unit, "%.*s", (int)strcspn(blank + 1, "\n"), blank + 1);
	more = realloc(pins->v, (pins->n + 1) * sizeof *more);
	if (!more)
		return -ENOMEM;
	pins->v = more;
	pins->v[pins->n++] = pin;
	return 0;
}

int store_pins_read(const char *run_dir, struct store_pins *ret, struct err *err)
{
	struct store_pins pins = { 0 };
	own_mem char *line = NULL;
	char path[STORE_PATH_SIZE];
	size_t size = 0;
	FILE *file;
	int r = 0;

	(void)snprintf(path, sizeof path, "%s/images", run_dir);
	file = fopen(path, "re");
	if (!file && errno != ENOENT)
		return err_sys(err, errno, "read %s", path);
	while (file && r == 0 && getline(&line, &size, file) > 0)
		r = pin_add(&pins, line);
	if (file)
		(void)fclose(file);
	if (r < 0) {
		store_pins_done(&pins);
		return err_sys(err, -r, "read %s", path);
	}
	*ret = pins;
	return 0;
}

void store_pins_done(struct store_pins *pins)
{
	free(pins->v);
	*pins = (struct store_pins){ 0 };
}

/* ---- the trash ----------------------------------------------------------------------------------- */

static int is_rubbish(int dir, const char *name, void *data)
{
	(void)dir;
	(void)name;
	(void)data;
	return -EEXIST;
}

bool store_trash_any(const struct store *store)
{
	return store_each(store, "trash", "look into", is_rubbish, NULL, NULL) != 0;
}

int store_trash_empty(const struct store *store, struct err *err)
{
	own_fd fd = openat(store->dir, "trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *trash = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!trash)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open %s/trash", store->path);
	(void)fd_take(&fd); /* trash has it */
	priority_idle();
	while (r == 0 && (entry = readdir(trash)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = path_remove_tree(dirfd(trash), entry->d_name);
	(void)closedir(trash);
	return r < 0 ? err_sys(err, -r, "empty %s/trash", store->path) : 0;
}
