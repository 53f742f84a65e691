#include "supervisor/core/logstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

struct segment_name {
	char text[32];
};

static struct segment_name segment_name(uint64_t seq)
{
	struct segment_name ret;

	(void)snprintf(ret.text, sizeof ret.text, "%08llu.log", (unsigned long long)seq);
	return ret;
}

uint64_t log_segment_number(const char *file_name)
{
	size_t n = strlen(file_name);
	char digits[24];
	uint64_t seq = 0;

	if (n < 12 || n >= sizeof digits + 4 || !str_ends(file_name, ".log"))
		return 0;
	memcpy(digits, file_name, n - 4);
	digits[n - 4] = '\0';
	if (num_u64(digits, &seq) < 0)
		return 0;
	return seq;
}

/* The lowest and highest segment that is there; 0 and 0 when there is none. */
static int scan(struct log_store *store)
{
	int fd = openat(store->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		fd_close(&fd);
		return -errno;
	}
	store->seq = store->oldest = 0;
	for (struct dirent *e; (e = readdir(dir));) {
		uint64_t seq = log_segment_number(e->d_name);

		if (seq && (!store->oldest || seq < store->oldest))
			store->oldest = seq;
		if (seq > store->seq)
			store->seq = seq;
	}
	(void)closedir(dir);
	return 0;
}

static bool drop_oldest(struct log_store *store)
{
	if (!store->oldest || store->oldest >= store->seq)
		return false;
	(void)unlinkat(store->dirfd, segment_name(store->oldest).text, 0);
	store->oldest++;
	return true;
}

static int segment_open(const struct log_store *store, uint64_t seq, int flags)
{
	own_fd fd = openat(store->dirfd, segment_name(seq).text,
		O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags, 0640);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EEXIST;
	return fd_take(&fd);
}

/* Writes the first line of a new segment. */
static int header_put(struct log_store *store)
{
	char boot[64] = "?";
	char line[256];
	int n;

	(void)file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot);
	boot[strcspn(boot, "\n")] = '\0';
	n = snprintf(line, sizeof line, "# berth-log 1 container=%s boot=%s start=%s mono=%llu\n",
		store->name, boot, clock_rfc3339(clock_realtime()).text,
		(unsigned long long)clock_monotonic());
	store->size = (uint64_t)n;
	return write_full(store->fd, line, (size_t)n);
}

/* Begins the next segment and lets the oldest go, so that there are never more than max_count. */
static int next_segment(struct log_store *store)
{
	int fd;
	int r;

	/* What a power cut takes is never more than the segment that is being written. */
	if (store->fd >= 0)
		(void)fdatasync(store->fd);
	fd_close(&store->fd);
	while (store->oldest && store->seq + 2 > store->oldest + store->max_count)
		if (!drop_oldest(store)) {
			/* max_count is 1: the segment just closed goes, too */
			(void)unlinkat(store->dirfd, segment_name(store->seq).text, 0);
			store->oldest = store->seq + 1;
			break;
		}
	fd = segment_open(store, store->seq + 1, O_CREAT | O_EXCL);
	if (fd == -EEXIST) /* planted, or made by nobody we know: leave it, take the next */
		fd = segment_open(store, ++store->seq + 1, O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	store->fd = fd;
	store->seq++;
	if (!store->oldest)
		store->oldest = store->seq;
	r = header_put(store);
	if (r < 0) {
		(void)unlinkat(store->dirfd, segment_name(store->seq).text, 0);
		store->seq--;
		fd_close(&store->fd);
	}
	return r;
}

/* Goes on in the highest segment, if it can be. */
static void resume(struct log_store *store)
{
	static const char mark[] = "\n# unclean\n";
	own_fd fd = store->seq ? segment_open(store, store->seq, 0) : -1;
	own_fd rd = -1;
	struct stat st;
	char last = '\n';

	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size >= store->max_size)
		return;
	rd = openat(store->dirfd, segment_name(store->seq).text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (rd < 0 || (st.st_size > 0 && pread(rd, &last, 1, st.st_size - 1) != 1))
		return;
	store->size = (uint64_t)st.st_size;
	if (last != '\n') {
		if (write_full(fd, mark, sizeof mark - 1) < 0)
			return;
		store->size += sizeof mark - 1;
	}
	store->fd = fd_take(&fd);
}

int log_store_open(struct log_store *store, const char *log_dir, const char *name,
	uint64_t max_size, uint32_t max_count, struct err *err)
{
	struct log_store ret = LOG_STORE_NONE;
	char path[4096];
	int r;

	if (!name_valid(name))
		return err_set(err, EINVAL, "'%s' is no name for a container", name);
	if ((size_t)snprintf(path, sizeof path, "%s/%s", log_dir, name) >= sizeof path)
		return err_sys(err, ENAMETOOLONG, "log directory %s/%s", log_dir, name);
	r = path_mkdirs(path, 0750);
	if (r < 0)
		return err_sys(err, -r, "make the log directory %s", path);
	ret.dirfd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret.dirfd < 0)
		return err_sys(err, errno, "open the log directory %s", path);
	ret.max_size = max_size < LOG_SEGMENT_MIN ? LOG_SEGMENT_MIN : max_size;
	ret.max_count = max_count ? max_count : 1;
	(void)snprintf(ret.name, sizeof ret.name, "%s", name);
	r = scan(&ret);
	if (r < 0) {
		fd_close(&ret.dirfd);
		return err_sys(err, -r, "read the log directory %s", path);
	}
	while (ret.oldest && ret.seq + 1 > ret.oldest + ret.max_count && drop_oldest(&ret))
		continue;
	resume(&ret);
	*store = ret;
	return 0;
}

