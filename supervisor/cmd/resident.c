#include "supervisor/cmd/resident.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/runtime/seal.h"

void resident_seal(void)
{
	struct err err = { 0 };

	if (seal_self(cmd_globals.argv, &err) < 0)
		log_warning("%s", err.text);
}

void resident_notify(const char *text)
{
	static struct sockaddr_un address = { .sun_family = AF_UNIX };
	static size_t n;
	const char *path = getenv("NOTIFY_SOCKET");
	own_fd sock = -1;

	if (path && (*path == '/' || *path == '@') && strlen(path) < sizeof address.sun_path) {
		n = strlen(path);
		memcpy(address.sun_path, path, n);
		if (*path == '@') /* sd_notify(3): an abstract name */
			address.sun_path[0] = '\0';
	}
	/* Ours alone: what we start does not speak for us. */
	(void)unsetenv("NOTIFY_SOCKET");
	if (!n)
		return;
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || sendto(sock, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
				(const struct sockaddr *)&address,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_warning("tell the service manager \"%s\": %s", text, strerror(errno));
}
