/*
 * Recovery is enumeration. A supervisor before us may have died at any instruction; every outside
 * effect has a name that can be computed, so we look at all that is there and keep what is on record
 * as running: workers are killed first (they make things), then each leaf c/NAME/N is either the one
 * of a recorded, living process, or killed and removed; then what belongs to no unit any more goes.
 */
#include "supervisor/core/adopt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/log.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/core/service.h"

/* How long we wait at most, all in all, for killed things to be gone. */
#define KILL_WAIT (5 * NSEC_PER_SEC)

/* ---- leaves --------------------------------------------------------------------------------- */

/* Kills it, waits for its emptiness until `deadline`, removes it: 0, or -EBUSY. */
static int leaf_remove(struct supervisor *sv, const char *path, uint64_t deadline)
{
	own_fd fd = cgroup_open(&sv->tree, path);

	if (fd < 0)
		return 0;
	if (cgroup_populated(fd) == 1)
		(void)cgroup_kill(fd);
	while (cgroup_populated(fd) == 1 && clock_monotonic() < deadline)
		(void)poll(NULL, 0, 2);
	return cgroup_remove(&sv->tree, path);
}

static int remove_worker(const char *name, void *data)
{
	struct supervisor *sv = data;
	char path[300];

	if (strcmp(name, "log") == 0)
		return 0; /* the log writer outlives us all */
	(void)snprintf(path, sizeof path, "workers/%s", name);
	if (leaf_remove(sv, path, clock_monotonic() + KILL_WAIT) < 0)
		log_warning("cannot remove the cgroup %s: a process in it does not die", path);
	return 0;
}

/* An import is somebody's verb (cmd/image_cgroup.c): it goes on, and what is left of one goes. */
static int remove_old_worker(const char *name, void *data)
{
	struct supervisor *sv = data;
	char path[300];

	if (!str_starts(name, "import-"))
		return remove_worker(name, data);
	(void)snprintf(path, sizeof path, "workers/%s", name);
	(void)cgroup_remove(&sv->tree, path);
	return 0;
}

/* The log writer ends by itself when it has written what is left. */
static int await_log_writer(const char *name, void *data)
{
	struct supervisor *sv = data;
	uint64_t deadline = clock_monotonic() + KILL_WAIT;
	own_fd fd = strcmp(name, "log") == 0 ? cgroup_open(&sv->tree, "workers/log") : -1;

	while (fd >= 0 && cgroup_populated(fd) == 1 && clock_monotonic() < deadline)
		(void)poll(NULL, 0, 2);
	return 0;
}

void workers_end(struct supervisor *sv)
{
	(void)cgroup_each(&sv->tree, "workers", remove_worker, sv);
	(void)cgroup_each(&sv->tree, "workers", await_log_writer, sv);
}

/* Leaves are called after the container, records and logs after the unit. */
static struct service *service_by_name(const struct supervisor *sv, const char *name)
{
	for (size_t i = 0; i < sv->nservices; i++)
		if (strcmp(sv->services[i].unit->spec->name, name) == 0)
			return &sv->services[i];
	return NULL;
}

static struct service *service_by_stem(const struct supervisor *sv, const char *stem)
{
	for (size_t i = 0; i < sv->nservices; i++)
		if (strcmp(sv->services[i].unit->stem, stem) == 0)
			return &sv->services[i];
	return NULL;
}

struct walk {
	struct supervisor *sv;
	const char *name;
	struct service *s; /* NULL: no such unit any more */
	uint64_t deadline;
};

