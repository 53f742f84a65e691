/*
 * A reload: the configuration read anew, all or nothing.
 *
 * A job reads and checks it first, for a disk may let us wait; only what it found whole is read by us.
 * Units that are gone are stopped by us, who know how; then the loop ends, and the next supervisor of
 * this process takes up what runs, as after a death: recover.c restarts what is defined otherwise. What
 * is on its way up, which a death begins anew, is waited for, up to 10 s; nothing else is launched. So
 * there is one way in which a set comes into force, and a reload can do nothing that a restart of the
 * service does not.
 */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "config/problem.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/log.h"
#include "supervisor/core/adopt.h"
#include "supervisor/core/service.h"

/* How long it waits at most for what is on its way up. */
#define RISE_PATIENCE (10 * NSEC_PER_SEC)

struct reload {
	struct supervisor *sv;
	reload_told_fn *told;
	void *data;
	uint64_t patience;   /* until when it waits for what is on its way up */
	struct unit_set set; /* the next one */
};

/* ---- reading ---------------------------------------------------------------------------------- */

/* What the directories of the state are called is settled when a supervisor begins. */
static int same_places(const struct supervisor *sv, const struct unit_set *set, struct err *err)
{
	const struct supervisor_conf *now = &sv->set->conf;
	const struct supervisor_conf *next = &set->conf;

	if (strcmp(now->state_dir, next->state_dir) == 0 &&
		strcmp(now->run_dir, next->run_dir) == 0 &&
		strcmp(now->log_dir, next->log_dir) == 0)
		return 0;
	return err_set(err, EINVAL,
		"StateDir=, RunDir= or LogDir= of berth.conf has changed: that takes a restart of "
		"berth");
}

static int read_set(const struct supervisor *sv, struct unit_set *set, struct err *err)
{
	int r = unit_set_load_boot(set, sv->options.config_dir, sv->options.ip, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < set->nproblems && set->nerrors; i++) {
		const struct problem *p = &set->problems[i];
		char more[64] = "";

		if (!p->is_error)
			continue;
		if (set->nerrors > 1)
			(void)snprintf(more, sizeof more,
				" (1 of %zu errors: berth check shows all)", set->nerrors);
		return err_set(err, EINVAL, "%.200s%.200s%s", problem_place(p).text, p->text, more);
	}
	return same_places(sv, set, err);
}

/* In the job: what it reads is gone with it. */
static int try_set(const void *data, struct err *err)
{
	const struct reload *reload = data;
	struct unit_set set = { 0 };

	return read_set(reload->sv, &set, err);
}

/* ---- what it makes of each unit ---------------------------------------------------------------- */

static const struct unit *unit_of(const struct unit_set *set, const char *id)
{
	for (size_t i = 0; i < set->nunits; i++)
		if (set->units[i].spec && strcmp(set->units[i].id, id) == 0)
			return &set->units[i];
	return NULL;
}

static int compare(const struct supervisor *sv, struct unit_set *next, struct reload_plan *ret)
{
	struct arena *arena = &next->arena;
	int r = 0;

	for (size_t i = 0; i < next->nunits && r >= 0; i++) {
		const struct unit *unit = &next->units[i];
		const struct unit *old = unit->spec ? unit_of(sv->set, unit->id) : NULL;

		if (unit->spec && !old)
			r = strv_add(&ret->added, arena, unit->stem);
		else if (old && old->hash != unit->hash)
			r = strv_add(&ret->changed, arena, unit->stem);
		else if (old && old->around != unit->around)
			r = strv_add(&ret->updated, arena, unit->stem);
	}
	for (size_t i = 0; i < sv->nservices && r >= 0; i++)
		if (!unit_of(next, sv->services[i].unit->id))
			r = strv_add(&ret->removed, arena, sv->services[i].unit->stem);
	return r;
}

/* ---- the turn --------------------------------------------------------------------------------- */

