#include "images/worker/list.h"

#include <errno.h>
#include <string.h>

/* The next line without its end; 0, or -ENODATA after the last one. */
static int line_read(FILE *list, char *buf, size_t size)
{
	size_t n;

	if (!fgets(buf, (int)size, list))
		return -ENODATA;
	n = strlen(buf);
	if (n == 0 || buf[n - 1] != '\n')
		return -EINVAL;
	buf[n - 1] = '\0';
	return 0;
}

int list_each(FILE *list,
	int (*put)(
		void *data, const char *kind, const char *name, const char *path, struct err *err),
	void *data, struct err *err)
{
	char kind[32];
	char name[1024];
	char path[4096];

	for (;;) {
		int r = line_read(list, kind, sizeof kind);

		if (r == -ENODATA)
			return 0;
		if (r < 0 || line_read(list, name, sizeof name) < 0 ||
			line_read(list, path, sizeof path) < 0)
			return err_set(err, EINVAL, "the list of entries is broken");
		r = put(data, kind, name, path, err);
		if (r < 0)
			return err_wrap(err, "%s %.200s", kind, path);
	}
}
