/*
 * A whole tree in one digest, to tell later whether it is still what it was.
 *
 * Each object below the directory, and the directory itself as "", is a record:
 *
 *	PATH \0 MODE UID GID \0 LINK \0 LENGTH CONTENT { NAME \0 SIZE VALUE }...
 *
 * PATH is relative, without "./"; MODE is st_mode with the type, UID and GID the owner, 32 bits
 * each, little-endian as all numbers here; LINK is the target of a symbolic link, else empty; LENGTH
 * (64 bits) and CONTENT (its SHA-256) are those of a file, else zeros; then come the extended
 * attributes security.capability, user.* and trusted.overlay.opaque in the order of their names,
 * SIZE being 32 bits. Times and the number of links are not in it. The digest of the tree is the
 * SHA-256 of the count of the records (64 bits) and of the sum of their SHA-256s, added as four
 * little-endian numbers of 64 bits that wrap: so it does not hang on the order in which a
 * directory lists its names, and takes no memory. It finds damage; who may write into the tree may
 * write into the record of its digest too.
 */
#ifndef BERTH_IMAGES_WORKER_TREE_H
#define BERTH_IMAGES_WORKER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "images/worker/digest.h"
#include "supervisor/base/err.h"

/* What is known of a file since it was written, so that it need not be read again. */
struct tree_sum {
	ino_t ino;
	uint8_t digest[SHA256_DIGEST_SIZE]; /* of its content */
	bool bare;                          /* it has no extended attributes that count */
};

struct tree_sums {
	struct tree_sum *sums;
	size_t n, room;
	bool stale; /* files went away: an inode number may mean another file now */
};

struct tree_count {
	uint64_t bytes; /* that the tree takes of the file system */
	uint64_t entries;
	uint8_t digest[SHA256_DIGEST_SIZE];
};

/* tree_sum_add - remember one file. When there are too many it is forgotten. */
void tree_sum_add(struct tree_sums *sums, const struct tree_sum *sum);
void tree_sums_done(struct tree_sums *sums);

/*
 * tree_digest - read the tree
 *
 * `sums` may be NULL. With `settle` the times of directories become what the applier put aside in
 * their access times. Blocks: for as long as reading takes what is not in `sums`.
 */
int tree_digest(
	int dir, struct tree_sums *sums, bool settle, struct tree_count *ret, struct err *err);

/* tree_settle - only the times of the directories. */
int tree_settle(int dir, struct err *err);

#endif
