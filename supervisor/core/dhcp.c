/* The units that ask DHCP servers for addresses, the containers that they ask for, and what follows when
 * a server has spoken. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/core/service.h"
#include "supervisor/runtime/helpers.h"
#include "supervisor/runtime/uplink.h"

static const struct service *container_of(const struct service *s)
{
	for (size_t i = 0; s->unit->spec->asks_for && i < s->sv->nservices; i++)
		if (s->sv->services[i].unit->spec == s->unit->spec->asks_for)
			return &s->sv->services[i];
	return NULL;
}

bool clients_in_use(const struct service *s)
{
	const struct service *container = container_of(s);

	return container && machine_alive(&container->m);
}

bool clients_wait(const struct service *s)
{
	const struct service *container = container_of(s);

	return container && container->releasing;
}

static bool is_client_of(const struct service *client, const struct service *s)
{
	return client->unit->spec->asks_for == s->unit->spec;
}

const char *clients_failure(const struct service *s)
{
	for (size_t i = 0; s->unit->spec->nleases && i < s->sv->nservices; i++) {
		const struct service *client = &s->sv->services[i];

		if (is_client_of(client, s) && client->m.state == SERVICE_BACKOFF)
			return client->failure ? client->failure : "no DHCP server has leased one";
	}
	return NULL;
}

void clients_renew(const struct service *s)
{
	for (size_t i = 0; s->unit->spec->nleases && i < s->sv->nservices; i++)
		if (is_client_of(&s->sv->services[i], s) && s->sv->services[i].w.c.pidfd >= 0)
			(void)s->sv->sys->pidfd_signal(s->sv->services[i].w.c.pidfd, SIGTERM);
}

static void clients_end(const struct service *s, bool again)
{
	for (size_t i = 0; s->unit->spec->nleases && i < s->sv->nservices; i++) {
		struct service *client = &s->sv->services[i];

		if (!is_client_of(client, s) || !client->m.wanted)
			continue;
		if (!again)
			service_stop_queue(client);
		else if (machine_alive(&client->m))
			service_dispatch(client, EVENT_RESTART);
	}
}

void clients_follow(struct service *s, enum service_state old)
{
	const enum service_state now = s->m.state;
	struct service *container = (struct service *)(size_t)container_of(s);

	if (now == SERVICE_INACTIVE || now == SERVICE_DONE || now == SERVICE_FAILED)
		clients_end(s, false);
	else if ((now == SERVICE_WAITING || now == SERVICE_BACKOFF) && old != SERVICE_INACTIVE &&
		 old != SERVICE_WAITING && old != SERVICE_BACKOFF &&
		 helpers_is_net_admin(s->unit->spec))
		clients_end(s, true);
	if (now == SERVICE_BACKOFF && container && container->m.state == SERVICE_WAITING)
		service_dispatch(container, EVENT_DEPS_MET);
}

/* ---- name servers and names --------------------------------------------------------------------- */

enum { NAMES_SETTLED, NAMES_WORKING, NAMES_AGAIN };

static int tell(const void *data, struct err *err)
{
	(void)err;
	network_names(data);
	return 0;
}

static void tell_begin(struct supervisor *sv);

static void was_told(struct supervisor *sv, int r, const struct err *err, void *data)
{
	bool again = sv->names == NAMES_AGAIN;

	(void)r;
	(void)err;
	(void)data;
	sv->names = NAMES_SETTLED;
	sv->dirty = true;
	if (again)
		tell_begin(sv);
}

static void tell_begin(struct supervisor *sv)
{
	struct err err = { 0 };

	if (sv->names != NAMES_SETTLED) {
		sv->names = NAMES_AGAIN;
		return;
	}
	if (job_start(sv, "tell the containers of names", tell, was_told, sv, &err) < 0)
		log_warning("%s", err.text);
	else
		sv->names = NAMES_WORKING;
}

/* Of RUN_DIR, only what the uplinks' name servers are written to. */
static bool is_news(const struct supervisor *sv, const struct inotify_event *event)
{
	return event->mask & IN_Q_OVERFLOW ||
	       (event->len && strcmp(event->name,
				      event->wd == sv->records_top ? "resolv.conf" : "lease") == 0);
}

static void on_records(struct loop *loop, uint32_t events, void *data)
{
	_Alignas(struct inotify_event) char buf[sizeof(struct inotify_event) + NAME_MAX + 1];
	struct supervisor *sv = data;
	bool news = false;
	ssize_t n;

	(void)loop;
	(void)events;
	while ((n = read(sv->records_fd, buf, sizeof buf)) > 0)
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *event = (const void *)at;

			news |= is_news(sv, event);
			at += sizeof *event + event->len;
		}
	if (news)
		tell_begin(sv);
}

static int watch_client(const struct supervisor *sv, const struct service *s)
{
	const struct uplink_owner owner = uplink_of_client(sv->env.run_dir, s->unit->spec->name);
	int r = path_mkdirs(owner.dir, 0700);

	if (r == 0 && inotify_add_watch(
			      sv->records_fd, owner.dir, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0)
		r = -errno;
	return r;
}

void records_begin(struct supervisor *sv)
{
	int r;

	sv->records_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	sv->records_top = sv->records_fd < 0 ? -1
					     : inotify_add_watch(sv->records_fd, sv->env.run_dir,
						       IN_MOVED_TO | IN_ONLYDIR);
	r = sv->records_top < 0 ? -errno : 0;
	for (size_t i = 0; r == 0 && i < sv->nservices; i++)
		if (sv->services[i].unit->spec->asks_for)
			r = watch_client(sv, &sv->services[i]);
	if (r == 0)
		r = loop_add(sv->loop, sv->records_fd, EPOLLIN, LOOP_NOTICE, on_records, sv,
			&sv->records_id);
	if (r < 0)
		log_warning("watch what DHCP servers lease: %s: name servers and names follow at "
			    "a reload",
			strerror(-r));
}

void records_end(struct supervisor *sv)
{
	loop_remove(sv->loop, &sv->records_id);
	fd_close(&sv->records_fd);
}
