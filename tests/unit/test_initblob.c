/* berth-init, run as a subreaper instead of as process 1: that needs no namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/runtime/initblob.h"

enum { SIZE_MAX_BYTES = 20480 };

/* Starts the blob with up to three arguments; its stdout is *ret_out, its stderr is /dev/null. */
static pid_t start(const char *a, const char *b, const char *c, int *ret_out)
{
	const char *argv[] = { "berth-init", a, b, c, NULL };
	const char *env[] = { "PATH=/nonexistent:/usr/bin:/bin", NULL };
	struct err err = { 0 };
	own_fd blob = initblob_open(&err);
	int out[2];
	pid_t pid;

	assert_true(blob >= 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(out[1], STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		/* As the runtime's child does: a shell cannot trap what was ignored when it began. */
		for (int i = 1; i < NSIG; i++)
			(void)signal(i, SIG_DFL);
		(void)signal(SIGCHLD, SIG_IGN);
		(void)execveat(blob, "", (char *const *)(uintptr_t)argv,
			(char *const *)(uintptr_t)env, AT_EMPTY_PATH);
		_exit(99);
	}
	(void)close(out[1]);
	*ret_out = out[0];
	return pid;
}

static int finish(pid_t pid, int out)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int run(const char *a, const char *b, const char *c)
{
	int out;
	pid_t pid = start(a, b, c, &out);

	return finish(pid, out);
}

static void test_size_and_seals(void **state)
{
	struct err err = { 0 };
	own_fd blob = initblob_open(&err);
	own_fd writer = -1;

	(void)state;
	print_message("berth-init: %zu bytes\n", initblob_size());
	assert_in_range(initblob_size(), 500, SIZE_MAX_BYTES);
	assert_int_equal(fcntl(blob, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(blob, "x", 1), -1);
	writer = open(fd_path(blob).text, O_WRONLY | O_CLOEXEC);
	if (writer >= 0) {
		assert_int_equal(write(writer, "x", 1), -1);
		assert_int_equal(ftruncate(writer, 0), -1);
	}
}

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(run("/bin/sh", "-c", "exit 0"), 0);
	assert_int_equal(run("/bin/sh", "-c", "exit 7"), 7);
	assert_int_equal(run("sh", "-c", "exit 255"), 255);
	assert_int_equal(run("/bin/sh", "-c", "kill -9 $$"), 128 + 9);
	assert_int_equal(run("/nonexistent", NULL, NULL), 127);
	assert_int_equal(run("no-such-program", NULL, NULL), 127);
	assert_int_equal(run("/etc/passwd/x", NULL, NULL), 127);
	assert_int_equal(run("/etc/passwd", NULL, NULL), 126);
	assert_int_equal(run("/", NULL, NULL), 126);
}

static void test_forwarding(void **state)
{
	static const struct {
		int signal, status;
	} rows[] = { { SIGTERM, 41 }, { SIGINT, 42 }, { SIGHUP, 43 }, { SIGUSR1, 44 } };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char byte;
		int out;
		pid_t pid = start("sh", "-c",
			"trap 'exit 41' TERM; trap 'exit 42' INT; trap 'exit 43' HUP;"
			"trap 'exit 44' USR1; echo; while :; do sleep 0.02; done",
			&out);

		assert_int_equal(read(out, &byte, 1), 1);
		assert_int_equal(kill(pid, rows[i].signal), 0);
		assert_int_equal(finish(pid, out), rows[i].status);
	}
}

/* The program's mask is what berth-init was given, not the full one it has itself. */
static void test_mask_restored(void **state)
{
	(void)state;
	assert_int_equal(run("sh", "-c", "grep -q '^SigBlk:[[:space:]]*0*$' /proc/self/status"), 0);
	assert_int_equal(run("sh", "-c", "test $(cut -d' ' -f5 /proc/$$/stat) = $$"), 0);
}

static void test_orphans(void **state)
{
	(void)state;
	assert_int_equal(
		run("sh", "-c",
			"p=$( (sleep 5 >/dev/null & echo $!) );"
			"test $(cut -d' ' -f4 /proc/$p/stat) = $PPID || exit 1;"
			"kill $p; sleep 0.1; test ! -e /proc/$p || exit 2;"
			"test ! -s /proc/$PPID/task/$PPID/children || "
			"test \"$(cat /proc/$PPID/task/$PPID/children)\" = \"$$ \" || exit 3"),
		0);
}

static void test_hold(void **state)
{
	int out;
	pid_t pid = start(NULL, NULL, NULL, &out);

	(void)state;
	/* It must have reached its loop before it is asked anything. */
	assert_int_equal(usleep(100000), 0);
	assert_int_equal(kill(pid, SIGUSR1), 0);
	assert_int_equal(usleep(20000), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(finish(pid, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_and_seals),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_forwarding),
		cmocka_unit_test(test_mask_restored),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
