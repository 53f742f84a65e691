/* Cgroups: the kernel's texts, the device program, and, as root, kill, events and filters in a tree
 * of our own that is removed again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/impl.h"
#include "cgroups/parse.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

static void test_mountinfo(void **state)
{
	static const struct {
		const char *line;
		int r;
		const char *root, *point;
	} rows[] = {
		{ "30 22 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
			0, "/", "/sys/fs/cgroup" },
		{ "40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw", 0, "/",
			"/sys/fs/cgroup/unified" },
		{ "40 30 0:37 /a /b\\040c\\134d rw shared:1 master:2 - cgroup2 none rw", 0, "/a",
			"/b c\\d" },
		{ "34 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory", -ENOENT, NULL,
			NULL },
		{ "34 30 0:31 / /x rw - cgroup2x cgroup rw", -ENOENT, NULL, NULL },
		{ "34 30 0:31 / /x rw -", -ENOENT, NULL, NULL },
		{ "34 30 0:31 / /x rw", -EINVAL, NULL, NULL },
		{ "34 30 - - - - - cgroup2", 0, "-", "-" },
		{ "1 2 3 / /x\\000 rw - cgroup2 c rw", -EINVAL, NULL, NULL },
		{ "1 2 3 / /x\\9 rw - cgroup2 c rw", 0, "/", "/x\\9" },
		{ "", -EINVAL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct cgroup_mount mount = { "untouched", "untouched" };

		assert_int_equal(parse_mountinfo_line(rows[i].line, strlen(rows[i].line), &mount),
			rows[i].r);
		assert_string_equal(mount.root, rows[i].root ? rows[i].root : "untouched");
		assert_string_equal(mount.point, rows[i].point ? rows[i].point : "untouched");
	}
}

static void test_own_cgroup(void **state)
{
	static const struct {
		const char *root, *point, *own;
		int r;
		const char *path;
	} rows[] = {
		{ "/", "/sys/fs/cgroup", "/", 0, "/sys/fs/cgroup" },
		{ "/", "/cg", "/a.slice/b.service", 0, "/cg/a.slice/b.service" },
		{ "/a", "/cg", "/a/b", 0, "/cg/b" },
		{ "/a", "/cg", "/a", 0, "/cg" },
		{ "/a", "/cg", "/ab", -ENOENT, NULL },
		{ "/", "/cg", "/../x", -ENOENT, NULL },
	};
	char text[64];

	(void)state;
	assert_int_equal(parse_self_cgroup("4:memory:/x\n0::/a/b\n", text, sizeof text), 0);
	assert_string_equal(text, "/a/b");
	assert_int_equal(parse_self_cgroup("4:memory:/x\n", text, sizeof text), -ENOENT);
	assert_int_equal(parse_self_cgroup("0::relative\n", text, sizeof text), -EINVAL);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct cgroup_mount mount;

		(void)snprintf(mount.root, sizeof mount.root, "%s", rows[i].root);
		(void)snprintf(mount.point, sizeof mount.point, "%s", rows[i].point);
		assert_int_equal(parse_own_dir(&mount, rows[i].own, text, sizeof text), rows[i].r);
		if (rows[i].path)
			assert_string_equal(text, rows[i].path);
	}
}

static void test_kernel_texts(void **state)
{
	static const char v1[] = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
				 "cpuset\t3\t1\t1\ncpu\t1\t1\t1\nmemory\t4\t14\t1\npids\t0\t1\t1\n";
	uint64_t value = 7;
	unsigned bound = 0;
	bool any = false;

	(void)state;
	assert_int_equal(parse_controllers("cpuset cpu io memory hugetlb pids\n"),
		CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS);
	assert_int_equal(parse_controllers("\n"), 0);
	assert_int_equal(parse_controllers("cpuacct"), 0);
	parse_proc_cgroups(v1, &bound, &any);
	assert_int_equal(bound, CGROUP_CPU | CGROUP_MEMORY);
	assert_true(any);
	parse_proc_cgroups("memory\t0\t1\t1\n", &bound, &any);
	assert_int_equal(bound, 0);
	assert_false(any);
	assert_int_equal(parse_key_value("low 0\noom 1\noom_kill 3\n", "oom_kill", &value), 0);
	assert_int_equal(value, 3);
	assert_int_equal(parse_key_value("oom_kill 3", "oom", &value), -ENOENT);
	assert_int_equal(parse_key_value("oom x\n", "oom", &value), -EINVAL);
	assert_int_equal(parse_number("max\n", &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(parse_number("\n", &value), -EINVAL);
}

static void test_missing_controller(void **state)
{
	struct cgroup_limits limits = { .memory_max = { .value = 1 << 20, .set = true } };
	struct cgroup_tree tree = { .fd = -1 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(cgroup_limits_check(&tree, &limits, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "MemoryMax= cannot be enforced: no memory controller"));
	assert_non_null(strstr(err.text, "cgroup_enable=memory"));
	tree.bound_v1 = CGROUP_MEMORY;
	assert_int_equal(cgroup_limits_check(&tree, &limits, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "cgroup_no_v1=all"));
	tree.bound_v1 = 0;
	tree.at_top = CGROUP_MEMORY;
	tree.delegated = true;
	assert_int_equal(cgroup_limits_check(&tree, &limits, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "Delegate=yes"));
	limits.best_effort = true;
	assert_int_equal(cgroup_limits_check(&tree, &limits, &err), 0);
	limits.best_effort = false;
	limits.memory_max.builtin = true;
	assert_int_equal(cgroup_limits_check(&tree, &limits, &err), 0);
	limits.memory_max = (struct limit){ .value = LIMIT_MAX, .set = true };
	assert_int_equal(cgroup_limits_check(&tree, &limits, &err), 0);
	tree.controllers = CGROUP_MEMORY;
	limits.memory_max.value = 1 << 20;
	assert_int_equal(cgroup_limits_check(&tree, &limits, &err), 0);
}

/* ---- limits, written into files of a plain directory -------------------------------------------- */

