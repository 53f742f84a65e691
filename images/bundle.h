/*
 * The appliance file: a program with its payload behind it.
 *
 *     [program][entries, each at a multiple of 4096]…[index][footer]
 *
 * The footer is the last 64 bytes of the file: magic "BERTHv1\0", offset and length of the index, the
 * index's SHA-256, 8 zeros. The index: the number of rows and the length of the names, 4 bytes each;
 * rows of 56 bytes: kind (4), place of the name (4), offset (8), length (8), SHA-256 (32); then the
 * names, each ended by a zero. All numbers are little-endian. Nothing here reads a digest: that is
 * berth-worker's part.
 */
#ifndef BERTH_IMAGES_BUNDLE_H
#define BERTH_IMAGES_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"

enum {
	BUNDLE_ALIGN = 4096,
	BUNDLE_FOOTER_SIZE = 64,
	BUNDLE_ROW_SIZE = 56,
	BUNDLE_HEAD_SIZE = 8, /* of the index */
	BUNDLE_DIGEST_SIZE = 32,
	BUNDLE_ENTRIES_MAX = 4096,
};
#define BUNDLE_MAGIC "BERTHv1" /* with its zero: 8 bytes */

enum bundle_kind {
	BUNDLE_CONFIG,       /* a file of the configuration; its path there */
	BUNDLE_IMAGE,        /* erofs or squashfs; the image's reference */
	BUNDLE_IMAGE_CONFIG, /* OCI image configuration; the image's reference */
	BUNDLE_PROGRAM,      /* "berth-worker"; or a program of a bundle: "NAME/PROGRAM" */
	BUNDLE_KIND_COUNT,
};

struct bundle_entry {
	enum bundle_kind kind;
	const char *name; /* never empty, relative, no "..", only printable characters */
	uint64_t offset, length;
	uint8_t digest[BUNDLE_DIGEST_SIZE];
};

struct bundle {
	struct bundle_entry *entries;
	size_t n;
	uint64_t index_offset, index_length;
	uint8_t digest[BUNDLE_DIGEST_SIZE]; /* of the index: stands for all of the payload */
	uint64_t program_length;            /* where the first entry begins, or the index */
	char *bytes;                        /* the index as it is in the file */
};

/*
 * bundle_read - the index of an appliance file
 *
 * Gives: a bundle to be given back by bundle_done; every number in it lies inside the file and no
 *        two rows have the same kind and name. Content is not looked at.
 * Fails: -ENODATA when the file has no payload; -EINVAL, with words, when it has a broken one.
 */
int bundle_read(int fd, struct bundle *ret, struct err *err);
void bundle_done(struct bundle *bundle);

/* NULL: there is none. */
const struct bundle_entry *bundle_find(
	const struct bundle *bundle, enum bundle_kind kind, const char *name);

/* "config", "image", "image-config", "program" */
const char *bundle_kind_name(enum bundle_kind kind);

/* Does it stay in the file until something uses it? The others are put beside the configuration. */
bool bundle_stays(const struct bundle_entry *entry);

/* The first 16 hexadecimal digits of a digest: names of what was made from it. */
struct bundle_tag {
	char text[17];
};
struct bundle_tag bundle_tag(const uint8_t *digest);

/* Is this a name that an entry may have? */
int bundle_name_check(const char *name);

#endif
