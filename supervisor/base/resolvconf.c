#include "supervisor/base/resolvconf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { FILE_MAX = 16 * 1024 };

/* The host's lines that also hold in a container: its loopback is not the host's. */
static bool put_lines(const char *text, bool all, FILE *out)
{
	bool server = false;

	while (*text) {
		size_t n = strcspn(text, "\n");
		char line[256];
		char word[80];
		bool loopback = false;

		(void)snprintf(line, sizeof line, "%.*s", (int)(n < 255 ? n : 255), text);
		if (sscanf(line, "nameserver %79s", word) == 1) {
			loopback = !all && (str_starts(word, "127.") || strcmp(word, "::1") == 0);
			server |= !loopback;
		}
		if (!loopback && line[0] != '#' && line[0] != ';' && line[0])
			(void)fprintf(out, "%s\n", line);
		text += n + (text[n] == '\n');
	}
	return server;
}

/* One that is not there names nobody, nor does what is no regular file, or too long for one. */
static int read_lines(const char *path, char *text, size_t size, struct err *err)
{
	ssize_t n = file_read_at(AT_FDCWD, path, text, size);

	if (n >= 0)
		return 0;
	text[0] = '\0';
	if (n == -ENOENT || n == -ENOTDIR || n == -EINVAL || n == -EFBIG)
		return 0;
	return err_sys(err, (int)-n, "read the name servers in %s", path);
}

int resolvconf_host(const char *run_dir, bool all, FILE *out, struct err *err)
{
	char ours[300];
	const char *const places[] = { "/etc/resolv.conf", ours,
		/* Where systemd-resolved keeps the servers behind its stub at 127.0.0.53. */
		"/run/systemd/resolve/resolv.conf" };

	(void)snprintf(ours, sizeof ours, "%s/resolv.conf", run_dir);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		char text[FILE_MAX];
		own_mem char *lines = NULL;
		size_t n = 0;
		FILE *page = open_memstream(&lines, &n);
		bool server = false;
		int r = page ? read_lines(places[i], text, sizeof text, err) : 0;

		if (page && r == 0)
			server = put_lines(text, all, page);
		if (!page || fclose(page) != 0)
			return err_sys(err, ENOMEM, "read the name servers in %s", places[i]);
		if (r < 0)
			return r;
		if (server || i + 1 == sizeof places / sizeof places[0]) {
			(void)fputs(lines, out);
			return 0;
		}
	}
	return 0;
}
