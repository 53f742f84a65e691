/*
 * The log writer's process. One epoll set; the FIFOs are edge-triggered and kept on a list of those
 * that may hold more, each served one read of 64 KiB a round: a container that floods its stdout
 * costs the others nothing but their turn.
 *
 * Everything may block here on the disk. Nobody waits for this process: containers wait once their
 * FIFO is full, which is the back-pressure they are meant to feel.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/base/unixsock.h"
#include "supervisor/core/logstore.h"
#include "supervisor/core/logwriter.h"

enum {
	READ_SIZE = 64 * 1024,
	DRAIN_ROUNDS = 64, /* a drain is for what a FIFO holds, not for what may still come */
	WATCH_LISTENER = 1,
	WATCH_CONNECTION,
	WATCH_SINK, /* and up: 2 for each container */
};

enum stream_id { STREAM_OUT, STREAM_ERR, STREAM_COUNT };
static const struct {
	const char *label, *suffix;
} streams[STREAM_COUNT] = {
	[STREAM_OUT] = { "stdout", "out" },
	[STREAM_ERR] = { "stderr", "err" },
};

/* One container. */
struct sink {
	char name[64]; /* "": a free place */
	struct log_store store;
	struct log_stream stream[STREAM_COUNT];
	int fd[STREAM_COUNT];
	bool ready[STREAM_COUNT]; /* may hold more */
	bool ended[STREAM_COUNT]; /* no one holds it for writing */
};

struct process {
	const char *run_dir, *log_dir;
	int epoll, listener, connection;
	bool quit;
	bool lonely; /* the supervisor has been here, and is gone */
	struct sink *sinks;
	size_t n;
	char room[LOG_LINE_MAX]; /* for a stream's tail: must stand right before `data` */
	char data[READ_SIZE];
};

static_assert(offsetof(struct process, data) == offsetof(struct process, room) + LOG_LINE_MAX,
	"the tail of a line is put before the data");

static void tell(struct process *p, const char *text)
{
	if (p->connection >= 0)
		(void)msg_send(p->connection, text, strlen(text), NULL, 0);
}

static void note(struct process *p, const struct err *err)
{
	char text[ERR_TEXT_SIZE + 8];

	(void)snprintf(text, sizeof text, "note %s", err->text);
	tell(p, text);
}

static void watch(struct process *p, int fd, uint32_t events, uint64_t what)
{
	struct epoll_event e = { .events = events, .data.u64 = what };

	(void)epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* One read. False when there is nothing more for now. */
static bool stream_read(struct process *p, struct sink *sink, enum stream_id id)
{
	ssize_t n;

	if (sink->fd[id] < 0)
		return false;
	n = read(sink->fd[id], p->data, sizeof p->data);
	if (n < 0 && errno == EINTR)
		return true;
	sink->ended[id] = n == 0;
	if (n <= 0)
		return false;
	log_stream_feed(
		&sink->stream[id], &sink->store, p->data, (size_t)n, clock_realtime(), false);
	return true;
}

static void sink_drain(struct process *p, struct sink *sink)
{
	for (enum stream_id id = 0; id < STREAM_COUNT; id++) {
		for (int i = 0; i < DRAIN_ROUNDS && stream_read(p, sink, id); i++)
			continue;
		log_stream_feed(
			&sink->stream[id], &sink->store, p->data, 0, clock_realtime(), true);
	}
}

/* One read of each stream that may hold more. True when one of them still does. */
static bool round_robin(struct process *p)
{
	bool more = false;

	for (size_t i = 0; i < p->n; i++)
		for (enum stream_id id = 0; id < STREAM_COUNT; id++) {
			struct sink *sink = &p->sinks[i];

			if (sink->name[0] && sink->ready[id]) {
				sink->ready[id] = stream_read(p, sink, id);
				more |= sink->ready[id];
			}
		}
	return more;
}

/* ---- the table ------------------------------------------------------------------------------- */

static struct sink *sink_find(struct process *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->sinks[i].name, name) == 0)
			return &p->sinks[i];
	return NULL;
}

