/* A directory for a fuzzer that works on files: it goes with the process. In memory where that can be, for
 * each run writes a file, and a disk that is asked for that has to write it out. */
#ifndef BERTH_TESTS_FUZZ_SCRATCH_H
#define BERTH_TESTS_FUZZ_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/path.h"

static char scratch_path[] = "/dev/shm/berth-fuzz-XXXXXX";
static int scratch_fd = -1;

/* Name by name: a fuzzer may have given away the right to remove files elsewhere. */
static void scratch_remove(void)
{
	DIR *dir = fdopendir(scratch_fd);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)path_remove_tree(scratch_fd, entry->d_name);
	if (dir)
		(void)closedir(dir);
	(void)rmdir(scratch_path);
}

/* Its descriptor, open for good. */
static int scratch(void)
{
	if (scratch_fd >= 0)
		return scratch_fd;
	if (!mkdtemp(scratch_path)) {
		(void)snprintf(scratch_path, sizeof scratch_path, "/tmp/berth-fuzz-XXXXXX");
		if (!mkdtemp(scratch_path))
			abort();
	}
	if (atexit(scratch_remove) != 0)
		abort();
	scratch_fd = open(scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scratch_fd < 0)
		abort();
	return scratch_fd;
}

/* The file of that name is new, and this is in it. */
static __attribute__((unused)) void scratch_put(const char *name, const void *data, size_t n)
{
	int fd = openat(scratch(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write_full(fd, data, n) < 0)
		abort();
	(void)close(fd);
}

#endif
