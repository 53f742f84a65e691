#include "images/worker/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/str.h"

enum { BLOCK = 128 * 1024 };

int digest_range_told(int file, uint64_t offset, uint64_t length, struct progress *progress,
	uint8_t ret[SHA256_DIGEST_SIZE], struct err *err)
{
	static uint8_t block[BLOCK];
	const uint64_t begin = offset;
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
		if (progress)
			progress_tell(progress, offset - begin);
	}
	sha256_digest(&sha, SHA256_DIGEST_SIZE, ret);
	return 0;
}

int digest_range(int file, uint64_t offset, uint64_t length, uint8_t ret[SHA256_DIGEST_SIZE],
	struct err *err)
{
	return digest_range_told(file, offset, length, NULL, ret, err);
}

void digest_hex(const uint8_t digest[SHA256_DIGEST_SIZE], char ret[DIGEST_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++) {
		ret[2 * i] = digits[digest[i] >> 4];
		ret[2 * i + 1] = digits[digest[i] & 15];
	}
	ret[DIGEST_HEX] = '\0';
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int digest_parse(const char *text, uint8_t ret[SHA256_DIGEST_SIZE])
{
	if (!str_starts(text, "sha256:"))
		return -EINVAL;
	text += sizeof "sha256:" - 1;
	if (strlen(text) != DIGEST_HEX)
		return -EINVAL;
	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++) {
		int high = hex_value(text[2 * i]);
		int low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
