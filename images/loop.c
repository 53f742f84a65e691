#include "images/loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/base/own.h"

#ifndef LOOP_CONFIGURE
#define LOOP_CONFIGURE 0x4C0A
#endif

enum { LOOP_MAJOR = 7, LOOP_TRIES = 64 };

static void moment(void)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	(void)nanosleep(&pause, NULL);
}

/* Without devtmpfs, or before it has noticed, the node is made by us. */
static int loop_open(int number, int flags)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof path, "/dev/loop%d", number);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT &&
		mknod(path, S_IFBLK | 0600, makedev(LOOP_MAJOR, (unsigned)number)) == 0)
		fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Is it bound to all of this very file? */
static bool is_bound(int loop, const struct stat *st)
{
	struct loop_info64 info;

	return ioctl(loop, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == st->st_dev &&
	       info.lo_inode == st->st_ino && info.lo_offset == 0;
}

int loop_find(int file, bool readonly, char *ret, size_t size)
{
	DIR *dir = opendir("/sys/block");
	const struct dirent *entry;
	struct stat st;
	int found = -ENOENT;

	if (!dir)
		return -ENOENT;
	while (found < 0 && fstat(file, &st) == 0 && (entry = readdir(dir))) {
		char path[300];
		own_fd loop = -1;

		if (strncmp(entry->d_name, "loop", 4) != 0)
			continue;
		(void)snprintf(path, sizeof path, "/sys/block/%s/loop", entry->d_name);
		if (access(path, F_OK) < 0)
			continue;
		(void)snprintf(path, sizeof path, "/dev/%s", entry->d_name);
		loop = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (loop < 0 || !is_bound(loop, &st))
			continue;
		(void)snprintf(ret, size, "%s", path);
		found = fd_take(&loop);
	}
	(void)closedir(dir);
	return found;
}

/* A free loop device bound to the part of the file; others may take what was free a moment ago. */
int loop_bind(int file, uint64_t offset, uint64_t length, bool readonly, char *ret, size_t size,
	struct err *err)
{
	own_fd control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = {
		.fd = (uint32_t)file,
		.info = { .lo_offset = offset,
			.lo_sizelimit = length,
			.lo_flags = (readonly ? LO_FLAGS_READ_ONLY : 0) | LO_FLAGS_AUTOCLEAR },
	};
	int r = -EBUSY;

	if (control < 0)
		return err_sys(err, errno == ENOENT ? ENODEV : errno,
			"open /dev/loop-control (is the module loop loaded?)");
	for (int i = 0; i < LOOP_TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		own_fd loop = -1;

		if (number < 0)
			return err_sys(err, errno, "get a loop device");
		loop = loop_open(number, readonly ? O_RDONLY : O_RDWR);
		if (loop < 0)
			return err_sys(err, -loop, "open /dev/loop%d", number);
		if (ioctl(loop, LOOP_CONFIGURE, &config) == 0) {
			(void)snprintf(ret, size, "/dev/loop%d", number);
			return fd_take(&loop);
		}
		r = -errno;
		if (r != -EBUSY && r != -EAGAIN && r != -ENXIO)
			break;
		moment();
	}
	return err_sys(err, -r, "set up a loop device");
}
