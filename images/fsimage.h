/* Mounts a file system that lies in a file: a whole image file, or a part of an appliance. */
#ifndef BERTH_IMAGES_FSIMAGE_H
#define BERTH_IMAGES_FSIMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/base/err.h"

/* How the kernel reads it. */
enum fsimage_way {
	FSIMAGE_FILE, /* out of the file itself (erofs, Linux 6.12; with an offset later) */
	FSIMAGE_LOOP, /* through a loop device, which goes with the mount */
};

/*
 * fsimage_mount - mount the file system at offset (of `length` bytes, 0: to the end) on `where`
 *
 * Needs: CAP_SYS_ADMIN; `where` a directory; `offset` a multiple of 512. erofs and squashfs are told
 *        by their magic numbers. The ways are tried in the order of their names: which works depends
 *        on the kernel and on the file system that the file is on (tmpfs and overlay cannot).
 * Gives: a mount, read-only and nodev, that keeps the file: it may be removed or replaced meanwhile.
 * Fails: with nothing mounted and no loop device left: -EINVAL for what is neither, -ENODEV for a
 *        kernel without that file system or without loop devices, with words.
 */
int fsimage_mount(int file, uint64_t offset, uint64_t length, const char *where,
	enum fsimage_way *ret, struct err *err);

/* "erofs" or "squashfs", by its magic number; NULL: neither. */
const char *fsimage_type(int file, uint64_t offset);

/* Is a file system of these kinds at `path`, where the directories above are on another kind? */
bool fsimage_mounted(const char *path);

#endif
