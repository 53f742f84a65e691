/*
 * The store, as those see it who read: without its lock, for what has a name is whole.
 *
 *	layers/CHAIN/           one layer, a tree in overlay form; CHAIN: 32 hex digits of its ChainID
 *	images/ID/              ID: 64 hex digits, the digest of the image's configuration or file
 *		config.json     the OCI image configuration; a bare file system has none
 *		layers          a line for each layer, the lowest first:
 *		                "CHAIN sha256:DIFF BYTES ENTRIES sha256:TREE"
 *		root.img        instead of layers: an erofs or squashfs file
 *	names/NAME              a name in full, with + for /: "sha256:ID\n", and the one before, if any
 *
 * What writers add to it is in store.h.
 */
#ifndef BERTH_IMAGES_STORE_FIND_H
#define BERTH_IMAGES_STORE_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"

enum {
	STORE_ID_SIZE = 65,    /* 64 hex digits */
	STORE_CHAIN_SIZE = 33, /* 32 */
	STORE_LAYERS_MAX = 500 /* of one image: what an overlay can stand on */
};

struct store_layer {
	char chain[STORE_CHAIN_SIZE];
	char diff[STORE_ID_SIZE];
	uint64_t bytes, entries;
	char tree[STORE_ID_SIZE]; /* digest of what is in it: berth-worker has the rule */
};

/* The zero value is empty. */
struct store_image {
	char id[STORE_ID_SIZE];
	struct store_layer *layers; /* the lowest first; none: it is a file system, root.img */
	size_t nlayers;
};

/* What a name says. */
struct store_name {
	char id[STORE_ID_SIZE];
	char previous[STORE_ID_SIZE]; /* "": none */
};

/* The file of a name in full, and back: 0, or -ENAMETOOLONG, or -EINVAL for what is no such file. */
int store_name_escape(const char *ref, char *ret, size_t size);
int store_name_unescape(const char *file, char *ret, size_t size);

/* The text of such a file; -EINVAL: it is none. */
int store_name_parse(const char *text, struct store_name *ret);

/* The text of a file `layers`, which is changed; -EINVAL with the number of the line, -ENOMEM. */
int store_layers_parse(char *text, struct store_image *ret, struct err *err);

/* What a name in full says: 0, -ENOENT: no such name (or no store), without words; else with words. */
int store_name_read(const char *store, const char *ref, struct store_name *ret, struct err *err);

/*
 * store_find - the image of a name in full
 *
 * A name with a digest is one that was given to the image so (the digest of its manifest), or the
 * image's own id.
 * Gives: *ret, to be released. Fails: -ENOENT, nothing of that name; -EUCLEAN: it is there and not
 *        whole, with words.
 */
int store_find(const char *store, const char *ref, struct store_image *ret, struct err *err);

/* The same by its id. */
int store_load(const char *store, const char *id, struct store_image *ret, struct err *err);

/* A name in the store that ends as this one does ("docker.io/library/nginx:1" and
 * "localhost/nginx:1"): true, and the first of them in ret (REFERENCE_SIZE bytes). */
bool store_near(const char *store, const char *ref, char *ret);

/* A name in the store that begins so, in full: true, and the first of them in ret (REFERENCE_SIZE bytes). */
bool store_tagged(const char *store, const char *start, char *ret);

/*
 * What was imported because a unit names its file has a name for one content of that file:
 * "localhost/archive/STEM:PATH-CONTENT", two hashes. store_archive_name: up to the last hyphen, in ret
 * (REFERENCE_SIZE bytes). store_of_archive: is this such a name?
 */
void store_archive_name(const char *stem, unsigned long long path, char *ret);
bool store_of_archive(const char *ref);

/* What lies in a directory that is one of images/; its id is left alone. -EUCLEAN: it is not whole. */
int store_image_read(const char *dir, struct store_image *ret, struct err *err);

void store_image_done(struct store_image *image);

#endif