void log_store_close(struct log_store *store)
{
	fd_close(&store->fd);
	fd_close(&store->dirfd);
}

/* Lines that are gone, for the record that says so. */
static void count_drop(struct log_store *store, const char *records, size_t n, int code)
{
	store->drop_errno = code;
	store->dropped_bytes += n;
	for (const char *p = records; n && (p = memchr(p, '\n', (size_t)(records + n - p))); p++)
		store->dropped_lines++;
}

/* One write that leaves only whole records in the file. Gives the bytes that are there. */
static ssize_t put_whole(struct log_store *store, const char *records, size_t n)
{
	size_t done = 0;
	int code = 0;

	while (done < n && !code) {
		ssize_t w = write(store->fd, records + done, n - done);

		if (w > 0)
			done += (size_t)w;
		else if (w == 0)
			code = ENOSPC;
		else if (errno != EINTR)
			code = errno;
	}
	if (done < n) {
		const char *end = done ? memrchr(records, '\n', done) : NULL;

		done = end ? (size_t)(end - records) + 1 : 0;
		if (ftruncate(store->fd, (off_t)(store->size + done)) < 0)
			fd_close(&store->fd); /* a torn record stays: go on in a new segment */
	}
	store->size += done;
	return done || !code ? (ssize_t)done : -code;
}

/* Appends with rotation: the bytes written before the first failure, which goes to *ret_errno. */
static size_t append(struct log_store *store, const char *records, size_t n, int *ret_errno)
{
	size_t done = 0;

	while (done < n) {
		size_t part = n - done;
		ssize_t w;

		if (store->fd < 0 || store->size >= store->max_size) {
			int r = next_segment(store);

			if (r < 0) {
				*ret_errno = -r;
				return done;
			}
		}
		if (part > store->max_size - store->size) {
			const char *from = records + done;
			const char *end =
				memrchr(from, '\n', (size_t)(store->max_size - store->size));

			if (!end) {
				store->size = store->max_size; /* full: the next one */
				continue;
			}
			part = (size_t)(end - from) + 1;
		}
		w = put_whole(store, records + done, part);
		if (w < 0) {
			*ret_errno = (int)-w;
			return done;
		}
		done += (size_t)w;
	}
	return done;
}

/* Says how much is missing, before what can be written again. */
static bool confess(struct log_store *store)
{
	char line[256];
	int code = 0;
	int n;

	if (!store->dropped_bytes)
		return true;
	n = snprintf(line, sizeof line, "%s stderr F berth: dropped %llu lines %llu bytes: %s\n",
		clock_rfc3339(clock_realtime()).text, (unsigned long long)store->dropped_lines,
		(unsigned long long)store->dropped_bytes, strerror(store->drop_errno));
	if (append(store, line, (size_t)n, &code) < (size_t)n)
		return false;
	store->dropped_lines = store->dropped_bytes = 0;
	return true;
}

