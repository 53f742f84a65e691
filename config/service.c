/* How the supervisor treats a unit: restart, readiness, stopping, health. */
#include <signal.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/endpoint.h"

enum { LOG_SIZE = 10 << 20, LOG_COUNT = 3 };

static uint64_t time_or(const struct draft_time *time, uint64_t fallback)
{
	return DRAFT_SET(*time) ? time->v : fallback;
}

/* Quadlet writes Type=notify into every container's service and means podman by it; who is ready
 * when is said by Notify= there. */
static void service_type(struct build *b, uint32_t unit, struct service_spec *service)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	const struct container_spec *spec = b->parts[unit].spec;
	/* Ready when the program runs: what it mounts or listens on was made before. */
	bool native = spec->native && !spec->filesystem && !spec->proxy;

	service->type = native ? TYPE_SIMPLE : TYPE_EXEC;
	if (spec->own_program)
		service->type = TYPE_ONESHOT;
	if (DRAFT_SET(draft->type))
		service->type = (enum service_type)draft->type.v;
	if (DRAFT_SET(draft->notify))
		service->notify = (enum notify_mode)draft->notify.v;
	if (native && service->type == TYPE_NOTIFY)
		service->notify = NOTIFY_YES;
	else if (service->notify == NOTIFY_YES)
		service->type = TYPE_NOTIFY;
	else if (service->type == TYPE_NOTIFY)
		service->type = TYPE_EXEC;
	if (service->type == TYPE_ONESHOT && service->notify != NOTIFY_NO)
		ERROR_AT(b, draft->notify.at,
			"Notify: a Type=oneshot unit is ready when it has ended: remove one of "
			"them");
}

static void service_restart(struct build *b, uint32_t unit, struct service_spec *service)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	bool oneshot = service->type == TYPE_ONESHOT;

	const bool pulls = b->parts[unit].spec->own_program;

	service->restart = pulls ? RESTART_ON_FAILURE : b->set->conf.default_restart;
	if (oneshot &&
		(service->restart == RESTART_ALWAYS || service->restart == RESTART_ON_SUCCESS))
		service->restart = RESTART_ON_FAILURE;
	if (DRAFT_SET(draft->restart))
		service->restart = (enum restart_policy)draft->restart.v;
	if (oneshot &&
		(service->restart == RESTART_ALWAYS || service->restart == RESTART_ON_SUCCESS))
		ERROR_AT(b, draft->restart.at,
			"Restart: a Type=oneshot unit that succeeded is done: write on-failure, or "
			"no");
	service->restart_delay =
		time_or(&draft->restart_sec, pulls ? 5 * NSEC_PER_SEC : 100 * NSEC_PER_MSEC);
	service->restart_steps = 10;
	if (DRAFT_SET(draft->restart_steps))
		service->restart_steps =
			draft->restart_steps.v > 1000 ? 1000 : (uint32_t)draft->restart_steps.v;
	service->restart_max_delay = time_or(&draft->restart_max_delay, 60 * NSEC_PER_SEC);
	if (service->restart_max_delay < service->restart_delay) {
		if (DRAFT_SET(draft->restart_max_delay))
			ERROR_AT(b, draft->restart_max_delay.at,
				"RestartMaxDelaySec: is less than RestartSec=: raise it");
		service->restart_max_delay = service->restart_delay;
	}
	service->stable = time_or(&draft->stable, 10 * NSEC_PER_SEC);
	service->success = draft->success_exit_status.v;
	service->no_restart = draft->restart_prevent_exit_status.v;
	if (draft->exec_start.ignore_failure) {
		memset(service->success.codes, 0xff, sizeof service->success.codes);
		service->success.signals = UINT64_MAX;
	}
}

static void service_stop(struct build *b, const struct part *part, struct service_spec *service)
{
	const struct unit_draft *draft = part->draft;

	if (DRAFT_SET(draft->stop_timeout) && DRAFT_SET(draft->timeout_stop) &&
		draft->stop_timeout.v != draft->timeout_stop.v)
		ERROR_AT(b, draft->stop_timeout.at,
			"StopTimeout: TimeoutStopSec= (%s:%u) says something else: remove one of "
			"them",
			draft->timeout_stop.at.file, draft->timeout_stop.at.line);
	service->stop_timeout =
		time_or(&draft->stop_timeout, time_or(&draft->timeout_stop, 10 * NSEC_PER_SEC));
	service->stop_signal = part->image.stop_signal ? part->image.stop_signal : SIGTERM;
	if (DRAFT_SET(draft->stop_signal))
		service->stop_signal = draft->stop_signal.v;
}

