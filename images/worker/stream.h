/*
 * A blob, unpacked on the way: one thread reads, hashes and unpacks, a second one hashes what comes out,
 * and the caller takes it at the same time, all from one ring of fixed size.
 */
#ifndef BERTH_IMAGES_WORKER_STREAM_H
#define BERTH_IMAGES_WORKER_STREAM_H

#include <nettle/sha2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "images/worker/blob.h"
#include "supervisor/base/err.h"

enum { STREAM_CHUNK = 256 * 1024, STREAM_CHUNKS = 8, STREAM_INPUT = 128 * 1024 };

struct stream {
	struct blob blob;
	uint64_t limit;  /* unpacked bytes that may come at most */
	uint64_t window; /* bytes that zstd may look back; 0: any. Set by the caller */

	/* The unpacking thread's own until it is joined. */
	pthread_t unpacking;
	uint64_t taken; /* of the blob */
	struct sha256_ctx packed;
	uint8_t *input;
	struct err err;

	/* The hashing thread's own until it is joined. */
	pthread_t hashing;
	struct sha256_ctx plain;

	/* The ring: chunk i is in slot i % STREAM_CHUNKS, and its slot is free once both have read it. */
	pthread_mutex_t lock;
	pthread_cond_t room, more;
	uint8_t *chunks;
	size_t lengths[STREAM_CHUNKS];
	uint64_t put, hashed, read; /* chunks so far: unpacked, and done with by each reader */
	bool ended;                 /* nothing more is put in */
	bool given_up;

	/* The caller's. */
	bool holds; /* chunk `read` was given out */
	uint64_t unpacked;
};

/*
 * stream_open - begin with a blob
 *
 * Plain, or packed by gzip (several members too), xz or zstd (skippable frames too): told by the
 * first bytes. What follows the packed data is hashed too, and otherwise ignored.
 * Needs: every field of *stream but `window` is zero; one of stream_finish and stream_drop in the end.
 */
int stream_open(struct stream *stream, const struct blob *blob, uint64_t limit, struct err *err);

/* stream_read - the next bytes, good until the next call; 0 at the end, -errno when the blob is bad. */
ssize_t stream_read(struct stream *stream, const void **ret);

/*
 * stream_finish - read what is left, and give the digests
 *
 * Fails: with the words of the side that unpacks.
 */
int stream_finish(struct stream *stream, uint8_t ret_packed[SHA256_DIGEST_SIZE],
	uint8_t ret_plain[SHA256_DIGEST_SIZE], struct err *err);

/* stream_drop - stop in the middle. When the blob itself was bad, that is what *err says then. */
void stream_drop(struct stream *stream, struct err *err);

#endif
