/* Writing a file whose zeros stay holes. */
#ifndef BERTH_IMAGES_WORKER_SPARSE_H
#define BERTH_IMAGES_WORKER_SPARSE_H

#include <stddef.h>
#include <stdint.h>

/* Into a file that is new and gets its length at the end: blocks of zeros are passed over. -errno. */
int sparse_write(int file, const void *data, size_t n, int64_t offset);

#endif
