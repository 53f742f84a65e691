/* The programs of one bundle, out of an appliance file into a directory. */
#ifndef BERTH_IMAGES_WORKER_EXTRACT_H
#define BERTH_IMAGES_WORKER_EXTRACT_H

#include "supervisor/base/err.h"

/*
 * extract - every program "BUNDLE/NAME" of the file becomes NAME in the directory, mode 0500
 *
 * Gives: a directory whose files are what was packed, on the disk. What is there already and is the
 *        same is left as it is; what is not, is replaced by rename. A file that appears is whole: its
 *        bytes were compared with the digest as they were written.
 * Fails: -EINVAL when the appliance file is damaged, -ENOENT when it has no such bundle; errno of
 *        writing. What was made so far stays: the next call goes on from there.
 */
int extract(int file, const char *bundle, int dir, struct err *err);

#endif