static void file_make(int dir, const char *name)
{
	own_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
}

static void assert_file(int dir, const char *name, const char *text)
{
	char found[64];

	assert_true(file_read_at(dir, name, found, sizeof found) >= 0);
	assert_string_equal(found, text);
}

static void test_limits_files(void **state)
{
	static const char *const files[] = { "memory.max", "memory.high", "memory.oom.group",
		"pids.max", "cpu.max", "cpu.weight" };
	struct cgroup_limits limits = { .memory_max = { .value = 64 << 20, .set = true },
		.memory_high = { .value = LIMIT_MAX, .set = true },
		.pids_max = { .value = 1024, .set = true, .builtin = true },
		.cpu_quota_us = { .value = 150000, .set = true },
		.cpu_weight = { .value = 50, .set = true } };
	struct cgroup_tree tree = { .fd = -1,
		.controllers = CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS };
	char path[] = "/tmp/berth-test-cgroup-XXXXXX";
	char text[200] = "";
	struct strbuf dropped = STRBUF(text);
	struct err err = { 0 };
	own_fd dir = -1;

	(void)state;
	assert_non_null(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		file_make(dir, files[i]);
	assert_int_equal(limits_apply(&tree, dir, &limits, &dropped, &err), 0);
	assert_file(dir, "memory.max", "67108864");
	assert_file(dir, "memory.high", "");
	assert_file(dir, "memory.oom.group", "1");
	assert_file(dir, "pids.max", "1024");
	assert_file(dir, "cpu.max", "150000 100000");
	assert_file(dir, "cpu.weight", "50");
	assert_string_equal(text, "");
	/* A file that the kernel does not have. */
	(void)unlinkat(dir, "pids.max", 0);
	assert_int_equal(limits_apply(&tree, dir, &limits, &dropped, &err), 0);
	assert_string_equal(text, "PidsLimit= not enforced (no pids.max here)");
	limits.pids_max.builtin = false;
	assert_int_equal(limits_apply(&tree, dir, &limits, &dropped, &err), -ENOTSUP);
	assert_string_equal(err.text, "PidsLimit= cannot be enforced: the kernel has no pids.max");
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		(void)unlinkat(dir, files[i], 0);
	assert_int_equal(rmdir(path), 0);
}

/* ---- the device program, run by the few lines of an interpreter that it needs ------------------- */

static int run_program(const struct bpf_insn *insns, int n, const uint32_t context[3])
{
	uint64_t reg[11] = { 0 };

	for (int pc = 0; pc < n; pc++) {
		const struct bpf_insn *in = &insns[pc];
		uint64_t *dst = &reg[in->dst_reg];

		switch (in->code) {
		case BPF_LDX | BPF_W | BPF_MEM:
			assert_int_equal(in->src_reg, 1);
			*dst = context[in->off / 4];
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			*dst = (uint32_t)reg[in->src_reg];
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			*dst = (uint32_t)*dst & (uint32_t)in->imm;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			*dst = (uint32_t)*dst >> in->imm;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*dst = (uint64_t)in->imm;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			if ((uint32_t)*dst != (uint32_t)in->imm)
				pc += in->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)reg[0];
		default:
			fail_msg("instruction %#x", in->code);
		}
	}
	fail_msg("%s", "ran over the end");
	return -1;
}

