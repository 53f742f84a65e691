/* A small file without its compression. */
#ifndef BERTH_IMAGES_WORKER_PLAIN_H
#define BERTH_IMAGES_WORKER_PLAIN_H

#include <stddef.h>

#include "supervisor/base/err.h"

/*
 * plain_read - the whole file in memory: as it is, or what gzip, xz or zstd have packed
 *
 * Gives: bytes to be freed. Fails: -EFBIG over 256 MiB; -EINVAL for damaged compression.
 */
int plain_read(const char *path, char **ret, size_t *ret_size, struct err *err);

#endif
