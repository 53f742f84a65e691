#include "images/fsextract.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/fsimage.h"
#include "images/work.h"
#include "supervisor/base/own.h"

enum { PIECE = 32 << 20 };

/* The tool's own standard input: a file that it may open by this name. */
#define INPUT "/proc/self/fd/0"

static int part_copy(int file, uint64_t offset, uint64_t length, int to, struct err *err)
{
	off_t at = (off_t)offset;
	struct stat st;

	if (fstat(file, &st) < 0)
		return err_sys(err, errno, "look at the image");
	if (!length)
		length = (uint64_t)st.st_size - offset;
	while (length > 0) {
		ssize_t n = sendfile(to, file, &at, length < PIECE ? (size_t)length : PIECE);

		if (n <= 0)
			return err_sys(err, n < 0 ? errno : EIO, "copy the image out of its file");
		length -= (uint64_t)n;
	}
	return 0;
}

static int run_tool(const struct work *work, const char *package, struct err *err)
{
	int r = work_run(work, err);

	return r < 0 ? err_wrap(err, "unpack it with %s (package %s)", work->program, package) : 0;
}

static int extract_erofs(
	int file, uint64_t offset, uint64_t length, const char *tree, struct err *err)
{
	char to[4200];
	char part[4200];
	struct work work = { .program = "fsck.erofs", .words = { to, INPUT }, .by_path = true };
	own_fd copy = -1;
	int r = 0;

	(void)snprintf(to, sizeof to, "--extract=%s", tree);
	(void)snprintf(part, sizeof part, "%s.part", tree);
	work.in = file;
	if (offset || length) {
		copy = open(part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		r = copy < 0 ? err_sys(err, errno, "make %s", part)
			     : part_copy(file, offset, length, copy, err);
		work.in = copy;
	}
	/* It is not told what to overwrite, and makes the directory itself. */
	if (r == 0)
		r = run_tool(&work, "erofs-utils", err);
	if (copy >= 0)
		(void)unlink(part);
	return r;
}

static int extract_squashfs(int file, uint64_t offset, const char *tree, struct err *err)
{
	char at[24];
	const struct work work = { .program = "unsquashfs",
		.words = { "-quiet", "-no-progress", "-offset", at, "-dest", tree, INPUT },
		.in = file,
		.by_path = true };

	(void)snprintf(at, sizeof at, "%" PRIu64, offset);
	return run_tool(&work, "squashfs-tools", err);
}

int fsextract(int file, uint64_t offset, uint64_t length, const char *tree, struct err *err)
{
	const char *type = fsimage_type(file, offset);

	if (!type)
		return err_set(err, EINVAL, "neither an erofs nor a squashfs image");
	return strcmp(type, "erofs") == 0 ? extract_erofs(file, offset, length, tree, err)
					  : extract_squashfs(file, offset, tree, err);
}
