/* What is on record about a service, and what a new supervisor makes of it. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "supervisor/base/own.h"
#include "supervisor/base/sys.h"
#include "supervisor/core/adopt.h"
#include "supervisor/core/state.h"

static struct state_record sample(void)
{
	return (struct state_record){
		.unit = "web.container",
		.boot_id = "7f2c",
		.state = SERVICE_READY,
		.wanted = true,
		.run = 17,
		.pid = 4711,
		.starttime = UINT64_MAX,
		.cgroup = "c/web/17",
		.hash = 0xdeadbeef,
		.failures = 3,
		.since = 1,
		.last = { true, true, -1, SIGKILL, true, 64 << 20 },
		.failure = "out of memory: a = b",
	};
}

static void test_round_trip(void **state)
{
	struct state_record in = sample(), out;
	char text[STATE_TEXT_SIZE], again[STATE_TEXT_SIZE];

	(void)state;
	assert_true(state_print(&in, text) == strlen(text));
	assert_int_equal(state_parse(text, &out), 0);
	(void)state_print(&out, again);
	assert_string_equal(text, again);
	assert_int_equal(out.last.code, -1);
	assert_true(out.starttime == UINT64_MAX);
	/* The longest of everything still fits, and a newline cannot break a line. */
	memset(in.unit, 'u', sizeof in.unit - 1);
	memset(in.boot_id, 'b', sizeof in.boot_id - 1);
	memset(in.cgroup, 'c', sizeof in.cgroup - 1);
	memset(in.failure, 'f', sizeof in.failure - 1);
	in.failure[7] = '\n';
	memset(in.dropped, 'd', sizeof in.dropped - 1);
	in.hash = in.run = in.since = in.started = in.ready_since = in.ready_at = UINT64_MAX;
	in.last.memory_peak = UINT64_MAX;
	in.times = (struct service_times){ UINT64_MAX, UINT64_MAX, UINT64_MAX };
	assert_true(state_print(&in, text) + 1 < STATE_TEXT_SIZE);
	assert_int_equal(state_parse(text, &out), 0);
	assert_string_equal(out.dropped, in.dropped);
	assert_memory_equal(&out.times, &in.times, sizeof in.times);
}