/* One of c/NAME/: a run's leaf or a probe's. */
static int remove_run(const char *name, void *data)
{
	struct walk *walk = data;
	struct service *s = walk->s;
	char path[600];
	uint64_t number;

	(void)snprintf(path, sizeof path, "c/%s/%s", walk->name, name);
	/* A number is never used twice, also when its state file was not written any more. */
	if (s && num_u64(name, &number) == 0 && number > s->m.run)
		s->m.run = number;
	if (s && s->adopted && strcmp(path, s->leaf) == 0)
		return 0;
	if (leaf_remove(walk->sv, path, walk->deadline) >= 0)
		return 0;
	log_warning("cannot remove the cgroup %s: a process in it does not die", path);
	if (!s || s->m.state == SERVICE_UNKILLABLE)
		return 0;
	/* No second copy beside it. */
	(void)snprintf(s->leaf, sizeof s->leaf, "%.127s", path);
	s->w.c.cgroup_fd = cgroup_open(&walk->sv->tree, path);
	s->m.state = SERVICE_UNKILLABLE;
	return 0;
}

static int remove_runs(const char *name, void *data)
{
	struct walk walk = *(struct walk *)data;
	char path[300];

	walk.name = name;
	walk.s = service_by_name(walk.sv, name);
	(void)snprintf(path, sizeof path, "c/%s", name);
	(void)cgroup_each(&walk.sv->tree, path, remove_run, &walk);
	if (!walk.s)
		(void)cgroup_remove(&walk.sv->tree, path);
	return 0;
}

/* ---- records -------------------------------------------------------------------------------- */

static void restore(struct service *s, const struct state_record *record)
{
	s->m.run = record->run;
	s->m.failures = record->failures;
	s->m.restarts = record->restarts;
	s->m.last = record->last;
	s->since = record->since;
	s->times = record->times;
	service_text(&s->failure, record->failure);
	service_text(&s->dropped, record->dropped);
}

static struct adopt_facts look_at(
	const struct supervisor *sv, const struct state_record *record, int *ret_pidfd)
{
	struct adopt_facts facts = { .boot_id = sv->boot_id };
	char tail[140];

	*ret_pidfd = record->pid > 0 ? sv->sys->pidfd_open(record->pid) : -ESRCH;
	if (*ret_pidfd < 0)
		return facts;
	/* After opening: the process that is read here is the one that is held. */
	facts.alive = proc_starttime(record->pid, &facts.starttime) == 0;
	(void)snprintf(tail, sizeof tail, "/%s", record->cgroup);
	facts.in_leaf = sv->tree.fd < 0 || proc_in_cgroup(record->pid, tail);
	return facts;
}

static void adopt_running(struct service *s, const struct state_record *record, int pidfd)
{
	struct err err = { 0 };
	int r;

	s->w.c.pid = record->pid;
	s->w.c.pidfd = pidfd;
	s->w.exec_seen = true;
	s->starttime = record->starttime;
	s->started = record->started;
	s->ready_since = record->ready_since;
	s->adopted = true;
	(void)snprintf(s->leaf, sizeof s->leaf, "%s", record->cgroup);
	if (s->sv->tree.fd >= 0)
		s->w.c.cgroup_fd = cgroup_open(&s->sv->tree, s->leaf);
	s->m.wanted = true;
	s->recovered = record->state == SERVICE_STOPPING || record->hash != s->unit->hash
			       ? RECOVERED_RESTART
			       : RECOVERED_RUNNING;
	s->m.hold = record->hold;
	s->m.arrived = record->arrived;
	s->m.ready_at = record->ready_at;
	s->m.since = record->ready_at;
	s->m.state = record->state == SERVICE_STOPPING ? SERVICE_READY : record->state;
	if (s->m.state == SERVICE_RUNNING && s->m.spec->start_timeout != NSEC_NEVER)
		s->m.deadline = clock_monotonic() + s->m.spec->start_timeout;
	r = service_watch_leader(s);
	if (r >= 0)
		r = loop_timer_set(s->sv->loop, &s->timer, s->m.deadline);
	if (r >= 0 && s->sv->log)
		r = logwriter_attach(s->sv->log, s->unit->stem, s->unit->service.log_size,
			s->unit->service.log_count, NULL, NULL, &err);
	if (r < 0)
		log_warning("%s: adopted, but not wholly: %s", s->unit->stem,
			err.code ? err.text : strerror(-r));
	if (s->m.state != SERVICE_HELD)
		probes_on(s);
	log_info("%s: adopted (run %llu, pid %d)", s->unit->stem, (unsigned long long)s->m.run,
		record->pid);
}

