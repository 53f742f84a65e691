#include "images/fsimage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "images/fs.h"
#include "images/loop.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

#ifndef EROFS_SUPER_MAGIC_V1
#define EROFS_SUPER_MAGIC_V1 0xE0F5E1E2
#endif
#ifndef SQUASHFS_MAGIC
#define SQUASHFS_MAGIC 0x73717368
#endif

enum { EROFS_SUPER_OFFSET = 1024 };

static const unsigned attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV;

/* ---- which it is -------------------------------------------------------------------------------- */

static bool has_magic(int file, uint64_t offset, uint32_t magic)
{
	uint8_t b[4];

	return pread(file, b, sizeof b, (off_t)offset) == (ssize_t)sizeof b &&
	       ((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
		       (uint32_t)b[3] << 24) == magic;
}

const char *fsimage_type(int file, uint64_t offset)
{
	if (has_magic(file, offset + EROFS_SUPER_OFFSET, EROFS_SUPER_MAGIC_V1))
		return "erofs";
	if (has_magic(file, offset, SQUASHFS_MAGIC))
		return "squashfs";
	return NULL;
}

/* ---- out of the file ---------------------------------------------------------------------------- */

static int mount_file(const char *type, int file, uint64_t offset, struct err *err)
{
	const struct fd_path path = fd_path(file);
	char text[24];
	const struct fs_param params[] = { { "source", path.text }, { "ro", NULL },
		{ "fsoffset", text } };

	(void)snprintf(text, sizeof text, "%" PRIu64, offset);
	return fs_make(type, params, offset ? 3 : 2, attributes, err);
}

/* ---- through a loop device ---------------------------------------------------------------------- */

static int mount_loop(const char *type, int file, uint64_t offset, uint64_t length, struct err *err)
{
	char path[32];
	const struct fs_param params[] = { { "source", path }, { "ro", NULL } };
	/* Open until the mount holds the device: the last close would clear it. */
	own_fd loop = loop_bind(file, offset, length, true, path, sizeof path, err);

	return loop < 0 ? loop : fs_make(type, params, 2, attributes, err);
}

/* ---- both ---------------------------------------------------------------------------------------- */

int fsimage_mount(int file, uint64_t offset, uint64_t length, const char *where,
	enum fsimage_way *ret, struct err *err)
{
	const char *type = fsimage_type(file, offset);
	enum fsimage_way way = FSIMAGE_FILE;
	struct err first = { 0 };
	own_fd mnt = -1;
	int r;

	if (!type)
		return err_set(err, EINVAL, "neither an erofs nor a squashfs image");
	mnt = mount_file(type, file, offset, &first);
	if (mnt < 0 && first.code == ENODEV)
		return err_set(err, ENODEV, "%s", first.text);
	if (mnt < 0) {
		way = FSIMAGE_LOOP;
		mnt = mount_loop(type, file, offset, length, err);
	}
	if (mnt < 0)
		return mnt;
	r = fs_attach(mnt, where, err);
	if (r == 0 && ret)
		*ret = way;
	return r;
}

bool fsimage_mounted(const char *path)
{
	struct statfs st;

	return statfs(path, &st) == 0 && ((uint32_t)st.f_type == EROFS_SUPER_MAGIC_V1 ||
						 (uint32_t)st.f_type == SQUASHFS_MAGIC);
}
