#include "images/worker/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* What libarchive and the decoders take of a stack is little. */
enum { STACK_SIZE = 256 * 1024 };

/* ---- the ring: the side that fills it ----------------------------------------------------------- */

static uint8_t *slot(const struct stream *stream, uint64_t chunk)
{
	return stream->chunks + chunk % STREAM_CHUNKS * STREAM_CHUNK;
}

static bool is_full(const struct stream *stream)
{
	uint64_t done = stream->hashed < stream->read ? stream->hashed : stream->read;

	return stream->put - done == STREAM_CHUNKS;
}

/* A free slot, or NULL when the other side has given up. */
static uint8_t *chunk_wait(struct stream *stream)
{
	uint8_t *chunk = NULL;

	(void)pthread_mutex_lock(&stream->lock);
	while (is_full(stream) && !stream->given_up)
		(void)pthread_cond_wait(&stream->room, &stream->lock);
	if (!stream->given_up)
		chunk = slot(stream, stream->put);
	(void)pthread_mutex_unlock(&stream->lock);
	return chunk;
}

static void chunk_put(struct stream *stream, size_t length)
{
	(void)pthread_mutex_lock(&stream->lock);
	stream->lengths[stream->put++ % STREAM_CHUNKS] = length;
	(void)pthread_cond_broadcast(&stream->more);
	(void)pthread_mutex_unlock(&stream->lock);
}

/* The next bytes of the blob; 0 at its end. All that is read is hashed. */
static ssize_t input_read(struct stream *stream, uint8_t *to, size_t size)
{
	uint64_t left = stream->blob.size - stream->taken;
	ssize_t n;

	if (size > left)
		size = (size_t)left;
	do
		n = size ? pread(stream->blob.fd, to, size,
				   (off_t)(stream->blob.offset + stream->taken))
			 : 0;
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(&stream->err, errno, "read it");
	if (n == 0 && left)
		return err_set(&stream->err, EINVAL, "the file ends too early");
	sha256_update(&stream->packed, (size_t)n, to);
	stream->taken += (uint64_t)n;
	return n;
}

static int copy_plain(struct stream *stream)
{
	uint8_t *chunk;

	while ((chunk = chunk_wait(stream))) {
		ssize_t n = input_read(stream, chunk, STREAM_CHUNK);

		if (n <= 0)
			return (int)n;
		chunk_put(stream, (size_t)n);
	}
	return -ECANCELED;
}

/* ---- unpacking ---------------------------------------------------------------------------------- */

static la_ssize_t on_input(struct archive *archive, void *arg, const void **ret)
{
	struct stream *stream = arg;
	ssize_t n = input_read(stream, stream->input, STREAM_INPUT);

	if (n < 0)
		archive_set_error(archive, EIO, "%s", stream->err.text);
	*ret = stream->input;
	return n;
}

static int unpack_err(struct stream *stream, struct archive *archive)
{
	const char *text = archive_error_string(archive);

	if (stream->err.code)
		return -stream->err.code;
	if (text && (strstr(text, "memory") || archive_errno(archive) == ENOMEM))
		return err_set(&stream->err, ENOMEM,
			"cannot unpack it: %s: it takes more than [Supervisor] ImageMemory= allows",
			text);
	return err_set(&stream->err, EINVAL, "cannot unpack it: %s", text ? text : "damaged");
}

/* In chunks as full as they get: few wake-ups. */
static int copy_unpacked(struct stream *stream, struct archive *archive)
{
	uint8_t *chunk = NULL;
	size_t used = 0;
	const void *data;
	la_int64_t offset;
	size_t n;
	int r;

	while ((r = archive_read_data_block(archive, &data, &n, &offset)) == ARCHIVE_OK) {
		const uint8_t *from = data;

		while (n) {
			size_t part = n < STREAM_CHUNK - used ? n : STREAM_CHUNK - used;

			if (!chunk && !(chunk = chunk_wait(stream)))
				return -ECANCELED;
			memcpy(chunk + used, from, part);
			from += part;
			n -= part;
			used += part;
			if (used == STREAM_CHUNK) {
				chunk_put(stream, used);
				chunk = NULL;
				used = 0;
			}
		}
	}
	if (r != ARCHIVE_EOF)
		return unpack_err(stream, archive);
	if (used)
		chunk_put(stream, used);
	return 0;
}