static const struct device_rule rules[] = {
	{ 'c', -1, -1, false, false, true },
	{ 'c', 1, 3, true, true, true },
	{ 'c', 136, -1, true, true, false },
	{ 'b', 7, 0, true, false, false },
};

static void test_device_program(void **state)
{
	enum { R = BPF_DEVCG_ACC_READ, W = BPF_DEVCG_ACC_WRITE, M = BPF_DEVCG_ACC_MKNOD };
	enum { B = BPF_DEVCG_DEV_BLOCK, C = BPF_DEVCG_DEV_CHAR };
	static const struct {
		unsigned type, access, major, minor;
		int allowed;
	} rows[] = {
		{ C, R | W, 1, 3, 1 },
		{ C, R, 1, 5, 0 },
		{ C, M, 1, 5, 1 },
		{ C, M | R, 1, 5, 0 },
		{ B, R, 1, 3, 0 },
		{ C, R | W, 136, 9, 1 },
		{ C, R | W | M, 136, 9, 0 },
		{ B, R, 7, 0, 1 },
		{ B, R | W, 7, 0, 0 },
		{ B, M, 8, 0, 0 },
	};
	static struct bpf_insn insns[DEVICES_INSNS_MAX];
	static struct device_rule many[1000];
	struct device_rule bad = { 'x', 1, 1, true, true, true };
	struct err err = { 0 };
	int n = devices_program(rules, 4, insns, DEVICES_INSNS_MAX, &err);

	(void)state;
	assert_true(n > 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const uint32_t context[3] = { rows[i].access << 16 | rows[i].type, rows[i].major,
			rows[i].minor };

		assert_int_equal(run_program(insns, n, context), rows[i].allowed);
	}
	assert_int_equal(devices_program(&bad, 1, insns, DEVICES_INSNS_MAX, &err), -EINVAL);
	for (size_t i = 0; i < 1000; i++)
		many[i] = rules[1];
	assert_int_equal(devices_program(many, 1000, insns, DEVICES_INSNS_MAX, &err), -E2BIG);
}

/* ---- with the kernel: in a child, because opening the tree moves the process -------------------- */

static pid_t spawn_into(int cgroup)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)cgroup
	};
	long pid = syscall(SYS_clone3, &args, sizeof args);

	return (pid_t)pid;
}

static pid_t sleeper(int cgroup)
{
	pid_t pid = spawn_into(cgroup);

	if (pid == 0) {
		(void)signal(SIGTERM, SIG_IGN);
		for (;;)
			(void)pause();
	}
	return pid;
}

