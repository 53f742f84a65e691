/* SHA-256 of what lies in a file, by Nettle, which uses the processor's own instructions. */
#ifndef BERTH_IMAGES_WORKER_DIGEST_H
#define BERTH_IMAGES_WORKER_DIGEST_H

#include <nettle/sha2.h>
#include <stdint.h>

#include "images/worker/progress.h"
#include "supervisor/base/err.h"

/* Of `length` bytes at `offset`; a file that ends before is -EINVAL. */
int digest_range(int file, uint64_t offset, uint64_t length, uint8_t ret[SHA256_DIGEST_SIZE],
	struct err *err);
/* The same, and how far it is is told. */
int digest_range_told(int file, uint64_t offset, uint64_t length, struct progress *progress,
	uint8_t ret[SHA256_DIGEST_SIZE], struct err *err);

enum { DIGEST_HEX = 2 * SHA256_DIGEST_SIZE };

/* digest_parse - "sha256:" and 64 small hex digits, nothing else: 0 or -EINVAL. */
int digest_parse(const char *text, uint8_t ret[SHA256_DIGEST_SIZE]);
/* The 64 digits alone. */
void digest_hex(const uint8_t digest[SHA256_DIGEST_SIZE], char ret[DIGEST_HEX + 1]);

#endif