static void adopt_record(struct service *s, const struct state_record *record)
{
	int pidfd;
	struct adopt_facts facts = look_at(s->sv, record, &pidfd);

	switch (adopt_decide(record, s->m.spec, &facts)) {
	case ADOPT_RUNNING:
		restore(s, record);
		adopt_running(s, record, pidfd);
		return;
	case ADOPT_NOTHING:
		restore(s, record);
		/* A definition that changed is worth another try; a result is of what it was. */
		if (record->hash == s->unit->hash && record->state != SERVICE_INACTIVE &&
			record->state != SERVICE_EXTERNAL) {
			s->m.state = record->state;
			s->m.reason = record->reason;
			s->m.wanted = true;
		}
		break;
	case ADOPT_ENDED:
		restore(s, record);
		s->m.last = (struct service_exit){ .known = true };
		s->recovered = RECOVERED_ENDED;
		s->m.reason = END_EXIT;
		s->m.stable = record->state == SERVICE_READY &&
			      clock_monotonic() - record->ready_at >= s->m.spec->stable;
		service_fail(
			s, "the main process ended while berth was not there; how is not known");
		break;
	case ADOPT_KILL:
		restore(s, record);
		if (record->state == SERVICE_KILLING || record->state == SERVICE_DRAINING) {
			s->recovered = RECOVERED_ENDED;
			s->m.reason = record->reason;
			s->m.again = record->reason == END_STOP;
		} else {
			s->recovered = RECOVERED_TRY;
		}
		break;
	case ADOPT_FORGET:
		break;
	}
	if (pidfd >= 0)
		(void)close(pidfd);
}

/* The same name in RUN_DIR/state, /notify, /conf and the FIFOs of a unit that is gone. */
static void forget_unit(struct supervisor *sv, const char *name)
{
	char config[300];

	(void)snprintf(config, sizeof config, "conf/%s", name);
	(void)sv->sys->unlink_at(sv->run_fd, config, 0);
	(void)sv->sys->unlink_at(sv->state_fd, name, 0);
	(void)sv->sys->unlink_at(sv->notify_fd, name, 0);
	(void)sv->sys->unlink_at(sv->wanted_fd, name, 0);
	if (sv->log)
		logwriter_detach(sv->log, name);
}

static int read_records(struct supervisor *sv, struct err *err)
{
	int fd = openat(sv->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return err_sys(err, errno, "read the state directory");
	for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		struct service *s = service_by_stem(sv, entry->d_name);
		struct state_record record;
		int r;

		if (entry->d_name[0] == '.')
			continue;
		if (!s) {
			log_info("%s: its definition is gone", entry->d_name);
			forget_unit(sv, entry->d_name);
			continue;
		}
		r = state_read(sv->sys, sv->state_fd, entry->d_name, &record);
		if (r >= 0 && strcmp(record.unit, s->unit->id) == 0)
			adopt_record(s, &record);
		else
			log_warning("%s: its state cannot be read: %s", entry->d_name,
				r < 0 ? strerror(-r) : "of another kind of unit");
	}
	(void)closedir(dir);
	return 0;
}

int supervisor_adopt(struct supervisor *sv, struct err *err)
{
	struct walk walk = { .sv = sv };
	int r;

	if (sv->tree.fd >= 0)
		(void)cgroup_each(&sv->tree, "workers", remove_old_worker, sv);
	r = read_records(sv, err);
	if (r < 0)
		return r;
	walk.deadline = clock_monotonic() + KILL_WAIT;
	if (sv->tree.fd >= 0)
		(void)cgroup_each(&sv->tree, "c", remove_runs, &walk);
	return 0;
}