#define CHECK(what)                                                                            \
	do {                                                                                   \
		if (!(what)) {                                                                 \
			(void)fprintf(stderr, "line %d: %s: %s\n", __LINE__, #what, err.text); \
			return 1;                                                              \
		}                                                                              \
	} while (0)

static int wait_empty(int events)
{
	struct pollfd poll_for = { .fd = events, .events = POLLPRI };

	for (int i = 0; i < 20; i++) {
		if (cgroup_events_read(events) == 0)
			return 1;
		(void)poll(&poll_for, 1, 500);
	}
	return 0;
}

static int live_kill(struct cgroup_tree *tree, const char *path, int (*kill_it)(int fd))
{
	const struct cgroup_limits none = { 0 };
	struct err err = { 0 };
	own_fd leaf = cgroup_make(tree, path, &none, NULL, &err);
	own_fd events = leaf < 0 ? -1 : cgroup_events_open(leaf);
	pid_t pids[4];
	int status;
	pid_t pid;

	CHECK(leaf >= 0 && events >= 0);
	CHECK(cgroup_populated(leaf) == 0);
	pid = sleeper(leaf);
	CHECK(pid > 0);
	CHECK(sleeper(leaf) > 0);
	CHECK(cgroup_populated(leaf) == 1);
	CHECK(cgroup_pids(leaf, pids, 4) == 2 && (pids[0] == pid || pids[1] == pid));
	CHECK(cgroup_pids(leaf, pids, 1) == 1);
	CHECK(cgroup_remove(tree, path) == -EBUSY);
	CHECK(kill_it(leaf) == 0);
	CHECK(wait_empty(events));
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
	CHECK(wait(&status) > 0);
	CHECK(cgroup_make(tree, path, &none, NULL, &err) == -EEXIST);
	CHECK(cgroup_remove(tree, path) == 0);
	CHECK(cgroup_remove(tree, path) == 0);
	CHECK(cgroup_populated(leaf) == 0 && cgroup_kill(leaf) == 0);
	CHECK(cgroup_events_read(events) == 0);
	return 0;
}

/* What DESIGN calls "a new leaf for every start": one that was killed kills what is born in it. */
static int live_reuse(struct cgroup_tree *tree)
{
	const struct cgroup_limits none = { 0 };
	struct err err = { 0 };
	own_fd leaf = cgroup_make(tree, "c/reuse/1", &none, NULL, &err);
	own_fd next = -1;
	int status = 0;
	pid_t pid;

	CHECK(leaf >= 0 && cgroup_kill(leaf) == 0);
	pid = sleeper(leaf);
	CHECK(pid > 0);
	(void)usleep(20000);
	/* Killed at birth where the kernel does that; by us where it does not. */
	(void)kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(cgroup_remove(tree, "c/reuse/1") == 0);
	next = cgroup_make(tree, "c/reuse/2", &none, NULL, &err);
	CHECK(next >= 0);
	pid = spawn_into(next);
	if (pid == 0)
		_exit(42);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 42);
	return 0;
}

static int try_device(int cgroup, const char *path)
{
	int status = 0;
	pid_t pid = spawn_into(cgroup);

	if (pid == 0)
		_exit(open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno);
	return pid > 0 && waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : -1;
}

static int live_devices(struct cgroup_tree *tree)
{
	static const struct device_rule zero[] = { { 'c', 1, 5, true, false, false } };
	struct cgroup_limits limits = { .devices_filter = true, .devices = zero, .ndevices = 1 };
	struct cgroup_dropped dropped = { "" };
	struct err err = { 0 };
	own_fd leaf = cgroup_make(tree, "c/dev/1", &limits, NULL, &err);
	own_fd open_leaf = -1;

	if (leaf < 0) {
		/* Not permitted here: refused in words, and dropped when that is wanted. */
		CHECK(strstr(err.text, "device filter"));
		limits.best_effort = true;
		leaf = cgroup_make(tree, "c/dev/1", &limits, &dropped, &err);
		CHECK(leaf >= 0 && strstr(dropped.text, "device filter"));
		return 0;
	}
	CHECK(try_device(leaf, "/dev/zero") == 0);
	CHECK(try_device(leaf, "/dev/null") == EPERM);
	CHECK(try_device(leaf, "/etc/passwd") == 0);
	limits.devices_filter = false;
	open_leaf = cgroup_make(tree, "c/dev/2", &limits, NULL, &err);
	CHECK(open_leaf >= 0 && try_device(open_leaf, "/dev/null") == 0);
	return 0;
}

