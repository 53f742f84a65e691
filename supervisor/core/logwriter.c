/*
 * The supervisor's end. What the writer must know is kept as flags on a table (`told`, `asked`), not
 * as a queue of messages: whatever goes wrong, a full socket or a dead writer, the cure is to clear
 * the flags and to synchronise again.
 */
#include "supervisor/core/logwriter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"
#include "supervisor/base/unixsock.h"

struct entry {
	char name[64];
	uint64_t size;
	uint32_t count;
	bool told;  /* the writer reads this one */
	bool drain; /* a drain is wanted */
	bool asked; /* and the writer knows */
	bool gone;  /* to be forgotten, as soon as the writer knows */
	uint64_t cookie;
};

struct logwriter {
	struct loop *loop;
	loop_id watch;
	struct loop_timer retry;
	char run_dir[256], log_dir[256];
	int cgroup_fd;
	int fifo_dir;
	int sock; /* -1: no writer; `retry` is armed */
	pid_t pid;
	uint64_t forked; /* when: one that dies at once is not started again at once */
	logwriter_drained_fn *drained;
	void *data;
	struct entry *entries;
	size_t n, cap;
};

enum { RETRY_DELAY = 1 };

/* ---- the process ----------------------------------------------------------------------------- */

/* In the forked child: nothing of the supervisor may be held open, least of all its terminal. */
static _Noreturn void become_writer(struct logwriter *writer, int listener)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;

	(void)setsid();
	if (writer->cgroup_fd >= 0)
		(void)file_write_at(writer->cgroup_fd, "cgroup.procs", "0");
	(void)prctl(PR_SET_NAME, "berth-log");
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
	if (listener != 3)
		listener = dup3(listener, 3, O_CLOEXEC);
	(void)syscall(SYS_close_range, 4U, ~0U, 0U);
	(void)sigemptyset(&none);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGHUP, &ignore, NULL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(logwriter_main(listener, writer->run_dir, writer->log_dir));
}

static int writer_fork(struct logwriter *writer, const char *path, struct err *err)
{
	own_fd listener = unix_listen(path, SOCK_SEQPACKET, 4, err);
	pid_t pid;

	if (listener < 0)
		return listener;
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "fork the log writer");
	if (pid == 0)
		become_writer(writer, fd_take(&listener));
	writer->pid = pid;
	writer->forked = clock_monotonic();
	return 0;
}

/* ---- synchronising --------------------------------------------------------------------------- */

static void connection_event(struct loop *loop, uint32_t events, void *data);