static int unpack_by(struct stream *stream, int (*filter)(struct archive *))
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	ssize_t n = 0;
	int r;

	if (!archive)
		return err_sys(&stream->err, ENOMEM, "libarchive");
	(void)archive_read_support_format_raw(archive);
	if (filter(archive) != ARCHIVE_OK ||
		archive_read_open(archive, stream, NULL, on_input, NULL) != ARCHIVE_OK ||
		archive_read_next_header(archive, &entry) != ARCHIVE_OK)
		r = unpack_err(stream, archive);
	else
		r = copy_unpacked(stream, archive);
	(void)archive_read_free(archive);
	while (r == 0 && (n = input_read(stream, stream->input, STREAM_INPUT)) > 0)
		continue;
	return n < 0 ? (int)n : r;
}

static int gzip_err(struct stream *stream, int r, const char *words)
{
	return r == Z_MEM_ERROR ? err_sys(&stream->err, ENOMEM, "unpack it")
				: err_set(&stream->err, EINVAL, "cannot unpack it: %s",
					  words ? words : "damaged");
}

/* Gives 1 to go on, 0 at the end of the members: what follows them is no part of the archive. */
static int gzip_refill(struct stream *stream, z_stream *z, bool *within)
{
	ssize_t n = z->avail_in;

	if (n == 0) {
		n = input_read(stream, stream->input, STREAM_INPUT);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return *within ? gzip_err(stream, Z_DATA_ERROR, "it ends too early") : 0;
		z->next_in = stream->input;
		z->avail_in = (unsigned)n;
	}
	if (*within)
		return 1;
	*within = z->next_in[0] == 0x1f;
	return *within ? inflateReset(z) == Z_OK : 0;
}

/* Each member in turn, into chunks as full as they get. */
static int gzip_members(struct stream *stream, z_stream *z)
{
	bool within = true;
	uint8_t *chunk = NULL;
	int r;

	while ((r = gzip_refill(stream, z, &within)) > 0) {
		if (!chunk) {
			chunk = chunk_wait(stream);
			if (!chunk)
				return -ECANCELED;
			z->next_out = chunk;
			z->avail_out = STREAM_CHUNK;
		}
		r = inflate(z, Z_NO_FLUSH);
		if (r == Z_STREAM_END)
			within = false;
		else if (r != Z_OK && r != Z_BUF_ERROR)
			return gzip_err(stream, r, z->msg);
		if (z->avail_out == 0) {
			chunk_put(stream, STREAM_CHUNK);
			chunk = NULL;
		}
	}
	if (r == 0 && chunk && z->avail_out < STREAM_CHUNK)
		chunk_put(stream, STREAM_CHUNK - z->avail_out);
	return r;
}

/* By zlib itself: libarchive compares neither the checksum nor the length that gzip has, and for an
 * archive that no digest vouches for they are all there is. */
static int unpack_gzip(struct stream *stream)
{
	z_stream z = { .next_in = NULL };
	int r = inflateInit2(&z, 16 + MAX_WBITS);
	ssize_t n = 0;

	if (r != Z_OK)
		return gzip_err(stream, r, z.msg);
	r = gzip_members(stream, &z);
	(void)inflateEnd(&z);
	while (r == 0 && (n = input_read(stream, stream->input, STREAM_INPUT)) > 0)
		continue;
	return n < 0 ? (int)n : r;
}

/* ---- what it is --------------------------------------------------------------------------------- */

enum { MAGIC_SIZE = 6, SKIPPABLE_HEAD = 8 };

