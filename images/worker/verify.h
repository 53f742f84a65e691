/* Compares what an appliance file holds with the digests in its index. */
#ifndef BERTH_IMAGES_WORKER_VERIFY_H
#define BERTH_IMAGES_WORKER_VERIFY_H

#include "supervisor/base/err.h"

/*
 * verify - the index, and then entries
 *
 * `kind` and `name` say which; without a name all of that kind, without a kind all there are; the
 * kind "files" is all but the images.
 * Fails: -EINVAL naming the entry that is not what it was; -ENOENT: there is no such entry.
 */
int verify(int file, const char *kind, const char *name, struct err *err);

#endif
