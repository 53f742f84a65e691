#include "images/worker/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/worker/json.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

bool source_has(const struct source *source, const char *name)
{
	own_fd fd = path_open_beneath(source->dir, name, O_PATH, 0);

	return fd >= 0;
}

int source_find(const struct source *source, const char *name, struct blob *ret, struct err *err)
{
	own_fd fd = path_open_beneath(source->dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd == -ENOENT)
		return err_set(err, ENOENT, "%s is not in it", name);
	if (fd < 0)
		return err_sys(err, -fd, "open %s", name);
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s is no file", name);
	*ret = (struct blob){ .size = (uint64_t)st.st_size };
	ret->fd = fd_take(&fd);
	return 0;
}

int blob_load(const struct blob *blob, char **ret, struct err *err)
{
	own_mem char *text = NULL;
	size_t used = 0;

	if (blob->size > JSON_SIZE_MAX)
		return err_set(err, EFBIG, "larger than %d MiB", JSON_SIZE_MAX >> 20);
	text = malloc(blob->size + 1);
	if (!text)
		return err_sys(err, ENOMEM, "read it");
	while (used < blob->size) {
		ssize_t n = pread(
			blob->fd, text + used, blob->size - used, (off_t)(blob->offset + used));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read it");
		if (n == 0)
			return err_set(err, EINVAL, "the file ends too early");
		used += (size_t)n;
	}
	text[used] = '\0';
	*ret = ptr_take(&text);
	return 0;
}
