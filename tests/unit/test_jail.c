/* What is left of the system calls after jail_calls: tried in a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "images/jail.h"

static const int calls[] = { SYS_getpid, SYS_write, SYS_exit_group };
static const uint32_t families[] = { AF_INET, AF_INET6 };

static bool refused(long r)
{
	return r == -1 && errno == EPERM;
}

static bool no_process_and_no_program(void)
{
	return refused(syscall(SYS_execve, "/bin/true", NULL, NULL)) &&
	       refused(syscall(SYS_clone, 0, 0, 0, 0, 0)) && syscall(SYS_clone3, NULL, 0) == -1 &&
	       errno == ENOSYS;
}

static bool no_code_of_data(void)
{
	void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return data != MAP_FAILED && refused(mprotect(data, 4096, PROT_READ | PROT_EXEC)) &&
	       mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		       MAP_FAILED;
}

static bool only_what_is_listed(void)
{
	return getpid() > 0 && refused(syscall(SYS_getppid)) &&
	       refused(syscall(SYS_ptrace, 0, 0, 0, 0)) &&
	       refused(syscall(SYS_openat, AT_FDCWD, "/", 0));
}

static bool only_these_sockets(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 && refused(socket(AF_UNIX, SOCK_STREAM, 0)) &&
	       refused(socket(AF_NETLINK, SOCK_RAW, 0)) && refused(socket(AF_PACKET, SOCK_RAW, 0));
}

static bool no_sockets(void)
{
	return refused(socket(AF_INET, SOCK_STREAM, 0));
}

/* In a child: `holds` with `nfamilies` of the sockets. */
static void jailed(bool (*holds)(void), size_t nfamilies)
{
	const struct jail_calls left = { calls, sizeof calls / sizeof calls[0],
		nfamilies ? families : NULL, nfamilies, false };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || jail_calls(&left, NULL) < 0)
			_exit(2);
		_exit(!holds());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void calls_are_left(void **state)
{
	(void)state;
	jailed(no_process_and_no_program, 0);
	jailed(no_code_of_data, 0);
	jailed(only_what_is_listed, 0);
	jailed(no_sockets, 0);
	jailed(only_these_sockets, 2);
}

static void too_many_are_refused(void **state)
{
	static const int many[300];
	const struct jail_calls left = { many, 300, NULL, 0, false };
	struct err err = { 0 };

	(void)state;
	assert_true(jail_calls(&left, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_left),
		cmocka_unit_test(too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
