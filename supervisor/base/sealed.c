#include "supervisor/base/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 /* Linux 6.3 */
#endif

/* vm.memfd_noexec=1 makes a memfd without MFD_EXEC not executable; older kernels refuse the flag. */
int sealed_new(const char *name, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? err_sys(err, errno, "memfd_create for %s", name) : fd;
}

int sealed_open(int writer, const char *name, struct err *err)
{
	int fd;

	if (fcntl(writer, F_ADD_SEALS, F_SEAL_EXEC) < 0 && errno != EINVAL)
		return err_sys(err, errno, "seal %s", name);
	if (fcntl(writer, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
		0)
		return err_sys(err, errno, "seal %s", name);
	/* While a descriptor is open for writing, exec gives ETXTBSY, seals or not. */
	fd = open(fd_path(writer).text, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", name) : fd;
}

int sealed_copy(const char *path, int *ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	own_fd file = open(path, O_RDONLY | O_CLOEXEC);
	own_fd writer = -1;
	struct statvfs st;
	int fd;

	*ret = -1;
	if (file < 0 || fstatvfs(file, &st) < 0)
		return err_sys(err, errno, "open %s", path);
	if (!(st.f_flag & ST_NOEXEC))
		return 0;
	writer = sealed_new(name, err);
	if (writer < 0)
		return err_wrap(err, "%s is on a file system without exec", path);
	for (ssize_t n = 1; n > 0;) {
		n = sendfile(writer, file, NULL, 1 << 30);
		if (n < 0)
			return err_sys(err, errno, "copy %s into memory", path);
	}
	fd = sealed_open(writer, name, err);
	if (fd < 0)
		return fd;
	*ret = fd;
	return 0;
}
