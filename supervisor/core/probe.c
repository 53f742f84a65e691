/*
 * Health probes: one at a time for each service. A command runs in a cgroup of its own beside the
 * run's leaf, which is killed when the probe takes longer than HealthTimeout=. A connection (Probe=)
 * needs no process: its socket is opened without waiting, and closed again.
 *
 * Until the first success of a run they come each second (or each HealthInterval=, if that is
 * shorter), so that Notify=healthy does not wait for half a minute; but failures count only after
 * HealthStartPeriod=, and only once per interval. A connection costs next to nothing: it is tried often
 * enough that readiness is seen at most a tenth later than it came.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/endpoint.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/core/service.h"

static const struct health_spec *health_of(const struct service *s)
{
	return &s->unit->service.health;
}

static void probe_leaf(const struct service *s, char *ret, size_t size)
{
	(void)snprintf(ret, size, "c/%s/probe-%llu", s->unit->spec->name,
		(unsigned long long)s->probe->serial);
}

static void health_set(struct service *s, enum service_health health)
{
	if (s->health == health)
		return;
	s->health = health;
	log_info("%s: %s", s->unit->stem, service_health_name(health));
	service_changed(s);
}

static uint64_t span_of(const struct service *s, uint64_t now)
{
	uint64_t span = health_of(s)->interval;
	uint64_t tenth = (now - s->m.since) / 10;

	if (s->health != HEALTH_STARTING)
		return span;
	if (health_of(s)->socket && tenth < NSEC_PER_SEC)
		return tenth < 20 * NSEC_PER_MSEC ? 20 * NSEC_PER_MSEC : tenth;
	return span > NSEC_PER_SEC ? NSEC_PER_SEC : span;
}

static void schedule(struct service *s)
{
	uint64_t now = s->sv->sys->monotonic();
	uint64_t span = span_of(s, now);

	s->probe->phase = PROBE_IDLE;
	if (loop_timer_set(s->sv->loop, &s->probe->timer,
		    span >= NSEC_NEVER - now ? NSEC_NEVER : now + span) < 0)
		log_error("%s: no memory for a timer", s->unit->stem);
}

static void succeeded(struct service *s)
{
	s->health_failures = 0;
	health_set(s, HEALTH_HEALTHY);
	schedule(s);
	if (s->unit->service.notify == NOTIFY_HEALTHY && s->m.state == SERVICE_RUNNING)
		service_dispatch(s, EVENT_READY);
}

/* Before it was ready once, TimeoutStartSec= alone decides about a connection. After an adoption it is
 * to be seen healthy again, but has been ready. */
static uint64_t start_period(const struct service *s)
{
	return health_of(s)->socket && s->m.state != SERVICE_RUNNING ? 0
								     : health_of(s)->start_period;
}

static void failed(struct service *s, const char *why)
{
	const struct health_spec *health = health_of(s);
	struct probe *probe = s->probe;
	uint64_t now = s->sv->sys->monotonic();
	bool starting = s->health == HEALTH_STARTING;
	struct strbuf text = STRBUF(probe->text);

	strbuf_add(&text, "%s%s%s", why, probe->noutput ? ": " : "", probe->output);
	schedule(s);
	service_changed(s);
	if (starting && (now - s->m.since < start_period(s) ||
				(probe->counted && now - probe->counted < health->interval)))
		return;
	probe->counted = now;
	s->health_failures++;
	if (s->health_failures < health->retries)
		return;
	health_set(s, HEALTH_UNHEALTHY);
	if (s->m.state == SERVICE_EXTERNAL) {
		service_fail(s, "the host's own is gone: %s", s->probe->text);
		service_dispatch(s, EVENT_UNHEALTHY);
		return;
	}
	/* Without a policy that restarts it, it is marked, not stopped: unhealthy is better than dead. */
	if (!restart_asked(s->m.spec, END_UNHEALTHY, &s->m.last))
		return;
	service_fail(s, "unhealthy: %u probes in a row failed, the last one: %s",
		s->health_failures, s->probe->text);
	service_dispatch(s, EVENT_UNHEALTHY);
}