/* Frames of zstd that say nothing may come first; libarchive knows them only further on. */
static int skip_frames(struct stream *stream, uint8_t magic[SKIPPABLE_HEAD])
{
	for (;;) {
		ssize_t n = pread(stream->blob.fd, magic, SKIPPABLE_HEAD,
			(off_t)(stream->blob.offset + stream->taken));
		uint64_t left = stream->blob.size - stream->taken;
		uint64_t length;

		if (n < 0)
			return err_sys(&stream->err, errno, "read it");
		if (left < SKIPPABLE_HEAD)
			memset(magic + left, 0, SKIPPABLE_HEAD - (size_t)left);
		if (n < SKIPPABLE_HEAD || left < SKIPPABLE_HEAD || (magic[0] & 0xf0) != 0x50 ||
			memcmp(magic + 1, "\x2a\x4d\x18", 3) != 0)
			return 0;
		length = SKIPPABLE_HEAD + ((uint64_t)magic[4] | (uint64_t)magic[5] << 8 |
						  (uint64_t)magic[6] << 16 |
						  (uint64_t)magic[7] << 24);
		while (length) {
			size_t want = length < STREAM_INPUT ? (size_t)length : STREAM_INPUT;

			n = input_read(stream, stream->input, want);
			if (n < 0)
				return (int)n;
			if (n == 0)
				return err_set(&stream->err, EINVAL, "cannot unpack it: cut off");
			length -= (uint64_t)n;
		}
	}
}

/*
 * How far back the first frame of zstd looks (RFC 8878, 3.1.1.1): its decoder takes that much memory.
 * What later frames ask for meets the limit of the job.
 */
static int window_check(struct stream *stream, const uint8_t *head)
{
	const unsigned exponent = head[5] >> 3;
	const unsigned mantissa = head[5] & 7;
	uint64_t window = 1ULL << (10 + exponent);

	window += window / 8 * mantissa;
	/* One segment: the content is the window, and its size says so. It may be any. */
	if ((head[4] & 0x20) || window <= stream->window)
		return 0;
	return err_set(&stream->err, ENOMEM,
		"its zstd window takes %llu MiB of memory, and [Supervisor] ImageMemory= allows "
		"%llu",
		(unsigned long long)(window >> 20), (unsigned long long)(stream->window >> 20));
}

static int unpack_all(struct stream *stream)
{
	uint8_t magic[SKIPPABLE_HEAD] = { 0 };
	int r = skip_frames(stream, magic);

	if (r == 0 && memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0)
		r = window_check(stream, magic);
	if (r < 0)
		return r;
	if (memcmp(magic, "\x1f\x8b", 2) == 0)
		return unpack_gzip(stream);
	if (memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0)
		return unpack_by(stream, archive_read_support_filter_zstd);
	if (memcmp(magic,
		    "\xfd"
		    "7zXZ",
		    MAGIC_SIZE) == 0)
		return unpack_by(stream, archive_read_support_filter_xz);
	return copy_plain(stream);
}

static void *unpack_run(void *arg)
{
	struct stream *stream = arg;
	int r = unpack_all(stream);

	if (r < 0 && r != -ECANCELED && !stream->err.code)
		(void)err_sys(&stream->err, -r, "unpack it");
	(void)pthread_mutex_lock(&stream->lock);
	stream->ended = true;
	(void)pthread_cond_broadcast(&stream->more);
	(void)pthread_mutex_unlock(&stream->lock);
	return NULL;
}

/* ---- the sides that read ------------------------------------------------------------------------ */

/* Waits for a chunk after the first `done`; its length, 0 at the end. Needs: the lock. */
static size_t chunk_next(struct stream *stream, uint64_t done)
{
	while (stream->put == done && !stream->ended && !stream->given_up)
		(void)pthread_cond_wait(&stream->more, &stream->lock);
	return stream->put == done ? 0 : stream->lengths[done % STREAM_CHUNKS];
}

static void *hash_run(void *arg)
{
	struct stream *stream = arg;
	size_t n;

	(void)pthread_mutex_lock(&stream->lock);
	while ((n = chunk_next(stream, stream->hashed)) && !stream->given_up) {
		const uint8_t *chunk = slot(stream, stream->hashed);

		(void)pthread_mutex_unlock(&stream->lock);
		sha256_update(&stream->plain, n, chunk);
		(void)pthread_mutex_lock(&stream->lock);
		stream->hashed++;
		(void)pthread_cond_signal(&stream->room);
	}
	(void)pthread_mutex_unlock(&stream->lock);
	return NULL;
}

