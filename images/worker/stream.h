/*
 * A blob, unpacked on the way: one thread reads and unpacks, the caller takes what comes out of a ring
 * of fixed size. Both sides are hashed.
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

enum { STREAM_CHUNK = 256 * 1024, STREAM_CHUNKS = 4, STREAM_INPUT = 128 * 1024 };

struct stream {
	struct blob blob;
	uint64_t limit;  /* unpacked bytes that may come at most */
	uint64_t window; /* bytes that zstd may look back; 0: any. Set by the caller */

	/* The thread's own until it is joined. */
	pthread_t thread;
	uint64_t taken; /* of the blob */
	struct sha256_ctx packed;
	uint8_t *input;
	struct err err;

	/* The ring: what is in it belongs to the caller's side, the rest to the thread. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t *chunks;
	size_t lengths[STREAM_CHUNKS];
	size_t first, filled;
	bool ended; /* the thread puts nothing more in */
	bool given_up;

	/* The caller's. */
	bool holds; /* the first chunk was given out */
	uint64_t unpacked;
	struct sha256_ctx plain;
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
