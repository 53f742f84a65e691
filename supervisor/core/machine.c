/*
 * One function per kind of cell, then the table. A cell changes the machine and names what the
 * caller has to do; the caller arms the timer to machine->deadline after every step.
 */
#include "supervisor/core/machine.h"

#include "supervisor/base/clock.h"

static const char *const state_names[] = {
	[SERVICE_INACTIVE] = "inactive",
	[SERVICE_WAITING] = "waiting",
	[SERVICE_STARTING] = "starting",
	[SERVICE_RUNNING] = "running",
	[SERVICE_READY] = "ready",
	[SERVICE_STOPPING] = "stopping",
	[SERVICE_KILLING] = "killing",
	[SERVICE_DRAINING] = "draining",
	[SERVICE_BACKOFF] = "backoff",
	[SERVICE_DONE] = "done",
	[SERVICE_FAILED] = "failed",
	[SERVICE_UNKILLABLE] = "unkillable",
	[SERVICE_HELD] = "held",
	[SERVICE_EXTERNAL] = "external",
};
_Static_assert(sizeof state_names / sizeof state_names[0] == SERVICE_STATE_COUNT, "a state more");

static const char *const event_names[] = {
	[EVENT_START] = "start",
	[EVENT_STOP] = "stop",
	[EVENT_RESTART] = "restart",
	[EVENT_DEPS_MET] = "dependencies met",
	[EVENT_DEPS_FAILED] = "dependency failed",
	[EVENT_CLONE_FAILED] = "clone failed",
	[EVENT_EXTERNAL] = "external",
	[EVENT_SETUP_FAILED] = "set-up failed",
	[EVENT_STARTED] = "started",
	[EVENT_READY] = "ready",
	[EVENT_UNHEALTHY] = "unhealthy",
	[EVENT_EXITED] = "exited",
	[EVENT_GONE] = "gone",
	[EVENT_TIMEOUT] = "timeout",
	[EVENT_KILL] = "kill",
};
_Static_assert(sizeof event_names / sizeof event_names[0] == EVENT_COUNT, "an event more");

const char *service_state_name(enum service_state state)
{
	return state_names[state];
}

const char *machine_event_name(enum machine_event event)
{
	return event_names[event];
}

void machine_init(struct machine *machine, const struct service_spec *spec, uint64_t seed)
{
	*machine = (struct machine){
		.spec = spec,
		.seed = seed,
		.state = SERVICE_INACTIVE,
		.deadline = NSEC_NEVER,
	};
}

bool machine_alive(const struct machine *machine)
{
	switch (machine->state) {
	case SERVICE_STARTING:
	case SERVICE_RUNNING:
	case SERVICE_READY:
	case SERVICE_STOPPING:
	case SERVICE_KILLING:
	case SERVICE_DRAINING:
	case SERVICE_UNKILLABLE:
	case SERVICE_HELD:
		return true;
	case SERVICE_INACTIVE:
	case SERVICE_WAITING:
	case SERVICE_BACKOFF:
	case SERVICE_DONE:
	case SERVICE_FAILED:
	case SERVICE_EXTERNAL:
	case SERVICE_STATE_COUNT:
		break;
	}
	return false;
}

/* ---- moves ---------------------------------------------------------------------------------- */

static uint64_t after(uint64_t now, uint64_t span)
{
	return span >= NSEC_NEVER - now ? NSEC_NEVER : now + span;
}

/* Every change of state goes through here: no state inherits a timer by accident. */
static void enter(struct machine *m, enum service_state state, uint64_t now, uint64_t deadline)
{
	m->state = state;
	m->since = now;
	m->deadline = deadline;
}

static unsigned wait_for_deps(struct machine *m, uint64_t now)
{
	m->again = false;
	enter(m, SERVICE_WAITING, now, NSEC_NEVER);
	return ACTION_CHECK_DEPS;
}

/* By hand: what went wrong before is forgotten. */
static unsigned begin(struct machine *m, uint64_t now)
{
	m->wanted = true;
	m->failures = 0;
	m->restarts = 0;
	m->arrived = false;
	m->hold = m->nothing_to_run;
	m->reason = END_NONE;
	return wait_for_deps(m, now);
}

static unsigned launch(struct machine *m, uint64_t now)
{
	m->run++;
	m->reason = END_NONE;
	m->early = false;
	m->stable = false;
	m->ready_at = 0;
	enter(m, SERVICE_STARTING, now, after(now, m->spec->start_timeout));
	return ACTION_LAUNCH;
}

