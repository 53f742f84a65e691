/* The whole: turned and shut down. How it is wired and taken apart is in open.c. */
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/log.h"
#include "supervisor/core/deps.h"
#include "supervisor/core/service.h"

enum { ORPHANS_PER_TURN = 64, PASSES_PER_TURN = 8 };

/* ---- small doors ------------------------------------------------------------------------------ */

struct loop *supervisor_loop(struct supervisor *sv)
{
	return sv->loop;
}

const struct unit_set *supervisor_set(const struct supervisor *sv)
{
	return sv->set;
}

const struct container_env *supervisor_env(const struct supervisor *sv)
{
	return &sv->env;
}

const char *supervisor_notes(const struct supervisor *sv)
{
	return sv->notes;
}

enum shutdown_kind supervisor_shutting_down(const struct supervisor *sv)
{
	return sv->shutdown;
}

size_t service_count(const struct supervisor *sv)
{
	return sv->nservices;
}

struct service *service_at(const struct supervisor *sv, size_t index)
{
	return &sv->services[index];
}

const struct unit *service_unit(const struct service *service)
{
	return service->unit;
}

struct service *service_of_unit(const struct supervisor *sv, uint32_t unit)
{
	return sv->by_unit[unit] < 0 ? NULL : &sv->services[sv->by_unit[unit]];
}

struct service *service_find(const struct supervisor *sv, const char *name)
{
	const struct unit *unit = unit_find(sv->set, name);

	return unit ? service_of_unit(sv, (uint32_t)(unit - sv->set->units)) : NULL;
}

