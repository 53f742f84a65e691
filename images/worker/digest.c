#include "images/worker/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { BLOCK = 128 * 1024 };

int digest_range(int file, uint64_t offset, uint64_t length, uint8_t ret[SHA256_DIGEST_SIZE],
	struct err *err)
{
	static uint8_t block[BLOCK];
	struct sha256_ctx sha;

	sha256_init(&sha);
	(void)posix_fadvise(file, (off_t)offset, (off_t)length, POSIX_FADV_SEQUENTIAL);
	while (length > 0) {
		size_t want = length < sizeof block ? (size_t)length : sizeof block;
		ssize_t n = pread(file, block, want, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read");
		if (n == 0)
			return err_set(err, EINVAL, "the file ends too early");
		sha256_update(&sha, (size_t)n, block);
		offset += (uint64_t)n;
		length -= (uint64_t)n;
	}
	sha256_digest(&sha, SHA256_DIGEST_SIZE, ret);
	return 0;
}
