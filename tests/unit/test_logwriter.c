/* Logs: the record format, the segments, what is counted when it is lost, the writer's process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/unixsock.h"
#include "supervisor/core/logfile.h"
#include "supervisor/core/logstore.h"
#include "supervisor/core/logwriter.h"

struct place {
	char dir[64];
};

static int remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	char child[512];

	if (!dir)
		return unlink(path);
	for (struct dirent *e; (e = readdir(dir));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			(void)snprintf(child, sizeof child, "%s/%s", path, e->d_name);
			if (unlink(child) < 0)
				(void)remove_tree(child);
		}
	(void)closedir(dir);
	return rmdir(path);
}

static int setup(void **state)
{
	static struct place place;

	(void)snprintf(place.dir, sizeof place.dir, "/tmp/berth-test-log-XXXXXX");
	*state = &place;
	return mkdtemp(place.dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return remove_tree(((struct place *)*state)->dir);
}

/* The whole text of a segment. */
static const char *segment(const struct place *place, const char *name, const char *file)
{
	static char text[1 << 20];
	char path[256];

	(void)snprintf(path, sizeof path, "%s/%s/%s", place->dir, name, file);
	return file_read_at(AT_FDCWD, path, text, sizeof text) < 0 ? NULL : text;
}

/* What follows the header line. */
static const char *records(const char *text)
{
	assert_non_null(text);
	assert_memory_equal(text, "# berth-log 1 container=", 24);
	return strchr(text, '\n') + 1;
}

static void feed(struct log_stream *stream, struct log_store *store, const char *text, bool end)
{
	static char buffer[LOG_LINE_MAX + 64 * 1024];
	size_t n = strlen(text);

	(void)snprintf(buffer + LOG_LINE_MAX, sizeof buffer - LOG_LINE_MAX, "%s", text);
	/* 2026-11-22T10:20:38.000000042Z */
	log_stream_feed(stream, store, buffer + LOG_LINE_MAX, n, 1795342838000000042ULL, end);
}

static void test_record_format(void **state)
{
	struct log_stream stream = { .label = "stdout" };
	struct log_store store;
	struct err err = { 0 };

	assert_int_equal(
		log_store_open(&store, ((struct place *)*state)->dir, "web", 1 << 20, 3, &err), 0);
	feed(&stream, &store, "one\n\ntw", false);
	feed(&stream, &store, "o\nthr", false);
	feed(&stream, &store, "ee", false);
	feed(&stream, &store, "", true);
	log_store_close(&store);
	assert_string_equal(records(segment(*state, "web", "00000001.log")),
		"2026-11-22T10:20:38.000000042Z stdout F one\n"
		"2026-11-22T10:20:38.000000042Z stdout F \n"
		"2026-11-22T10:20:38.000000042Z stdout F two\n"
		"2026-11-22T10:20:38.000000042Z stdout F three\n");
	assert_null(stream.tail);
}

static void test_long_line(void **state)
{
	struct log_stream stream = { .label = "stderr" };
	static char line[LOG_LINE_MAX * 2 + 10];
	struct log_store store;
	const char *p;

	memset(line, 'x', sizeof line - 2);
	line[sizeof line - 2] = '\n';
	assert_int_equal(
		log_store_open(&store, ((struct place *)*state)->dir, "web", 1 << 20, 3, NULL), 0);
	feed(&stream, &store, line, false);
	log_store_close(&store);
	p = records(segment(*state, "web", "00000001.log"));
	for (int i = 0; i < 3; i++) {
		assert_memory_equal(p + 30, i < 2 ? " stderr P x" : " stderr F x", 11);
		p = strchr(p, '\n') + 1;
	}
	assert_int_equal(*p, '\0');
}

/* Never more than count segments, never one beyond its size, names only grow. */
static void test_rotation(void **state)
{
	struct log_stream stream = { .label = "stdout" };
	struct log_store store;
	char line[1024];
	struct stat st;
	char path[128];

	memset(line, 'y', sizeof line);
	line[1022] = '\n';
	line[1023] = '\0';
	assert_int_equal(
		log_store_open(&store, ((struct place *)*state)->dir, "web", 64 * 1024, 2, NULL),
		0);
	for (int i = 0; i < 400; i++)
		feed(&stream, &store, line, false);
	assert_true(store.seq > 5);
	for (uint64_t seq = 1; seq <= store.seq; seq++) {
		(void)snprintf(path, sizeof path, "%s/web/%08llu.log",
			((struct place *)*state)->dir, (unsigned long long)seq);
		assert_int_equal(stat(path, &st), seq + 2 > store.seq ? 0 : -1);
		if (seq + 2 > store.seq)
			assert_true(st.st_size <= 64 * 1024);
	}
	log_store_close(&store);
}

