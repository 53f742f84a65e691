/*
 * A service: its machine's actions made real, and what really happens turned into events.
 *
 * A run is over when four things are: the builder is reaped, the main process is reaped, the leaf is
 * empty, and the log has been read to its end. service_check_gone looks at all four each time one of
 * them has moved.
 */
#include "supervisor/core/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/signals.h"
#include "supervisor/base/str.h"

/* How long the kernel has to tell how somebody else's child ended: its parent must reap it first. */
#define REAP_PATIENCE (200 * NSEC_PER_MSEC)

static const char *name_of(const struct service *s)
{
	return s->unit->stem;
}

void service_text(char **text, const char *value)
{
	free(*text);
	*text = value && *value ? strdup(value) : NULL;
}

void service_changed(struct service *s)
{
	s->changed = true;
	s->sv->dirty = true;
}

void service_fail(struct service *s, const char *fmt, ...)
{
	char text[ERR_TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	service_text(&s->failure, text);
	log_warning("%s: %s", name_of(s), text);
}

bool service_has_pid(const struct service *s, pid_t pid)
{
	return watched_has_pid(&s->w, pid) || (s->probe && watched_has_pid(&s->probe->w, pid));
}

/* ---- on record ------------------------------------------------------------------------------ */

static int record_write(struct service *s)
{
	struct state_record record = {
		.state = s->m.state,
		.reason = s->m.reason,
		.wanted = s->m.wanted,
		.by_hand = s->by_hand,
		.arrived = s->m.arrived,
		.hold = s->m.hold,
		.run = s->m.run,
		.pid = s->w.c.pid,
		.starttime = s->starttime,
		.hash = s->unit->hash,
		.failures = s->m.failures,
		.restarts = s->m.restarts,
		.ready_at = s->m.ready_at,
		.since = s->since,
		.started = s->started,
		.ready_since = s->ready_since,
		.times = s->times,
		.last = s->m.last,
	};

	s->record_due = false;
	if (s->sv->state_fd < 0)
		return 0;
	(void)snprintf(record.unit, sizeof record.unit, "%s", s->unit->id);
	(void)snprintf(record.boot_id, sizeof record.boot_id, "%s", s->sv->boot_id);
	(void)snprintf(record.cgroup, sizeof record.cgroup, "%s", s->leaf);
	(void)snprintf(
		record.failure, sizeof record.failure, "%.299s", s->failure ? s->failure : "");
	(void)snprintf(record.dropped, sizeof record.dropped, "%s", s->dropped ? s->dropped : "");
	return state_write(s->sv->sys, s->sv->state_fd, name_of(s), &record);
}

void service_record(struct service *s)
{
	s->record_due = true;
	s->sv->late_work = true;
}

/* A leaf that still has pages: they are written back and freed by a process that may wait. */
struct leftover {
	char tree[256];
	char leaf[128];
};

static int reclaim_leaf(const void *data, struct err *err)
{
	const struct leftover *left = data;
	struct cgroup_tree tree = { .fd = open(left->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	own_fd leaf = tree.fd < 0 ? -errno : cgroup_open(&tree, left->leaf);
	int r;

	if (leaf >= 0)
		cgroup_reclaim(leaf);
	r = tree.fd < 0 ? tree.fd : cgroup_remove(&tree, left->leaf);
	return r < 0 ? err_sys(err, -r, "%s", left->leaf) : 0;
}

static void leaf_reclaimed(struct supervisor *sv, int r, const struct err *err, void *data)
{
	(void)sv;
	if (r < 0)
		log_warning("%s", err->text);
	free(data);
}

/* True: a process is at it. */
static bool reclaim_begin(struct service *s)
{
	own_fd leaf = cgroup_open(&s->sv->tree, s->old_leaf);
	struct leftover *left;
	struct err err = { 0 };

	if (leaf < 0 || !cgroup_keeps_pages(leaf))
		return false;
	left = calloc(1, sizeof *left);
	if (!left)
		return false;
	(void)snprintf(left->tree, sizeof left->tree, "%s", s->sv->tree.path);
	(void)snprintf(left->leaf, sizeof left->leaf, "%s", s->old_leaf);
	if (job_start(s->sv, "remove a cgroup", reclaim_leaf, leaf_reclaimed, left, &err) >= 0)
		return true;
	free(left);
	return false;
}

/* What the death of one run and the launch of the next do not wait for. */
void service_late_work(struct service *s)
{
	int r;

	if (s->record_due) {
		r = record_write(s);
		if (r < 0)
			log_warning("%s: cannot record its state: %s", name_of(s), strerror(-r));
	}
	if (!s->old_leaf)
		return;
	r = reclaim_begin(s) ? 0 : cgroup_remove(&s->sv->tree, s->old_leaf);
	if (r < 0)
		log_warning("%s: cannot remove the cgroup %s: %s", name_of(s), s->old_leaf,
			strerror(-r));
	service_text(&s->old_leaf, NULL);
}

/* ---- the end of the main process -------------------------------------------------------------- */

/* PIDFD_GET_INFO, Linux 6.13; how it ended: 6.15 (include/uapi/linux/pidfd.h). */
struct pidfd_exit_info {
	uint64_t mask, cgroupid;
	uint32_t ids[11];
	int32_t exit_code;
};
#define PIDFD_EXIT_INFO_MASK (1ULL << 3)
#define PIDFD_EXIT_INFO_CALL _IOWR(0xFF, 11, struct pidfd_exit_info)

static bool exit_of_stranger(int pidfd, int *ret_status)
{
	struct pidfd_exit_info info = { .mask = PIDFD_EXIT_INFO_MASK };

	if (ioctl(pidfd, PIDFD_EXIT_INFO_CALL, &info) < 0 || !(info.mask & PIDFD_EXIT_INFO_MASK))
		return false;
	*ret_status = info.exit_code;
	return true;
}

static void describe_exit(struct service *s)
{
	const struct service_exit *last = &s->m.last;
	const struct filesystem_spec *filesystem = s->unit->spec->filesystem;
	uint64_t limit = s->unit->spec->limits.memory_max.value;

	if (s->unit->spec->asks_for && s->status_text)
		service_fail(s, "%s", s->status_text);
	else if (last->oom)
		service_fail(s,
			"out of memory: the kernel killed it (MemoryMax %llu KiB, peak %llu KiB)",
			(unsigned long long)limit / 1024,
			(unsigned long long)last->memory_peak / 1024);
	else if (!last->status)
		service_fail(
			s, "the main process ended while berth was not there; how is not known");
	else if (filesystem && last->code == 2)
		service_fail(s, "%s was unmounted: the server of its file system is dead",
			filesystem->where);
	else if (filesystem && last->code == 1)
		service_fail(s, "%s is not mounted any more: somebody else unmounted it",
			filesystem->where);
	else if (last->signal)
		service_fail(s, "the main process was killed by %s",
			signal_name(last->signal) ? signal_name(last->signal) : "a signal");
	else
		service_fail(s, "the main process exited with code %d", last->code);
}

static void on_report_message(void *owner, const struct report *report, int console);
static void report_ended(struct service *s);

static void leader_ended(struct service *s, bool known, int status)
{
	struct cgroup_usage usage = { 0 };
	enum service_state state;

	if (watched_last_words(s->sv->loop, &s->w, on_report_message, s))
		report_ended(s);
	state = s->m.state;
	loop_remove(s->sv->loop, &s->w.pidfd_id);
	loop_timer_cancel(s->sv->loop, &s->reap_timer);
	fd_close(&s->w.c.pidfd);
	s->w.c.pid = 0;
	if (s->w.c.cgroup_fd >= 0 && s->sv->tree.controllers & CGROUP_MEMORY)
		cgroup_usage(s->w.c.cgroup_fd, &usage);
	if (s->w.exec_seen) {
		s->m.last = (struct service_exit){
			.known = true,
			.status = known,
			.code = known && WIFEXITED(status) ? WEXITSTATUS(status) : -1,
			.signal = known && WIFSIGNALED(status) ? WTERMSIG(status) : 0,
			.oom = usage.oom_kills > 0,
			.memory_peak = usage.memory_peak,
		};
		if ((state == SERVICE_RUNNING || state == SERVICE_READY) &&
			(s->m.last.oom || !exit_is_clean(s->m.spec, &s->m.last)))
			describe_exit(s);
	}
	service_dispatch(s, EVENT_EXITED);
	service_check_gone(s);
}

static void on_report(struct loop *loop, uint32_t events, void *data);

static void on_leader(struct loop *loop, uint32_t events, void *data)
{
	struct service *s = data;
	int status = 0;
	int r;

	/* What it said before it died comes before its death. */
	if (s->w.c.report_fd >= 0)
		on_report(loop, EPOLLIN, s);
	notify_read(s);
	if (s->w.c.pidfd < 0)
		return;
	r = s->sv->sys->pidfd_reap(s->w.c.pidfd, &status);
	if (r == 0)
		return;
	if (r < 0 && exit_of_stranger(s->w.c.pidfd, &status))
		r = 1;
	if (r < 0 && !(events & EPOLLHUP) && !s->reap_timer.place &&
		loop_modify(loop, s->w.pidfd_id, 0) == 0 &&
		loop_timer_set(loop, &s->reap_timer, loop_now(loop) + REAP_PATIENCE) == 0)
		return; /* a zombie of somebody else's; EPOLLHUP says that it was reaped */
	leader_ended(s, r > 0, status);
}

static void on_reap_timer(struct loop *loop, void *data)
{
	struct service *s = data;
	int status = 0;
	bool known = exit_of_stranger(s->w.c.pidfd, &status);

	(void)loop;
	leader_ended(s, known, status);
}

int service_watch_leader(struct service *s)
{
	return watched_add_pidfd(s->sv->loop, &s->w, on_leader, s);
}

/* ---- the start ------------------------------------------------------------------------------ */

/* The main process exists and waits: put it on record, then let it go. */
static void on_created(struct service *s)
{
	struct err err = { 0 };
	int r = service_watch_leader(s);

	/* A stop came first: it never runs. */
	if (s->m.state != SERVICE_STARTING) {
		watched_kill(s->sv, &s->w);
		return;
	}
	if (r >= 0)
		r = proc_starttime(s->w.c.pid, &s->starttime);
	if (r >= 0)
		r = record_write(s);
	if (r >= 0)
		r = container_go(&s->w.c);
	if (r >= 0)
		return;
	(void)err_sys(&err, -r, "record the process %d", s->w.c.pid);
	watched_fail(&s->w, &err);
	watched_kill(s->sv, &s->w);
}

static void on_report_message(void *owner, const struct report *report, int console)
{
	struct service *s = owner;

	switch ((enum report_kind)report->kind) {
	case REPORT_WARN:
		log_warning("%s: %s", name_of(s), report->err.text);
		return;
	case REPORT_CREATED:
		on_created(s);
		return;
	case REPORT_CONSOLE:
		if (s->sv->options.on_console)
			s->sv->options.on_console(s->sv, console, s->sv->options.data);
		else
			fd_close(&console);
		return;
	case REPORT_FAIL:
	case REPORT_PREPARED:
		return;
	}
}

/* A volume is made beside its name: a child that was killed at it leaves that. */
static bool makes_volumes(const struct container_spec *spec)
{
	for (size_t i = 0; i < spec->nmounts; i++)
		if (spec->mounts[i].kind == MOUNT_VOLUME)
			return true;
	return false;
}

static void report_ended(struct service *s)
{
	if (s->w.failed && s->w.stage == STAGE_VOLUMES && makes_volumes(s->unit->spec))
		supervisor_sweep_volumes(s->sv);
	s->failure_stage = (uint8_t)(s->w.failed ? s->w.stage : STAGE_NONE);
	s->failure_code = (uint16_t)(s->w.failed && s->w.err ? s->w.err->code : 0);
	if (s->w.failed) {
		if (s->m.state == SERVICE_STARTING)
			service_fail(s, "cannot start: %s", watched_words(&s->w));
		service_dispatch(s, EVENT_SETUP_FAILED);
	} else {
		s->started = s->sv->sys->realtime();
		s->times.start = s->sv->sys->monotonic() - s->launched;
		service_dispatch(s, EVENT_STARTED);
	}
	service_check_gone(s);
}

static void on_report(struct loop *loop, uint32_t events, void *data)
{
	struct service *s = data;
	bool preparing = s->w.c.pending;
	bool ended = watched_read(loop, &s->w, on_report_message, s);

	(void)events;
	if (preparing && !s->w.c.pending && !s->w.failed)
		s->times.prepare = s->sv->sys->monotonic() - s->launched;
	/* It may be there, and die, before its first word. */
	if (service_watch_leader(s) < 0)
		watched_kill(s->sv, &s->w);
	if (ended)
		report_ended(s);
}

static void on_builder(struct loop *loop, uint32_t events, void *data)
{
	struct service *s = data;

	if (!watched_reap_builder(s->sv, &s->w))
		return;
	on_report(loop, events, s);
	if (watched_died_preparing(loop, &s->w))
		report_ended(s);
	service_check_gone(s);
}

/* What this machine cannot do it cannot do a second time. The unit's own faults are a matter of
 * Restart=; all else is for lack of something that may come back. */
static enum end_reason launch_failure(int r)
{
	if (r == -ENOTSUP)
		return END_REFUSED;
	return r == -EINVAL || r == -ENOENT || r == -EACCES ? END_SETUP : END_SUPERVISOR;
}

static int launch(struct service *s, struct err *err)
{
	struct supervisor *sv = s->sv;
	char notify_path[256];
	struct container_run run = {
		.spec = s->unit->spec,
		.number = s->m.run,
		.in = -1,
		.out = -1,
		.err = -1,
		.hold = s->m.hold,
		.others = network_others(s),
		.in_use = clients_in_use(s),
	};
	struct cgroup_dropped dropped = { 0 };
	own_fd out = -1;
	own_fd errfd = -1;
	int r = supervisor_renew_cgroups(sv, err);

	/* Not for ever, as what is missing else is. */
	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	if (network_failure(s))
		return err_set(err, EAGAIN, "%s", network_failure(s));
	if (clients_failure(s))
		return err_set(err, EAGAIN, "it has no address: %s", clients_failure(s));
	if (s->unit->spec->notify_socket) {
		r = notify_open(s, notify_path, sizeof notify_path, err);
		run.notify_socket = notify_path;
	}
	if (r >= 0 && sv->log)
		r = logwriter_attach(sv->log, name_of(s), s->unit->service.log_size,
			s->unit->service.log_count, &out, &errfd, err);
	if (r < 0)
		return r;
	run.out = out;
	run.err = errfd;
	if (sv->options.foreground) {
		run.in = sv->options.in;
		run.out = sv->options.out;
		run.err = sv->options.err;
	}
	r = container_start(&sv->env, &run, &s->w.c, &dropped, err);
	service_text(&s->dropped, dropped.text);
	if (r < 0)
		return r;
	r = watched_add(sv->loop, &s->w, on_report, on_builder, s);
	if (r >= 0)
		r = service_watch_leader(s);
	if (r < 0) {
		watched_kill(sv, &s->w);
		return err_sys(err, -r, "watch the builder");
	}
	return 0;
}

static void act_launch(struct service *s)
{
	struct err err = { 0 };
	int r;

	s->w = (struct watched){ .c = CONTAINER_NONE };
	s->log_asked = s->log_drained = s->adopted = false;
	s->started = s->ready_since = s->starttime = 0;
	s->launched = s->sv->sys->monotonic();
	s->times = (struct service_times){ 0 };
	s->health = HEALTH_NONE;
	s->health_failures = 0;
	service_text(&s->status_text, NULL);
	if (probe_host(s)) {
		service_dispatch(s, EVENT_EXTERNAL);
		return;
	}
	(void)snprintf(s->leaf, sizeof s->leaf, "c/%s/%llu", s->unit->spec->name,
		(unsigned long long)s->m.run);
	r = launch(s, &err);
	if (r >= 0)
		return;
	service_fail(s, "cannot start: %s", err.text);
	s->m.reason = launch_failure(r);
	service_dispatch(s, EVENT_CLONE_FAILED);
}

/* ---- the other actions ------------------------------------------------------------------------ */

static void act_signal(struct service *s)
{
	int signal = s->unit->service.stop_signal ? s->unit->service.stop_signal : SIGTERM;

	if (s->w.c.pidfd < 0)
		return;
	(void)s->sv->sys->pidfd_signal(s->w.c.pidfd, signal);
	(void)s->sv->sys->pidfd_signal(s->w.c.pidfd, SIGCONT);
}

static void events_close(struct service *s)
{
	loop_remove(s->sv->loop, &s->events_id);
	fd_close(&s->events_fd);
}

static void act_clean(struct service *s)
{
	events_close(s);
	loop_timer_cancel(s->sv->loop, &s->reap_timer);
	watched_done(s->sv->loop, &s->w);
	notify_close(s);
	if (s->sv->tree.fd < 0 || !*s->leaf)
		return;
	if (s->old_leaf)
		service_late_work(s);
	service_text(&s->old_leaf, s->leaf);
	s->sv->late_work = true;
	s->leaf[0] = '\0';
}

static void overdue(struct service *s)
{
	if (s->m.state == SERVICE_STARTING || s->m.state == SERVICE_RUNNING)
		service_fail(s, "not ready within TimeoutStartSec=%s (at: %s%s%s)",
			clock_span(s->m.spec->start_timeout).text,
			s->m.state == SERVICE_RUNNING
				? "running"
				: container_stage_name(container_stage(&s->w.c)),
			s->probe && *s->probe->text ? "; last probe: " : "",
			s->probe ? s->probe->text : "");
	if (s->m.state == SERVICE_STOPPING)
		log_notice("%s: the stop signal had no effect in %s, killing it", name_of(s),
			clock_span(s->m.spec->stop_timeout).text);
}

static void filesystem_overdue(struct service *s)
{
	const struct filesystem_spec *fs = s->unit->spec->filesystem;

	if (s->m.state == SERVICE_STARTING)
		service_fail(s, "not mounted within %s (at: %s %s)",
			clock_span(s->m.spec->start_timeout).text,
			container_stage_name(container_stage(&s->w.c)), fs->what);
	if (s->m.state == SERVICE_STOPPING)
		service_fail(s,
			"%s stays mounted: it was in use for %s (\"fuser -vm %s\" says by whom); "
			"end "
			"that and stop it again, or write LazyUnmount=yes",
			fs->where, clock_span(s->m.spec->stop_timeout).text, fs->where);
}

static void on_timer(struct loop *loop, void *data)
{
	struct service *s = data;

	/* Unpacking, once per content, does not count against the start timeout. */
	if (s->m.state == SERVICE_STARTING && (container_stage(&s->w.c) == STAGE_IMAGE ||
						      container_stage(&s->w.c) == STAGE_BUNDLE)) {
		s->m.deadline = loop_now(loop) + s->m.spec->start_timeout;
		(void)loop_timer_set(loop, &s->timer, s->m.deadline);
		return;
	}
	/* Only the log is missing: its disk hangs, not the container. */
	if (s->log_asked && !s->log_drained) {
		log_warning("%s: its log could not be read to the end in time", name_of(s));
		s->log_drained = true;
		service_check_gone(s);
		return;
	}
	if (s->unit->spec->filesystem)
		filesystem_overdue(s);
	else
		overdue(s);
	service_dispatch(s, EVENT_TIMEOUT);
	if (s->m.state == SERVICE_UNKILLABLE)
		service_fail(s, "a process survived SIGKILL (stuck in the kernel): "
				"it is not started again until that one is gone");
}

static void announce(struct service *s, enum service_state old)
{
	const char *name = name_of(s);

	switch (s->m.state) {
	case SERVICE_BACKOFF:
		log_notice("%s: next try in %s", name, clock_span(s->m.deadline - s->m.since).text);
		return;
	case SERVICE_READY:
		log_info("%s: ready (run %llu, pid %d)", name, (unsigned long long)s->m.run,
			s->w.c.pid);
		return;
	case SERVICE_DONE:
		log_info("%s: done", name);
		return;
	case SERVICE_EXTERNAL:
		log_notice("%s: the host's own answers (%s): nothing is started", name,
			s->probe->socket);
		return;
	case SERVICE_FAILED:
		log_error("%s: failed: %s", name, s->failure ? s->failure : "");
		return;
	case SERVICE_INACTIVE:
	case SERVICE_WAITING:
	case SERVICE_STARTING:
	case SERVICE_RUNNING:
	case SERVICE_STOPPING:
	case SERVICE_KILLING:
	case SERVICE_DRAINING:
	case SERVICE_UNKILLABLE:
	case SERVICE_HELD:
	case SERVICE_STATE_COUNT:
		break;
	}
	log_debug("%s: %s -> %s", name, service_state_name(old), service_state_name(s->m.state));
}

static void entered(struct service *s, enum service_state old)
{
	s->since = s->sv->sys->realtime();
	if (s->m.state == SERVICE_READY || s->m.state == SERVICE_HELD)
		s->ready_since = s->since;
	if (s->m.state == SERVICE_READY && s->launched)
		s->times.ready = s->sv->sys->monotonic() - s->launched;
	announce(s, old);
	service_changed(s);
	if (s->m.state != SERVICE_STARTING)
		service_record(s);
	if (s->m.state == SERVICE_INACTIVE || s->m.state == SERVICE_DONE ||
		s->m.state == SERVICE_FAILED)
		network_release(s);
	clients_follow(s, old);
}

void service_dispatch(struct service *s, enum machine_event event)
{
	enum service_state old = s->m.state;
	unsigned actions = machine_step(&s->m, event, s->sv->sys->monotonic());

	if (actions & ACTION_STRANGE)
		log_warning("%s: \"%s\" cannot happen while %s", name_of(s),
			machine_event_name(event), service_state_name(old));
	if (loop_timer_set(s->sv->loop, &s->timer, s->m.deadline) < 0)
		log_error("%s: no memory for a timer", name_of(s));
	if (actions & ACTION_PROBES_OFF)
		probes_off(s);
	if (actions & ACTION_CLEAN)
		act_clean(s);
	if (s->m.state != old)
		entered(s, old);
	if (actions & ACTION_SIGNAL)
		act_signal(s);
	if (actions & ACTION_KILL)
		watched_kill(s->sv, &s->w);
	if (actions & ACTION_PROBES_ON)
		probes_on(s);
	if (actions & ACTION_CHECK_DEPS)
		s->sv->dirty = true;
	if (actions & ACTION_LAUNCH)
		act_launch(s);
	if (actions & ACTION_KILL)
		service_check_gone(s);
}

/* ---- is anything left? ------------------------------------------------------------------------ */

/* Reading resets the descriptor's POLLPRI (kernfs_fop_poll). */
static void events_read(int fd)
{
	char buf[128];

	if (pread(fd, buf, sizeof buf, 0) < 0)
		log_debug("cannot read cgroup.events: %s", strerror(errno));
}

static void on_cgroup_events(struct loop *loop, uint32_t events, void *data)
{
	struct service *s = data;

	(void)loop;
	(void)events;
	events_read(s->events_fd);
	service_check_gone(s);
}

static bool leaf_is_empty(struct service *s)
{
	if (s->w.c.cgroup_fd < 0 || cgroup_populated(s->w.c.cgroup_fd) != 1)
		return true;
	if (s->events_fd >= 0)
		return false;
	s->events_fd = cgroup_events_open(s->w.c.cgroup_fd);
	if (s->events_fd >= 0) {
		events_read(s->events_fd);
		(void)loop_add(s->sv->loop, s->events_fd, EPOLLPRI, LOOP_NOTICE, on_cgroup_events,
			s, &s->events_id);
	}
	/* It may have become empty before we watched. */
	return cgroup_populated(s->w.c.cgroup_fd) != 1;
}

static bool log_is_read(struct service *s)
{
	/* A replacement that is due at once does not wait for a disk. */
	if (!s->sv->log || s->log_drained || (s->m.wanted && s->m.stable))
		return true;
	if (!s->log_asked) {
		s->log_asked = true;
		logwriter_drain(s->sv->log, name_of(s), s->index);
	}
	return s->log_drained;
}

void service_check_gone(struct service *s)
{
	if (s->m.state != SERVICE_KILLING && s->m.state != SERVICE_DRAINING &&
		s->m.state != SERVICE_UNKILLABLE)
		return;
	if (s->w.c.builder_pidfd >= 0 || s->w.c.pidfd >= 0 || s->w.c.report_fd >= 0)
		return;
	if (!leaf_is_empty(s) || probe_busy(s) || !log_is_read(s))
		return;
	service_dispatch(s, EVENT_GONE);
}

/* ---- birth and end of the struct -------------------------------------------------------------- */

int service_init(struct service *s, struct supervisor *sv, struct unit *unit, uint32_t index)
{
	*s = (struct service){
		.sv = sv,
		.unit = unit,
		.index = index,
		.w = { .c = CONTAINER_NONE },
		.events_fd = -1,
		.notify_fd = -1,
		.blocked_by = UINT32_MAX,
		.timer = { .fn = on_timer, .data = s },
		.reap_timer = { .fn = on_reap_timer, .data = s },
	};
	machine_init(&s->m, &unit->service, str_hash(unit->id));
	s->m.hold_open = unit->spec->hold_open;
	s->m.nothing_to_run = !unit->spec->process.argv.n;
	return probe_init(s);
}

void service_done(struct service *s)
{
	probes_off(s);
	events_close(s);
	notify_close(s);
	loop_timer_cancel(s->sv->loop, &s->timer);
	loop_timer_cancel(s->sv->loop, &s->reap_timer);
	watched_done(s->sv->loop, &s->w);
	probe_done(s);
	service_text(&s->failure, NULL);
	service_text(&s->old_leaf, NULL);
	service_text(&s->dropped, NULL);
	service_text(&s->status_text, NULL);
}
