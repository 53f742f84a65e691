/* The filter of system calls, on a real kernel: every check runs in a child that loaded it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/capability.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/err.h"
#include "supervisor/runtime/caps.h"
#include "supervisor/runtime/seccomp.h"

enum { DEFAULT_CAPS = 0x800405fb, NR_CLONE3 = 435, NR_OPENAT2 = 437, NR_FCHMODAT2 = 452 };

/* What a call may give besides an errno. */
enum { FINE = 0, NOT_FILTERED = -1 };

struct row {
	long number;
	unsigned long args[4];
	int error; /* FINE, an errno, or NOT_FILTERED: neither EPERM nor ENOSYS */
};

static const struct row rows[] = {
	{ SYS_keyctl, { 0, (unsigned long)-1, 0, 0 }, EPERM },
	{ SYS_io_uring_setup, { 1, 0, 0, 0 }, EPERM },
	{ SYS_userfaultfd, { 0 }, EPERM },
	{ SYS_unshare, { CLONE_NEWUTS, 0, 0, 0 }, EPERM },
	{ SYS_unshare, { CLONE_NEWUSER, 0, 0, 0 }, EPERM },
	{ SYS_setns, { 0, 0, 0, 0 }, EPERM },
	{ SYS_mount, { 0 }, EPERM },
	{ SYS_bpf, { 0 }, EPERM },
	{ SYS_clone, { CLONE_NEWUSER | SIGCHLD, 0, 0, 0 }, EPERM },
	{ SYS_clone, { CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, 0, 0, 0 }, EPERM },
	{ NR_CLONE3, { 0, 0, 0, 0 }, ENOSYS },
	{ 999, { 0 }, ENOSYS },
	{ 9999, { 0 }, ENOSYS },
	{ SYS_socket, { 38, SOCK_SEQPACKET, 0, 0 }, EAFNOSUPPORT },
	{ SYS_socket, { 40, SOCK_STREAM, 0, 0 }, EAFNOSUPPORT },
	/* The kernel drops the upper half of an int: the filter must not look at it. */
	{ SYS_socket, { 0x100000026UL, SOCK_SEQPACKET, 0, 0 }, EAFNOSUPPORT },
	{ SYS_socket, { AF_NETLINK, SOCK_RAW, 9, 0 }, EINVAL },
	{ SYS_socket, { AF_NETLINK, SOCK_RAW, 0x100000009UL, 0 }, EINVAL },
	{ SYS_personality, { ADDR_NO_RANDOMIZE, 0, 0, 0 }, ENOSYS },
	{ SYS_personality, { 0xffffffff, 0, 0, 0 }, FINE },
	{ SYS_socket, { AF_UNIX, SOCK_STREAM, 0, 0 }, FINE },
	{ SYS_socket, { AF_NETLINK, SOCK_RAW, 0, 0 }, FINE },
	{ SYS_getpid, { 0 }, FINE },
	{ SYS_gettid, { 0 }, FINE },
	{ SYS_sched_yield, { 0 }, FINE },
	{ SYS_getrandom, { 0, 0, 0, 0 }, FINE },
	{ NR_OPENAT2, { 0 }, NOT_FILTERED },
	{ SYS_statx, { 0 }, NOT_FILTERED },
	{ SYS_capset, { 0 }, NOT_FILTERED },
};

static const char *const true_argv[] = { "true", NULL };

/* Tries a row; a text says what is wrong. */
static const char *try_row(const struct row *row)
{
	static char text[128];
	long r;

	errno = 0;
	r = syscall(row->number, row->args[0], row->args[1], row->args[2], row->args[3], 0, 0);
	if (row->error == FINE               ? r >= 0
		: row->error == NOT_FILTERED ? errno != EPERM && errno != ENOSYS
					     : r < 0 && errno == row->error)
		return NULL;
	(void)snprintf(text, sizeof text, "call %ld (0x%lx, 0x%lx, 0x%lx) gave %ld: %s\n",
		row->number, row->args[0], row->args[1], row->args[2], r, strerror(errno));
	return text;
}

/* Runs `body` in a child under a filter: its exit status, or -signal. */
static int confined(const struct seccomp_prog *prog, int (*body)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		/* cmocka's handler would go on with the next test in here. */
		(void)signal(SIGSEGV, SIG_DFL);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_apply(prog) < 0)
			_exit(99);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int body_rows(void)
{
	int bad = 0;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *text = try_row(&rows[i]);

		if (text) {
			bad = 1;
			(void)!write(STDERR_FILENO, text, strlen(text));
		}
	}
	return bad;
}

