#include "supervisor/core/logfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/core/logstore.h"

enum { SEGMENTS_MAX = 4096, BLOCK = 64 * 1024 };

struct segments {
	uint64_t seq[SEGMENTS_MAX]; /* rising */
	size_t n;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int dir_open(const char *log_dir, const char *name)
{
	char path[4096];
	int fd;

	if (!name_valid(name))
		return -EINVAL;
	if ((size_t)snprintf(path, sizeof path, "%s/%s", log_dir, name) >= sizeof path)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int list(int dirfd, struct segments *ret)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	ret->n = 0;
	if (!dir) {
		fd_close(&fd);
		return -errno;
	}
	for (struct dirent *e; ret->n < SEGMENTS_MAX && (e = readdir(dir));) {
		uint64_t seq = log_segment_number(e->d_name);

		if (seq)
			ret->seq[ret->n++] = seq;
	}
	(void)closedir(dir);
	qsort(ret->seq, ret->n, sizeof ret->seq[0], compare);
	return 0;
}

static int segment_open(int dirfd, uint64_t seq)
{
	char name[32];
	struct stat st;
	own_fd fd = -1;

	(void)snprintf(name, sizeof name, "%08llu.log", (unsigned long long)seq);
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? fd_take(&fd) : -EINVAL;
}

/* "TIME stream F text": 0, or -EINVAL for marks and what is torn. */
static int parse(const char *line, size_t n, struct log_record *ret)
{
	const char *rest = line + LOG_TIME_SIZE;

	if (n < LOG_TIME_SIZE + 10 || line[0] == '#' || line[LOG_TIME_SIZE - 1] != 'Z')
		return -EINVAL;
	if (memcmp(rest, " stdout ", 8) != 0 && memcmp(rest, " stderr ", 8) != 0)
		return -EINVAL;
	if ((rest[8] != 'F' && rest[8] != 'P') || rest[9] != ' ')
		return -EINVAL;
	*ret = (struct log_record){
		.time = line,
		.is_stderr = rest[4] == 'e',
		.partial = rest[8] == 'P',
		.text = rest + 10,
		.n = n - LOG_TIME_SIZE - 10,
	};
	return 0;
}

/*
 * The offset of the last `want` records of a segment, searched from its end. *want is what is still
 * missing when the segment has fewer.
 */
static off_t find_start(int fd, uint64_t *want)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char block[BLOCK];
	char next = '\n'; /* the byte after the one looked at: of a line's beginning */
	off_t at = end;

	while (at > 0) {
		size_t n = at < BLOCK ? (size_t)at : BLOCK;

		at -= (off_t)n;
		if (pread(fd, block, n, at) != (ssize_t)n)
			break;
		for (size_t i = n; i-- > 0;) {
			if (block[i] == '\n' && next != '\n' && next != '#' && --*want == 0)
				return at + (off_t)i + 1;
			next = block[i];
		}
	}
	return 0;
}

struct reading {
	const char *since;
	uint64_t limit; /* of the offset: who floods his log must not hold its reader for ever */
	logfile_fn *fn;
	void *data;
};

/* Whole lines from *offset on; what is not ended yet is left for later. */
static int read_lines(int fd, uint64_t *offset, const struct reading *reading)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *file = copy < 0 ? NULL : fdopen(copy, "re");
	own_mem char *line = NULL;
	size_t size = 0;
	int r = 0;

	if (!file) {
		fd_close(&copy);
		return -ENOMEM;
	}
	if (fseeko(file, (off_t)*offset, SEEK_SET) < 0)
		r = -errno;
	while (r == 0 && *offset < reading->limit) {
		ssize_t n = getline(&line, &size, file);
		struct log_record record;

		if (n <= 0 || line[n - 1] != '\n')
			break;
		*offset += (uint64_t)n;
		if (parse(line, (size_t)n - 1, &record) < 0)
			continue;
		if (!reading->since || memcmp(record.time, reading->since, LOG_TIME_SIZE) >= 0)
			r = reading->fn(&record, reading->data);
	}
	(void)fclose(file);
	return r;
}