static int send_text(struct logwriter *writer, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int send_text(struct logwriter *writer, const char *fmt, ...)
{
	char text[160];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return msg_send(writer->sock, text, (size_t)n, NULL, 0);
}

/* Tells one entry's news; -EAGAIN when the socket is full. */
static int entry_sync(struct logwriter *writer, struct entry *e)
{
	int r = 0;

	if (!e->told && !e->gone) {
		r = send_text(
			writer, "add %s %llu %u", e->name, (unsigned long long)e->size, e->count);
		if (r < 0)
			return r;
		e->told = true;
	}
	if (e->drain && !e->asked) {
		r = send_text(writer, "drain %s", e->name);
		if (r < 0)
			return r;
		e->asked = true;
	}
	if (e->gone && e->told && !e->drain) {
		r = send_text(writer, "drop %s", e->name);
		if (r < 0)
			return r;
		e->told = false;
	}
	return 0;
}

/* Tells everything that is not known yet; waits for room in the socket where it must. */
static void sync_all(struct logwriter *writer)
{
	size_t keep = 0;
	int r = 0;

	if (writer->sock < 0)
		return;
	for (size_t i = 0; i < writer->n && r == 0; i++)
		r = entry_sync(writer, &writer->entries[i]);
	/* -EPIPE and the like: the end of the connection is about to be seen */
	(void)loop_modify(writer->loop, writer->watch, r == -EAGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
	for (size_t i = 0; i < writer->n; i++)
		if (!writer->entries[i].gone || writer->entries[i].told || writer->entries[i].drain)
			writer->entries[keep++] = writer->entries[i];
	writer->n = keep;
}

/* Answers the drain of one name. The callback may attach, drain or detach, so the table may move. */
static void answer(struct logwriter *writer, const char *name)
{
	for (size_t i = 0; i < writer->n; i++) {
		struct entry *e = &writer->entries[i];
		char copy[sizeof e->name];

		if (!e->drain || strcmp(e->name, name) != 0)
			continue;
		e->drain = e->asked = false;
		memcpy(copy, e->name, sizeof copy);
		writer->drained(writer, copy, e->cookie, writer->data);
		return;
	}
}

/* Connects to the living writer, else starts one. */
static int writer_connect(struct logwriter *writer, struct err *err)
{
	char path[300];
	int r;

	(void)snprintf(path, sizeof path, "%s/logw.sock", writer->run_dir);
	writer->sock = unix_connect(path, SOCK_SEQPACKET);
	if (writer->sock < 0) {
		writer->sock = -1;
		r = writer_fork(writer, path, err);
		if (r < 0)
			return r;
		writer->sock = unix_connect(path, SOCK_SEQPACKET);
	}
	if (writer->sock < 0) {
		r = writer->sock;
		writer->sock = -1;
		return err_sys(err, -r, "connect to the log writer at %s", path);
	}
	(void)fcntl(writer->sock, F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < writer->n; i++)
		writer->entries[i].told = writer->entries[i].asked = false;
	r = loop_add(writer->loop, writer->sock, EPOLLIN, LOOP_NOTICE, connection_event, writer,
		&writer->watch);
	if (r < 0) {
		fd_close(&writer->sock);
		return err_sys(err, -r, "watch the log writer");
	}
	sync_all(writer);
	return 0;
}

/* No writer can be had now: nobody may wait for one. Containers are not hurt before 64 KiB. */
static void without_writer(struct logwriter *writer, const struct err *err)
{
	uint64_t at = loop_now(writer->loop) + RETRY_DELAY * NSEC_PER_SEC;

	log_error("logs are not being written: %s", err->text);
	(void)loop_timer_set(writer->loop, &writer->retry, at);
	for (size_t i = 0; i < writer->n; i++) {
		char name[sizeof writer->entries[i].name];

		memcpy(name, writer->entries[i].name, sizeof name);
		answer(writer, name);
	}
}

static void reconnect(struct logwriter *writer)
{
	struct err err = { 0 };

	if (writer_connect(writer, &err) < 0)
		without_writer(writer, &err);
}

static void retry_due(struct loop *loop, void *data)
{
	(void)loop;
	reconnect(data);
}

static void connection_lost(struct logwriter *writer)
{
	log_warning("the log writer is gone; starting another");
	loop_remove(writer->loop, &writer->watch);
	fd_close(&writer->sock);
	writer->pid = 0;
	if (clock_monotonic() < writer->forked + RETRY_DELAY * NSEC_PER_SEC)
		(void)loop_timer_set(writer->loop, &writer->retry,
			loop_now(writer->loop) + RETRY_DELAY * NSEC_PER_SEC);
	else
		reconnect(writer);
}

/* A bounded number of answers a turn. */
static void connection_event(struct loop *loop, uint32_t events, void *data)
{
	struct logwriter *writer = data;
	char text[600];

	(void)loop;
	for (int i = 0; i < 16 && events & (EPOLLIN | EPOLLHUP | EPOLLERR); i++) {
		ssize_t n = msg_recv(writer->sock, text, sizeof text - 1, NULL, NULL);

		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			connection_lost(writer);
			return;
		}
		text[n] = '\0';
		if (str_starts(text, "drained "))
			answer(writer, text + strlen("drained "));
		else if (str_starts(text, "note "))
			log_warning("%s", text + strlen("note "));
	}
	sync_all(writer);
}

/* ---- the door -------------------------------------------------------------------------------- */

int logwriter_open(struct logwriter **ret, const struct logwriter_options *options, struct err *err)
{
	struct logwriter *writer = calloc(1, sizeof *writer);
	own_fd cgroup = options->cgroup_fd;
	char path[300];
	int r;

	if (!writer)
		return err_sys(err, ENOMEM, "open the log writer");
	writer->sock = writer->fifo_dir = -1;
	writer->loop = options->loop;
	writer->cgroup_fd = fd_take(&cgroup);
	writer->drained = options->drained;
	writer->data = options->data;
	writer->retry = (struct loop_timer){ .fn = retry_due, .data = writer };
	if ((size_t)snprintf(writer->run_dir, sizeof writer->run_dir, "%s", options->run_dir) >=
			sizeof writer->run_dir ||
		(size_t)snprintf(writer->log_dir, sizeof writer->log_dir, "%s", options->log_dir) >=
			sizeof writer->log_dir) {
		logwriter_close(writer, false);
		return err_sys(err, ENAMETOOLONG, "open the log writer in %s", options->run_dir);
	}
	(void)snprintf(path, sizeof path, "%s/fifo", writer->run_dir);
	r = path_mkdirs(path, 0700);
	if (r == 0) {
		writer->fifo_dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = writer->fifo_dir < 0 ? -errno : 0;
	}
	if (r < 0)
		(void)err_sys(err, -r, "make the directory %s", path);
	else
		r = writer_connect(writer, err);
	if (r < 0) {
		logwriter_close(writer, false);
		return r;
	}
	*ret = writer;
	return 0;
}

void logwriter_close(struct logwriter *writer, bool quit)
{
	if (!writer)
		return;
	if (writer->sock >= 0 && quit)
		(void)send_text(writer, "quit");
	loop_timer_cancel(writer->loop, &writer->retry);
	loop_remove(writer->loop, &writer->watch);
	fd_close(&writer->sock);
	fd_close(&writer->fifo_dir);
	fd_close(&writer->cgroup_fd);
	free(writer->entries);
	free(writer);
}

void logwriter_set_cgroup(struct logwriter *writer, int cgroup_fd)
{
	fd_close(&writer->cgroup_fd);
	writer->cgroup_fd = cgroup_fd;
}

pid_t logwriter_pid(const struct logwriter *writer)
{
	return writer->pid;
}

/* The FIFO, made where it is missing, or where something else took its place. */
static int fifo_open(const struct logwriter *writer, const char *name, const char *suffix)
{
	char file[80];
	struct stat st;
	own_fd fd = -1;

	(void)snprintf(file, sizeof file, "%s.%s", name, suffix);
	if (fstatat(writer->fifo_dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		!S_ISFIFO(st.st_mode) && unlinkat(writer->fifo_dir, file, 0) < 0)
		return -errno;
	if (mkfifoat(writer->fifo_dir, file, 0622) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(writer->fifo_dir, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode))
		return -EEXIST;
	/* the umask may have taken what the container's user needs to open /dev/stdout */
	if ((st.st_mode & 07777) != 0622 && fchmod(fd, 0622) < 0)
		return -errno;
	return fd_take(&fd);
}

static struct entry *entry_get(struct logwriter *writer, const char *name)
{
	for (size_t i = 0; i < writer->n; i++)
		if (strcmp(writer->entries[i].name, name) == 0)
			return &writer->entries[i];
	if (writer->n == writer->cap) {
		size_t cap = writer->cap ? writer->cap * 2 : 16;
		struct entry *larger = realloc(writer->entries, cap * sizeof *larger);

		if (!larger)
			return NULL;
		writer->entries = larger;
		writer->cap = cap;
	}
	writer->entries[writer->n] = (struct entry){ 0 };
	(void)snprintf(writer->entries[writer->n].name, sizeof writer->entries[0].name, "%s", name);
	return &writer->entries[writer->n++];
}

int logwriter_attach(struct logwriter *writer, const char *name, uint64_t log_size,
	uint32_t log_count, int *ret_out, int *ret_err, struct err *err)
{
	own_fd out = -1;
	own_fd errfd = -1;
	struct entry *e;

	if (!name_valid(name))
		return err_set(err, EINVAL, "'%s' is no name for a container", name);
	out = fifo_open(writer, name, "out");
	errfd = fifo_open(writer, name, "err");
	if (out < 0 || errfd < 0)
		return err_sys(err, out < 0 ? -out : -errfd, "make the FIFOs %s/fifo/%s.*",
			writer->run_dir, name);
	e = entry_get(writer, name);
	if (!e)
		return err_sys(err, ENOMEM, "attach %s to the log writer", name);
	e->told = e->gone = false;
	e->size = log_size;
	e->count = log_count;
	sync_all(writer);
	if (ret_out)
		*ret_out = fd_take(&out);
	if (ret_err)
		*ret_err = fd_take(&errfd);
	return 0;
}

void logwriter_drain(struct logwriter *writer, const char *name, uint64_t cookie)
{
	struct entry *e = entry_get(writer, name);

	if (!e) { /* no memory: better an early end of the log than a run that never ends */
		writer->drained(writer, name, cookie, writer->data);
		return;
	}
	e->drain = true;
	e->asked = false;
	e->cookie = cookie;
	sync_all(writer);
}

void logwriter_detach(struct logwriter *writer, const char *name)
{
	static const char *const suffixes[] = { "out", "err" };
	char file[80];

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(file, sizeof file, "%s.%s", name, suffixes[i]);
		(void)unlinkat(writer->fifo_dir, file, 0);
	}
	for (size_t i = 0; i < writer->n; i++)
		if (strcmp(writer->entries[i].name, name) == 0)
			writer->entries[i].gone = true;
	sync_all(writer);
}