static void test_torn(void **state)
{
	struct state_record in = sample(), out = { .run = 99 };
	char text[STATE_TEXT_SIZE], cut[STATE_TEXT_SIZE];
	size_t n = state_print(&in, text);

	(void)state;
	/* No beginning of a record is a record. */
	for (size_t i = 0; i < n; i++) {
		memcpy(cut, text, i);
		cut[i] = '\0';
		assert_int_equal(state_parse(cut, &out), -EBADMSG);
	}
	assert_true(out.run == 99);
	assert_int_equal(state_parse("berth-state 2\nend\n", &out), -EBADMSG);
	assert_int_equal(state_parse("berth-state 1\nunit=a\nstate=77\nend\n", &out), -EBADMSG);
	assert_int_equal(state_parse("berth-state 1\nunit=a\npid=-1\nend\n", &out), -EBADMSG);
	assert_int_equal(state_parse("berth-state 1\nend\n", &out), -EBADMSG);
	/* A later version's key is passed over. */
	assert_int_equal(state_parse("berth-state 1\nunit=a\nnew=x\nend\n", &out), 0);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/berth-state-XXXXXX";
	struct state_record in = sample(), out;
	own_fd fd = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(state_read(&sys_linux, fd, "web", &out), -ENOENT);
	assert_int_equal(state_write(&sys_linux, fd, "web", &in), 0);
	assert_int_equal(state_read(&sys_linux, fd, "web", &out), 0);
	assert_string_equal(out.unit, "web.container");
	assert_int_equal(unlinkat(fd, "web", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_starttime(void **state)
{
	uint64_t mine, again;

	(void)state;
	assert_true(stat_starttime("7 (a) b) c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
				   "424242 1000 1") == 424242);
	assert_true(stat_starttime("7 (sh) S 1 7") == 0);
	assert_true(stat_starttime("") == 0);
	assert_int_equal(proc_starttime(getpid(), &mine), 0);
	assert_int_equal(proc_starttime(getpid(), &again), 0);
	assert_true(mine == again && mine > 0);
	assert_int_equal(proc_starttime(0x7fffffff, &again), -ENOENT);
	assert_false(proc_in_cgroup(getpid(), "/c/nothing/1"));
}

static void test_decide(void **state)
{
	static const struct {
		enum service_state state;
		enum notify_mode notify;
		const char *boot_id;
		bool alive;
		unsigned starttime;
		bool in_leaf;
		enum adopt_answer answer;
	} rows[] = {
		{ SERVICE_READY, NOTIFY_NO, "7f2c", true, 5, true, ADOPT_RUNNING },
		{ SERVICE_HELD, NOTIFY_NO, "7f2c", true, 5, true, ADOPT_RUNNING },
		{ SERVICE_EXTERNAL, NOTIFY_NO, "7f2c", false, 0, false, ADOPT_NOTHING },
		{ SERVICE_STOPPING, NOTIFY_NO, "7f2c", true, 5, true, ADOPT_RUNNING },
		{ SERVICE_RUNNING, NOTIFY_HEALTHY, "7f2c", true, 5, true, ADOPT_RUNNING },
		{ SERVICE_RUNNING, NOTIFY_YES, "7f2c", true, 5, true, ADOPT_KILL },
		/* another process has the number now */
		{ SERVICE_READY, NOTIFY_NO, "7f2c", true, 6, true, ADOPT_ENDED },
		{ SERVICE_READY, NOTIFY_NO, "7f2c", true, 5, false, ADOPT_ENDED },
		{ SERVICE_READY, NOTIFY_NO, "7f2c", false, 0, false, ADOPT_ENDED },
		{ SERVICE_READY, NOTIFY_NO, "other", true, 5, true, ADOPT_FORGET },
		/* not running when its supervisor died: killed, never adopted */
		{ SERVICE_STARTING, NOTIFY_NO, "7f2c", true, 5, true, ADOPT_KILL },
		{ SERVICE_KILLING, NOTIFY_NO, "7f2c", true, 5, true, ADOPT_KILL },
		{ SERVICE_DRAINING, NOTIFY_NO, "7f2c", false, 0, false, ADOPT_KILL },
		{ SERVICE_UNKILLABLE, NOTIFY_NO, "7f2c", true, 5, true, ADOPT_KILL },
		{ SERVICE_BACKOFF, NOTIFY_NO, "7f2c", false, 0, false, ADOPT_KILL },
		{ SERVICE_WAITING, NOTIFY_NO, "7f2c", false, 0, false, ADOPT_KILL },
		{ SERVICE_DONE, NOTIFY_NO, "7f2c", false, 0, false, ADOPT_NOTHING },
		{ SERVICE_FAILED, NOTIFY_NO, "7f2c", false, 0, false, ADOPT_NOTHING },
		{ SERVICE_INACTIVE, NOTIFY_NO, "7f2c", false, 0, false, ADOPT_NOTHING },
		{ SERVICE_DONE, NOTIFY_NO, "other", false, 0, false, ADOPT_FORGET },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct state_record record = sample();
		struct service_spec spec = { .type = TYPE_EXEC, .notify = rows[i].notify };
		struct adopt_facts facts = { rows[i].boot_id, rows[i].alive, rows[i].starttime,
			rows[i].in_leaf };

		record.starttime = 5;
		record.state = rows[i].state;
		if (adopt_decide(&record, &spec, &facts) != rows[i].answer)
			fail_msg("row %zu", i);
	}
}

/* A plain directory serves as the tree: only names are looked up in it. */
static void test_container_of(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *name;
	} rows[] = {
		{ "0::/berth/c/web/7\n", 1, "web" },
		{ "9:cpu:/x\n0::/berth/c/web/7\n", 1, "web" },
		{ "0::/system.slice/c/berth.service/c/web/7\n", 1, "web" },
		{ "0::/../c/web/7\n", 1, "web" },
		{ "0::/berth/c/web/8\n", 0, "" },
		{ "0::/berth/c/other/7\n", 0, "" },
		{ "0::/berth/workers/log\n", 0, "" },
		{ "0::/user.slice\n", 0, "" },
		{ "9:cpu:/berth/c/web/7\n", 0, "" },
		{ "", 0, "" },
	};
	char dir[] = "/tmp/berth-state-XXXXXX";
	struct cgroup_tree tree;

	(void)state;
	assert_non_null(mkdtemp(dir));
	tree = (struct cgroup_tree){ .fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	assert_int_equal(mkdirat(tree.fd, "c", 0700), 0);
	assert_int_equal(mkdirat(tree.fd, "c/web", 0700), 0);
	assert_int_equal(mkdirat(tree.fd, "c/web/7", 0700), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char name[64] = "";

		if (cgroup_container_of(&tree, rows[i].text, name, sizeof name) != rows[i].r ||
			strcmp(name, rows[i].name) != 0)
			fail_msg("row %zu: %s", i, name);
	}
	(void)unlinkat(tree.fd, "c/web/7", AT_REMOVEDIR);
	(void)unlinkat(tree.fd, "c/web", AT_REMOVEDIR);
	(void)unlinkat(tree.fd, "c", AT_REMOVEDIR);
	(void)close(tree.fd);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_starttime),
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_container_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
