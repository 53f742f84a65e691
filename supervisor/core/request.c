/* What people ask of services, and what they are told. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/signals.h"
#include "supervisor/core/deps.h"
#include "supervisor/core/service.h"

static const char *const health_names[] = {
	[HEALTH_NONE] = "",
	[HEALTH_STARTING] = "starting",
	[HEALTH_HEALTHY] = "healthy",
	[HEALTH_UNHEALTHY] = "unhealthy",
};

const char *service_health_name(enum service_health health)
{
	return health_names[health];
}

/* ---- requests ------------------------------------------------------------------------------- */

static void start_one(struct service *s)
{
	s->stop_queued = false;
	service_dispatch(s, EVENT_START);
}

/* What it needs comes first. Ends: a service that is wanted is not entered again. */
static void pull_in(struct service *s)
{
	const struct unit_list *lists[] = { &s->unit->requires, &s->unit->wants };

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < lists[k]->n; i++) {
			struct service *other = service_of_unit(s->sv, lists[k]->v[i]);

			if (!other || other->m.state == SERVICE_DONE ||
				(other->m.wanted && other->m.state != SERVICE_FAILED))
				continue;
			/* A stop by hand of it does not hold any more. */
			if (other->by_hand && !other->asked) {
				other->asked = true;
				wanted_save(other);
			}
			start_one(other);
			pull_in(other);
		}
}

void service_mark_needed(struct service *s)
{
	const struct unit_list *lists[] = { &s->unit->requires, &s->unit->wants };

	if (s->needed || (s->by_hand && !s->asked))
		return;
	s->needed = true;
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < lists[k]->n; i++) {
			struct service *other = service_of_unit(s->sv, lists[k]->v[i]);

			if (other)
				service_mark_needed(other);
		}
}

void service_stop_queue(struct service *s)
{
	s->m.wanted = false;
	s->m.again = false;
	s->stop_queued = true;
	s->sv->dirty = true;
}

/* And what cannot be without it. */
static void stop_with_dependents(struct service *s)
{
	struct supervisor *sv = s->sv;

	service_stop_queue(s);
	for (size_t i = 0; i < sv->nservices; i++) {
		struct service *other = &sv->services[i];

		if (other->m.wanted && deps_has(&other->unit->requires, s->index))
			stop_with_dependents(other);
	}
}

int service_request(struct service *service, enum service_request request,
	struct service_ticket *ret, struct err *err)
{
	if (service->sv->shutdown != SHUTDOWN_NONE && request != REQUEST_STOP)
		return err_set(err, ESHUTDOWN, "%s: the supervisor is %s", service->unit->stem,
			service->sv->shutdown == SHUTDOWN_RELOAD
				? "reading its configuration anew: ask again"
				: "shutting down");
	service->serial++;
	service->asked = request != REQUEST_STOP;
	wanted_save(service);
	*ret = (struct service_ticket){ request, service->serial, service->m.run };
	switch (request) {
	case REQUEST_START:
		pull_in(service);
		start_one(service);
		break;
	case REQUEST_RESTART:
		pull_in(service);
		service->stop_queued = false;
		service_dispatch(service, EVENT_RESTART);
		break;
	case REQUEST_STOP:
		stop_with_dependents(service);
		break;
	}
	service_record(service);
	service_changed(service);
	return 0;
}

int service_signal(struct service *service, int signal, struct err *err)
{
	int r = -ESRCH;

	if (service->w.c.pidfd >= 0 && service->w.exec_seen)
		r = service->sv->sys->pidfd_signal(service->w.c.pidfd, signal);
	if (r == -ESRCH)
		return err_set(err, ESRCH, "%s is not running (%s)", service->unit->stem,
			service_state_name(service->m.state));
	return r < 0 ? err_sys(err, -r, "send %s to %s",
			       signal_name(signal) ? signal_name(signal) : "a signal",
			       service->unit->stem)
		     : 0;
}

static enum service_outcome outcome_of_start(const struct service *s)
{
	switch (s->m.state) {
	case SERVICE_READY:
	case SERVICE_HELD:
	case SERVICE_EXTERNAL:
	case SERVICE_DONE:
		return OUTCOME_DONE;
	case SERVICE_FAILED:
	case SERVICE_BACKOFF:
	case SERVICE_UNKILLABLE:
		return OUTCOME_FAILED;
	case SERVICE_INACTIVE:
		return OUTCOME_OVERTAKEN;
	case SERVICE_WAITING:
	case SERVICE_STARTING:
	case SERVICE_RUNNING:
	case SERVICE_STOPPING:
	case SERVICE_KILLING:
	case SERVICE_DRAINING:
	case SERVICE_STATE_COUNT:
		break;
	}
	return OUTCOME_PENDING;
}