/* An ordinary life: a file, a child by libc's own way, a program. */
static int body_ordinary(void)
{
	struct stat st;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	int status;
	pid_t pid;

	if (fd < 0 || fstat(fd, &st) < 0 || close(fd) < 0)
		return 1;
	pid = fork();
	if (pid < 0)
		return 2;
	if (pid == 0) {
		(void)execv("/bin/true", (char *const *)(uintptr_t)true_argv);
		_exit(3);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 4;
}

static void build(uint64_t caps, struct seccomp_prog *prog)
{
	struct err err = { 0 };

	if (seccomp_build(NULL, caps, true, prog, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_default(void **state)
{
	struct seccomp_prog prog;
	uint64_t began = clock_monotonic();

	(void)state;
	build(DEFAULT_CAPS, &prog);
	print_message("built-in profile: %u instructions in %.1f ms\n", prog.len,
		(double)(clock_monotonic() - began) / 1e6);
	assert_int_equal(confined(&prog, body_rows), 0);
	assert_int_equal(confined(&prog, body_ordinary), 0);
	seccomp_prog_done(&prog);
}

static int body_admin(void)
{
	static const struct row open_rows[] = {
		{ SYS_setns, { (unsigned long)-1, 0, 0, 0 }, EBADF },
		{ NR_CLONE3, { 0, 0, 0, 0 }, EINVAL },
		{ SYS_keyctl, { 0 }, EPERM },
		{ 999, { 0 }, ENOSYS },
		{ SYS_socket, { AF_NETLINK, SOCK_RAW, 0, 0 }, FINE },
	};

	for (size_t i = 0; i < sizeof open_rows / sizeof open_rows[0]; i++)
		if (try_row(&open_rows[i]))
			return (int)i + 1;
	return 0;
}

static void test_all_caps(void **state)
{
	struct seccomp_prog prog;

	(void)state;
	build(CAPABILITY_ALL, &prog);
	assert_int_equal(confined(&prog, body_admin), 0);
	assert_int_equal(confined(&prog, body_ordinary), 0);
	seccomp_prog_done(&prog);
}

#if defined(__x86_64__)
static long call_32(long number, long first)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(number), "b"(first) : "memory");
	return (int)r;
}

/* The 32-bit entry has numbers of its own: 288 keyctl, 310 unshare, 20 getpid. */
static int body_32(void)
{
	if (call_32(20, 0) <= 0)
		return 1;
	if (call_32(288, 0) != -EPERM || call_32(310, CLONE_NEWUTS) != -EPERM)
		return 2;
	if (call_32(999, 0) != -ENOSYS || call_32(120, CLONE_NEWUSER) != -EPERM)
		return 3;
	return 0;
}

static int body_x32(void)
{
	static const long numbers[] = { SYS_getpid, SYS_keyctl, SYS_unshare, 520, 999 };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (syscall(0x40000000L | numbers[i], 0, 0, 0) >= 0 || errno != ENOSYS)
			return (int)i + 1;
	return 0;
}

static void test_x32(void **state)
{
	struct seccomp_prog prog;

	(void)state;
	build(DEFAULT_CAPS, &prog);
	assert_int_equal(confined(&prog, body_x32), 0);
	seccomp_prog_done(&prog);
}

static void test_i386(void **state)
{
	struct seccomp_prog prog;
	int r;

	(void)state;
	build(DEFAULT_CAPS, &prog);
	r = confined(&prog, body_32);
	seccomp_prog_done(&prog);
	if (r == -SIGSEGV) {
		print_message("this kernel serves no 32-bit programs\n");
		skip();
	}
	assert_int_equal(r, 0);
}
#endif

/* A profile in a file of its own. */
static int build_text(
	const char *text, uint64_t caps, bool setup, struct seccomp_prog *prog, struct err *err)
{
	char path[] = "/tmp/berth-seccomp-XXXXXX";
	int fd = mkstemp(path);
	int r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	r = seccomp_build(path, caps, setup, prog, err);
	(void)unlink(path);
	return r;
}

static int body_json(void)
{
	static const struct row json_rows[] = {
		{ SYS_getppid, { 0 }, EXDEV },
		{ SYS_sync, { 0 }, EPERM },
		{ SYS_getpgid, { 3, 0, 0, 0 }, ELOOP },
		{ SYS_getpgid, { 0, 0, 0, 0 }, FINE },
		{ SYS_getsid, { 1, 0, 0, 0 }, EPERM },
		{ SYS_getsid, { 2, 0, 0, 0 }, EPERM },
		{ SYS_getsid, { 0, 0, 0, 0 }, FINE },
		{ SYS_getuid, { 0 }, FINE },
		{ SYS_getgid, { 0 }, EPERM },
		{ NR_FCHMODAT2, { 0 }, EDOM },
	};

	for (size_t i = 0; i < sizeof json_rows / sizeof json_rows[0]; i++)
		if (try_row(&json_rows[i]))
			return (int)i + 1;
	return 0;
}

static void test_json(void **state)
{
	static const char text[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":"
		"\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\"]}],\"syscalls\":["
		"{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":18},"
		"{\"names\":[\"sync\",\"getpid\"],\"action\":\"SCMP_ACT_ALLOW\"},"
		"{\"names\":[\"sync\"],\"action\":\"SCMP_ACT_ERRNO\",\"includes\":{\"minKernel\":"
		"\"4.8\"}},"
		"{\"names\":[\"fchmodat2\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":33},"
		"{\"names\":[\"getpgid\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":40,\"args\":"
		"[{\"index\":0,\"value\":3,\"valueTwo\":0,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"getsid\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":"
		"[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
		"{\"index\":0,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"getuid\"],\"action\":\"SCMP_ACT_ERRNO\",\"excludes\":{\"caps\":["
		"\"CAP_CHOWN\"]}},"
		"{\"names\":[\"getgid\"],\"action\":\"SCMP_ACT_ERRNO\",\"includes\":{\"caps\":["
		"\"CAP_CHOWN\"]}},"
		"{\"names\":[\"getuid\"],\"action\":\"SCMP_ACT_KILL\",\"includes\":{\"arches\":["
		"\"s390x\"]}}"
		"]}";
	struct seccomp_prog prog;
	struct err err = { 0 };

	(void)state;
	if (build_text(text, CAPABILITY_BIT(CAP_CHOWN), true, &prog, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(confined(&prog, body_json), 0);
	seccomp_prog_done(&prog);
}

static void test_json_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{ "", "line " },
		{ "[]", "an action is missing" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultAction\":\"SCMP_ACT_KILL\"}",
			"duplicate" },
		{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "SCMP_ACT_NOTIFY is not served" },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":5000}", "0 to 4095" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", "not a list" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":\"SCMP_ACT_"
		  "KILL\"}]}",
			"no \"names\"" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"wriet\"],"
		  "\"action\":\"SCMP_ACT_KILL\"}]}",
			"system call wriet: not known" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"write\"],"
		  "\"action\":\"SCMP_ACT_KILL\",\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]}]}",
			"index is 0 to 5" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}",
			"listenerPath" },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\"}", "must allow capset and execve" },
	};
	struct seccomp_prog prog;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err err = { 0 };

		assert_int_equal(build_text(bad[i].text, 0, true, &prog, &err), -EINVAL);
		if (!strstr(err.text, bad[i].part))
			fail_msg("row %zu: %s", i, err.text);
	}
}