static int count(const char *name, void *data)
{
	(void)name;
	++*(int *)data;
	return 0;
}

static int live_limits(struct cgroup_tree *tree)
{
	struct cgroup_limits limits = { .pids_max = { .value = 64, .set = true } };
	struct cgroup_dropped dropped = { "" };
	struct cgroup_usage usage;
	struct err err = { 0 };
	own_fd leaf = cgroup_make(tree, "c/lim/1", &limits, &dropped, &err);
	int found = 0;

	if (tree->controllers & CGROUP_PIDS) {
		CHECK(leaf >= 0);
	} else {
		CHECK(leaf == -ENOTSUP && strstr(err.text, "PidsLimit="));
		limits.pids_max.builtin = true;
		leaf = cgroup_make(tree, "c/lim/1", &limits, &dropped, &err);
		CHECK(leaf >= 0 && strstr(dropped.text, "PidsLimit="));
	}
	cgroup_usage(leaf, &usage);
	CHECK(usage.oom_kills == 0);
	CHECK(cgroup_each(tree, "c", count, &found) == 0 && found > 0);
	CHECK(cgroup_make(tree, "../x", &limits, NULL, &err) < 0);
	CHECK(cgroup_make(tree, "c//x", &limits, NULL, &err) < 0);
	CHECK(cgroup_make(tree, "c/..", &limits, NULL, &err) < 0);
	return 0;
}

static int own_cgroup_is(const char *end)
{
	char text[4096];
	char own[4096];

	return file_read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) > 0 &&
	       parse_self_cgroup(text, own, sizeof own) == 0 && str_ends(own, end);
}

/* As under systemd: a directory marked as given away, with us in it. */
static int live_delegated(void)
{
	struct cgroup_tree tree = { .fd = -1 };
	struct cgroup_tree again = { .fd = -1 };
	const struct cgroup_limits none = { 0 };
	struct err err = { 0 };
	char name[64];
	char path[sizeof tree.path];
	own_fd above = -1;
	own_fd dir = -1;

	(void)snprintf(name, sizeof name, "berth-test-%d-d", (int)getpid());
	CHECK(cgroup_tree_open(&tree, name, NULL, &err) == 0);
	(void)snprintf(path, sizeof path, "%s", tree.path);
	CHECK(cgroup_tree_remove(&tree, &err) == 0);
	CHECK(mkdir(path, 0755) == 0);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dir >= 0 && fsetxattr(dir, "trusted.delegate", "1", 1, 0) == 0);
	CHECK(file_write_at(dir, "cgroup.procs", "0") == 0);
	CHECK(cgroup_tree_open(&tree, "unused", NULL, &err) == 0);
	CHECK(tree.delegated && strcmp(tree.path, path) == 0 && own_cgroup_is("-d/supervisor"));
	/* The next run of the service, which starts where this one was. */
	CHECK(cgroup_tree_open(&again, "unused", NULL, &err) == 0);
	CHECK(again.delegated && strcmp(again.path, path) == 0);
	cgroup_tree_done(&again);
	above = cgroup_make(&tree, "c/web/1", &none, NULL, &err);
	CHECK(above >= 0);
	CHECK(cgroup_tree_remove(&tree, &err) == 0 && own_cgroup_is("-d"));
	CHECK(file_write_at(dir, "../cgroup.procs", "0") == 0 && rmdir(path) == 0);
	return 0;
}