/* The run is going to end: remember why, and whether it had been stable. The first reason stays. */
static void blame(struct machine *m, enum end_reason reason, uint64_t now)
{
	if (m->reason != END_NONE)
		return;
	m->reason = reason;
	m->stable = (m->state == SERVICE_READY || m->state == SERVICE_EXTERNAL) &&
		    now - m->ready_at >= m->spec->stable;
}

static unsigned end_gently(struct machine *m, enum end_reason reason, uint64_t now)
{
	blame(m, reason, now);
	enter(m, SERVICE_STOPPING, now, after(now, m->spec->stop_timeout));
	return ACTION_SIGNAL | ACTION_PROBES_OFF;
}

static unsigned end_hard(struct machine *m, enum end_reason reason, uint64_t now)
{
	blame(m, reason, now);
	enter(m, SERVICE_KILLING, now, after(now, KILL_PATIENCE));
	return ACTION_KILL | ACTION_PROBES_OFF;
}

static unsigned drain(struct machine *m, enum end_reason reason, uint64_t now)
{
	blame(m, reason, now);
	enter(m, SERVICE_DRAINING, now, after(now, KILL_PATIENCE));
	return ACTION_KILL | ACTION_PROBES_OFF;
}

/* The run is over and wanted: another one, or a result? */
static unsigned decide(struct machine *m, uint64_t now)
{
	bool clean = m->reason == END_EXIT && exit_is_clean(m->spec, &m->last);

	if (restart_asked(m->spec, m->reason, &m->last)) {
		if (m->stable) {
			m->failures = 0;
			m->restarts++;
			return wait_for_deps(m, now);
		}
		enter(m, SERVICE_BACKOFF, now,
			after(now, restart_delay_jittered(m->spec, m->failures, m->seed)));
		m->failures++;
		return 0;
	}
	if (clean && m->hold_open && !m->hold) {
		m->hold = true;
		return wait_for_deps(m, now);
	}
	enter(m, clean ? SERVICE_DONE : SERVICE_FAILED, now, NSEC_NEVER);
	return 0;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static unsigned cell_ignore(struct machine *m, uint64_t now)
{
	(void)m;
	(void)now;
	return 0;
}

static unsigned cell_strange(struct machine *m, uint64_t now)
{
	(void)m;
	(void)now;
	return ACTION_STRANGE;
}

static unsigned cell_begin(struct machine *m, uint64_t now)
{
	return begin(m, now);
}

/* Already on its way or up: a repeated start is harmless. */
static unsigned cell_want(struct machine *m, uint64_t now)
{
	(void)now;
	m->wanted = true;
	return 0;
}

/* Asked to start while it is ending: when it is gone. */
static unsigned cell_again(struct machine *m, uint64_t now)
{
	(void)now;
	m->wanted = true;
	m->again = true;
	return 0;
}

static unsigned cell_rest(struct machine *m, uint64_t now)
{
	m->wanted = false;
	m->again = false;
	if (m->state != SERVICE_INACTIVE)
		enter(m, SERVICE_INACTIVE, now, NSEC_NEVER);
	return 0;
}

/* A stop of what is ending already: it must not come back. */
static unsigned cell_unwant(struct machine *m, uint64_t now)
{
	(void)now;
	m->wanted = false;
	m->again = false;
	return 0;
}

static unsigned cell_launch(struct machine *m, uint64_t now)
{
	return launch(m, now);
}

static unsigned cell_blocked(struct machine *m, uint64_t now)
{
	m->reason = END_DEPENDENCY;
	enter(m, SERVICE_FAILED, now, NSEC_NEVER);
	return 0;
}

/* What it was waiting for has come after all. */
static unsigned cell_unblock(struct machine *m, uint64_t now)
{
	return m->reason == END_DEPENDENCY && m->wanted ? launch(m, now) : 0;
}

static unsigned cell_clone_failed(struct machine *m, uint64_t now)
{
	if (m->reason == END_NONE)
		m->reason = END_SUPERVISOR;
	return ACTION_CLEAN | (m->wanted ? decide(m, now) : cell_rest(m, now));
}

static unsigned cell_external(struct machine *m, uint64_t now)
{
	m->ready_at = now;
	m->arrived = true;
	enter(m, SERVICE_EXTERNAL, now, NSEC_NEVER);
	return ACTION_PROBES_ON;
}

/* Nothing of ours is to be stopped. */
static unsigned cell_let_go(struct machine *m, uint64_t now)
{
	return ACTION_PROBES_OFF | cell_rest(m, now);
}

static unsigned cell_look_again(struct machine *m, uint64_t now)
{
	return ACTION_PROBES_OFF | begin(m, now);
}

static unsigned cell_host_gone(struct machine *m, uint64_t now)
{
	blame(m, END_UNHEALTHY, now);
	return ACTION_PROBES_OFF | decide(m, now);
}

static unsigned cell_setup_failed(struct machine *m, uint64_t now)
{
	return drain(m, END_SETUP, now);
}

static unsigned become_ready(struct machine *m, uint64_t now)
{
	m->ready_at = now;
	m->arrived = true;
	enter(m, SERVICE_READY, now, NSEC_NEVER);
	return 0;
}

static unsigned cell_started(struct machine *m, uint64_t now)
{
	uint64_t deadline = m->deadline;
	bool waits = m->spec->notify != NOTIFY_NO || m->spec->type == TYPE_NOTIFY;

	if (m->hold) {
		m->arrived = true;
		m->ready_at = now;
		enter(m, SERVICE_HELD, now, NSEC_NEVER);
		return 0;
	}
	enter(m, SERVICE_RUNNING, now, deadline);
	if (m->spec->type == TYPE_ONESHOT)
		return ACTION_PROBES_ON;
	if (!waits || m->early)
		(void)become_ready(m, now);
	return ACTION_PROBES_ON;
}

static unsigned cell_early_ready(struct machine *m, uint64_t now)
{
	(void)now;
	m->early = true;
	return 0;
}

/* A oneshot is done when it ends, whatever it says before. */
static unsigned cell_ready(struct machine *m, uint64_t now)
{
	return m->spec->type == TYPE_ONESHOT ? 0 : become_ready(m, now);
}

static unsigned cell_stop(struct machine *m, uint64_t now)
{
	m->wanted = false;
	m->again = false;
	return end_gently(m, END_STOP, now);
}

static unsigned cell_restart(struct machine *m, uint64_t now)
{
	m->wanted = true;
	m->again = true;
	return end_gently(m, END_STOP, now);
}

/* No payload to ask nicely: a builder, or the pause process. */
static unsigned cell_stop_hard(struct machine *m, uint64_t now)
{
	m->wanted = false;
	m->again = false;
	return end_hard(m, END_STOP, now);
}

static unsigned cell_restart_hard(struct machine *m, uint64_t now)
{
	m->wanted = true;
	m->again = true;
	return end_hard(m, END_STOP, now);
}

static unsigned cell_unhealthy(struct machine *m, uint64_t now)
{
	return end_gently(m, END_UNHEALTHY, now);
}

static unsigned cell_start_timeout(struct machine *m, uint64_t now)
{
	return end_gently(m, END_TIMEOUT, now);
}

static unsigned cell_build_timeout(struct machine *m, uint64_t now)
{
	return end_hard(m, END_TIMEOUT, now);
}

static unsigned cell_kill(struct machine *m, uint64_t now)
{
	return end_hard(m, m->wanted ? END_EXIT : END_STOP, now);
}

/* Once more, without starting the patience anew. */
static unsigned cell_kill_more(struct machine *m, uint64_t now)
{
	(void)m;
	(void)now;
	return ACTION_KILL;
}

static unsigned cell_exited(struct machine *m, uint64_t now)
{
	return drain(m, END_EXIT, now);
}

static unsigned cell_give_up(struct machine *m, uint64_t now)
{
	enter(m, SERVICE_UNKILLABLE, now, NSEC_NEVER);
	return 0;
}

static unsigned cell_gone(struct machine *m, uint64_t now)
{
	unsigned actions = ACTION_CLEAN;

	if (!m->wanted)
		actions |= cell_rest(m, now);
	else if (m->again)
		actions |= begin(m, now);
	else
		actions |= decide(m, now);
	return actions;
}

/* Not wanted while it wanted to: by a stop that waits for others to stop first. */
static unsigned cell_retry(struct machine *m, uint64_t now)
{
	if (!m->wanted)
		return cell_rest(m, now);
	m->restarts++;
	return wait_for_deps(m, now);
}

/* ---- the table ------------------------------------------------------------------------------ */

typedef unsigned cell_fn(struct machine *m, uint64_t now);

/* The states in which nothing exists have nothing that could report. */
#define NOTHING_REPORTS                                                           \
	[EVENT_CLONE_FAILED] = cell_strange, [EVENT_SETUP_FAILED] = cell_strange, \
	[EVENT_EXTERNAL] = cell_strange, [EVENT_STARTED] = cell_strange,          \
	[EVENT_READY] = cell_strange, [EVENT_UNHEALTHY] = cell_strange,           \
	[EVENT_EXITED] = cell_strange, [EVENT_GONE] = cell_strange, [EVENT_KILL] = cell_ignore

/* Dependencies matter while it waits (and when one of them was the reason of the failure). */
#define NO_DEPS [EVENT_DEPS_MET] = cell_ignore, [EVENT_DEPS_FAILED] = cell_ignore

/* The run is ending: what it still says does not matter, how it is asked for decides what next. */
#define ENDING                                                                                \
	[EVENT_START] = cell_again, [EVENT_STOP] = cell_unwant, [EVENT_RESTART] = cell_again, \
	[EVENT_CLONE_FAILED] = cell_strange, [EVENT_SETUP_FAILED] = cell_ignore,              \
	[EVENT_EXTERNAL] = cell_strange, [EVENT_STARTED] = cell_ignore,                       \
	[EVENT_READY] = cell_ignore, [EVENT_UNHEALTHY] = cell_ignore, NO_DEPS

static cell_fn *const table[SERVICE_STATE_COUNT][EVENT_COUNT] = {
	[SERVICE_INACTIVE] = {
		[EVENT_START] = cell_begin,
		[EVENT_STOP] = cell_rest,
		[EVENT_RESTART] = cell_begin,
		[EVENT_TIMEOUT] = cell_strange,
		NO_DEPS, NOTHING_REPORTS,
	},
	[SERVICE_WAITING] = {
		[EVENT_START] = cell_want,
		[EVENT_STOP] = cell_rest,
		[EVENT_RESTART] = cell_want,
		[EVENT_DEPS_MET] = cell_launch,
		[EVENT_DEPS_FAILED] = cell_blocked,
		[EVENT_TIMEOUT] = cell_strange,
		NOTHING_REPORTS,
	},
	[SERVICE_STARTING] = {
		[EVENT_START] = cell_want,
		[EVENT_STOP] = cell_stop_hard,
		[EVENT_RESTART] = cell_restart_hard,
		[EVENT_CLONE_FAILED] = cell_clone_failed,
		[EVENT_EXTERNAL] = cell_external,
		[EVENT_SETUP_FAILED] = cell_setup_failed,
		[EVENT_STARTED] = cell_started,
		[EVENT_READY] = cell_early_ready,
		[EVENT_UNHEALTHY] = cell_strange,
		/* Before end of file of the report: it died on the way to exec. */
		[EVENT_EXITED] = cell_setup_failed,
		[EVENT_GONE] = cell_strange,
		[EVENT_TIMEOUT] = cell_build_timeout,
		[EVENT_KILL] = cell_kill,
		NO_DEPS,
	},
	[SERVICE_RUNNING] = {
		[EVENT_START] = cell_want,
		[EVENT_STOP] = cell_stop,
		[EVENT_RESTART] = cell_restart,
		[EVENT_CLONE_FAILED] = cell_strange,
		[EVENT_EXTERNAL] = cell_strange,
		[EVENT_SETUP_FAILED] = cell_strange,
		[EVENT_STARTED] = cell_strange,
		[EVENT_READY] = cell_ready,
		[EVENT_UNHEALTHY] = cell_unhealthy,
		[EVENT_EXITED] = cell_exited,
		[EVENT_GONE] = cell_strange,
		[EVENT_TIMEOUT] = cell_start_timeout,
		[EVENT_KILL] = cell_kill,
		NO_DEPS,
	},
	[SERVICE_READY] = {
		[EVENT_START] = cell_want,
		[EVENT_STOP] = cell_stop,
		[EVENT_RESTART] = cell_restart,
		[EVENT_CLONE_FAILED] = cell_strange,
		[EVENT_EXTERNAL] = cell_strange,
		[EVENT_SETUP_FAILED] = cell_strange,
		[EVENT_STARTED] = cell_strange,
		[EVENT_READY] = cell_ignore,
		[EVENT_UNHEALTHY] = cell_unhealthy,
		[EVENT_EXITED] = cell_exited,
		[EVENT_GONE] = cell_strange,
		[EVENT_TIMEOUT] = cell_strange,
		[EVENT_KILL] = cell_kill,
		NO_DEPS,
	},
	[SERVICE_STOPPING] = {
		[EVENT_EXITED] = cell_exited,
		[EVENT_GONE] = cell_strange,
		[EVENT_TIMEOUT] = cell_kill,
		[EVENT_KILL] = cell_kill,
		ENDING,
	},
	[SERVICE_KILLING] = {
		[EVENT_EXITED] = cell_exited,
		/* The builder had not made a main process yet. */
		[EVENT_GONE] = cell_gone,
		[EVENT_TIMEOUT] = cell_give_up,
		[EVENT_KILL] = cell_kill_more,
		ENDING,
	},
	[SERVICE_DRAINING] = {
		/* After a set-up that failed: the child that died in it. */
		[EVENT_EXITED] = cell_ignore,
		[EVENT_GONE] = cell_gone,
		[EVENT_TIMEOUT] = cell_give_up,
		[EVENT_KILL] = cell_kill_more,
		ENDING,
	},
	[SERVICE_BACKOFF] = {
		[EVENT_START] = cell_begin,
		[EVENT_STOP] = cell_rest,
		[EVENT_RESTART] = cell_begin,
		[EVENT_TIMEOUT] = cell_retry,
		NO_DEPS, NOTHING_REPORTS,
	},
	[SERVICE_DONE] = {
		[EVENT_START] = cell_begin,
		[EVENT_STOP] = cell_rest,
		[EVENT_RESTART] = cell_begin,
		[EVENT_TIMEOUT] = cell_strange,
		NO_DEPS, NOTHING_REPORTS,
	},
	[SERVICE_FAILED] = {
		[EVENT_START] = cell_begin,
		[EVENT_STOP] = cell_rest,
		[EVENT_RESTART] = cell_begin,
		[EVENT_DEPS_MET] = cell_unblock,
		[EVENT_DEPS_FAILED] = cell_ignore,
		[EVENT_TIMEOUT] = cell_strange,
		NOTHING_REPORTS,
	},
	[SERVICE_UNKILLABLE] = {
		[EVENT_EXITED] = cell_ignore,
		[EVENT_GONE] = cell_gone,
		[EVENT_TIMEOUT] = cell_strange,
		[EVENT_KILL] = cell_kill_more,
		ENDING,
	},
	[SERVICE_HELD] = {
		[EVENT_START] = cell_want,
		[EVENT_STOP] = cell_stop_hard,
		[EVENT_RESTART] = cell_restart_hard,
		[EVENT_CLONE_FAILED] = cell_strange,
		[EVENT_EXTERNAL] = cell_strange,
		[EVENT_SETUP_FAILED] = cell_strange,
		[EVENT_STARTED] = cell_strange,
		[EVENT_READY] = cell_ignore,
		[EVENT_UNHEALTHY] = cell_ignore,
		[EVENT_EXITED] = cell_exited,
		[EVENT_GONE] = cell_strange,
		[EVENT_TIMEOUT] = cell_strange,
		[EVENT_KILL] = cell_kill,
		NO_DEPS,
	},
	[SERVICE_EXTERNAL] = {
		[EVENT_START] = cell_want,
		[EVENT_STOP] = cell_let_go,
		[EVENT_RESTART] = cell_look_again,
		[EVENT_CLONE_FAILED] = cell_strange,
		[EVENT_EXTERNAL] = cell_strange,
		[EVENT_SETUP_FAILED] = cell_strange,
		[EVENT_STARTED] = cell_strange,
		[EVENT_READY] = cell_strange,
		[EVENT_UNHEALTHY] = cell_host_gone,
		[EVENT_EXITED] = cell_strange,
		[EVENT_GONE] = cell_strange,
		[EVENT_TIMEOUT] = cell_strange,
		[EVENT_KILL] = cell_ignore,
		NO_DEPS,
	},
};

bool machine_cell_exists(enum service_state state, enum machine_event event)
{
	return table[state][event] != NULL;
}

unsigned machine_step(struct machine *machine, enum machine_event event, uint64_t now)
{
	return table[machine->state][event](machine, now);
}