static void service_health(struct build *b, const struct part *part, struct service_spec *service)
{
	const struct unit_draft *draft = part->draft;
	const struct image_config *image = &part->image;
	struct health_spec *health = &service->health;

	if (DRAFT_SET(draft->health_cmd))
		health->argv = draft->health_cmd.v;
	else if (!draft->health_none.v && !image->health_none)
		health->argv = image->health;
	health->interval = time_or(&draft->health_interval,
		image->health_interval ? image->health_interval : 30 * NSEC_PER_SEC);
	health->timeout = time_or(&draft->health_timeout,
		image->health_timeout ? image->health_timeout : 30 * NSEC_PER_SEC);
	health->start_period = time_or(&draft->health_start_period, image->health_start_period);
	health->retries = image->health_retries ? image->health_retries : 3;
	if (DRAFT_SET(draft->health_retries))
		health->retries = draft->health_retries.v > UINT32_MAX
					  ? UINT32_MAX
					  : (uint32_t)draft->health_retries.v;
	if (DRAFT_SET(draft->health_interval) && health->interval == 0)
		ERROR_AT(b, draft->health_interval.at,
			"HealthInterval: 0 would probe without end: write a time, or disable");
	if (DRAFT_SET(draft->health_timeout) && health->timeout == 0)
		ERROR_AT(b, draft->health_timeout.at,
			"HealthTimeout: no probe ends in 0 s: write a time");
	if (health->retries == 0)
		ERROR_AT(b, draft->health_retries.at,
			"HealthRetries: 0 would fail at once: write at least 1");
	if (service->notify == NOTIFY_HEALTHY && health->argv.n == 0)
		ERROR_AT(b, draft->notify.at,
			"Notify: healthy needs a probe: add HealthCmd=, or write Notify=no");
}

/* Probe=: the same as a HealthCmd= that Notify=healthy waits for, without a process. */
static void service_probe(struct build *b, const struct part *part, struct service_spec *service)
{
	const struct unit_draft *draft = part->draft;
	struct health_spec *health = &service->health;

	if (!DRAFT_SET(draft->probe)) {
		if (DRAFT_SET(draft->probe_interval))
			ERROR_AT(b, draft->probe_interval.at,
				"ProbeInterval: has no effect without Probe=: add that");
		return;
	}
	if (!endpoint_valid(draft->probe.v))
		ERROR_AT(b, draft->probe.at,
			"Probe: \"%.100s\" is no socket: write unix:/PATH, tcp:127.0.0.1:PORT or "
			"tcp:[::1]:PORT",
			draft->probe.v);
	if (service->type == TYPE_ONESHOT || service->notify == NOTIFY_YES)
		ERROR_AT(b, draft->probe.at,
			"Probe: Type=%s says already when it is ready: remove one of them",
			service->type == TYPE_ONESHOT ? "oneshot" : "notify");
	service->notify = NOTIFY_HEALTHY;
	health->socket = draft->probe.v;
	health->interval = time_or(&draft->probe_interval, 10 * NSEC_PER_SEC);
	health->timeout = 5 * NSEC_PER_SEC;
	health->start_period = service->start_timeout;
}

/* The sockets of PreferHost=; its programs: pass_bundle. They are asked by Probe='s machinery, in the
 * loop, so only sockets that answer at once will do. */
static void service_host(struct build *b, const struct part *part, struct service_spec *service)
{
	const struct draft_list *list = &part->draft->prefer_host;

	for (size_t i = 0; i < list->n; i++) {
		const char *text = list->v[i].text;
		const char *socket = strcmp(text, "yes") == 0 ? service->health.socket : text;

		if (text[0] == '/')
			continue;
		if (!service->health.socket)
			ERROR_AT(b, list->v[i].at,
				"PreferHost: needs Probe=, to see whether it still answers: add "
				"that");
		else if (!str_starts(socket, "unix:") || !endpoint_valid(socket))
			ERROR_AT(b, list->v[i].at,
				"PreferHost: \"%.100s\" is neither unix:/PATH nor the path of a "
				"program, nor yes with Probe=unix:/PATH",
				text);
		else
			build_add(b, &service->host_sockets, socket);
	}
}

void pass_service(struct build *b, uint32_t unit)
{
	const struct part *part = &b->parts[unit];
	struct service_spec *service = &b->set->units[unit].service;
	uint64_t start;

	service_type(b, unit, service);
	service_restart(b, unit, service);
	service_stop(b, part, service);
	service_health(b, part, service);
	if (part->spec->filesystem)
		service->stop_timeout = time_or(&part->draft->mount_timeout, service->stop_timeout);
	start = service->type == TYPE_ONESHOT ? NSEC_NEVER : 90 * NSEC_PER_SEC;
	service->start_timeout = time_or(&part->draft->timeout_start, start);
	if (DRAFT_SET(part->draft->mount_timeout))
		service->start_timeout = part->draft->mount_timeout.v;
	/* systemd's words for "no limit". */
	if (DRAFT_SET(part->draft->timeout_start) && service->start_timeout == 0)
		service->start_timeout = NSEC_NEVER;
	service_probe(b, part, service);
	service_host(b, part, service);
	service->log_size = LOG_SIZE;
	service->log_count = LOG_COUNT;
	part->spec->notify_socket = service->notify == NOTIFY_YES;
}
