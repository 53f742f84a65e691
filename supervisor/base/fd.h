/* Whole reads and writes, small files, and messages with descriptors. All descriptors are born
 * close-on-exec. */
#ifndef BERTH_BASE_FD_H
#define BERTH_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

struct err;

/* Read or write all of it, across EINTR and short counts. read_full gives the bytes read (fewer
 * than n only at end of file), write_full 0; both -errno. */
ssize_t read_full(int fd, void *buf, size_t n);
int write_full(int fd, const void *buf, size_t n);

/*
 * file_read_at - a small file as text
 *
 * Gives: the length, and buf NUL-terminated. Fails with -EFBIG when it does not fit: never cut.
 *        Opens O_NONBLOCK and refuses what is not a regular file (-EINVAL), so a FIFO cannot hang
 *        the caller. Kernel files (proc, sys, cgroup) are regular files.
 */
ssize_t file_read_at(int dirfd, const char *path, char *buf, size_t size);

/* file_write_at - one write(2) to an existing file, as kernel files want it: 0 or -errno. */
int file_write_at(int dirfd, const char *path, const char *text);

/*
 * file_replace_at - the new content is there wholly or not at all
 *
 * Writes `.PATH.tmp` in the same directory, then rename(2). `path` is one name, without a slash.
 * Survives the death of the process; with `sync` (fdatasync of the file, fsync of the directory)
 * also a power cut.
 */
int file_replace_at(int dirfd, const char *path, const void *data, size_t n, mode_t mode, int sync);

/*
 * file_lock - make the file where it is missing, and wait until nobody else holds its lock
 *
 * Gives: a descriptor; the lock goes with it, and with the process (fcntl(2): never with a child).
 */
int file_lock(int dirfd, const char *path, struct err *err);

/*
 * msg_send, msg_recv - one datagram, with up to FD_MAX descriptors
 *
 * msg_send: 0 or -errno; never raises SIGPIPE. The descriptors stay the caller's.
 * msg_recv: the length (0: the peer is gone), or -errno (-EAGAIN on a non-blocking socket with
 *           nothing there). The fds are the caller's, in fds[0..*nfds). More than *nfds on entry:
 *           the rest is closed and -EPROTO given.
 */
enum { FD_MAX = 16 };
int msg_send(int sock, const void *data, size_t n, const int *fds, size_t nfds);
ssize_t msg_recv(int sock, void *data, size_t size, int *fds, size_t *nfds);

/* fd_mount_id - the number of the mount that it was opened on, as in mountinfo; -ENOENT: not to be
 * found (proc_pid_fdinfo(5)). Needs /proc. */
int fd_mount_id(int fd);

#endif