void supervisor_note(struct supervisor *sv, const char *fmt, ...)
{
	struct strbuf notes = { sv->notes, sizeof sv->notes, strlen(sv->notes), false };
	char text[ERR_TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (strstr(sv->notes, text))
		return;
	log_notice("%s", text);
	strbuf_add(&notes, "%s\n", text);
}

/* ---- watchers --------------------------------------------------------------------------------- */

void service_watch_add(struct supervisor *sv, struct service_watch *watch)
{
	watch->next = sv->watches;
	sv->watches = watch;
}

void service_watch_remove(struct supervisor *sv, struct service_watch *watch)
{
	struct service_watch **p = &sv->watches;

	while (*p && *p != watch)
		p = &(*p)->next;
	if (*p)
		*p = watch->next;
	if (sv->watch_next == watch)
		sv->watch_next = watch->next;
}

static void tell_watchers(struct supervisor *sv)
{
	for (size_t i = 0; i < sv->nservices; i++) {
		struct service *s = &sv->services[i];

		if (!s->changed)
			continue;
		s->changed = false;
		for (struct service_watch *w = sv->watches; w; w = sv->watch_next) {
			sv->watch_next = w->next;
			w->fn(s, w->data);
		}
	}
}

/* ---- order ------------------------------------------------------------------------------------ */

static const struct machine *machine_of(uint32_t unit, void *data)
{
	const struct service *s = service_of_unit(data, unit);

	return s ? &s->m : NULL;
}

static void look_at_stop(struct service *s)
{
	if (!s->stop_queued || !deps_stop(s->sv->set, s->index, machine_of, s->sv))
		return;
	s->stop_queued = false;
	service_dispatch(s, EVENT_STOP);
	if (s->sv->killing)
		service_dispatch(s, EVENT_KILL);
}

/* A start that waits for something (an image, a volume that does not answer) uses no processor: after
 * this time it holds nobody else. */
#define SLOT_SPAN (2 * NSEC_PER_SEC)

static void count_slots(struct supervisor *sv)
{
	uint64_t now = sv->sys->monotonic();

	sv->slots_taken = 0;
	for (size_t i = 0; i < sv->nservices; i++) {
		const struct machine *m = &sv->services[i].m;

		sv->slots_taken += m->state == SERVICE_STARTING && now - m->since < SLOT_SPAN;
	}
}

void supervisor_on_slot_timer(struct loop *loop, void *data)
{
	struct supervisor *sv = data;

	(void)loop;
	sv->dirty = true;
}

/* False: it waits for the end of a start, or of that one's time. */
static bool slot_take(struct service *s)
{
	struct supervisor *sv = s->sv;

	if (sv->slots_taken < sv->slots) {
		sv->slots_taken++;
		return true;
	}
	s->changed |= s->blocked_by != BLOCKED_BY_SLOT;
	s->blocked_by = BLOCKED_BY_SLOT;
	if (!sv->slot_timer.place)
		(void)loop_timer_set(
			sv->loop, &sv->slot_timer, sv->sys->monotonic() + SLOT_SPAN / 4);
	return false;
}

static void look_at_start(struct service *s)
{
	struct supervisor *sv = s->sv;
	bool blocked = s->m.state == SERVICE_FAILED && s->m.reason == END_DEPENDENCY;
	uint32_t which = BLOCKED_BY_NETWORK;

	if ((s->m.state != SERVICE_WAITING && !blocked) || !s->m.wanted)
		return;
	/* The next supervisor will, by what is defined then. */
	if (sv->shutdown == SHUTDOWN_RELOAD)
		return;
	switch (deps_start(sv->set, s->index, machine_of, sv, &which)) {
	case DEPS_WAIT:
		s->changed |= s->blocked_by != which;
		s->blocked_by = which;
		return;
	case DEPS_FAILED:
		if (blocked)
			return;
		service_fail(s, "dependency %s failed", sv->set->units[which].stem);
		service_dispatch(s, EVENT_DEPS_FAILED);
		return;
	case DEPS_MET:
		break;
	}
	s->blocked_by = BLOCKED_BY_NETWORK;
	if (network_await(s))
		return;
	if (s->releasing || clients_wait(s) || !slot_take(s))
		return;
	service_dispatch(s, EVENT_DEPS_MET);
}

static void shutdown_check(struct supervisor *sv)
{
	if (sv->shutdown == SHUTDOWN_RELOAD && reload_is_due(sv))
		loop_stop(sv->loop, (int)sv->shutdown);
	if (sv->shutdown < SHUTDOWN_STOP)
		return;
	for (size_t i = 0; i < sv->nservices; i++)
		if (sv->services[i].stop_queued ||
			(machine_alive(&sv->services[i].m) &&
				!(sv->killing && sv->services[i].m.state == SERVICE_UNKILLABLE)))
			return;
	loop_stop(sv->loop, (int)sv->shutdown);
}

/* ---- children that nobody else waits for ------------------------------------------------------- */

static bool is_ours(const struct supervisor *sv, pid_t pid)
{
	if (job_has_pid(sv, pid) || execs_have_pid(sv, pid) ||
		(sv->log && logwriter_pid(sv->log) == pid))
		return true;
	for (size_t i = 0; i < sv->nservices; i++)
		if (service_has_pid(&sv->services[i], pid))
			return true;
	return false;
}

/* Only peeked at (WNOWAIT): the status of a child of ours belongs to whoever holds its pidfd. One of
 * ours that stands first hides the others; its end is an event of its own, and then we look again. */
static void reap_orphans(struct supervisor *sv)
{
	sv->stray_children = false;
	for (int n = 0; n < ORPHANS_PER_TURN; n++) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
			return;
		if (is_ours(sv, info.si_pid))
			break;
		(void)waitpid(info.si_pid, NULL, WNOHANG);
	}
	sv->stray_children = true;
}

/* Reading the configuration and building the filters of system calls took far more memory than what
 * is kept of them: once the first starts are through, the rest goes back (750 KiB of 1 MiB). */