static struct sink *sink_new(struct process *p, const char *name)
{
	struct sink *sink = sink_find(p, "");

	if (!sink) {
		struct sink *larger = realloc(p->sinks, (p->n + 16) * sizeof *larger);

		if (!larger)
			return NULL;
		memset(larger + p->n, 0, 16 * sizeof *larger);
		p->sinks = larger;
		sink = &larger[p->n];
		p->n += 16;
	}
	*sink = (struct sink){ .store = LOG_STORE_NONE };
	(void)snprintf(sink->name, sizeof sink->name, "%s", name);
	for (enum stream_id id = 0; id < STREAM_COUNT; id++) {
		sink->stream[id].label = streams[id].label;
		sink->fd[id] = -1;
	}
	return sink;
}

/* Opens the FIFO, again only when another one has taken its name. */
static void fifo_take(struct process *p, struct sink *sink, enum stream_id id)
{
	char path[400];
	struct stat now;
	struct stat have;

	(void)snprintf(
		path, sizeof path, "%s/fifo/%s.%s", p->run_dir, sink->name, streams[id].suffix);
	if (lstat(path, &now) < 0 || !S_ISFIFO(now.st_mode))
		return;
	sink->ready[id] = true;
	if (sink->fd[id] >= 0 && fstat(sink->fd[id], &have) == 0 && have.st_ino == now.st_ino &&
		have.st_dev == now.st_dev)
		return;
	fd_close(&sink->fd[id]);
	sink->fd[id] = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (sink->fd[id] >= 0)
		watch(p, sink->fd[id], EPOLLIN | EPOLLET,
			WATCH_SINK + (uint64_t)(sink - p->sinks) * STREAM_COUNT + id);
}

static void sink_add(struct process *p, const char *name, uint64_t size, uint32_t count)
{
	struct sink *sink = sink_find(p, name);
	struct err err = { 0 };

	if (!sink)
		sink = sink_new(p, name);
	if (!sink)
		return;
	sink->store.max_size = size < LOG_SEGMENT_MIN ? LOG_SEGMENT_MIN : size;
	sink->store.max_count = count ? count : 1;
	if (sink->store.dirfd < 0 &&
		log_store_open(&sink->store, p->log_dir, name, size, count, &err) < 0)
		note(p, &err);
	for (enum stream_id id = 0; id < STREAM_COUNT; id++)
		fifo_take(p, sink, id);
}

static void sink_drop(struct process *p, struct sink *sink)
{
	sink_drain(p, sink);
	log_store_close(&sink->store);
	for (enum stream_id id = 0; id < STREAM_COUNT; id++) {
		log_stream_done(&sink->stream[id]);
		fd_close(&sink->fd[id]);
	}
	sink->name[0] = '\0';
}

/* ---- the supervisor's orders ----------------------------------------------------------------- */

static void order_add(struct process *p, char *rest)
{
	char *size = rest + strcspn(rest, " ");
	char *count = *size ? size + 1 + strcspn(size + 1, " ") : size;
	uint64_t nsize = 0;
	uint32_t ncount = 0;

	if (!*count)
		return;
	*size++ = '\0';
	*count++ = '\0';
	if (name_valid(rest) && num_u64(size, &nsize) == 0 && num_u32(count, &ncount) == 0)
		sink_add(p, rest, nsize, ncount);
}

static void order_drain(struct process *p, char *name)
{
	struct sink *sink = *name ? sink_find(p, name) : NULL;
	char text[100];

	if (sink)
		sink_drain(p, sink);
	(void)snprintf(text, sizeof text, "drained %s", name);
	tell(p, text);
}

static void order_drop(struct process *p, char *name)
{
	struct sink *sink = *name ? sink_find(p, name) : NULL;

	if (sink)
		sink_drop(p, sink);
}

