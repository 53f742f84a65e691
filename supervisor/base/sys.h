/* Every impure call that the supervisor's core makes, as a table, so that tests replace it and walk
 * its failures. All give 0 or a value, or -errno. Code outside the core calls the kernel itself. */
#ifndef BERTH_BASE_SYS_H
#define BERTH_BASE_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sys {
	uint64_t (*monotonic)(void);
	uint64_t (*realtime)(void);
	/* pidfd_open(2), pidfd_send_signal(2) */
	int (*pidfd_open)(pid_t pid);
	int (*pidfd_signal)(int pidfd, int signal);
	/* waitid(P_PIDFD, WEXITED|WNOHANG): 1 and the wait status, 0 not yet, -ECHILD not ours. */
	int (*pidfd_reap)(int pidfd, int *ret_status);
	/* reads and writes of small files (state, cgroup) below a directory */
	ssize_t (*read_at)(int dirfd, const char *path, char *buf, size_t size);
	int (*write_at)(int dirfd, const char *path, const char *text);
	int (*replace_at)(int dirfd, const char *path, const void *data, size_t n);
	int (*unlink_at)(int dirfd, const char *path, int flags);
};

/* The real calls. */
extern const struct sys sys_linux;

#endif