enum service_outcome service_outcome(
	const struct service *service, const struct service_ticket *ticket)
{
	bool start = ticket->request != REQUEST_STOP;

	if (service->m.wanted != start && service->serial != ticket->serial)
		return OUTCOME_OVERTAKEN;
	if (start)
		return service->m.wanted ? outcome_of_start(service) : OUTCOME_OVERTAKEN;
	if (service->m.state == SERVICE_UNKILLABLE)
		return OUTCOME_FAILED;
	/* With all that was lent to it back on the host. */
	return machine_alive(&service->m) || service->stop_queued || service->releasing
		       ? OUTCOME_PENDING
		       : OUTCOME_DONE;
}

/* ---- what they are told ----------------------------------------------------------------------- */

static void describe(const struct service *s, char *ret, size_t size)
{
	const struct supervisor *sv = s->sv;
	uint64_t now = sv->sys->monotonic();

	ret[0] = '\0';
	switch (s->m.state) {
	case SERVICE_WAITING:
		if (s->blocked_by == BLOCKED_BY_NETWORK)
			(void)snprintf(ret, size, "for the network");
		else if (s->blocked_by == BLOCKED_BY_SLOT)
			(void)snprintf(ret, size, "for its turn: %zu start at once", sv->slots);
		else
			(void)snprintf(ret, size, "after %s", sv->set->units[s->blocked_by].stem);
		return;
	case SERVICE_STARTING:
		(void)snprintf(ret, size, "%s", container_stage_name(container_stage(&s->w.c)));
		return;
	case SERVICE_BACKOFF:
		(void)snprintf(ret, size, "next try in %s",
			clock_span(s->m.deadline > now ? s->m.deadline - now : 0).text);
		return;
	case SERVICE_STOPPING:
		(void)snprintf(ret, size, "%s sent, SIGKILL in %s",
			signal_name(s->m.spec->stop_signal) ? signal_name(s->m.spec->stop_signal)
							    : "SIGTERM",
			clock_span(s->m.deadline > now ? s->m.deadline - now : 0).text);
		return;
	case SERVICE_RUNNING:
		if (s->m.spec->type != TYPE_ONESHOT)
			(void)snprintf(ret, size, "not ready yet");
		return;
	case SERVICE_EXTERNAL:
		(void)snprintf(
			ret, size, "the host's own answers: %s", s->probe ? s->probe->socket : "");
		return;
	case SERVICE_READY:
	case SERVICE_INACTIVE:
	case SERVICE_KILLING:
	case SERVICE_DRAINING:
	case SERVICE_DONE:
	case SERVICE_FAILED:
	case SERVICE_UNKILLABLE:
	case SERVICE_HELD:
	case SERVICE_STATE_COUNT:
		return;
	}
}

/* A monotonic time in the future as wall time. */
static uint64_t wall_time(const struct sys *sys, uint64_t deadline)
{
	uint64_t now = sys->monotonic();

	return sys->realtime() + (deadline > now ? deadline - now : 0);
}

static void put(char *to, size_t size, const char *text)
{
	(void)snprintf(to, size, "%s", text ? text : "");
}

void service_info(const struct service *s, struct service_info *ret)
{
	*ret = (struct service_info){
		.unit = s->unit,
		.state = s->m.state,
		.wanted = s->m.wanted,
		.by_hand = s->by_hand,
		.pid = s->w.c.pid,
		.run = s->m.run,
		.last = s->m.last,
		.restarts = s->m.restarts,
		.next_try =
			s->m.state == SERVICE_BACKOFF ? wall_time(s->sv->sys, s->m.deadline) : 0,
		.since = s->since,
		.started = machine_alive(&s->m) ? s->started : 0,
		.ready_since = s->m.state == SERVICE_READY ? s->ready_since : 0,
		.times = s->times,
		.health = s->health,
		.health_failures = s->health_failures,
		.failure_stage = s->failure_stage,
		.failure_code = s->failure_code,
	};
	describe(s, ret->sub, sizeof ret->sub);
	if (*s->leaf && s->sv->tree.fd >= 0)
		(void)snprintf(ret->cgroup, sizeof ret->cgroup, "%.170s/%.120s", s->sv->tree.path,
			s->leaf);
	put(ret->health_text, sizeof ret->health_text, s->probe ? s->probe->text : NULL);
	put(ret->status_text, sizeof ret->status_text, s->status_text);
	put(ret->failure, sizeof ret->failure, s->failure);
	put(ret->dropped, sizeof ret->dropped, s->dropped);
}

void service_usage(const struct service *service, struct cgroup_usage *ret)
{
	*ret = (struct cgroup_usage){ 0 };
	if (service->w.c.cgroup_fd >= 0)
		cgroup_usage(service->w.c.cgroup_fd, ret);
}