ssize_t stream_read(struct stream *stream, const void **ret)
{
	size_t n;

	(void)pthread_mutex_lock(&stream->lock);
	if (stream->holds) {
		stream->read++;
		(void)pthread_cond_signal(&stream->room);
	}
	n = chunk_next(stream, stream->read);
	stream->holds = n > 0;
	*ret = slot(stream, stream->read);
	(void)pthread_mutex_unlock(&stream->lock);
	if (n == 0)
		return stream->err.code ? -stream->err.code : 0;
	if (n > stream->limit - stream->unpacked)
		return -ENOSPC;
	stream->unpacked += n;
	return (ssize_t)n;
}

/* ---- begin and end ------------------------------------------------------------------------------ */

static void give_up(struct stream *stream)
{
	(void)pthread_mutex_lock(&stream->lock);
	stream->given_up = true;
	(void)pthread_cond_broadcast(&stream->room);
	(void)pthread_cond_broadcast(&stream->more);
	(void)pthread_mutex_unlock(&stream->lock);
}

static int threads_start(struct stream *stream)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r)
		return r;
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&stream->hashing, &attr, hash_run, stream);
	if (r == 0) {
		r = pthread_create(&stream->unpacking, &attr, unpack_run, stream);
		if (r) {
			give_up(stream);
			(void)pthread_join(stream->hashing, NULL);
		}
	}
	(void)pthread_attr_destroy(&attr);
	return r;
}

static void stream_free(struct stream *stream)
{
	free(stream->chunks);
	free(stream->input);
	stream->chunks = stream->input = NULL;
	(void)pthread_mutex_destroy(&stream->lock);
	(void)pthread_cond_destroy(&stream->room);
	(void)pthread_cond_destroy(&stream->more);
}

int stream_open(struct stream *stream, const struct blob *blob, uint64_t limit, struct err *err)
{
	int r;

	stream->blob = *blob;
	stream->limit = limit;
	if (!stream->window)
		stream->window = UINT64_MAX;
	stream->chunks = malloc((size_t)STREAM_CHUNK * STREAM_CHUNKS);
	stream->input = malloc(STREAM_INPUT);
	sha256_init(&stream->packed);
	sha256_init(&stream->plain);
	(void)pthread_mutex_init(&stream->lock, NULL);
	(void)pthread_cond_init(&stream->room, NULL);
	(void)pthread_cond_init(&stream->more, NULL);
	r = stream->chunks && stream->input ? threads_start(stream) : ENOMEM;
	if (r)
		stream_free(stream);
	return r ? err_sys(err, r, "begin to unpack") : 0;
}

static void threads_join(struct stream *stream)
{
	(void)pthread_join(stream->unpacking, NULL);
	(void)pthread_join(stream->hashing, NULL);
}

int stream_finish(struct stream *stream, uint8_t ret_packed[SHA256_DIGEST_SIZE],
	uint8_t ret_plain[SHA256_DIGEST_SIZE], struct err *err)
{
	const void *rest;
	ssize_t n;

	while ((n = stream_read(stream, &rest)) > 0)
		continue;
	if (n < 0)
		give_up(stream);
	threads_join(stream);
	if (stream->err.code)
		n = err_set(err, stream->err.code, "%s", stream->err.text);
	else if (n < 0)
		(void)err_set(err, (int)-n, "it unpacks to more than there is room for");
	sha256_digest(&stream->packed, SHA256_DIGEST_SIZE, ret_packed);
	sha256_digest(&stream->plain, SHA256_DIGEST_SIZE, ret_plain);
	stream_free(stream);
	return (int)n;
}

void stream_drop(struct stream *stream, struct err *err)
{
	give_up(stream);
	threads_join(stream);
	if (stream->err.code)
		(void)err_set(err, stream->err.code, "%s", stream->err.text);
	stream_free(stream);
}