/* Where the last `lines` records begin: an index into the segments, and an offset in that one. */
static size_t first_place(
	int dirfd, const struct segments *all, uint64_t lines, struct logfile_place *ret)
{
	size_t i = all->n;
	uint64_t want = lines;

	*ret = (struct logfile_place){ 0 };
	if (lines == LOGFILE_ALL)
		return 0;
	if (lines == 0)
		return all->n;
	while (i > 0 && want > 0) {
		own_fd fd = segment_open(dirfd, all->seq[--i]);

		if (fd >= 0)
			ret->offset = (uint64_t)find_start(fd, &want);
	}
	return i;
}

int logfile_tail(const char *log_dir, const char *name, uint64_t lines, const char *since,
	logfile_fn *fn, void *data, struct logfile_place *ret_place, struct err *err)
{
	struct reading reading = { .since = since, .limit = UINT64_MAX, .fn = fn, .data = data };
	struct segments all;
	own_fd dir = dir_open(log_dir, name);
	struct logfile_place place;
	int r = 0;

	if (dir < 0)
		return err_sys(err, -dir, "read the logs of %s in %s", name, log_dir);
	r = list(dir, &all);
	if (r < 0)
		return err_sys(err, -r, "read the logs of %s in %s", name, log_dir);
	for (size_t i = first_place(dir, &all, lines, &place); i < all.n && r == 0; i++) {
		own_fd fd = segment_open(dir, all.seq[i]);

		if (i + 1 == all.n && fd >= 0)
			reading.limit = (uint64_t)lseek(fd, 0, SEEK_END);
		if (fd >= 0)
			r = read_lines(fd, &place.offset, &reading);
		if (i + 1 < all.n)
			place.offset = 0;
		place.seq = all.seq[i];
	}
	if (all.n && !place.seq) { /* lines is 0: only what comes from now on */
		own_fd fd = segment_open(dir, all.seq[all.n - 1]);

		place.seq = all.seq[all.n - 1];
		place.offset = fd < 0 ? 0 : (uint64_t)lseek(fd, 0, SEEK_END);
	}
	if (ret_place)
		*ret_place = place;
	return r;
}

/* The lowest segment above `seq`; 0: none. */
static uint64_t next_after(int dirfd, uint64_t seq)
{
	struct segments all;

	if (list(dirfd, &all) < 0)
		return 0;
	for (size_t i = 0; i < all.n; i++)
		if (all.seq[i] > seq)
			return all.seq[i];
	return 0;
}

int logfile_more(const char *log_dir, const char *name, struct logfile_place *place, logfile_fn *fn,
	void *data)
{
	struct reading reading = { .limit = UINT64_MAX, .fn = fn, .data = data };
	own_fd dir = dir_open(log_dir, name);
	int r = 0;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	for (;;) {
		/* asked before the segment is read to its end: nothing is added to one that has a
		 * successor, so what is read then is all of it */
		uint64_t next = next_after(dir, place->seq);
		own_fd fd = place->seq ? segment_open(dir, place->seq) : -1;

		if (fd >= 0)
			r = read_lines(fd, &place->offset, &reading);
		if (r || !next)
			return r;
		*place = (struct logfile_place){ .seq = next };
	}
}

int logfile_follow(const char *log_dir, const char *name, struct logfile_place *place,
	logfile_fn *fn, void *data, struct err *err)
{
	own_fd watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char events[4096] __attribute__((aligned(8)));
	char path[4096];
	int id = -1;

	if (watch < 0)
		return err_sys(err, errno, "watch the logs of %s", name);
	(void)snprintf(path, sizeof path, "%s/%s", log_dir, name);
	for (;;) {
		struct pollfd p = { .fd = watch, .events = POLLIN };
		int r;

		if (id < 0) /* a unit that never wrote has no directory yet */
			id = inotify_add_watch(watch, path, IN_CREATE | IN_MODIFY);
		r = logfile_more(log_dir, name, place, fn, data);
		if (r < 0)
			return err_sys(err, -r, "read the logs of %s in %s", name, log_dir);
		if (r > 0)
			return r;
		if (poll(&p, 1, id < 0 ? 500 : -1) < 0 && errno != EINTR)
			return err_sys(err, errno, "wait for the logs of %s", name);
		while (read(watch, events, sizeof events) > 0)
			continue;
	}
}
