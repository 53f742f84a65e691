#include "supervisor/base/sys.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"

#ifndef P_PIDFD
#define P_PIDFD 3 /* waitid(2), Linux 5.4 */
#endif

static int real_pidfd_open(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

static int real_pidfd_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

static int real_pidfd_reap(int pidfd, int *ret_status)
{
	siginfo_t info = { 0 };

	if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
		return -errno;
	if (!info.si_pid)
		return 0;
	/* The same encoding as wait(2) gives, so that WIFEXITED and its kin can be used. */
	*ret_status =
		info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status & 0x7f;
	return 1;
}

static int real_replace_at(int dirfd, const char *path, const void *data, size_t n)
{
	return file_replace_at(dirfd, path, data, n, 0600, 0);
}

static int real_unlink_at(int dirfd, const char *path, int flags)
{
	return unlinkat(dirfd, path, flags) < 0 ? -errno : 0;
}

const struct sys sys_linux = {
	.monotonic = clock_monotonic,
	.realtime = clock_realtime,
	.pidfd_open = real_pidfd_open,
	.pidfd_signal = real_pidfd_signal,
	.pidfd_reap = real_pidfd_reap,
	.read_at = file_read_at,
	.write_at = file_write_at,
	.replace_at = real_replace_at,
	.unlink_at = real_unlink_at,
};
