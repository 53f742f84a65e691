/* Writes the entries of an archive below one directory, whatever the archive says. */
#ifndef BERTH_IMAGES_WORKER_APPLY_H
#define BERTH_IMAGES_WORKER_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "images/worker/tree.h"
#include "images/worker/view.h"
#include "supervisor/base/err.h"

enum { APPLY_ENTRIES_MAX = 1000000, APPLY_DEPTH_MAX = 255, APPLY_PATH_SIZE = 4096 };

/* One entry. `path` and `link` are as the archive has them. */
struct apply_entry {
	const char *path;
	const char *link; /* target of a symbolic or hard link, else NULL */
	bool hardlink;
	mode_t type; /* S_IFREG, … */
	mode_t mode; /* permission bits, with set-uid and friends */
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
	int64_t size; /* of a file */
};

struct apply {
	int root; /* the directory; not ours to close */
	/* The layer on top of those below it; NULL: a tree of its own, without links to directories. */
	const struct view *view;
	bool whiteouts;         /* names with .wh. hide what is below (entries.h) */
	bool vouched;           /* a digest of the archive is compared afterwards (entries.h) */
	struct tree_sums *sums; /* digests of the content are left here; NULL: nobody wants them */
	bool owner;             /* owners are set: we are root */
	uint64_t budget;        /* bytes of content that may still come */
	uint32_t entries;
	uint32_t skipped; /* device nodes */
	int parent_fd;    /* the directory that the last entry was in: -1 when not known */
	char parent[APPLY_PATH_SIZE];
	struct view_dir below; /* the same as the view has it, once somebody asked: n > 0 */
	bool in_root;          /* and then: it is the root */
	struct sha256_ctx sum; /* of the file's content so far, ... */
	int64_t summed;        /* ... which are these bytes; -1: there are gaps */
	int file;              /* what apply_begin opened for data; -1: takes none */
	bool dressed;          /* the entry has its owner and mode, ... */
	ino_t ino;             /* ... and this number, ... */
	bool bare;             /* ... and no attributes */
	struct apply_entry now;
	char path[APPLY_PATH_SIZE]; /* of the entry, normalised; "" is the root itself */
};

/* Takes over the directory: budget is nine tenths of what is free on its file system. */
int apply_init(struct apply *apply, int root, struct err *err);
void apply_done(struct apply *apply);

/*
 * apply_begin - make the entry
 *
 * Gives: 1 for a file that takes data (apply_data), 0 for everything else; either is completed by
 *        apply_end. What is there already makes room, unless both are directories.
 * Fails: -EINVAL for names that leave the directory or go through a link, links to what is not in
 *        the archive, the root as anything but a directory; -E2BIG and -ENOSPC over the limits.
 */
int apply_begin(struct apply *apply, const struct apply_entry *entry, struct err *err);
int apply_data(struct apply *apply, const void *data, size_t n, int64_t offset, struct err *err);
/* An extended attribute of the entry: security.capability and user.* are kept, others passed over. */
int apply_xattr(
	struct apply *apply, const char *name, const void *value, size_t n, struct err *err);
/* Length and time of the entry. */
int apply_end(struct apply *apply, struct err *err);

/* An entry that is passed over: it counts all the same. */
int apply_skip(struct apply *apply, const char *path, struct err *err);

/*
 * apply_hide - what the layers below have under this name is not to be seen
 *
 * apply_opaque - the same for all they have in this directory
 *
 * Need: a view. What this layer has there stays, whether it came before or comes later.
 */
int apply_hide(struct apply *apply, const char *path, struct err *err);
int apply_opaque(struct apply *apply, const char *path, struct err *err);

/* apply_path - "./a//b/" -> "a/b"; 0 or -EINVAL ("..", a part that is too long, too deep). */
int apply_path(const char *path, char *ret, size_t size);

#endif
