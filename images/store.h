/*
 * The store of images, as those see it who write: one at a time, under its lock. Its shape is in
 * store_find.h; beside what is there:
 *
 *	lock        a lock of fcntl(2), which names its holder
 *	tmp/        all is born here
 *	trash/      and dies here
 *
 * What has a name is whole, also after a power cut: everything is written below tmp/; one syncfs(2)
 * brings it to the disk; it is renamed to its place, layers first, then the image, the directories
 * synced; the name comes last. Removing goes the other way: the name first, then by renames into
 * trash/. So whatever has no name yet, or no more, may be half there and is never looked at; what a
 * dead writer left is removed by the next one.
 */
#ifndef BERTH_IMAGES_STORE_H
#define BERTH_IMAGES_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/reference.h"
#include "images/store_find.h"

enum { STORE_PATH_SIZE = 2048 };

struct store {
	int dir;  /* of the store */
	int lock; /* -1: it is only read */
	char path[STORE_PATH_SIZE];
};
#define STORE_NONE ((struct store){ .dir = -1, .lock = -1 })

/* ---- opening ----------------------------------------------------------------------------------- */

/* store_open - to read. Fails: -ENOENT, there is no store yet; without words. */
int store_open(struct store *ret, const char *path, struct err *err);

/*
 * store_open_locked - to write; the store is made if it is not there
 *
 * Gives: the lock, and what a dead writer left in tmp/ is gone, but for tmp/pull-*, which another pull
 *        goes on with: they go when none has for a week. The lock goes with store_close, or with the process.
 * Blocks: with `wait` until the one who has the lock is done.
 * Fails:  -EBUSY without `wait`, with words that name the holder; -EROFS and others, with words.
 */
int store_open_locked(struct store *ret, const char *path, bool wait, struct err *err);
/* The lock alone: from here on it is only read, and its trash removed. */
void store_unlock(struct store *store);
void store_close(struct store *store);

/* store_each - fn for every name in a directory of the store; the first failure, -errno, ends it, and
 * has the words "WHAT STORE/ROOM". A directory that is not there has no names. */
typedef int store_each_fn(int dir, const char *name, void *data);
int store_each(const struct store *store, const char *room, const char *what, store_each_fn *fn,
	void *data, struct err *err);

/* ---- putting in -------------------------------------------------------------------------------- */

/* A new, empty directory below tmp/: its path in ret (STORE_PATH_SIZE bytes). */
int store_tmp_make(const struct store *store, char *ret, struct err *err);
/* Removes it, whatever is in it. */
void store_tmp_remove(const struct store *store, const char *path);

/* What berth-worker import left in a directory of store_tmp_make: "id" and "names". */
struct store_import {
	char id[STORE_ID_SIZE];
	char *names; /* a line each, as in the source; "": none; to be freed */
};
int store_import_read(const char *tmp, struct store_import *ret, struct err *err);

/*
 * store_commit - what lies in a directory below tmp/ is in the store, and durable
 *
 * `tmp` has layers/CHAIN for each layer that the store does not have yet, and image/. It is checked
 * that nothing is missing. No name is given yet: see store_name_set.
 * Gives: 0; tmp is removed, also when it fails. Blocks: until all is on the disk.
 */
int store_commit(const struct store *store, const char *tmp, const char *id, struct err *err);

/* ---- names ------------------------------------------------------------------------------------- */

/*
 * store_name_set - that name, in full, means that image from now on
 *
 * What it meant is its previous one then; nothing changes if it means that image already. Durable.
 * *ret_was, if not NULL, is what it said before (all empty: it is new).
 */
int store_name_set(const struct store *store, const char *ref, const char *id,
	struct store_name *ret_was, struct err *err);
/* The previous one is the current one, and the other way round. -ENODATA: there is none, with words. */
int store_name_rollback(
	const struct store *store, const char *ref, struct store_name *ret, struct err *err);
/* The name is gone, durably; its images wait for store_gc. -ENOENT without words. */
int store_name_remove(const struct store *store, const char *ref, struct err *err);

/* All names in full, sorted; and what they say: nothing at all (an empty id) when they are broken. */
struct store_names {
	struct store_entry {
		char ref[REFERENCE_SIZE];
		struct store_name name;
	} * v;
	size_t n;
};
int store_names_read(const struct store *store, struct store_names *ret, struct err *err);
void store_names_done(struct store_names *names);

/* ---- room -------------------------------------------------------------------------------------- */

/*
 * store_room - may so many bytes be written here?
 *
 * 5 % of the file system, at most 1 GiB, stay free for berth's own state.
 * Fails: -ENOSPC with words that say how much is missing.
 */
int store_room(const struct store *store, uint64_t bytes, struct err *err);

struct store_space {
	uint64_t size, available,
		reserve; /* bytes of the file system, of which the reserve is ours */
};
int store_space(const struct store *store, struct store_space *ret, struct err *err);

/* The bytes of an image's files: of its layers, which it may share, or of its root.img. */
uint64_t store_image_bytes(const struct store *store, const struct store_image *image);
/* The ids of all images, named or not: a list of `n`, to be freed. */
int store_images_list(
	const struct store *store, char (**ret)[STORE_ID_SIZE], size_t *n, struct err *err);

/* ---- removing ---------------------------------------------------------------------------------- */

struct store_freed {
	size_t images, layers;
	uint64_t bytes; /* of files in them, as far as that is known */
};

/* Images that somebody needs who is not in the mount tables: the units of a supervisor. */
struct store_pins {
	struct store_pin {
		char id[STORE_ID_SIZE];
		char unit[128]; /* "web.container" */
	} * v;
	size_t n;
};
/* RUN_DIR/images, in which a supervisor notes them: a line "ID UNIT" each. None: no such file. */
int store_pins_read(const char *run_dir, struct store_pins *ret, struct err *err);
void store_pins_done(struct store_pins *pins);

/*
 * store_gc - what no name needs any more goes to trash/
 *
 * Kept: what a name means or meant before; what is pinned; what is in the mount table of a process;
 * an image that was handed out in the last minute.
 * Gives: what went; with `dry`, which needs no lock, what would go.
 * Blocks: for as long as renames take. Fails: an image that has a name is not whole: then nothing is
 *         removed, for it is not known what it needs.
 */
int store_gc(const struct store *store, const struct store_pins *pins, bool dry,
	struct store_freed *ret, struct err *err);

/* store_discard - a broken thing ("layers" or "images" and its name) goes to trash/, whoever needs it.
 * Fails: -EBUSY with words when it is in use: it would be removed from under a container. */
int store_discard(const struct store *store, const char *room, const char *name, struct err *err);

/* Notes that somebody is about to start from an image: store_gc leaves it for a minute. */
void store_hand_out(const char *store, const char *id);

/* Is there anything to remove? */
bool store_trash_any(const struct store *store);
/* store_trash_empty - removes what is in trash/; for as long as that takes, without the lock. The rest
 * of the process has the idle priority. */
int store_trash_empty(const struct store *store, struct err *err);

#endif
