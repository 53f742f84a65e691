/* Mounting a file system of the host: for the process of a .mount unit, which may wait for a device,
 * a server or a program, and has the whole start for it. */
#ifndef BERTH_RUNTIME_FILESYSTEM_H
#define BERTH_RUNTIME_FILESYSTEM_H

#include <stddef.h>

#include "config/spec.h"

struct err;

/*
 * filesystem_source - what is to be mounted, as a path or a name
 *
 * LABEL=, UUID=, PARTLABEL= and PARTUUID= are looked up: in /dev/disk, and without udev in the
 * partitions' own records and in ext2, ext3 and ext4 themselves. A device that is missing is waited
 * for, without an end. Fails: a path that is too long.
 */
int filesystem_source(const struct filesystem_spec *fs, char *ret, size_t size, struct err *err);

/*
 * filesystem_mount - mount `source`, or find it mounted already
 *
 * Gives: the id of the mount (mountinfo's first field). What is mounted there already is taken as it
 *        is, when it is the same. A regular file gets a loop device, which goes with the mount.
 * Fails: something else is mounted there, a part of the path is a link, the kernel or mount.TYPE
 *        refuses, with their words.
 */
int filesystem_mount(const struct filesystem_spec *fs, const char *source, struct err *err);

#endif
