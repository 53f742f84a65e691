/* The last resort for an image in a file: unpacked by the tool of its file system. */
#ifndef BERTH_IMAGES_FSEXTRACT_H
#define BERTH_IMAGES_FSEXTRACT_H

#include <stdint.h>

#include "supervisor/base/err.h"

/*
 * fsextract - the file system at offset (of `length` bytes, 0: to the end) as files below `tree`
 *
 * By fsck.erofs or unsquashfs, found through PATH=; fsck.erofs knows no offset, so that part of the file
 * is copied beside `tree` meanwhile. Needs: `tree` not to exist; space for it.
 * Blocks: for as long as it takes. Fails: with the tool's words, or with the name of the package that
 * is missing; what was written stays, to be removed by the caller.
 */
int fsextract(int file, uint64_t offset, uint64_t length, const char *tree, struct err *err);

#endif
