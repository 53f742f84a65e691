#include "images/worker/plain.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>

enum { FIRST_SIZE = 1 << 20, SIZE_MAX_PLAIN = 256 << 20 };

static int read_all(struct archive *archive, char **ret, size_t *ret_size, struct err *err)
{
	size_t room = FIRST_SIZE;
	size_t used = 0;
	char *bytes = malloc(room);

	while (bytes) {
		la_ssize_t n = archive_read_data(archive, bytes + used, room - used);
		char *grown;

		if (n < 0) {
			free(bytes);
			return err_set(err, EINVAL, "%s", archive_error_string(archive));
		}
		if (n == 0) {
			*ret = bytes;
			*ret_size = used;
			return 0;
		}
		used += (size_t)n;
		if (used < room)
			continue;
		if (room >= SIZE_MAX_PLAIN) {
			free(bytes);
			return err_sys(err, EFBIG, "keep it in memory");
		}
		room *= 2;
		grown = realloc(bytes, room);
		if (!grown)
			free(bytes);
		bytes = grown;
	}
	return err_sys(err, ENOMEM, "read it");
}

int plain_read(const char *path, char **ret, size_t *ret_size, struct err *err)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	int r;

	if (!archive)
		return err_sys(err, ENOMEM, "libarchive");
	(void)archive_read_support_filter_gzip(archive);
	(void)archive_read_support_filter_xz(archive);
	(void)archive_read_support_filter_zstd(archive);
	(void)archive_read_support_format_raw(archive);
	if (archive_read_open_filename(archive, path, FIRST_SIZE) != ARCHIVE_OK ||
		archive_read_next_header(archive, &entry) != ARCHIVE_OK)
		r = err_set(err, EINVAL, "%s", archive_error_string(archive));
	else
		r = read_all(archive, ret, ret_size, err);
	(void)archive_read_free(archive);
	return r;
}
