/* Reading back what the log writer wrote: the files alone, so it works without any supervisor. */
#ifndef BERTH_CORE_LOGFILE_H
#define BERTH_CORE_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* One record. `text` is not NUL-terminated and may hold any byte. */
struct log_record {
	const char
		*time; /* "2026-11-22T10:20:38.123456789Z", not terminated: LOG_TIME_SIZE bytes */
	bool is_stderr;
	bool partial; /* the line goes on in the next record of this stream */
	const char *text;
	size_t n;
};
enum { LOG_TIME_SIZE = 30 };

/* Non-zero ends the reading and is given back. */
typedef int logfile_fn(const struct log_record *record, void *data);

/* Where to go on. */
struct logfile_place {
	uint64_t seq;
	uint64_t offset;
};

#define LOGFILE_ALL UINT64_MAX

/*
 * logfile_tail - the last `lines` records, oldest first
 *
 * `since`: only those at or after this RFC 3339 time (a string like those of the records), or NULL.
 * Gives: 0 and, if ret_place is not NULL, the place after the last whole record.
 * Fails: -ENOENT nothing was ever written for that name; the errno of reading.
 */
int logfile_tail(const char *log_dir, const char *name, uint64_t lines, const char *since,
	logfile_fn *fn, void *data, struct logfile_place *ret_place, struct err *err);

/* What has come since `place`, across segments: 0, or what fn gave, or -errno. */
int logfile_more(const char *log_dir, const char *name, struct logfile_place *place, logfile_fn *fn,
	void *data);

/* logfile_follow - logfile_more, again and again, sleeping on inotify in between. Ends by fn's
 * non-zero result or an error only. */
int logfile_follow(const char *log_dir, const char *name, struct logfile_place *place,
	logfile_fn *fn, void *data, struct err *err);

#endif