void log_store_write(struct log_store *store, const char *records, size_t n)
{
	int code = store->drop_errno;
	bool clear = confess(store);

	for (;;) {
		size_t done = clear ? append(store, records, n, &code) : 0;

		records += done;
		n -= done;
		if (n == 0)
			return;
		if ((code != ENOSPC && code != EDQUOT) || !drop_oldest(store))
			break;
		clear = confess(store);
	}
	count_drop(store, records, n, code);
}

/* ---- lines to records ------------------------------------------------------------------------ */

/* Shared by all streams: one process, one thread. Emptied before each return. */
static struct {
	char bytes[256 * 1024];
	size_t used;
	uint64_t second; /* of `date` */
	char date[24];   /* "2026-11-22T10:20:38." */
} out;

static void flush(struct log_store *store)
{
	if (out.used)
		log_store_write(store, out.bytes, out.used);
	out.used = 0;
}

/* "TIME stdout " into prefix; its length. One for all records of a read: the date is cached for a
 * second and the rest is nine digits. */
static size_t prefix_make(char *prefix, const char *label, uint64_t realtime)
{
	uint64_t second = realtime / NSEC_PER_SEC;
	uint32_t nsec = (uint32_t)(realtime % NSEC_PER_SEC);
	size_t n = 20;

	if (second != out.second || !out.date[0]) {
		memcpy(out.date, clock_rfc3339(second * NSEC_PER_SEC).text, n);
		out.second = second;
	}
	memcpy(prefix, out.date, n);
	for (int i = 8; i >= 0; i--, nsec /= 10)
		prefix[n + (size_t)i] = (char)('0' + nsec % 10);
	n += 9;
	return n + (size_t)snprintf(prefix + n, LOG_PREFIX_SIZE + 8 - n, "Z %s ", label);
}

static void record_put(struct log_store *store, const char *prefix, size_t nprefix, char flag,
	const char *text, size_t n)
{
	if (out.used + nprefix + n + 3 > sizeof out.bytes)
		flush(store);
	memcpy(out.bytes + out.used, prefix, nprefix);
	out.used += nprefix;
	out.bytes[out.used++] = flag;
	out.bytes[out.used++] = ' ';
	memcpy(out.bytes + out.used, text, n);
	out.used += n;
	out.bytes[out.used++] = '\n';
}

/* Keeps the unfinished line. Without memory for it, it is written as it is. */
static bool tail_keep(struct log_stream *stream, const char *text, size_t n)
{
	stream->tail = malloc(LOG_LINE_MAX);
	if (!stream->tail)
		return false;
	memcpy(stream->tail, text, n);
	stream->ntail = n;
	return true;
}

void log_stream_feed(struct log_stream *stream, struct log_store *store, char *data, size_t n,
	uint64_t realtime, bool end)
{
	char prefix[LOG_PREFIX_SIZE + 8];
	size_t nprefix = prefix_make(prefix, stream->label, realtime);
	const char *p = data - stream->ntail;
	const char *stop = data + n;

	if (stream->ntail)
		memcpy(data - stream->ntail, stream->tail, stream->ntail);
	log_stream_done(stream);
	while (p < stop) {
		size_t left = (size_t)(stop - p);
		const char *newline = memchr(p, '\n', left);
		size_t line = newline ? (size_t)(newline - p) : left;

		if (line > LOG_LINE_MAX || (!newline && line == LOG_LINE_MAX)) {
			record_put(store, prefix, nprefix, 'P', p, LOG_LINE_MAX);
			p += LOG_LINE_MAX;
		} else if (newline) {
			record_put(store, prefix, nprefix, 'F', p, line);
			p = newline + 1;
		} else {
			if (end || !tail_keep(stream, p, line))
				record_put(store, prefix, nprefix, end ? 'F' : 'P', p, line);
			p = stop;
		}
	}
	flush(store);
}

void log_stream_done(struct log_stream *stream)
{
	free(stream->tail);
	stream->tail = NULL;
	stream->ntail = 0;
}
