#include "supervisor/base/resolvconf.h"

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

void resolvconf_host(const char *run_dir, bool all, FILE *out)
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
		bool server;

		if (!page)
			return;
		if (file_read_at(AT_FDCWD, places[i], text, sizeof text) < 0)
			text[0] = '\0';
		server = put_lines(text, all, page);
		if (fclose(page) != 0)
			return;
		if (server || i + 1 == sizeof places / sizeof places[0]) {
			(void)fputs(lines, out);
			return;
		}
	}
}
