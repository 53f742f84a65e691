/* Where it is put: an OCI image layout, in which what is not whole has ".part" at its name's end. */
#ifndef BERTH_IMAGES_FETCH_LAYOUT_H
#define BERTH_IMAGES_FETCH_LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/base/err.h"

enum { DIGEST_TEXT_SIZE = 7 + 64 + 1, DIGEST_SIZE = 32 };

/* "sha256:" and 64 digits. */
struct digest_text {
	char text[DIGEST_TEXT_SIZE];
};
struct digest_text digest_text(const uint8_t digest[DIGEST_SIZE]);
struct digest_text digest_of(const void *data, size_t n);

struct layout {
	int dir;
	int blobs; /* blobs/sha256 */
};

/*
 * layout_open - the directory, with what must be in it, locked for us
 *
 * `owner`: to whom it is given when we are root, with what is made in it; files stay whose they are.
 * Fails: -EBUSY when another fetches into it.
 */
int layout_open(const char *path, uid_t owner, struct layout *ret, struct err *err);
void layout_done(struct layout *layout);

/* layout_put - a blob that is in memory, of a digest that was verified. */
int layout_put(const struct layout *layout, const char *digest, const void *data, size_t n,
	struct err *err);

/*
 * layout_part - the file of a blob that is not whole yet, or not verified in this run
 *
 * Gives: a descriptor for reading and writing; what was kept of the blob is in it, whole or not.
 */
int layout_part(const struct layout *layout, const char *digest, struct err *err);

/* layout_kept - how many bytes of a blob are there. */
uint64_t layout_kept(const struct layout *layout, const char *digest);

/* layout_whole - the part is the blob. */
int layout_whole(const struct layout *layout, const char *digest, struct err *err);

struct manifest;

/* layout_finish - write index.json, with the one image, under that name: now the layout is whole. */
int layout_finish(const struct layout *layout, const struct manifest *manifest, const char *name,
	struct err *err);

/* layout_same - leave word that the image is the one that the caller has: the file "same". */
int layout_same(const struct layout *layout, struct err *err);

#endif
