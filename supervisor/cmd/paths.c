/* Where the other programs of berth are. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/cmd/cmd.h"

const char *cmd_worker_path(void)
{
	/* beside us as built, and as installed: PREFIX/sbin/berth, PREFIX/libexec/berth-worker */
	static const char *const places[] = { "/berth-worker", "/../libexec/berth-worker" };
	static char path[PATH_MAX + 40];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	const char *slash;

	if (n <= 0)
		return "/usr/libexec/berth-worker";
	self[n] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
		(void)snprintf(path, sizeof path, "%.*s%s", (int)(slash - self), self, places[i]);
		if (access(path, X_OK) == 0)
			return path;
	}
	return "/usr/libexec/berth-worker";
}
