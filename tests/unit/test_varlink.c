/* The control socket's framing and bounds: split and joined messages, garbage, too much, descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/unixsock.h"
#include "supervisor/core/loop.h"
#include "supervisor/core/varlink.h"

struct world {
	char dir[64], path[96];
	struct loop *loop;
	struct varlink_server *server;
	struct varlink_call *held;
	bool gone;
};

static void echo(struct varlink_call *call, const json_t *parameters, void *data)
{
	(void)data;
	varlink_reply(call, json_deep_copy(parameters));
}

static void count_fds(struct varlink_call *call, const json_t *parameters, void *data)
{
	const int *fds;
	size_t n = varlink_fds(call, &fds);

	(void)parameters;
	(void)data;
	if (n)
		(void)write_full(fds[0], "!", 1);
	varlink_reply(call, json_pack("{s:I}", "count", (json_int_t)n));
}

static void held_gone(struct varlink_call *call, void *data)
{
	struct world *w = data;

	(void)call;
	w->held = NULL;
	w->gone = true;
}

static void hold(struct varlink_call *call, const json_t *parameters, void *data)
{
	struct world *w = data;

	(void)parameters;
	w->held = call;
	varlink_on_gone(call, held_gone, w);
}

static void stream(struct varlink_call *call, const json_t *parameters, void *data)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)parameters;
	(void)data;
	varlink_stream(call, json_pack("{s:i}", "n", 1), fd);
	varlink_reply(call, json_pack("{s:i}", "n", 2));
}

static const struct varlink_method methods[] = {
	{ .name = "Echo", .run = echo },
	{ .name = "Fds", .run = count_fds, .fds = true },
	{ .name = "Hold", .run = hold },
	{ .name = "Stream", .run = stream, .more = true },
};
static struct varlink_interface interface = {
	.name = "org.berth.Test",
	.description = "interface org.berth.Test\n",
	.methods = methods,
	.nmethods = sizeof methods / sizeof methods[0],
};

static sigset_t old_mask;

static int setup(void **state)
{
	static struct world w;

	w = (struct world){ .dir = "/tmp/berth-test-varlink-XXXXXX" };
	*state = &w;
	interface.data = &w;
	(void)sigprocmask(SIG_SETMASK, NULL, &old_mask);
	if (!mkdtemp(w.dir))
		return -1;
	(void)snprintf(w.path, sizeof w.path, "%s/sock", w.dir);
	return loop_new(&w.loop, NULL) ||
	       varlink_server_open(&w.server, w.loop, w.path, &interface, NULL);
}

static int teardown(void **state)
{
	struct world *w = *state;

	varlink_server_close(w->server);
	loop_free(w->loop);
	(void)sigprocmask(SIG_SETMASK, &old_mask, NULL);
	return unlink(w->path) || rmdir(w->dir);
}

static int dial(struct world *w)
{
	int sock = unix_connect(w->path, SOCK_STREAM);

	assert_true(sock >= 0);
	assert_int_equal(fcntl(sock, F_SETFL, O_NONBLOCK), 0);
	return sock;
}

static void turn(struct world *w)
{
	for (int i = 0; i < 8; i++)
		assert_true(loop_turn(w->loop, true) >= 0);
}

static void say(struct world *w, int sock, const char *text, size_t n)
{
	assert_int_equal(write(sock, text, n), (ssize_t)n);
	turn(w);
}
#define SAY(w, sock, text) say(w, sock, text, sizeof(text)) /* with its NUL */

/* What is there to read; NUL shown as '|'. "EOF" when hung up. */
static const char *hear(int sock)
{
	static char text[8192];
	ssize_t n = recv(sock, text, sizeof text - 1, 0);

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return "EOF";
	if (n < 0)
		return "";
	text[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = '|';
	return text;
}

static void test_mode(void **state)
{
	struct world *w = *state;
	struct stat st;

	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_split_and_joined(void **state)
{
	struct world *w = *state;
	own_fd sock = dial(w);
	static const char two[] = "{\"method\":\"org.berth.Test.Echo\",\"parameters\":{\"a\":1}}\0"
				  "{\"method\":\"org.berth.Test.Echo\",\"parameters\":{\"a\":2}}";

	for (size_t i = 0; i < 40; i++)
		say(w, sock, two + i, 1);
	say(w, sock, two + 40, sizeof two - 40);
	assert_string_equal(hear(sock), "{\"parameters\":{\"a\":1}}|{\"parameters\":{\"a\":2}}|");
}

static void test_introspection(void **state)
{
	struct world *w = *state;
	own_fd sock = dial(w);

	SAY(w, sock, "{\"method\":\"org.varlink.service.GetInfo\"}");
	assert_non_null(strstr(hear(sock), "\"interfaces\":[\"org.varlink.service\",\"org.berth"));
	SAY(w, sock,
		"{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
		"{\"interface\":\"org.berth.Test\"}}");
	assert_non_null(strstr(hear(sock), "\"description\":\"interface org.berth.Test\\n\""));
	SAY(w, sock, "{\"method\":\"org.berth.Test.Nothing\"}");
	assert_non_null(strstr(hear(sock), "\"error\":\"org.varlink.service.MethodNotFound\""));
	SAY(w, sock, "{\"method\":\"org.berth.Test.Stream\"}");
	assert_non_null(strstr(hear(sock), "\"error\":\"org.varlink.service.ExpectedMore\""));
	SAY(w, sock, "{\"method\":\"org.berth.Test.Echo\",\"oneway\":true}");
	assert_string_equal(hear(sock), "");
}

static void test_garbage_hangs_up(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "null", "{}", "\xff\xfe",
		"{\"method\":1}", "{\"method\":\"a.B\",\"method\":\"a.B\"}",
		"{\"method\":\"a.B\",\"parameters\":[]}" };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		own_fd sock = dial(w);

		say(w, sock, bad[i], strlen(bad[i]) + 1);
		assert_string_equal(hear(sock), "EOF");
	}
}

