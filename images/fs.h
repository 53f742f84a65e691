/* Mounting by the new mount API (fsopen(2), Linux 5.2): descriptors, and reasons in words. */
#ifndef BERTH_IMAGES_FS_H
#define BERTH_IMAGES_FS_H

#include <stddef.h>

#include "supervisor/base/err.h"

struct fs_param {
	const char *key;
	const char *value; /* NULL: a flag */
};

/*
 * fs_make - a detached mount of a file system with these parameters
 *
 * `attributes` are MOUNT_ATTR_*. Gives: its descriptor. Fails: -ENODEV when the kernel does not have
 * it; else the errno of fsconfig(2), with the kernel's own reason where it gives one.
 */
int fs_make(const char *type, const struct fs_param *params, size_t n, unsigned attributes,
	struct err *err);

/* Puts it in its place. */
int fs_attach(int mnt, const char *where, struct err *err);

#endif