static void trim_once(struct supervisor *sv)
{
	if (sv->trimmed)
		return;
	for (size_t i = 0; i < sv->nservices; i++)
		if (sv->services[i].m.state == SERVICE_STARTING ||
			sv->services[i].m.state == SERVICE_WAITING)
			return;
	sv->trimmed = true;
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

bool supervisor_turn(struct supervisor *sv)
{
	if (sv->stray_children)
		reap_orphans(sv);
	for (int pass = 0; pass < PASSES_PER_TURN && sv->dirty; pass++) {
		sv->dirty = false;
		count_slots(sv);
		for (size_t i = 0; i < sv->nservices; i++)
			look_at_stop(&sv->services[i]);
		for (size_t i = 0; i < sv->nservices; i++)
			look_at_start(&sv->services[i]);
	}
	for (size_t i = 0; sv->late_work && i < sv->nservices; i++)
		service_late_work(&sv->services[i]);
	sv->late_work = false;
	tell_watchers(sv);
	shutdown_check(sv);
	trim_once(sv);
	return sv->dirty;
}

bool supervisor_on_turn(struct loop *loop, void *data)
{
	(void)loop;
	return supervisor_turn(data);
}

/* ---- ends ------------------------------------------------------------------------------------- */

static void kill_what_stops(struct supervisor *sv)
{
	sv->killing = true;
	for (size_t i = 0; i < sv->nservices; i++)
		if (!sv->services[i].stop_queued)
			service_dispatch(&sv->services[i], EVENT_KILL);
	sv->dirty = true;
}

void supervisor_on_shutdown_timer(struct loop *loop, void *data)
{
	struct supervisor *sv = data;

	(void)loop;
	if (sv->shutdown == SHUTDOWN_RELOAD)
		return; /* that turn looks whether it is due */
	log_warning("stopping took longer than ShutdownTimeoutSec=%s: killing what is left",
		clock_span(sv->set->conf.shutdown_max).text);
	kill_what_stops(sv);
	/* What cannot be killed does not hold the machine for ever. */
	if (sv->shutdown_timer.deadline + KILL_PATIENCE < sv->sys->monotonic())
		loop_stop(sv->loop, (int)sv->shutdown);
	else
		(void)loop_timer_set(
			sv->loop, &sv->shutdown_timer, sv->sys->monotonic() + 2 * KILL_PATIENCE);
}

void supervisor_shutdown(struct supervisor *sv, enum shutdown_kind kind)
{
	uint64_t patience = sv->set->conf.shutdown_max;

	if (kind == SHUTDOWN_NONE)
		return;
	if (kind == SHUTDOWN_LEAVE) {
		sv->shutdown = kind;
		loop_stop(sv->loop, (int)kind);
		return;
	}
	if (sv->shutdown >= SHUTDOWN_STOP) {
		kill_what_stops(sv);
		return;
	}
	sv->shutdown = kind;
	loop_timer_cancel(sv->loop, &sv->shutdown_timer);
	for (size_t i = 0; i < sv->nservices; i++)
		service_stop_queue(&sv->services[i]);
	sv->dirty = true;
	if (patience && patience != NSEC_NEVER)
		(void)loop_timer_set(
			sv->loop, &sv->shutdown_timer, sv->sys->monotonic() + patience);
}

void supervisor_on_signal(struct loop *loop, int signal, pid_t pid, void *data)
{
	struct supervisor *sv = data;
	struct err err = { 0 };

	(void)loop;
	(void)pid;
	if (signal == SIGCHLD) {
		reap_orphans(sv);
		return;
	}
	if (sv->options.on_signal && sv->options.on_signal(sv, signal, sv->options.data))
		return;
	switch (signal) {
	case SIGTERM:
		log_notice("leaving: the containers and their network stay; \"berth supervise\" "
			   "takes them up again (SIGINT would stop and remove everything)");
		supervisor_shutdown(sv, SHUTDOWN_LEAVE);
		return;
	case SIGINT:
		if (sv->shutdown < SHUTDOWN_STOP)
			log_notice("stopping everything; once more to kill it");
		supervisor_shutdown(sv, SHUTDOWN_STOP);
		return;
	case SIGHUP:
		if (supervisor_reload(sv, NULL, NULL, &err) < 0)
			log_error("the configuration is not read anew: %s", err.text);
		return;
	default:
		return;
	}
}

enum shutdown_kind supervisor_run(struct supervisor *sv)
{
	int r;

	/* What was asked for before the first event. */
	while (supervisor_turn(sv))
		continue;
	r = loop_run(sv->loop);
	if (r < 0) {
		log_error("the loop failed: %s", strerror(-r));
		return SHUTDOWN_LEAVE;
	}
	return (enum shutdown_kind)r;
}
