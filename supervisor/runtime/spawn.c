#include "supervisor/runtime/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"

/* clone(2) without a stack of its own is fork(2) with flags; the order of arguments is the
 * architecture's, and equal on all that we build for as far as the pidfd. */
static pid_t clone_legacy(uint64_t flags, int *ret_pidfd)
{
	unsigned long all = (unsigned long)flags | (flags & CLONE_PARENT ? 0 : SIGCHLD);

	return (pid_t)syscall(SYS_clone, all, NULL, ret_pidfd, NULL, NULL);
}

pid_t spawn(uint64_t flags, int cgroup_fd, int *ret_pidfd, bool *must_join, struct err *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		/* A sibling takes the exit signal of the parent it shares with us. */
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
		.cgroup = cgroup_fd >= 0 ? (uint64_t)(unsigned)cgroup_fd : 0,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

	*must_join = false;
	if (pid < 0 && (errno == ENOSYS || errno == E2BIG || errno == EPERM)) {
		pid = clone_legacy(flags | CLONE_PIDFD, &pidfd);
		*must_join = pid == 0 && cgroup_fd >= 0;
	}
	if (pid < 0)
		return err_sys(err, errno, "clone a process");
	if (pid > 0)
		*ret_pidfd = pidfd;
	return pid;
}

int spawn_join_cgroup(int cgroup_fd, struct err *err)
{
	int r = file_write_at(cgroup_fd, "cgroup.procs", "0");

	return r < 0 ? err_sys(err, -r, "join the cgroup") : 0;
}

/* close_range(2), Linux 5.9. */
static void close_from_to(unsigned first, unsigned last)
{
	if (first <= last)
		(void)syscall(SYS_close_range, first, last, 0);
}

void spawn_close_others(const int *keep, size_t n)
{
	unsigned next = 3;

	for (;;) {
		unsigned kept = ~0U;

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= (int)next && (unsigned)keep[i] < kept)
				kept = (unsigned)keep[i];
		if (kept == ~0U)
			break;
		close_from_to(next, kept - 1);
		next = kept + 1;
	}
	close_from_to(next, ~0U);
}

int spawn_exec_error(const char *file, int code, struct err *err)
{
	if (code == ENOENT && access(file, F_OK) == 0)
		return err_set(err, code,
			"%s: its interpreter or dynamic loader is missing in the root", file);
	if (code == ENOEXEC)
		return err_set(err, code,
			"%s: not a program for this machine (another architecture, or a script "
			"without #!)",
			file);
	return err_sys(err, code, "%s", file);
}
