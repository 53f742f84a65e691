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
#include "supervisor/core/control.h"
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

/* One life: until something ends it, or a reload. */
static enum shutdown_kind one_run(struct supervisor *sv, struct watchdog *watchdog)
{
	struct control *control = NULL;
	enum shutdown_kind kind;
	struct err err = { 0 };

	if (watchdog)
		watchdog_feed_from(watchdog, supervisor_loop(sv));
	if (control_open(&control, sv, supervisor_env(sv)->run_dir, &err) < 0)
		log_error("the verbs will not reach this supervisor: %s", err.text);
	resident_notify("READY=1");
	kind = supervisor_run(sv);
	if (kind != SHUTDOWN_RELOAD)
		resident_notify("STOPPING=1");
	control_close(control);
	if (watchdog)
		watchdog_stop(watchdog, supervisor_loop(sv));
	return kind;
}

int resident_run(struct supervisor *sv, const struct supervisor_options *options,
	struct watchdog *watchdog, enum shutdown_kind *ret, struct err *err)
{
	struct supervisor_options next = *options;
	struct unit_set set = { 0 }; /* of the supervisor that runs, once there was a reload */
	int r = 0;

	while (r >= 0 && (*ret = one_run(sv, watchdog)) == SHUTDOWN_RELOAD) {
		struct unit_set fresh;

		supervisor_reloaded(sv, &fresh);
		supervisor_close(sv);
		unit_set_done(&set);
		set = fresh;
		next.set = &set;
		sv = NULL;
		r = supervisor_open(&sv, &next, err);
	}
	supervisor_close(sv);
	unit_set_done(&set);
	return r;
}
