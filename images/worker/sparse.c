#include "images/worker/sparse.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096 };

static bool all_zero(const char *data, size_t n)
{
	return data[0] == '\0' && memcmp(data, data + 1, n - 1) == 0;
}

/* How much from here on is all zeros, or all not, by blocks of the file. */
static size_t same_kind(const char *data, size_t n, int64_t offset, bool *ret_zero)
{
	size_t used = 0;

	while (used < n) {
		size_t block = BLOCK - (size_t)((offset + (int64_t)used) % BLOCK);
		bool zero;

		if (block > n - used)
			block = n - used;
		zero = all_zero(data + used, block);
		if (used && zero != *ret_zero)
			break;
		*ret_zero = zero;
		used += block;
	}
	return used;
}

int sparse_write(int file, const void *data, size_t n, int64_t offset)
{
	const char *from = data;

	while (n) {
		bool zero = false;
		size_t run = same_kind(from, n, offset, &zero);
		ssize_t done = zero ? (ssize_t)run : pwrite(file, from, run, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		from += done;
		offset += done;
		n -= (size_t)done;
	}
	return 0;
}
