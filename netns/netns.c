#include "netns/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "netns/net.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

static const char own_netns[] = "/proc/thread-self/ns/net";

int netns_enter(int netns_fd, int *back, struct err *err)
{
	own_fd here = -1;

	*back = -1;
	if (netns_fd < 0)
		return 0;
	here = open(own_netns, O_RDONLY | O_CLOEXEC);
	if (here < 0)
		return err_sys(err, errno, "open %s", own_netns);
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(err, errno, "enter the network namespace");
	*back = fd_take(&here);
	return 0;
}

int netns_leave(int *back, struct err *err)
{
	int r = 0;

	if (*back >= 0 && setns(*back, CLONE_NEWNET) < 0)
		r = err_sys(err, errno, "return to the host's network namespace");
	fd_close(back);
	return r;
}

int netns_sysctl(const char *value, struct err *err, const char *fmt, ...)
{
	char path[128] = "/proc/sys/net/";
	size_t n = strlen(path);
	char old[32];
	va_list ap;
	ssize_t r;

	va_start(ap, fmt);
	(void)vsnprintf(path + n, sizeof path - n, fmt, ap);
	va_end(ap);
	r = file_read_at(AT_FDCWD, path, old, sizeof old);
	if (r >= 0 && strcspn(old, "\n") == strlen(value) &&
		strncmp(old, value, strlen(value)) == 0)
		return 0;
	if (r >= 0)
		r = file_write_at(AT_FDCWD, path, value);
	return r < 0 ? err_sys(err, (int)-r, "write %s to %s", value, path) : 0;
}

/* Is it a network namespace? -errno when that cannot be said. */
static int is_netns(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	return fs.f_type == NSFS_MAGIC && ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

int netns_open(const char *pin, struct err *err)
{
	own_fd fd = open(pin, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys(err, errno, "open pin %s", pin);
	r = is_netns(fd);
	if (r < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at pin %s", pin);
	if (r > 0)
		return fd_take(&fd);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EEXIST, "pin %s: there is something else; remove it", pin);
	return -ENOENT;
}

int net_loopback_up(struct err *err)
{
	own_fd sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING };

	return sock < 0 || ioctl(sock, SIOCSIFFLAGS, &lo) < 0 ? err_sys(err, errno, "bring lo up")
							      : 0;
}

/* In the new namespace: what every container of ours finds there. */
static int netns_furnish(struct err *err)
{
	int r = net_loopback_up(err);

	if (r < 0)
		return r;
	/* Addresses are leased: nobody need be asked whether they are free, and no neighbour may
	 * change the routes by a router advertisement (but see attach_listen). Without IPv6 there is nothing to do. */
	(void)netns_sysctl("0", NULL, "ipv6/conf/default/accept_dad");
	(void)netns_sysctl("0", NULL, "ipv6/conf/default/accept_ra");
	/* A link that comes up tells its neighbours where its addresses are now. */
	(void)netns_sysctl("1", NULL, "ipv4/conf/default/arp_notify");
	(void)netns_sysctl("1", NULL, "ipv6/conf/default/ndisc_notify");
	return 0;
}

/* Entered with the caller in the new namespace. It is furnished before it is pinned, so that what a
 * death here leaves is no pin, never a half-made namespace. */
static int pin_here(const char *pin, struct err *err)
{
	own_fd file = -1;
	int r = netns_furnish(err);

	if (r < 0)
		return r;
	file = open(pin, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400);
	if (file < 0)
		return err_sys(err, errno, "create pin %s", pin);
	if (mount(own_netns, fd_path(file).text, NULL, MS_BIND, NULL) < 0) {
		r = err_sys(err, errno, "mount the network namespace on %s", pin);
		(void)unlink(pin);
		return r;
	}
	return 0;
}

static int pin_make(const char *pin, struct err *err)
{
	own_fd here = open(own_netns, O_RDONLY | O_CLOEXEC);
	own_fd made = -1;
	struct err late = { 0 };
	int r;

	if (here < 0)
		return err_sys(err, errno, "open %s", own_netns);
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(err, errno, "make a network namespace");
	r = pin_here(pin, err);
	if (r == 0) {
		made = open(own_netns, O_RDONLY | O_CLOEXEC);
		if (made < 0)
			r = err_sys(err, errno, "open %s", own_netns);
	}
	if (netns_leave(&here, &late) < 0 && r == 0) {
		if (err)
			*err = late;
		r = -late.code;
	}
	return r < 0 ? r : fd_take(&made);
}

int netns_ensure(const char *pin, bool *ret_made, struct err *err)
{
	bool made = false;
	int fd = netns_open(pin, err);

	if (fd == -ENOENT) {
		made = true;
		fd = pin_make(pin, err);
	}
	if (fd >= 0)
		*ret_made = made;
	return fd;
}

int netns_join(const char *path, struct err *err)
{
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? -errno : is_netns(fd);

	if (r < 0)
		return err_sys(err, -r, "open the network namespace %s", path);
	if (r == 0)
		return err_set(err, EINVAL, "%s is no network namespace", path);
	return setns(fd, CLONE_NEWNET) < 0
		       ? err_sys(err, errno, "enter the network namespace %s", path)
		       : 0;
}

int netns_remove(const char *pin)
{
	/* More than one mount can be stacked there only if somebody else did it. */
	for (int i = 0; i < 8; i++)
		if (umount2(pin, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			break;
	return unlink(pin) < 0 && errno != ENOENT ? -errno : 0;
}
