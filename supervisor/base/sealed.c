#include "supervisor/base/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 /* Linux 6.3 */
#endif

/*
 * It is a memfd, which seals keep from being changed; else, where vm.memfd_noexec=2 lets nothing be run
 * from one, the only file of a tmpfs that is mounted nowhere: from when it is written, that mount is
 * read-only, also for those who come by way of /proc/PID/exe. It goes with the last who has it open.
 */
struct sealed {
	int writer;
	int mount; /* of the tmpfs; -1: it is a memfd */
};
#define SEALED_NONE ((struct sealed){ .writer = -1, .mount = -1 })

static void sealed_done(struct sealed *sealed)
{
	fd_close(&sealed->writer);
	fd_close(&sealed->mount);
}

static int mount_new(struct sealed *ret, const char *name)
{
	own_fd fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	ret->mount = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (ret->mount < 0)
		return -errno;
	ret->writer = openat(ret->mount, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555);
	return ret->writer < 0 ? -errno : 0;
}

/* vm.memfd_noexec=1 makes a memfd without MFD_EXEC not executable; older kernels refuse the flag. */
static int sealed_new(struct sealed *ret, const char *name, struct err *err)
{
	int code;
	int r;

	ret->writer = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (ret->writer < 0 && errno == EINVAL)
		ret->writer = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ret->writer >= 0)
		return 0;
	code = errno;
	r = code == EACCES ? mount_new(ret, name) : -code;
	if (r < 0 && code == EACCES)
		return err_set(err, code,
			"vm.memfd_noexec=2 lets nothing be run from memory, and a tmpfs for %s: %s",
			name, strerror(-r));
	return r < 0 ? err_sys(err, code, "memfd_create for %s", name) : 0;
}

static int memfd_open(int writer, const char *name, struct err *err)
{
	int fd;

	if (fcntl(writer, F_ADD_SEALS, F_SEAL_EXEC) < 0 && errno != EINVAL)
		return err_sys(err, errno, "seal %s", name);
	if (fcntl(writer, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
		0)
		return err_sys(err, errno, "seal %s", name);
	fd = open(fd_path(writer).text, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", name) : fd;
}

static int mounted_open(struct sealed *sealed, const char *name, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int fd;

	fd_close(&sealed->writer); /* else the mount is busy */
	if (mount_setattr(sealed->mount, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return err_sys(err, errno, "seal %s", name);
	fd = openat(sealed->mount, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", name) : fd;
}

/* It is written. While a descriptor is open for writing, exec gives ETXTBSY, seals or not. */
static int sealed_open(struct sealed *sealed, const char *name, struct err *err)
{
	return sealed->mount < 0 ? memfd_open(sealed->writer, name, err)
				 : mounted_open(sealed, name, err);
}

int sealed_bytes(const char *name, const void *bytes, size_t n, struct err *err)
{
	struct sealed sealed = SEALED_NONE;
	int r = sealed_new(&sealed, name, err);

	if (r == 0) {
		r = write_full(sealed.writer, bytes, n);
		r = r < 0 ? err_sys(err, -r, "write %s", name) : sealed_open(&sealed, name, err);
	}
	sealed_done(&sealed);
	return r;
}

static int copy(int file, const char *path, const char *name, struct err *err)
{
	struct sealed sealed = SEALED_NONE;
	int r = sealed_new(&sealed, name, err);

	if (r < 0)
		r = err_wrap(err, "%s is on a file system without exec", path);
	for (ssize_t n = 1; r == 0 && n > 0;) {
		n = sendfile(sealed.writer, file, NULL, 1 << 30);
		if (n < 0)
			r = err_sys(err, errno, "copy %s into memory", path);
	}
	if (r == 0)
		r = sealed_open(&sealed, name, err);
	sealed_done(&sealed);
	return r;
}

int sealed_copy(const char *path, int *ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	own_fd file = open(path, O_RDONLY | O_CLOEXEC);
	struct statvfs st;
	int fd;

	*ret = -1;
	if (file < 0 || fstatvfs(file, &st) < 0)
		return err_sys(err, errno, "open %s", path);
	if (!(st.f_flag & ST_NOEXEC))
		return 0;
	fd = copy(file, path, slash ? slash + 1 : path, err);
	if (fd < 0)
		return fd;
	*ret = fd;
	return 0;
}
