#include "supervisor/runtime/initblob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

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

/* supervisor/init/blob.S */
extern const char berth_init_start[];
extern const char berth_init_end[];

size_t initblob_size(void)
{
	return (size_t)((uintptr_t)berth_init_end - (uintptr_t)berth_init_start);
}

/* vm.memfd_noexec=1 makes a memfd without MFD_EXEC not executable; older kernels refuse the flag. */
static int memfd_exec(void)
{
	int fd = memfd_create("berth-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("berth-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

int initblob_open(struct err *err)
{
	own_fd writer = memfd_exec();
	int fd;
	int r;

	if (writer < 0)
		return err_sys(err, errno, "memfd_create for berth-init");
	r = write_full(writer, berth_init_start, initblob_size());
	if (r < 0)
		return err_sys(err, -r, "write berth-init");
	if (fcntl(writer, F_ADD_SEALS, F_SEAL_EXEC) < 0 && errno != EINVAL)
		return err_sys(err, errno, "seal berth-init");
	if (fcntl(writer, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
		0)
		return err_sys(err, errno, "seal berth-init");
	/* While a descriptor is open for writing, exec gives ETXTBSY, seals or not. */
	fd = open(fd_path(writer).text, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open berth-init") : fd;
}