static void order_quit(struct process *p, char *rest)
{
	(void)rest;
	p->quit = true;
}

static const struct {
	const char *word;
	void (*run)(struct process *p, char *rest);
} orders[] = {
	{ "add ", order_add },
	{ "drain ", order_drain },
	{ "drop ", order_drop },
	{ "quit", order_quit },
};

static void connection_read(struct process *p)
{
	char text[200];
	ssize_t n = msg_recv(p->connection, text, sizeof text - 1, NULL, NULL);

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		fd_close(&p->connection);
		p->lonely = true;
		/* read each once more, to learn which of them somebody still holds */
		for (size_t i = 0; i < p->n; i++)
			for (enum stream_id id = 0; id < STREAM_COUNT; id++)
				p->sinks[i].ready[id] = true;
		return;
	}
	text[n] = '\0';
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		if (str_starts(text, orders[i].word)) {
			orders[i].run(p, text + strlen(orders[i].word));
			return;
		}
}

/* A new supervisor: it takes the place of the old one, whose end may not have been seen yet. */
static void listener_accept(struct process *p)
{
	own_fd sock = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct unix_peer peer;

	if (sock < 0 || unix_peer(sock, &peer) < 0 || (peer.uid != 0 && peer.uid != geteuid()))
		return;
	fd_close(&p->connection);
	p->connection = fd_take(&sock);
	p->lonely = false;
	watch(p, p->connection, EPOLLIN, WATCH_CONNECTION);
}

static bool is_alone(const struct process *p)
{
	if (!p->lonely || p->connection >= 0)
		return false;
	for (size_t i = 0; i < p->n; i++)
		for (enum stream_id id = 0; id < STREAM_COUNT; id++)
			if (p->sinks[i].name[0] && p->sinks[i].fd[id] >= 0 &&
				!p->sinks[i].ended[id])
				return false;
	return true;
}

/* Two processes must not read one FIFO: the next waits here until the last one is gone. */
static int lock_take(const char *run_dir)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[300];
	own_fd fd = -1;

	(void)snprintf(path, sizeof path, "%s/logw.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (fcntl(fd, F_SETLKW, &lock) < 0)
		if (errno != EINTR)
			return -errno;
	return fd_take(&fd);
}

static void dispatch(struct process *p, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		uint64_t what = events[i].data.u64;

		if (what == WATCH_LISTENER)
			listener_accept(p);
		else if (what == WATCH_CONNECTION && p->connection >= 0)
			connection_read(p);
		else if (what >= WATCH_SINK && (what - WATCH_SINK) / STREAM_COUNT < p->n)
			p->sinks[(what - WATCH_SINK) / STREAM_COUNT]
				.ready[(what - WATCH_SINK) % STREAM_COUNT] = true;
	}
}

int logwriter_main(int listener, const char *run_dir, const char *log_dir)
{
	static struct process process; /* 72 KiB: no stack's business */
	struct process *p = &process;
	own_fd lock = lock_take(run_dir);
	own_fd epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[64];
	bool more = false;

	if (lock < 0 || epoll < 0)
		return 1;
	p->run_dir = run_dir;
	p->log_dir = log_dir;
	p->epoll = epoll;
	p->listener = listener;
	p->connection = -1;
	watch(p, listener, EPOLLIN, WATCH_LISTENER);
	while (!p->quit && (more || !is_alone(p))) {
		int n = epoll_wait(epoll, events, 64, more ? 0 : -1);

		if (n < 0 && errno != EINTR)
			return 1;
		dispatch(p, events, n);
		more = round_robin(p);
	}
	for (size_t i = 0; i < p->n; i++)
		if (p->sinks[i].name[0])
			sink_drop(p, &p->sinks[i]);
	fd_close(&p->connection);
	free(p->sinks);
	return 0;
}
