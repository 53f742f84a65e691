/* sd_notify(3): one datagram socket for each container, so nothing has to be said about who sent. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/core/service.h"

enum { NOTIFY_MESSAGES = 16, NOTIFY_SIZE = 4096 };

static void on_line(struct service *s, const char *line)
{
	if (strcmp(line, "READY=1") == 0)
		service_dispatch(s, EVENT_READY);
	else if (str_starts(line, "STATUS=")) {
		char text[160];

		(void)snprintf(text, sizeof text, "%.159s", line + 7);
		for (char *c = text; *c; c++)
			if ((unsigned char)*c < ' ')
				*c = ' ';
		service_text(&s->status_text, text);
		service_changed(s);
	}
	/* MAINPID= and WATCHDOG= are not ours to believe. */
}

/* True: there may be more. */
static bool read_one(struct service *s)
{
	char buf[NOTIFY_SIZE];
	char *save = NULL;
	ssize_t n = recv(s->notify_fd, buf, sizeof buf - 1, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return false;
	if ((size_t)n >= sizeof buf)
		return true; /* longer than any message we know */
	buf[n] = '\0';
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		on_line(s, line);
	return true;
}

void notify_read(struct service *s)
{
	for (int i = 0; i < NOTIFY_MESSAGES && s->notify_fd >= 0; i++)
		if (!read_one(s))
			return;
}

static void on_notify(struct loop *loop, uint32_t events, void *data)
{
	(void)loop;
	(void)events;
	notify_read(data);
}

int notify_open(struct service *s, char *ret_path, size_t size, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *name = s->unit->stem;
	int r;

	notify_close(s);
	/* Through the directory's descriptor: the path may be longer than sun_path. */
	(void)snprintf(
		addr.sun_path, sizeof addr.sun_path, "/proc/self/fd/%d/%s", s->sv->notify_fd, name);
	(void)unlinkat(s->sv->notify_fd, name, 0);
	s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->notify_fd < 0)
		return err_sys(err, errno, "make the notify socket");
	if (bind(s->notify_fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
		fchmodat(s->sv->notify_fd, name, 0666, 0) < 0) {
		r = err_sys(err, errno, "bind the notify socket");
		notify_close(s);
		return r;
	}
	r = loop_add(s->sv->loop, s->notify_fd, EPOLLIN, LOOP_NOTICE, on_notify, s, &s->notify_id);
	if (r < 0) {
		notify_close(s);
		return err_sys(err, -r, "watch the notify socket");
	}
	(void)snprintf(ret_path, size, "%s/notify/%s", s->sv->env.run_dir, name);
	return 0;
}

void notify_close(struct service *s)
{
	if (s->notify_fd < 0)
		return;
	loop_remove(s->sv->loop, &s->notify_id);
	fd_close(&s->notify_fd);
	(void)unlinkat(s->sv->notify_fd, s->unit->stem, 0);
}
