#include "images/worker/filecopy.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/worker/sparse.h"

enum { BLOCK = 128 * 1024 };

int filecopy(int from, int to, struct progress *progress, uint8_t ret[SHA256_DIGEST_SIZE],
	struct err *err)
{
	static uint8_t block[BLOCK];
	struct sha256_ctx sha;
	struct stat st;
	off_t offset = 0;
	ssize_t n;
	int r = 0;

	if (fstat(from, &st) < 0)
		return err_sys(err, errno, "look at it");
	progress->total = (uint64_t)st.st_size;
	sha256_init(&sha);
	while ((n = pread(from, block, sizeof block, offset)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read it");
		sha256_update(&sha, (size_t)n, block);
		r = sparse_write(to, block, (size_t)n, offset);
		if (r < 0)
			return err_sys(err, -r, "write it");
		offset += n;
		progress_tell(progress, (uint64_t)offset);
	}
	if (ftruncate(to, offset) < 0)
		return err_sys(err, errno, "write it");
	sha256_digest(&sha, SHA256_DIGEST_SIZE, ret);
	return 0;
}