/* ---- a command -------------------------------------------------------------------------------- */

/* Builder and process are reaped. */
static void finish(struct service *s)
{
	struct probe *probe = s->probe;
	bool off = probe->phase == PROBE_KILLED;
	bool ok = !probe->w.failed && !probe->expired && WIFEXITED(probe->status) &&
		  WEXITSTATUS(probe->status) == 0;
	char leaf[128], why[100];

	if (probe->w.failed)
		(void)snprintf(why, sizeof why, "%.99s", watched_words(&probe->w));
	else if (probe->expired)
		(void)snprintf(why, sizeof why, "no answer within %s",
			clock_span(health_of(s)->timeout).text);
	else if (WIFEXITED(probe->status))
		(void)snprintf(why, sizeof why, "exit code %d", WEXITSTATUS(probe->status));
	else
		(void)snprintf(why, sizeof why, "killed by signal %d", WTERMSIG(probe->status));
	loop_timer_cancel(s->sv->loop, &probe->timer);
	loop_remove(s->sv->loop, &probe->output_id);
	fd_close(&probe->output_fd);
	/* Helpers that it left behind. */
	if (probe->w.c.cgroup_fd >= 0)
		(void)cgroup_kill(probe->w.c.cgroup_fd);
	watched_done(s->sv->loop, &probe->w);
	probe_leaf(s, leaf, sizeof leaf);
	if (s->sv->tree.fd >= 0)
		(void)cgroup_remove(&s->sv->tree, leaf);
	probe->phase = PROBE_OFF;
	if (off)
		service_check_gone(s);
	else if (ok)
		succeeded(s);
	else
		failed(s, why);
}

static void check_finished(struct service *s)
{
	const struct watched *w = &s->probe->w;

	if (w->c.builder_pidfd < 0 && w->c.pidfd < 0 && w->c.report_fd < 0)
		finish(s);
}

static void on_message(void *owner, const struct report *report, int console);

static void on_probe_exit(struct loop *loop, uint32_t events, void *data)
{
	struct service *s = data;
	struct watched *w = &s->probe->w;

	(void)events;
	if (s->sv->sys->pidfd_reap(w->c.pidfd, &s->probe->status) == 0)
		return;
	(void)watched_last_words(loop, w, on_message, s);
	loop_remove(loop, &w->pidfd_id);
	fd_close(&w->c.pidfd);
	w->c.pid = 0;
	check_finished(s);
}

static void on_message(void *owner, const struct report *report, int console)
{
	struct service *s = owner;
	struct watched *w = &s->probe->w;

	fd_close(&console);
	if (report->kind == REPORT_WARN)
		log_debug("%s: probe: %s", s->unit->stem, report->err.text);
	if (report->kind != REPORT_CREATED)
		return;
	if (watched_add_pidfd(s->sv->loop, w, on_probe_exit, s) < 0 || container_go(&w->c) < 0)
		watched_kill(s->sv, w);
}

static void on_probe_report(struct loop *loop, uint32_t events, void *data)
{
	struct service *s = data;

	(void)events;
	if (watched_read(loop, &s->probe->w, on_message, s))
		check_finished(s);
}

static void on_probe_builder(struct loop *loop, uint32_t events, void *data)
{
	struct service *s = data;

	(void)loop;
	(void)events;
	if (watched_reap_builder(s->sv, &s->probe->w))
		check_finished(s);
}

/* The first words are kept, the rest is read and forgotten, so that the probe never waits for us. */
static void on_output(struct loop *loop, uint32_t events, void *data)
{
	struct probe *probe = data;
	char buf[4096];
	ssize_t n = read(probe->output_fd, buf, sizeof buf);

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN))
		loop_remove(loop, &probe->output_id);
	for (ssize_t i = 0; i < n && probe->noutput + 1 < sizeof probe->output; i++) {
		char c = buf[i];

		probe->output[probe->noutput++] = (unsigned char)c < ' ' ? ' ' : c;
		probe->output[probe->noutput] = '\0';
	}
}

