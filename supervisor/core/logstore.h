/*
 * One container's logs on disk: numbered segments that are created, appended to and deleted, never
 * renamed, so a reader that remembers (segment, offset) cannot lose its place.
 *
 *     LOG_DIR/web/00000017.log
 *     # berth-log 1 container=web boot=… start=2026-11-22T10:20:38.123456789Z mono=512000000
 *     2026-11-22T10:20:38.123456789Z stdout F text        (F: a full line, P: its end is to come)
 */
#ifndef BERTH_CORE_LOGSTORE_H
#define BERTH_CORE_LOGSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum {
	LOG_LINE_MAX = 8192,         /* a longer line is cut into P records */
	LOG_PREFIX_SIZE = 40,        /* "TIME stdout F " and a bit */
	LOG_SEGMENT_MIN = 64 * 1024, /* smaller sizes are raised: a record must fit */
};

struct log_store {
	int dirfd;
	int fd; /* of segment `seq`; -1: none is open, the next write opens one */
	uint64_t seq;
	uint64_t oldest; /* of the segments that are there */
	uint64_t size;   /* bytes in it */
	uint64_t max_size;
	uint32_t max_count;
	char name[64];
	/* what could not be written since the last record that could */
	uint64_t dropped_lines, dropped_bytes;
	int drop_errno;
};
#define LOG_STORE_NONE ((struct log_store){ .dirfd = -1, .fd = -1 })

/*
 * log_store_open - take up the segments of `name`
 *
 * Makes the directory; goes on in the highest segment, after ending a line that a power cut left
 * without its newline; deletes what is beyond max_count. What is no regular file is never opened.
 * Blocks: on the disk. Fails: the directory cannot be made or opened.
 */
int log_store_open(struct log_store *store, const char *log_dir, const char *name,
	uint64_t max_size, uint32_t max_count, struct err *err);
void log_store_close(struct log_store *store);

/*
 * log_store_write - append whole records
 *
 * Never fails: on a full disk its own oldest segments go first; what then cannot be written is
 * counted, and the next record that can be written is preceded by
 * "TIME stderr F berth: dropped N lines M bytes: No space left on device".
 */
void log_store_write(struct log_store *store, const char *records, size_t n);

/* Lines on their way from one of a container's streams to records. */
struct log_stream {
	const char *label; /* "stdout" */
	char *tail;        /* the beginning of a line whose end was not read yet; NULL: none */
	size_t ntail;
};

/*
 * log_stream_feed - cut what was read into records
 *
 * Needs: `data` with LOG_LINE_MAX bytes of room *before* it, where the tail is put.
 * `end`: nothing more comes, an unfinished line is written as a full one.
 */
void log_stream_feed(struct log_stream *stream, struct log_store *store, char *data, size_t n,
	uint64_t realtime, bool end);
void log_stream_done(struct log_stream *stream);

/* The number in "00000017.log", or 0: not a segment's name. */
uint64_t log_segment_number(const char *file_name);

#endif