/* A directory that another unit of the service manager holds: we stay where we are. */
static int live_apart(void)
{
	struct cgroup_tree tree = { .fd = -1 };
	const struct cgroup_limits none = { 0 };
	struct err err = { 0 };
	char name[64];
	char path[sizeof tree.path];
	own_fd leaf = -1;

	(void)snprintf(name, sizeof name, "berth-test-%d-a", (int)getpid());
	CHECK(cgroup_tree_open(&tree, name, NULL, &err) == 0);
	(void)snprintf(path, sizeof path, "%s", tree.path);
	CHECK(cgroup_tree_remove(&tree, &err) == 0);
	CHECK(cgroup_tree_open(&tree, path, NULL, &err) == -ENOENT);
	CHECK(cgroup_tree_open(&tree, "/tmp", NULL, &err) == -EINVAL);
	CHECK(strstr(err.text, "no cgroup v2 directory"));
	CHECK(mkdir(path, 0755) == 0);
	CHECK(cgroup_tree_open(&tree, path, NULL, &err) == 0);
	CHECK(tree.delegated && strcmp(tree.path, path) == 0 && !own_cgroup_is("-a/supervisor"));
	leaf = cgroup_make(&tree, "c/web/1", &none, NULL, &err);
	CHECK(leaf >= 0);
	CHECK(cgroup_tree_remove(&tree, &err) == 0);
	CHECK(rmdir(path) == 0);
	return 0;
}

/* No cgroup2 mounted: at a place of our own. */
static int live_mount(void)
{
	struct cgroup_tree tree = { .fd = -1 };
	struct err err = { 0 };
	char where[] = "/tmp/berth-test-cgroup-XXXXXX";
	char name[64];

	(void)snprintf(name, sizeof name, "berth-test-%d-m", (int)getpid());
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 0;
	/* Ours to unmount: the namespace is private. */
	if (umount2("/sys/fs/cgroup", MNT_DETACH) < 0)
		return 0;
	CHECK(cgroup_tree_open(&tree, name, NULL, &err) == -ENODEV);
	CHECK(strstr(err.text, "mount -t cgroup2"));
	CHECK(mkdtemp(where));
	CHECK(cgroup_tree_open(&tree, name, where, &err) == 0);
	CHECK(strncmp(tree.path, where, strlen(where)) == 0 && own_cgroup_is("-m/supervisor"));
	CHECK(cgroup_tree_remove(&tree, &err) == 0);
	CHECK(umount(where) == 0 && rmdir(where) == 0);
	return 0;
}

static void sweep(const struct cgroup_tree *tree)
{
	own_fd c = cgroup_open(tree, "c");
	own_fd workers = cgroup_open(tree, "workers");

	(void)cgroup_kill(c);
	(void)cgroup_kill(workers);
	for (int i = 0; i < 100 && (cgroup_populated(c) > 0 || cgroup_populated(workers) > 0); i++)
		(void)usleep(10000);
}

static int live(void)
{
	struct cgroup_tree tree = { .fd = -1 };
	struct err err = { 0 };
	char name[64];
	int bad;

	(void)snprintf(name, sizeof name, "berth-test-%d", (int)getpid());
	if (cgroup_tree_open(&tree, name, NULL, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 77;
	}
	bad = live_kill(&tree, "c/web/1", cgroup_kill) +
	      live_kill(&tree, "workers/w", cgroup_kill_each) + live_reuse(&tree) +
	      live_devices(&tree) + live_limits(&tree);
	/* Also after a failure nothing is left. */
	if (bad)
		sweep(&tree);
	if (cgroup_tree_remove(&tree, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		bad++;
	}
	bad += live_delegated() + live_apart() + live_mount();
	return bad ? 1 : 0;
}

static void test_live(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip(); /* making cgroups needs root */
	pid = fork();
	if (pid == 0)
		_exit(live());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip(); /* no cgroup2 here, or not ours to change */
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_own_cgroup),
		cmocka_unit_test(test_kernel_texts),
		cmocka_unit_test(test_missing_controller),
		cmocka_unit_test(test_limits_files),
		cmocka_unit_test(test_device_program),
		cmocka_unit_test(test_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
