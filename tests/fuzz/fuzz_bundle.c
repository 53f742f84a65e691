/* The index of an appliance file that somebody else has made. */
#include <sys/mman.h>
#include <unistd.h>

#include "images/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int fd = memfd_create("bundle", MFD_CLOEXEC);
	struct bundle bundle;

	if (fd >= 0 && write(fd, data, n) == (ssize_t)n && bundle_read(fd, &bundle, NULL) == 0) {
		for (size_t i = 0; i < bundle.n; i++)
			if (bundle_name_check(bundle.entries[i].name) < 0 ||
				bundle.entries[i].offset + bundle.entries[i].length > n)
				__builtin_trap();
		bundle_done(&bundle);
	}
	(void)close(fd);
	return 0;
}
