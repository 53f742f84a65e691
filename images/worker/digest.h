/* SHA-256 of what lies in a file, by Nettle, which uses the processor's own instructions. */
#ifndef BERTH_IMAGES_WORKER_DIGEST_H
#define BERTH_IMAGES_WORKER_DIGEST_H

#include <nettle/sha2.h>
#include <stdint.h>

#include "supervisor/base/err.h"

/* Of `length` bytes at `offset`; a file that ends before is -EINVAL. */
int digest_range(int file, uint64_t offset, uint64_t length, uint8_t ret[SHA256_DIGEST_SIZE],
	struct err *err);

#endif
