/* The report of a start, as the loop reads it: what was said last is heard, however the sayer ended. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/base/fd.h"
#include "supervisor/core/service.h"
#include "supervisor/runtime/container.h"

static struct container report_pair(int *ret_theirs)
{
	struct container container = CONTAINER_NONE;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	container.report_fd = pair[0];
	*ret_theirs = pair[1];
	return container;
}

static void say(int fd, enum report_kind kind, const char *words)
{
	struct report report = { .kind = (int32_t)kind, .stage = STAGE_ROOT };

	(void)err_set(&report.err, EIO, "%s", words);
	assert_int_equal(msg_send(fd, &report, sizeof report, NULL, 0), 0);
}

static void test_end(void **state)
{
	struct report report;
	int console = -1, theirs;
	struct container container = report_pair(&theirs);

	(void)state;
	assert_int_equal(container_read_report(&container, &report, &console), -EAGAIN);
	say(theirs, REPORT_WARN, "careful");
	assert_int_equal(close(theirs), 0);
	assert_int_equal(container_read_report(&container, &report, &console), 1);
	assert_int_equal(report.kind, REPORT_WARN);
	assert_int_equal(container_read_report(&container, &report, &console), 0);
	assert_int_equal(container.report_fd, -1);
	container_done(&container);
}

/* It fails while our go byte is on its way: the kernel tells of the reset before its last words. */
static void test_words_before_a_reset(void **state)
{
	struct report report;
	int console = -1, theirs;
	struct container container = report_pair(&theirs);

	(void)state;
	assert_int_equal(container_go(&container), 0);
	say(theirs, REPORT_WARN, "careful");
	say(theirs, REPORT_FAIL, "no such directory");
	assert_int_equal(close(theirs), 0);
	assert_int_equal(container_read_report(&container, &report, &console), 1);
	assert_int_equal(report.kind, REPORT_WARN);
	assert_int_equal(container_read_report(&container, &report, &console), 1);
	assert_int_equal(report.kind, REPORT_FAIL);
	assert_string_equal(report.err.text, "no such directory");
	assert_int_equal(container_read_report(&container, &report, &console), 0);
	container_done(&container);
}

/* It was dead before it was let go: no failure of ours, its own words are on their way. */
static void test_dead_before_go(void **state)
{
	struct report report;
	int console = -1, theirs;
	struct container container = report_pair(&theirs);

	(void)state;
	say(theirs, REPORT_FAIL, "no such directory");
	assert_int_equal(close(theirs), 0);
	assert_int_equal(container_go(&container), 0);
	assert_int_equal(container_read_report(&container, &report, &console), 1);
	assert_int_equal(report.kind, REPORT_FAIL);
	assert_int_equal(container_read_report(&container, &report, &console), 0);
	container_done(&container);
}

static void nothing_else(void *owner, const struct report *report, int console)
{
	(void)owner;
	(void)console;
	assert_int_equal(report->kind, REPORT_WARN);
}

/* It is dead, and a process that was forked before holds the other end still: no end of file comes. */
static void test_end_without_end_of_file(void **state)
{
	int theirs;
	struct watched w = { .c = report_pair(&theirs) };
	struct watched silent = { .c = CONTAINER_NONE };

	(void)state;
	assert_false(watched_read(NULL, &w, nothing_else, NULL));
	say(theirs, REPORT_WARN, "careful");
	say(theirs, REPORT_FAIL, "no such directory");
	assert_true(watched_last_words(NULL, &w, nothing_else, NULL));
	assert_true(w.failed);
	assert_non_null(strstr(watched_words(&w), "no such directory"));
	assert_int_equal(w.c.report_fd, -1);
	assert_false(watched_last_words(NULL, &w, nothing_else, NULL));
	assert_int_equal(close(theirs), 0);
	watched_done(NULL, &w);
	/* Without a word: where it died is what there is to say. */
	silent.c = report_pair(&theirs);
	assert_true(watched_last_words(NULL, &silent, nothing_else, NULL));
	assert_true(silent.failed);
	assert_non_null(strstr(watched_words(&silent), "the process died there"));
	assert_int_equal(close(theirs), 0);
	watched_done(NULL, &silent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_words_before_a_reset),
		cmocka_unit_test(test_dead_before_go),
		cmocka_unit_test(test_end_without_end_of_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