/* A power cut in a line: the next writer ends it and says so, and goes on in the same segment. */
static void test_resume(void **state)
{
	struct log_stream stream = { .label = "stdout" };
	struct log_store store;
	char path[128];
	own_fd fd = -1;
	const char *text;

	assert_int_equal(
		log_store_open(&store, ((struct place *)*state)->dir, "web", 1 << 20, 3, NULL), 0);
	feed(&stream, &store, "one\n", false);
	log_store_close(&store);
	(void)snprintf(path, sizeof path, "%s/web/00000001.log", ((struct place *)*state)->dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write_full(fd, "2026-11", 7), 0);
	assert_int_equal(
		log_store_open(&store, ((struct place *)*state)->dir, "web", 1 << 20, 3, NULL), 0);
	feed(&stream, &store, "two\n", false);
	log_store_close(&store);
	text = segment(*state, "web", "00000001.log");
	assert_non_null(strstr(text, "one\n2026-11\n# unclean\n2026-"));
	assert_non_null(strstr(text, " stdout F two\n"));
}

/* A link planted under the next segment's name is not followed. */
static void test_planted_link(void **state)
{
	struct log_stream stream = { .label = "stdout" };
	const char *dir = ((struct place *)*state)->dir;
	struct log_store store;
	char path[128];
	char victim[128];

	(void)snprintf(path, sizeof path, "%s/web", dir);
	assert_int_equal(path_mkdirs(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/web/00000001.log", dir);
	(void)snprintf(victim, sizeof victim, "%s/victim", dir);
	assert_int_equal(symlink(victim, path), 0);
	assert_int_equal(log_store_open(&store, dir, "web", 1 << 20, 3, NULL), 0);
	feed(&stream, &store, "one\n", false);
	log_store_close(&store);
	assert_int_equal(access(victim, F_OK), -1);
	assert_non_null(strstr(segment(*state, "web", "00000002.log"), " stdout F one\n"));
	assert_int_equal(log_store_open(&store, dir, "../web", 1 << 20, 3, NULL), -EINVAL);
}

/* A disk that takes no more: whole records stay, the rest is counted, and the count is written as
 * soon as something can be. The file size limit stands for the full disk. */
static void test_drops_are_counted(void **state)
{
	struct log_stream stream = { .label = "stdout" };
	struct rlimit old;
	struct rlimit tight;
	struct log_store store;
	const char *text;
	char line[4096];

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	memset(line, 'z', sizeof line);
	line[4094] = '\n';
	line[4095] = '\0';
	assert_int_equal(
		log_store_open(&store, ((struct place *)*state)->dir, "web", 1 << 20, 3, NULL), 0);
	feed(&stream, &store, line, false);
	tight = (struct rlimit){ .rlim_cur = store.size + 20, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (int i = 0; i < 4; i++)
		feed(&stream, &store, line, false);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(store.dropped_lines, 4);
	feed(&stream, &store, "after\n", false);
	assert_int_equal(store.dropped_lines, 0);
	log_store_close(&store);
	text = records(segment(*state, "web", "00000001.log"));
	text = strchr(text, '\n') + 1; /* the one that fitted */
	assert_memory_equal(text + 30, " stderr F berth: dropped 4 lines ", 33);
	assert_non_null(strstr(text, " bytes: File too large\n"));
	assert_non_null(strstr(text, " stdout F after\n"));
}

/* ---- reading back ----------------------------------------------------------------------------- */

struct heard {
	char text[4096];
	size_t n, lines;
};

static int hear_line(const struct log_record *record, void *data)
{
	struct heard *heard = data;

	if (heard->n + record->n + 2 < sizeof heard->text)
		heard->n += (size_t)snprintf(heard->text + heard->n, record->n + 2, "%.*s,",
			(int)record->n, record->text);
	heard->lines++;
	return 0;
}

/* The last lines across segments, then what comes after them, also across segments. */
static void test_tail_and_more(void **state)
{
	const char *dir = ((struct place *)*state)->dir;
	struct log_stream stream = { .label = "stdout" };
	struct logfile_place place;
	struct heard heard = { 0 };
	struct log_store store;
	char line[32];

	assert_int_equal(
		logfile_tail(dir, "web", 5, NULL, hear_line, &heard, &place, NULL), -ENOENT);
	assert_int_equal(
		logfile_tail(dir, "../web", 5, NULL, hear_line, &heard, &place, NULL), -EINVAL);
	assert_int_equal(log_store_open(&store, dir, "web", LOG_SEGMENT_MIN, 9, NULL), 0);
	for (int i = 0; i < 2000; i++) { /* 100 kB: two segments */
		(void)snprintf(line, sizeof line, "%d\n", i);
		feed(&stream, &store, line, false);
	}
	assert_true(store.seq == 2);
	assert_int_equal(logfile_tail(dir, "web", 3, NULL, hear_line, &heard, &place, NULL), 0);
	assert_string_equal(heard.text, "1997,1998,1999,");
	heard = (struct heard){ 0 };
	assert_int_equal(
		logfile_tail(dir, "web", LOGFILE_ALL, NULL, hear_line, &heard, &place, NULL), 0);
	assert_int_equal(heard.lines, 2000);
	heard = (struct heard){ 0 };
	assert_int_equal(logfile_tail(dir, "web", 1999, NULL, hear_line, &heard, NULL, NULL), 0);
	assert_int_equal(heard.lines, 1999);
	heard = (struct heard){ 0 };
	assert_int_equal(logfile_more(dir, "web", &place, hear_line, &heard), 0);
	assert_int_equal(heard.lines, 0);
	for (int i = 0; i < 2000; i++)
		feed(&stream, &store, "later\n", false);
	log_store_close(&store);
	assert_int_equal(logfile_more(dir, "web", &place, hear_line, &heard), 0);
	assert_int_equal(heard.lines, 2000);
	heard = (struct heard){ 0 };
	assert_int_equal(logfile_tail(dir, "web", LOGFILE_ALL, "2026-11-22T10:20:39.000000000Z",
				 hear_line, &heard, NULL, NULL),
		0);
	assert_int_equal(heard.lines, 0);
}

/* ---- the process ------------------------------------------------------------------------------ */

struct running {
	char socket[128];
	int sock;
	pid_t pid;
	int out;
};

static void say(int sock, const char *text)
{
	assert_int_equal(msg_send(sock, text, strlen(text), NULL, 0), 0);
}

static void expect(int sock, const char *text)
{
	char got[256];
	ssize_t n = msg_recv(sock, got, sizeof got - 1, NULL, NULL);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static struct running writer_start(const char *dir)
{
	struct running ret = { .sock = -1, .out = -1 };
	char path[128];
	int listener;

	(void)snprintf(path, sizeof path, "%s/fifo", dir);
	assert_int_equal(path_mkdirs(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/fifo/web.out", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	ret.out = open(path, O_RDWR | O_CLOEXEC);
	(void)snprintf(ret.socket, sizeof ret.socket, "%s/logw.sock", dir);
	listener = unix_listen(ret.socket, SOCK_SEQPACKET, 4, NULL);
	assert_true(listener >= 0);
	ret.pid = fork();
	if (ret.pid == 0) {
		(void)close(ret.out);
		_exit(logwriter_main(listener, dir, dir));
	}
	(void)close(listener);
	ret.sock = unix_connect(ret.socket, SOCK_SEQPACKET);
	assert_true(ret.sock >= 0);
	return ret;
}

/* What was written before a drain is on the disk when it is answered; a writer outlives its
 * supervisor for as long as a container holds a FIFO, and then ends by itself. */
static void test_process(void **state)
{
	const char *dir = ((struct place *)*state)->dir;
	struct running w = writer_start(dir);
	int status = -1;

	say(w.sock, "add web 65536 3");
	assert_int_equal(write_full(w.out, "hello\nunfinished", 16), 0);
	say(w.sock, "drain web");
	expect(w.sock, "drained web");
	assert_non_null(strstr(segment(*state, "web", "00000001.log"), " stdout F hello\n"));
	assert_non_null(strstr(segment(*state, "web", "00000001.log"), " stdout F unfinished\n"));
	say(w.sock, "drain nobody");
	expect(w.sock, "drained nobody");

	(void)close(w.sock); /* the supervisor is killed */
	assert_int_equal(write_full(w.out, "alone\n", 6), 0);
	w.sock = unix_connect(w.socket, SOCK_SEQPACKET);
	assert_true(w.sock >= 0);
	say(w.sock, "drain web");
	expect(w.sock, "drained web");
	assert_non_null(strstr(segment(*state, "web", "00000001.log"), " stdout F alone\n"));

	assert_int_equal(write_full(w.out, "last\n", 5), 0);
	(void)close(w.sock);
	(void)close(w.out);
	assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
	assert_int_equal(status, 0);
	assert_non_null(strstr(segment(*state, "web", "00000001.log"), " stdout F last\n"));
}

static void test_process_bad_orders(void **state)
{
	struct running w = writer_start(((struct place *)*state)->dir);
	static const char *const bad[] = { "add", "add ", "add web", "add web 1", "add ../x 1 2",
		"add web x 2", "drain ", "drop ", "drop nobody", "\001\002", "ad" };
	int status = -1;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		say(w.sock, bad[i]);
	say(w.sock, "drain web");
	expect(w.sock, "drained ");
	expect(w.sock, "drained web");
	say(w.sock, "quit");
	assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
	assert_int_equal(status, 0);
	(void)close(w.sock);
	(void)close(w.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_record_format, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resume, setup, teardown),
		cmocka_unit_test_setup_teardown(test_planted_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drops_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tail_and_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_process_bad_orders, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
