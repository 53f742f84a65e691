/* Loop devices, which go with what is mounted from them. */
#ifndef BERTH_IMAGES_LOOP_H
#define BERTH_IMAGES_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"

/*
 * loop_find - the loop device that a whole file is bound to already
 *
 * Two of one file would be two file systems that do not know of each other, and no file system
 * outlives that. Gives: its descriptor, and its path in `ret`; -ENOENT: there is none.
 */
int loop_find(int file, bool readonly, char *ret, size_t size);

/*
 * loop_bind - a free loop device over a part of a file (`length` 0: to its end)
 *
 * Needs: `file` opened for writing too, unless `readonly`. Gives: its descriptor, to be kept until the
 *        mount holds the device (the last close clears it), and its path in `ret`.
 * Fails: -ENODEV for a kernel without loop devices, with words.
 */
int loop_bind(int file, uint64_t offset, uint64_t length, bool readonly, char *ret, size_t size,
	struct err *err);

#endif
