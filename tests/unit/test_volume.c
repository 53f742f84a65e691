/* Files that builders share: many at a time write the same ones. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/base/err.h"
#include "supervisor/runtime/volume.h"

enum { BUILDERS = 4, TEXTS = 200 };

static int write_all(const char *dir)
{
	for (int i = 0; i < TEXTS; i++) {
		struct err err = { 0 };
		char path[300];
		char text[20];
		int fd;

		(void)snprintf(text, sizeof text, "text %d\n", i);
		if (volume_shared_text(dir, text, path, sizeof path, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			return 1;
		}
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return 1;
		(void)close(fd);
	}
	return 0;
}

/* As a builder is: process 1 of a pid namespace, where there may be one. */
static int run_builder(const char *dir)
{
	int status = 0;
	pid_t pid;

	(void)unshare(CLONE_NEWUSER | CLONE_NEWPID);
	pid = fork();
	if (pid == 0)
		_exit(write_all(dir));
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static void test_shared_text(void **state)
{
	char dir[] = "/tmp/berth-test-XXXXXX";
	pid_t pids[BUILDERS];
	char etc[100];
	int status = 0;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < BUILDERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(run_builder(dir));
	}
	for (int i = 0; i < BUILDERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	/* Each once, and nothing half-made beside them. */
	(void)snprintf(etc, sizeof etc, "%s/etc", dir);
	assert_int_equal(chdir(etc), 0);
	pid = fork();
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c",
			"test \"$(ls -A | wc -l)\" = 200 && cd / && rm -r \"$1\"", "sh", dir,
			(char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_shared_text) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
