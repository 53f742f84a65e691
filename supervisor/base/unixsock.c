#include "supervisor/base/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/own.h"

/*
 * sun_path has 108 bytes and a run directory in a test may be deeper: then the directory is opened
 * and named through /proc. *ret_dir stays open for as long as the address is used.
 */
static int address(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) < sizeof ret->sun_path) {
		memcpy(ret->sun_path, path, strlen(path) + 1);
		return 0;
	}
	if (!slash || (size_t)(slash - path) >= sizeof dir)
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	*ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir < 0)
		return -errno;
	if (snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", *ret_dir,
		    slash + 1) >= (int)sizeof ret->sun_path)
		return -ENAMETOOLONG;
	return 0;
}

int unix_listen(const char *path, int type, int backlog, struct err *err)
{
	own_fd sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;
	own_fd dir = -1;
	mode_t mask;
	int r;

	if (sock < 0)
		return err_sys(err, errno, "make a unix socket");
	r = address(path, &addr, &dir);
	if (r < 0)
		return err_sys(err, -r, "listen on %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove the old %s", path);
	mask = umask(0177);
	r = bind(sock, (struct sockaddr *)&addr, sizeof addr) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return err_sys(err, -r, "bind %s", path);
	if (listen(sock, backlog) < 0)
		return err_sys(err, errno, "listen on %s", path);
	return fd_take(&sock);
}

int unix_connect(const char *path, int type)
{
	own_fd sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;
	own_fd dir = -1;
	int r;

	if (sock < 0)
		return -errno;
	r = address(path, &addr, &dir);
	if (r < 0)
		return r;
	if (connect(sock, (struct sockaddr *)&addr, sizeof addr) < 0)
		return -errno;
	if (fcntl(sock, F_SETFL, 0) < 0)
		return -errno;
	return fd_take(&sock);
}

int unix_peer(int sock, struct unix_peer *ret)
{
	struct ucred cred;
	socklen_t n = sizeof cred;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return -errno;
	*ret = (struct unix_peer){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
	return 0;
}
