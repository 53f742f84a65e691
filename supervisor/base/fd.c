#include "supervisor/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/own.h"

ssize_t read_full(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, (char *)buf + done, n - done);

		if (r == 0)
			break;
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

int write_full(int fd, const void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t w = write(fd, (const char *)buf + done, n - done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		done += (size_t)w;
	}
	return 0;
}

ssize_t file_read_at(int dirfd, const char *path, char *buf, size_t size)
{
	own_fd fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	n = read_full(fd, buf, size);
	if (n < 0)
		return n;
	if ((size_t)n == size)
		return -EFBIG;
	buf[n] = '\0';
	return n;
}

int file_write_at(int dirfd, const char *path, const char *text)
{
	own_fd fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t n = strlen(text);
	ssize_t w;

	if (fd < 0)
		return -errno;
	do
		w = write(fd, text, n);
	while (w < 0 && errno == EINTR);
	if (w < 0)
		return -errno;
	return (size_t)w == n ? 0 : -EIO;
}

int file_replace_at(int dirfd, const char *path, const void *data, size_t n, mode_t mode, int sync)
{
	char tmp[256];
	own_fd fd = -1;
	int r;

	if ((size_t)snprintf(tmp, sizeof tmp, ".%s.tmp", path) >= sizeof tmp)
		return -ENAMETOOLONG;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	r = write_full(fd, data, n);
	if (r == 0 && sync && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return r;
	}
	if (sync) {
		own_fd dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0 || fsync(dir) < 0)
			return -errno;
	}
	return 0;
}

int file_lock(int dirfd, const char *path, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	own_fd fd = openat(dirfd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "open the lock %s", path);
	while (fcntl(fd, F_SETLKW, &lock) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "lock %s", path);
	return fd_take(&fd);
}

/* Room for FD_MAX descriptors, aligned as cmsg(3) wants it. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * FD_MAX)];
};

int msg_send(int sock, const void *data, size_t n, const int *fds, size_t nfds)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)(size_t)data, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (nfds > FD_MAX)
		return -EINVAL;
	if (nfds) {
		struct cmsghdr *head;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(head), fds, sizeof(int) * nfds);
	}
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == n ? 0 : -EIO;
}

/* Moves the descriptors of a message to the caller; too many are closed. */
static int take_fds(struct msghdr *msg, int *fds, size_t *nfds)
{
	size_t room = *nfds;
	int r = msg->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	*nfds = 0;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		size_t count;

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
			if (r == 0 && *nfds < room) {
				fds[(*nfds)++] = fd;
			} else {
				r = -EPROTO;
				fd_close(&fd);
			}
		}
	}
	while (r < 0 && *nfds)
		fd_close(&fds[--*nfds]);
	return r;
}

ssize_t msg_recv(int sock, void *data, size_t size, int *fds, size_t *nfds)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	size_t none = 0;
	ssize_t n;
	int r;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r = take_fds(&msg, fds, nfds ? nfds : &none);
	if (r < 0)
		return r;
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}

int fd_mount_id(int fd)
{
	char path[40];
	char info[512];
	const char *line;

	(void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	if (file_read_at(AT_FDCWD, path, info, sizeof info) < 0 ||
		!(line = strstr(info, "mnt_id:")))
		return -ENOENT;
	return (int)strtol(line + 7, NULL, 10);
}
