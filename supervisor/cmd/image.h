/* The store of images, as the verbs below `berth image` see it. They work on it directly, under its
 * lock, with or without a supervisor. */
#ifndef BERTH_CMD_IMAGE_H
#define BERTH_CMD_IMAGE_H

#include <stdbool.h>

#include "images/store.h"

/*
 * image_open - the store of this box, to write
 *
 * Says on standard error whom it waits for, and waits. Fails with words.
 */
int image_open(struct store *ret, struct err *err);
/* To read. Fails: -ENOENT, there is no store yet, and others, with words. */
int image_open_read(struct store *ret, struct err *err);

/*
 * image_lookup - the image that somebody means by a name, or by 8 or more first digits of its id
 *
 * Gives: the id, and the name in full in ret_ref (REFERENCE_SIZE bytes; "": it was named by its id).
 * Fails: -ENOENT and others, with words.
 */
int image_lookup(
	const struct store *store, const char *text, char *ret_id, char *ret_ref, struct err *err);

/* One thing to take in. */
struct image_source {
	const char *path;     /* a file or a directory; "-": standard input */
	const char *platform; /* OS/ARCH[/VARIANT]; NULL: this machine's */
	const char *which; /* one of several images in it, by its name there; NULL: the only one */
	const char *name;  /* what it is called here; NULL: as in the source, or as the file */
	const char *tag;   /* beside `name`, one more; NULL: none */
	const char *title; /* for the progress: "import site.tar" */
	bool quiet;        /* says nothing but errors */
	bool json;         /* progress and result as lines of JSON */
};

/*
 * image_take_in - import it, name it, remove what is not needed any more, and tell
 *
 * Needs: the store open to write. Gives: an exit code, everything said; the lock is given back.
 */
int image_take_in(struct store *store, const struct image_source *source);

/* The name means that image already: nothing was taken in. */
void image_same_tell(const char *ref, const char *id, const struct image_source *source);

/* As the verb `reload` does: there are units that wait for what was taken in. Gives: an exit code. */
int image_reload(void);

/* What no name needs goes; gives what it was. Then the lock is given back, and the files are removed at
 * idle priority: here, or by a process that goes on when the caller ends. */
int image_collect(struct store *store, struct store_freed *ret, struct err *err);
int image_collect_later(struct store *store, struct store_freed *ret, struct err *err);

/* As store_room; where there is none, what is being removed is waited for before that is said. */
int image_room(const struct store *store, uint64_t bytes, struct err *err);

/* The verbs: argv[0] is "berth image VERB". */
int image_import(int argc, char **argv);
int image_pull(int argc, char **argv);
int image_ls(int argc, char **argv);
int image_rm(int argc, char **argv);
int image_tag(int argc, char **argv);
int image_rollback(int argc, char **argv);
int image_gc(int argc, char **argv);
int image_df(int argc, char **argv);
int image_inspect(int argc, char **argv);
int image_verify(int argc, char **argv);

#endif