static void test_too_long(void **state)
{
	struct world *w = *state;
	own_fd sock = dial(w);
	static char blanks[VARLINK_MESSAGE];

	memset(blanks, ' ', sizeof blanks);
	say(w, sock, blanks, sizeof blanks / 2);
	assert_string_equal(hear(sock), "");
	say(w, sock, blanks, sizeof blanks / 2);
	(void)send(sock, blanks, 1, MSG_NOSIGNAL);
	turn(w);
	assert_string_equal(hear(sock), "EOF");
}

static void test_too_many(void **state)
{
	struct world *w = *state;
	int socks[VARLINK_CONNECTIONS + 1];

	for (int i = 0; i <= VARLINK_CONNECTIONS; i++) {
		socks[i] = dial(w);
		turn(w);
	}
	assert_string_equal(hear(socks[0]), "");
	assert_string_equal(hear(socks[VARLINK_CONNECTIONS]), "EOF");
	for (int i = 0; i <= VARLINK_CONNECTIONS; i++)
		(void)close(socks[i]);
	turn(w);
	socks[0] = dial(w);
	SAY(w, socks[0], "{\"method\":\"org.berth.Test.Echo\"}");
	assert_string_equal(hear(socks[0]), "{\"parameters\":{}}|");
	(void)close(socks[0]);
}

static void test_descriptors(void **state)
{
	static const char wanted[] = "{\"method\":\"org.berth.Test.Fds\"}";
	static const char unwanted[] = "{\"method\":\"org.berth.Test.Echo\"}";
	struct world *w = *state;
	own_fd sock = dial(w);
	int ends[2];
	char c = 0;

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	SAY(w, sock, "{\"method\":\"org.berth.Test.Fds\"}");
	assert_string_equal(hear(sock), "{\"parameters\":{\"count\":0}}|");
	/* behind a message that brings none, both read at once */
	assert_int_equal(write(sock, unwanted, sizeof unwanted), sizeof unwanted);
	assert_int_equal(msg_send(sock, wanted, sizeof wanted, &ends[1], 1), 0);
	turn(w);
	assert_string_equal(hear(sock), "{\"parameters\":{}}|{\"parameters\":{\"count\":1}}|");
	assert_int_equal(read(ends[0], &c, 1), 1);
	/* where none are expected they are closed: our end sees the pipe's end */
	assert_int_equal(msg_send(sock, unwanted, sizeof unwanted, &ends[1], 1), 0);
	turn(w);
	assert_string_equal(hear(sock), "{\"parameters\":{}}|");
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &c, 1), 0);
	(void)close(ends[0]);
}

static void test_stream_and_fd_back(void **state)
{
	static const char ask[] = "{\"method\":\"org.berth.Test.Stream\",\"more\":true}";
	struct world *w = *state;
	own_fd sock = dial(w);
	char text[256] = { 0 };
	size_t nfds = 1;
	int fd = -1;

	say(w, sock, ask, sizeof ask);
	assert_true(msg_recv(sock, text, sizeof text - 1, &fd, &nfds) > 0);
	assert_int_equal(nfds, 1);
	assert_string_equal(text, "{\"parameters\":{\"n\":1},\"continues\":true}");
	(void)close(fd);
}

static void test_gone(void **state)
{
	struct world *w = *state;
	int sock = dial(w);

	SAY(w, sock, "{\"method\":\"org.berth.Test.Hold\"}");
	assert_non_null(w->held);
	(void)close(sock);
	turn(w);
	assert_true(w->gone);
	assert_null(w->held);
}

/* Requests that came during an open call are answered after it. */
static void test_late_reply(void **state)
{
	struct world *w = *state;
	own_fd sock = dial(w);

	SAY(w, sock, "{\"method\":\"org.berth.Test.Hold\"}");
	SAY(w, sock, "{\"method\":\"org.berth.Test.Echo\"}");
	assert_string_equal(hear(sock), "");
	varlink_reply(w->held, NULL);
	turn(w);
	assert_string_equal(hear(sock), "{\"parameters\":{}}|{\"parameters\":{}}|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_split_and_joined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_introspection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage_hangs_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_and_fd_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_reply, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
