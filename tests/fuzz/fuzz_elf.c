/* Programs that are packed for another machine: their headers are read, whoever made them. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "images/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);
	struct arena arena = { 0 };
	struct strv found = { 0 };
	char path[32];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (fd >= 0 && write(fd, data, n) == (ssize_t)n) {
		(void)elf_machine(fd);
		(void)elf_closure(path, "/nonexistent", &arena, &found, NULL);
	}
	arena_done(&arena);
	(void)close(fd);
	return 0;
}