static void test_cache(void **state)
{
	struct seccomp_cache cache = { 0 };
	const struct seccomp_prog *first;
	const struct seccomp_prog *again;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(seccomp_cache_get(&cache, NULL, DEFAULT_CAPS, false, &first, &err), 0);
	/* CAP_CHOWN is none that the profile asks about. */
	assert_int_equal(
		seccomp_cache_get(&cache, NULL, DEFAULT_CAPS & ~1ULL, false, &again, &err), 0);
	assert_ptr_equal(first, again);
	assert_int_equal(seccomp_cache_get(&cache, NULL, CAPABILITY_ALL, false, &again, &err), 0);
	assert_ptr_not_equal(first, again);
	assert_int_equal(
		seccomp_cache_get(&cache, "/nonexistent", 0, false, &again, &err), -ENOENT);
	for (uint64_t bit = 16; bit < 28; bit++)
		assert_int_equal(
			seccomp_cache_get(&cache, NULL, CAPABILITY_BIT(bit), false, &again, &err),
			0);
	seccomp_cache_done(&cache);
	assert_null(cache.entries[0].prog.filter);
}

/* Capability helpers, in a child: there is no way back. */
static int caps_child(void)
{
	uint64_t keep = CAPABILITY_BIT(CAP_KILL) | CAPABILITY_BIT(CAP_CHOWN);

	if (caps_drop_bounding(keep) < 0)
		return 1;
	for (int bit = 0; bit <= caps_last(); bit++)
		if (prctl(PR_CAPBSET_READ, bit) != !!(keep & CAPABILITY_BIT(bit)))
			return 2;
	if (caps_set(keep, keep, keep) < 0 || caps_ambient(CAPABILITY_BIT(CAP_KILL)) < 0)
		return 3;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) != 1 ||
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) != 0)
		return 4;
	if (caps_set(UINT64_MAX, UINT64_MAX, 0) != -EPERM || caps_ambient(0) < 0)
		return 5;
	return caps_set(0, 0, 0) < 0 ? 6 : 0;
}

static void test_caps(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	assert_in_range(caps_last(), 37, 63);
	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(caps_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_all_caps),
#if defined(__x86_64__)
		cmocka_unit_test(test_x32),
		cmocka_unit_test(test_i386),
#endif
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_refused),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