static int begin(struct service *s, struct err *err)
{
	const struct cgroup_limits no_limits = { 0 };
	struct supervisor *sv = s->sv;
	struct probe *probe = s->probe;
	struct cgroup_dropped dropped;
	own_fd leaf_fd = -1;
	own_fd write_end = -1;
	char leaf[128];
	int ends[2];
	int r;

	probe->serial++;
	probe->expired = false;
	probe->status = -1;
	probe->noutput = 0;
	probe->output[0] = '\0';
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	probe->output_fd = ends[0];
	write_end = ends[1];
	probe_leaf(s, leaf, sizeof leaf);
	if (sv->tree.fd >= 0) {
		leaf_fd = cgroup_make(&sv->tree, leaf, &no_limits, &dropped, err);
		if (leaf_fd < 0)
			return leaf_fd;
	}
	r = container_exec(&sv->env, s->unit->spec, &probe->process, s->w.c.pidfd, leaf_fd, -1,
		write_end, write_end, &probe->w.c, err);
	if (r < 0)
		return r;
	if (probe->w.c.cgroup_fd < 0)
		probe->w.c.cgroup_fd = fd_take(&leaf_fd);
	probe->phase = PROBE_RUNNING;
	r = watched_add(sv->loop, &probe->w, on_probe_report, on_probe_builder, s);
	if (r >= 0)
		r = loop_add(sv->loop, probe->output_fd, EPOLLIN, LOOP_NOTICE, on_output, probe,
			&probe->output_id);
	if (r < 0)
		log_warning("%s: cannot watch a probe: %s", s->unit->stem, strerror(-r));
	return loop_timer_set(
		sv->loop, &probe->timer, sv->sys->monotonic() + health_of(s)->timeout);
}

static void command_begin(struct service *s)
{
	struct err err = { 0 };
	char leaf[128];

	if (begin(s, &err) >= 0)
		return;
	/* Ours, not the service's: no failure of it is counted. */
	log_warning("%s: cannot probe its health: %s", s->unit->stem, err.text);
	fd_close(&s->probe->output_fd);
	probe_leaf(s, leaf, sizeof leaf);
	if (s->sv->tree.fd >= 0)
		(void)cgroup_remove(&s->sv->tree, leaf);
	schedule(s);
}

/* ---- a connection ------------------------------------------------------------------------------ */

/* It is decided: 0, or what went wrong. */
static void connection_end(struct service *s, int code)
{
	struct probe *probe = s->probe;
	char why[sizeof probe->text];

	loop_timer_cancel(s->sv->loop, &probe->timer);
	loop_remove(s->sv->loop, &probe->output_id);
	fd_close(&probe->output_fd);
	probe->phase = PROBE_OFF;
	(void)snprintf(why, sizeof why, "%.110s: %.45s", probe->socket, strerror(code));
	if (code)
		failed(s, why);
	else
		succeeded(s);
}

