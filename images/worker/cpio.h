/* Writes an initramfs: a cpio archive of the form "newc", uncompressed, as the kernel unpacks it. */
#ifndef BERTH_IMAGES_WORKER_CPIO_H
#define BERTH_IMAGES_WORKER_CPIO_H

#include <stdio.h>

#include "supervisor/base/err.h"

/*
 * cpio - files, directories and device nodes, all of them root's
 *
 * `list` (list.h) says: "file", "program" (to be executed) and "module" NAME PATH, the last without
 * its compression; "char" NAME MAJOR:MINOR; "dir" NAME -. Directories above a name are made where
 * they are missing.
 * Gives: the archive written and on the disk. Same files, same order: same bytes.
 * Fails: with words, -EFBIG for a file of 4 GiB: what was written stays, to be removed by the caller.
 */
int cpio(FILE *list, int out, struct err *err);

#endif
