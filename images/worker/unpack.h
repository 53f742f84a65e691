/* Reads an archive with libarchive and hands its entries to the applier. */
#ifndef BERTH_IMAGES_WORKER_UNPACK_H
#define BERTH_IMAGES_WORKER_UNPACK_H

#include "supervisor/base/err.h"

/*
 * unpack - a tar archive, plain or compressed by gzip, xz or zstd, into an empty directory
 *
 * Both descriptors are ours from their opening on and stay the caller's. Gives 0, or -errno with
 * "entry NAME: WHY"; what was written until then stays.
 */
int unpack(int archive, int dir, struct err *err);

#endif