static void on_connection(struct loop *loop, uint32_t events, void *data)
{
	struct service *s = data;
	int code = 0;
	socklen_t n = sizeof code;

	(void)loop;
	(void)events;
	if (getsockopt(s->probe->output_fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0)
		code = errno;
	connection_end(s, code);
}

static void connection_begin(struct service *s)
{
	struct supervisor *sv = s->sv;
	struct probe *probe = s->probe;
	bool pending;
	int r = endpoint_connect(probe->socket, &pending);

	probe->output_fd = r;
	if (r < 0 || !pending) {
		connection_end(s, r < 0 ? -r : 0);
		return;
	}
	probe->phase = PROBE_RUNNING;
	r = loop_add(sv->loop, probe->output_fd, EPOLLOUT, LOOP_NOTICE, on_connection, s,
		&probe->output_id);
	if (r >= 0)
		r = loop_timer_set(
			sv->loop, &probe->timer, sv->sys->monotonic() + health_of(s)->timeout);
	if (r < 0)
		connection_end(s, -r);
}

/* ---- both -------------------------------------------------------------------------------------- */

static void on_probe_timer(struct loop *loop, void *data)
{
	struct service *s = data;
	bool is_command = !health_of(s)->socket;

	(void)loop;
	switch (s->probe->phase) {
	case PROBE_RUNNING:
		if (!is_command) {
			connection_end(s, ETIMEDOUT);
			return;
		}
		s->probe->expired = true;
		watched_kill(s->sv, &s->probe->w);
		return;
	case PROBE_IDLE:
		if (is_command)
			command_begin(s);
		else
			connection_begin(s);
		return;
	case PROBE_OFF:
	case PROBE_KILLED:
		return;
	}
}

int probe_init(struct service *s)
{
	if (!health_of(s)->argv.n && !health_of(s)->socket)
		return 0;
	s->probe = malloc(sizeof *s->probe);
	if (!s->probe)
		return -ENOMEM;
	*s->probe = (struct probe){
		.w = { .c = CONTAINER_NONE },
		.process = s->unit->spec->process,
		.timer = { .fn = on_probe_timer, .data = s },
		.socket = health_of(s)->socket,
		.output_fd = -1,
		.status = -1,
	};
	s->probe->process.argv = health_of(s)->argv;
	s->probe->process.tty = false;
	s->probe->process.tty_path = NULL;
	return 0;
}

void probe_done(struct service *s)
{
	if (!s->probe)
		return;
	loop_timer_cancel(s->sv->loop, &s->probe->timer);
	loop_remove(s->sv->loop, &s->probe->output_id);
	fd_close(&s->probe->output_fd);
	watched_done(s->sv->loop, &s->probe->w);
	free(s->probe);
	s->probe = NULL;
}

void probes_on(struct service *s)
{
	if (!s->probe || s->probe->phase != PROBE_OFF)
		return;
	s->health = HEALTH_STARTING;
	s->health_failures = 0;
	s->probe->text[0] = '\0';
	s->probe->counted = 0;
	s->probe->phase = PROBE_IDLE;
	if (loop_timer_set(s->sv->loop, &s->probe->timer,
		    s->sv->sys->monotonic() + 100 * NSEC_PER_MSEC) < 0)
		log_error("%s: no memory for a timer", s->unit->stem);
}

void probes_off(struct service *s)
{
	struct probe *probe = s->probe;

	if (!probe)
		return;
	loop_timer_cancel(s->sv->loop, &probe->timer);
	if (health_of(s)->socket) {
		loop_remove(s->sv->loop, &probe->output_id);
		fd_close(&probe->output_fd);
		probe->phase = PROBE_OFF;
	} else if (probe->phase == PROBE_RUNNING) {
		probe->phase = PROBE_KILLED;
		watched_kill(s->sv, &probe->w);
	} else if (probe->phase == PROBE_IDLE) {
		probe->phase = PROBE_OFF;
	}
	if (s->health != HEALTH_UNHEALTHY)
		s->health = HEALTH_NONE;
}

/* Only sockets of this machine are asked, which say so at once; a full queue is an answer, too. */
bool probe_host(struct service *s)
{
	const struct strv *sockets = &s->unit->service.host_sockets;

	if (!s->probe)
		return false;
	for (size_t i = 0; i < sockets->n; i++) {
		bool pending;
		own_fd fd = endpoint_connect(sockets->v[i], &pending);

		s->probe->socket = sockets->v[i];
		if (fd >= 0 || fd == -EAGAIN)
			return true;
	}
	s->probe->socket = health_of(s)->socket;
	return false;
}

bool probe_busy(const struct service *s)
{
	return s->probe && (s->probe->phase == PROBE_RUNNING || s->probe->phase == PROBE_KILLED);
}