static void reload_free(struct reload *reload)
{
	unit_set_done(&reload->set);
	free(reload);
}

static void tell(struct supervisor *sv, const struct reload_plan *plan, const struct err *err)
{
	struct reload *reload = sv->reload;

	if (err)
		log_error("the configuration is not read anew: %s", err->text);
	else
		log_notice("the configuration is read anew: %zu units added, %zu removed, %zu "
			   "changed",
			plan->added.n, plan->removed.n, plan->changed.n);
	if (reload->told)
		reload->told(sv, plan, err, reload->data);
	reload->told = NULL;
}

static void give_up(struct supervisor *sv, const struct err *err)
{
	tell(sv, NULL, err);
	reload_free(sv->reload);
	sv->reload = NULL;
}

static void was_tried(struct supervisor *sv, int r, const struct err *why, void *data)
{
	struct reload *reload = data;
	struct reload_plan plan = { 0 };
	struct err err = { 0 };

	if (sv->shutdown != SHUTDOWN_NONE)
		r = err_set(&err, ESHUTDOWN, "the supervisor is shutting down");
	else if (r < 0)
		err = *why;
	else
		r = read_set(sv, &reload->set, &err);
	if (r >= 0 && compare(sv, &reload->set, &plan) < 0)
		r = err_sys(&err, ENOMEM, "compare the units");
	if (r < 0) {
		give_up(sv, &err);
		return;
	}
	sv->shutdown = SHUTDOWN_RELOAD;
	reload->patience = sv->sys->monotonic() + RISE_PATIENCE;
	(void)loop_timer_set(sv->loop, &sv->shutdown_timer, reload->patience);
	for (size_t i = 0; i < sv->nservices; i++)
		if (!unit_of(&reload->set, sv->services[i].unit->id))
			service_stop_queue(&sv->services[i]);
	sv->dirty = true;
	tell(sv, &plan, NULL);
}

int supervisor_reload(struct supervisor *sv, reload_told_fn *told, void *data, struct err *err)
{
	int r;

	if (sv->options.foreground)
		return err_set(err, ENOTSUP, "there are no units to be read");
	if (sv->reload || sv->shutdown != SHUTDOWN_NONE)
		return err_set(err, EBUSY, "%s",
			sv->reload ? "the configuration is being read already"
				   : "the supervisor is shutting down");
	sv->reload = calloc(1, sizeof *sv->reload);
	if (!sv->reload)
		return err_sys(err, ENOMEM, "read the configuration");
	*sv->reload = (struct reload){ .sv = sv, .told = told, .data = data };
	r = job_start(sv, "read the configuration", try_set, was_tried, sv->reload, err);
	if (r < 0)
		reload_end(sv);
	return r;
}

void supervisor_reload_forget(struct supervisor *sv)
{
	if (sv->reload)
		sv->reload->told = NULL;
}

/* Nobody can adopt what is on its way up: a reload in the middle would begin it anew. */
static bool is_rising(const struct service *s)
{
	return s->m.state == SERVICE_STARTING || adopt_needs_word(s->m.state, s->m.spec);
}

bool reload_is_due(const struct supervisor *sv)
{
	bool patient = sv->sys->monotonic() < sv->reload->patience;

	for (size_t i = 0; i < sv->nservices; i++) {
		const struct service *s = &sv->services[i];
		const struct unit *next = unit_of(&sv->reload->set, s->unit->id);

		if (next && patient && next->hash == s->unit->hash && is_rising(s))
			return false;
		if (next || s->m.state == SERVICE_UNKILLABLE)
			continue;
		if (s->stop_queued || machine_alive(&s->m))
			return false;
	}
	return true;
}

void supervisor_reloaded(struct supervisor *sv, struct unit_set *ret)
{
	*ret = sv->reload->set;
	sv->reload->set = (struct unit_set){ 0 };
}

void reload_end(struct supervisor *sv)
{
	if (sv->reload)
		reload_free(sv->reload);
	sv->reload = NULL;
}
