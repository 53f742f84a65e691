/* The heart of a service on a virtual clock: every cell of the table, then whole lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/core/deps.h"
#include "supervisor/core/machine.h"

#define SEC NSEC_PER_SEC
#define MS  NSEC_PER_MSEC

static struct service_spec spec_of(enum restart_policy restart)
{
	return (struct service_spec){
		.type = TYPE_EXEC,
		.restart = restart,
		.restart_delay = 100 * MS,
		.restart_steps = 10,
		.restart_max_delay = 60 * SEC,
		.stable = 10 * SEC,
		.start_timeout = 60 * SEC,
		.stop_timeout = 10 * SEC,
		.stop_signal = SIGTERM,
	};
}

static void exited(struct machine *m, int code, int signal)
{
	m->last = (struct service_exit){ true, true, signal ? -1 : code, signal, false, 0 };
}

static void test_no_hole(void **state)
{
	(void)state;
	for (enum service_state s = 0; s < SERVICE_STATE_COUNT; s++) {
		assert_non_null(service_state_name(s));
		for (enum machine_event e = 0; e < EVENT_COUNT; e++)
			if (!machine_cell_exists(s, e))
				fail_msg("no cell for %s in %s", machine_event_name(e),
					service_state_name(s));
	}
}

/* Of every cell: the timer is there exactly in the states that have one; a stop is never forgotten;
 * what cannot come changes nothing. */
static void test_every_cell(void **state)
{
	static const bool timed[SERVICE_STATE_COUNT] = {
		[SERVICE_STARTING] = true,
		[SERVICE_RUNNING] = true,
		[SERVICE_STOPPING] = true,
		[SERVICE_KILLING] = true,
		[SERVICE_DRAINING] = true,
		[SERVICE_BACKOFF] = true,
	};
	struct service_spec spec = spec_of(RESTART_ALWAYS);

	(void)state;
	for (enum service_state s = 0; s < SERVICE_STATE_COUNT; s++)
		for (enum machine_event e = 0; e < EVENT_COUNT; e++)
			for (int wanted = 0; wanted < 2; wanted++) {
				struct machine m, before;
				unsigned actions;

				machine_init(&m, &spec, 1);
				m.state = s;
				m.wanted = wanted;
				m.run = 5;
				m.deadline = timed[s] ? 1000 * SEC : NSEC_NEVER;
				exited(&m, 1, 0);
				before = m;
				actions = machine_step(&m, e, 1000 * SEC);
				if (actions & ACTION_STRANGE)
					assert_memory_equal(&m, &before, sizeof m);
				assert_int_equal(m.deadline != NSEC_NEVER, timed[m.state]);
				if (e == EVENT_STOP)
					assert_false(m.wanted || m.again);
				if (e == EVENT_START || e == EVENT_RESTART)
					assert_true(m.wanted);
				/* Only a launch makes a run; nothing is launched while one is alive. */
				assert_int_equal(m.run, actions & ACTION_LAUNCH ? 6 : 5);
				if (actions & ACTION_LAUNCH)
					assert_false(machine_alive(&before));
				/* What was alive ends only when everything is gone. */
				if (machine_alive(&before) && !machine_alive(&m))
					assert_true(e == EVENT_GONE || e == EVENT_CLONE_FAILED ||
						    e == EVENT_EXTERNAL);
			}
}

/* A machine that was brought up at `now`. */
static struct machine up(const struct service_spec *spec, uint64_t now)
{
	struct machine m;

	machine_init(&m, spec, 1);
	assert_int_equal(machine_step(&m, EVENT_START, now), ACTION_CHECK_DEPS);
	assert_int_equal(m.state, SERVICE_WAITING);
	assert_int_equal(machine_step(&m, EVENT_DEPS_MET, now), ACTION_LAUNCH);
	assert_int_equal(m.state, SERVICE_STARTING);
	assert_int_equal(machine_step(&m, EVENT_STARTED, now), ACTION_PROBES_ON);
	return m;
}

/* Dies at `now` with an exit code and is gone at once. */
static unsigned die(struct machine *m, int code, int signal, uint64_t now)
{
	exited(m, code, signal);
	assert_int_equal(machine_step(m, EVENT_EXITED, now), ACTION_KILL | ACTION_PROBES_OFF);
	assert_int_equal(m->state, SERVICE_DRAINING);
	return machine_step(m, EVENT_GONE, now);
}

static void again(struct machine *m, uint64_t now)
{
	assert_int_equal(machine_step(m, EVENT_TIMEOUT, now), ACTION_CHECK_DEPS);
	assert_int_equal(machine_step(m, EVENT_DEPS_MET, now), ACTION_LAUNCH);
	assert_int_equal(machine_step(m, EVENT_STARTED, now), ACTION_PROBES_ON);
	assert_int_equal(m->state, SERVICE_READY);
}

/* The host's own is as good as ours until it is gone; then the policy decides. */
static void test_external(void **state)
{
	struct service_spec spec = spec_of(RESTART_ON_FAILURE);
	struct machine m;

	(void)state;
	machine_init(&m, &spec, 1);
	(void)machine_step(&m, EVENT_START, 0);
	assert_int_equal(machine_step(&m, EVENT_DEPS_MET, 0), ACTION_LAUNCH);
	assert_int_equal(machine_step(&m, EVENT_EXTERNAL, 0), ACTION_PROBES_ON);
	assert_int_equal(m.state, SERVICE_EXTERNAL);
	assert_false(machine_alive(&m));
	/* Early: a pause first. */
	assert_int_equal(machine_step(&m, EVENT_UNHEALTHY, SEC), ACTION_PROBES_OFF);
	assert_int_equal(m.state, SERVICE_BACKOFF);
	(void)machine_step(&m, EVENT_TIMEOUT, 2 * SEC);
	(void)machine_step(&m, EVENT_DEPS_MET, 2 * SEC);
	(void)machine_step(&m, EVENT_EXTERNAL, 2 * SEC);
	/* After a long time: at once. */
	assert_int_equal(machine_step(&m, EVENT_UNHEALTHY, 100 * SEC),
		ACTION_PROBES_OFF | ACTION_CHECK_DEPS);
	assert_int_equal(m.restarts, 2);
	assert_int_equal(machine_step(&m, EVENT_DEPS_MET, 100 * SEC), ACTION_LAUNCH);
	assert_int_equal(machine_step(&m, EVENT_STARTED, 100 * SEC), ACTION_PROBES_ON);
	assert_int_equal(m.state, SERVICE_READY);
	/* A stop lets it go, and no policy means no start. */
	machine_init(&m, &spec, 1);
	m.state = SERVICE_EXTERNAL;
	m.wanted = true;
	assert_int_equal(machine_step(&m, EVENT_STOP, 0), ACTION_PROBES_OFF);
	assert_int_equal(m.state, SERVICE_INACTIVE);
	spec.restart = RESTART_NO;
	m.state = SERVICE_EXTERNAL;
	m.wanted = true;
	assert_int_equal(machine_step(&m, EVENT_UNHEALTHY, 0), ACTION_PROBES_OFF);
	assert_int_equal(m.state, SERVICE_FAILED);
}

static void test_delays(void **state)
{
	/* 600 in ten equal factors; then 64 in six, which is doubling. */
	static const unsigned ms[] = { 100, 190, 359, 681, 1292, 2449, 4644, 8805, 16692, 31647,
		60000, 60000, 60000 };
	static const unsigned doubled[] = { 100, 200, 400, 800, 1600, 3200, 6400, 6400 };
	struct service_spec spec = spec_of(RESTART_ALWAYS);

	(void)state;
	for (uint32_t i = 0; i < sizeof ms / sizeof ms[0]; i++) {
		uint64_t jittered = restart_delay_jittered(&spec, i, 42 + i);

		assert_in_range(restart_delay(&spec, i), (ms[i] - 1) * MS, (ms[i] + 1) * MS);
		assert_in_range(jittered, (ms[i] - 1) * MS / 10 * 9, (ms[i] + 1) * MS / 10 * 11);
	}
	spec.restart_max_delay = 6400 * MS;
	spec.restart_steps = 6;
	for (uint32_t i = 0; i < sizeof doubled / sizeof doubled[0]; i++)
		assert_in_range(restart_delay(&spec, i), doubled[i] * MS - 1000, doubled[i] * MS);
	/* Two services do not march in step. */
	assert_true(restart_delay_jittered(&spec, 3, 1) != restart_delay_jittered(&spec, 3, 2));
	spec.restart_steps = 0;
	assert_true(restart_delay(&spec, 7) == 100 * MS);
	spec.restart_delay = 0;
	assert_true(restart_delay(&spec, 7) == MS);
}

static void test_backoff_grows_and_resets(void **state)
{
	struct service_spec spec = spec_of(RESTART_ALWAYS);
	uint64_t now = 1000 * SEC;
	struct machine m = up(&spec, now);

	(void)state;
	for (uint32_t i = 0; i < 15; i++) {
		assert_int_equal(die(&m, 1, 0, now), ACTION_CLEAN);
		assert_int_equal(m.state, SERVICE_BACKOFF);
		assert_true(m.deadline - now == restart_delay_jittered(&spec, i, 1));
		now = m.deadline;
		again(&m, now);
		assert_int_equal(m.restarts, i + 1);
	}
	/* One nanosecond too short, then long enough: at once, and the delay starts anew. */
	now += spec.stable - 1;
	assert_int_equal(die(&m, 1, 0, now), ACTION_CLEAN);
	assert_int_equal(m.failures, 16);
	now = m.deadline;
	again(&m, now);
	now += spec.stable;
	assert_int_equal(die(&m, 0, SIGKILL, now), ACTION_CLEAN | ACTION_CHECK_DEPS);
	assert_int_equal(m.failures, 0);
	assert_int_equal(machine_step(&m, EVENT_DEPS_MET, now), ACTION_LAUNCH);
	assert_int_equal(machine_step(&m, EVENT_STARTED, now), ACTION_PROBES_ON);
	assert_int_equal(die(&m, 1, 0, now), ACTION_CLEAN);
	assert_true(m.deadline - now == restart_delay_jittered(&spec, 0, 1));
}

static void test_policies(void **state)
{
	static const struct {
		enum restart_policy policy;
		enum end_reason reason;
		int code, signal;
		bool asked;
	} rows[] = {
		{ RESTART_NO, END_EXIT, 1, 0, false },
		{ RESTART_NO, END_SETUP, 0, 0, false },
		{ RESTART_NO, END_SUPERVISOR, 0, 0, true },
		{ RESTART_ALWAYS, END_EXIT, 0, 0, true },
		{ RESTART_ALWAYS, END_STOP, 0, 0, false },
		{ RESTART_ALWAYS, END_EXIT, 125, 0, false },
		{ RESTART_ON_FAILURE, END_EXIT, 0, 0, false },
		{ RESTART_ON_FAILURE, END_EXIT, 3, 0, false }, /* SuccessExitStatus=3 */
		{ RESTART_ON_FAILURE, END_EXIT, 1, 0, true },
		{ RESTART_ON_FAILURE, END_EXIT, -1, SIGTERM, false },
		{ RESTART_ON_FAILURE, END_EXIT, -1, SIGKILL, true },
		{ RESTART_ON_FAILURE, END_TIMEOUT, 0, 0, true },
		{ RESTART_ON_FAILURE, END_UNHEALTHY, 0, 0, true },
		{ RESTART_ON_FAILURE, END_DEPENDENCY, 0, 0, false },
		{ RESTART_ON_SUCCESS, END_EXIT, 0, 0, true },
		{ RESTART_ON_SUCCESS, END_EXIT, 1, 0, false },
		{ RESTART_ON_ABNORMAL, END_EXIT, 1, 0, false },
		{ RESTART_ON_ABNORMAL, END_EXIT, -1, SIGSEGV, true },
		{ RESTART_ON_ABORT, END_TIMEOUT, 0, 0, false },
		{ RESTART_ON_ABORT, END_EXIT, -1, SIGABRT, true },
		{ RESTART_ON_WATCHDOG, END_UNHEALTHY, 0, 0, true },
		{ RESTART_ON_WATCHDOG, END_EXIT, 1, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct service_spec spec = spec_of(rows[i].policy);
		struct service_exit last = { true, true, rows[i].code, rows[i].signal, false, 0 };

		spec.success.codes[0] = 1 << 3;
		spec.no_restart.codes[1] = 1ULL << (125 - 64);
		if (restart_asked(&spec, rows[i].reason, &last) != rows[i].asked)
			fail_msg("row %zu", i);
	}
}

/* A status that nobody knows is a failure, never a 0. */
static void test_unknown_status(void **state)
{
	struct service_spec spec = spec_of(RESTART_ON_FAILURE);
	struct machine m = up(&spec, SEC);

	(void)state;
	m.last = (struct service_exit){ .known = true };
	(void)machine_step(&m, EVENT_EXITED, 2 * SEC);
	(void)machine_step(&m, EVENT_GONE, 2 * SEC);
	assert_int_equal(m.state, SERVICE_BACKOFF);
}

static void test_stop_life(void **state)
{
	struct service_spec spec = spec_of(RESTART_ALWAYS);
	struct machine m = up(&spec, SEC);

	(void)state;
	assert_int_equal(machine_step(&m, EVENT_STOP, 5 * SEC), ACTION_SIGNAL | ACTION_PROBES_OFF);
	assert_true(m.deadline == 15 * SEC);
	assert_int_equal(machine_step(&m, EVENT_STOP, 6 * SEC), 0);
	assert_true(m.deadline == 15 * SEC); /* a repeated stop does not lengthen it */
	assert_int_equal(
		machine_step(&m, EVENT_TIMEOUT, 15 * SEC), ACTION_KILL | ACTION_PROBES_OFF);
	assert_int_equal(m.state, SERVICE_KILLING);
	exited(&m, 0, SIGKILL);
	(void)machine_step(&m, EVENT_EXITED, 15 * SEC);
	assert_int_equal(machine_step(&m, EVENT_GONE, 15 * SEC), ACTION_CLEAN);
	assert_int_equal(m.state, SERVICE_INACTIVE);
}

static void test_wanted_wins(void **state)
{
	struct service_spec spec = spec_of(RESTART_ALWAYS);
	struct machine m = up(&spec, SEC);

	(void)state;
	/* Stop between the exit and the restart: it stays down. */
	exited(&m, 1, 0);
	(void)machine_step(&m, EVENT_EXITED, 2 * SEC);
	(void)machine_step(&m, EVENT_STOP, 2 * SEC);
	(void)machine_step(&m, EVENT_GONE, 2 * SEC);
	assert_int_equal(m.state, SERVICE_INACTIVE);
	/* Stop during back-off. */
	m = up(&spec, SEC);
	(void)die(&m, 1, 0, 2 * SEC);
	assert_int_equal(m.state, SERVICE_BACKOFF);
	(void)machine_step(&m, EVENT_STOP, 2 * SEC);
	assert_int_equal(m.state, SERVICE_INACTIVE);
	assert_true(m.deadline == NSEC_NEVER);
	/* Start during a stop: it comes back, by hand, without delay. */
	m = up(&spec, SEC);
	(void)machine_step(&m, EVENT_STOP, 2 * SEC);
	(void)machine_step(&m, EVENT_START, 2 * SEC);
	assert_int_equal(die(&m, 0, 0, 3 * SEC), ACTION_CLEAN | ACTION_CHECK_DEPS);
	assert_int_equal(m.state, SERVICE_WAITING);
	/* ... and a stop after that again does not. */
	m = up(&spec, SEC);
	(void)machine_step(&m, EVENT_RESTART, 2 * SEC);
	(void)machine_step(&m, EVENT_STOP, 2 * SEC);
	assert_int_equal(die(&m, 0, 0, 3 * SEC), ACTION_CLEAN);
	assert_int_equal(m.state, SERVICE_INACTIVE);
	/* A stop while the builder works does not resurrect. */
	machine_init(&m, &spec, 1);
	(void)machine_step(&m, EVENT_START, SEC);
	(void)machine_step(&m, EVENT_DEPS_MET, SEC);
	assert_int_equal(machine_step(&m, EVENT_STOP, SEC), ACTION_KILL | ACTION_PROBES_OFF);
	assert_int_equal(machine_step(&m, EVENT_SETUP_FAILED, SEC), 0);
	assert_int_equal(machine_step(&m, EVENT_GONE, SEC), ACTION_CLEAN);
	assert_int_equal(m.state, SERVICE_INACTIVE);
}

static void test_oneshot_and_hold(void **state)
{
	struct service_spec spec = spec_of(RESTART_NO);
	struct machine m;

	(void)state;
	spec.type = TYPE_ONESHOT;
	m = up(&spec, SEC);
	assert_int_equal(m.state, SERVICE_RUNNING);
	(void)die(&m, 0, 0, 2 * SEC);
	assert_int_equal(m.state, SERVICE_DONE);
	m = up(&spec, SEC);
	(void)die(&m, 2, 0, 2 * SEC);
	assert_int_equal(m.state, SERVICE_FAILED);

	spec.type = TYPE_EXEC;
	machine_init(&m, &spec, 1);
	m.hold_open = true;
	(void)machine_step(&m, EVENT_START, SEC);
	(void)machine_step(&m, EVENT_DEPS_MET, SEC);
	assert_false(m.hold);
	(void)machine_step(&m, EVENT_STARTED, SEC);
	assert_int_equal(die(&m, 0, 0, 2 * SEC), ACTION_CLEAN | ACTION_CHECK_DEPS);
	assert_true(m.hold);
	(void)machine_step(&m, EVENT_DEPS_MET, 2 * SEC);
	assert_int_equal(machine_step(&m, EVENT_STARTED, 2 * SEC), 0);
	assert_int_equal(m.state, SERVICE_HELD);
	/* A start by hand after a stop runs the payload again. */
	(void)machine_step(&m, EVENT_RESTART, 3 * SEC);
	(void)die(&m, 0, SIGKILL, 3 * SEC);
	assert_false(m.hold);
	assert_int_equal(m.state, SERVICE_WAITING);
}

static void test_notify_and_timeouts(void **state)
{
	struct service_spec spec = spec_of(RESTART_ON_FAILURE);
	struct machine m;

	(void)state;
	spec.notify = NOTIFY_YES;
	m = up(&spec, SEC);
	assert_int_equal(m.state, SERVICE_RUNNING);
	assert_true(m.deadline == 61 * SEC);
	(void)machine_step(&m, EVENT_READY, 2 * SEC);
	assert_int_equal(m.state, SERVICE_READY);
	assert_true(m.deadline == NSEC_NEVER);
	/* READY=1 may be read before the end of the report. */
	machine_init(&m, &spec, 1);
	(void)machine_step(&m, EVENT_START, SEC);
	(void)machine_step(&m, EVENT_DEPS_MET, SEC);
	(void)machine_step(&m, EVENT_READY, SEC);
	(void)machine_step(&m, EVENT_STARTED, SEC);
	assert_int_equal(m.state, SERVICE_READY);
	/* Never ready: asked to stop, then through the restart policy with that reason. */
	m = up(&spec, SEC);
	assert_int_equal(
		machine_step(&m, EVENT_TIMEOUT, 61 * SEC), ACTION_SIGNAL | ACTION_PROBES_OFF);
	(void)die(&m, 0, 0, 62 * SEC);
	assert_int_equal(m.reason, END_TIMEOUT);
	assert_int_equal(m.state, SERVICE_BACKOFF);
	/* Unhealthy, and it does not even die. */
	spec.notify = NOTIFY_NO;
	m = up(&spec, SEC);
	(void)machine_step(&m, EVENT_UNHEALTHY, 100 * SEC);
	(void)machine_step(&m, EVENT_TIMEOUT, 110 * SEC);
	(void)machine_step(&m, EVENT_TIMEOUT, 115 * SEC);
	assert_int_equal(m.state, SERVICE_UNKILLABLE);
	assert_true(m.deadline == NSEC_NEVER);
	assert_int_equal(m.reason, END_UNHEALTHY);
	assert_int_equal(machine_step(&m, EVENT_GONE, 500 * SEC), ACTION_CLEAN | ACTION_CHECK_DEPS);
}

static void test_supervisor_failure_is_retried(void **state)
{
	struct service_spec spec = spec_of(RESTART_NO);
	struct machine m;

	(void)state;
	machine_init(&m, &spec, 1);
	(void)machine_step(&m, EVENT_START, SEC);
	(void)machine_step(&m, EVENT_DEPS_MET, SEC);
	assert_int_equal(machine_step(&m, EVENT_CLONE_FAILED, SEC), ACTION_CLEAN);
	assert_int_equal(m.state, SERVICE_BACKOFF);
}

/* ---- order ---------------------------------------------------------------------------------- */

struct town {
	struct unit_set set;
	struct unit units[3];
	struct machine machines[3]; /* 0: db, 1: web after db, 2: a network */
};

static const struct machine *machine_of(uint32_t unit, void *data)
{
	struct town *town = data;

	return unit == 2 ? NULL : &town->machines[unit];
}

static void test_deps(void **state)
{
	static const uint32_t list[] = { 2, 0 };
	static const struct {
		enum service_state db;
		bool wanted, arrived;
		uint32_t failures;
		enum deps_answer after, required;
	} rows[] = {
		{ SERVICE_INACTIVE, false, false, 0, DEPS_MET, DEPS_FAILED },
		{ SERVICE_INACTIVE, true, false, 0, DEPS_WAIT, DEPS_WAIT },
		{ SERVICE_WAITING, true, false, 0, DEPS_WAIT, DEPS_WAIT },
		{ SERVICE_STARTING, true, false, 0, DEPS_WAIT, DEPS_WAIT },
		{ SERVICE_STARTING, true, false, 3, DEPS_MET, DEPS_WAIT },
		{ SERVICE_STARTING, true, true, 3, DEPS_WAIT, DEPS_WAIT },
		{ SERVICE_RUNNING, true, false, 0, DEPS_WAIT, DEPS_WAIT },
		{ SERVICE_READY, true, true, 0, DEPS_MET, DEPS_MET },
		{ SERVICE_HELD, true, true, 0, DEPS_MET, DEPS_MET },
		{ SERVICE_EXTERNAL, true, true, 0, DEPS_MET, DEPS_MET },
		{ SERVICE_DONE, true, false, 0, DEPS_MET, DEPS_MET },
		{ SERVICE_FAILED, true, false, 0, DEPS_MET, DEPS_FAILED },
		{ SERVICE_BACKOFF, true, false, 1, DEPS_MET, DEPS_WAIT },
		{ SERVICE_BACKOFF, true, true, 1, DEPS_WAIT, DEPS_WAIT },
		{ SERVICE_STOPPING, true, true, 0, DEPS_WAIT, DEPS_WAIT },
		{ SERVICE_STOPPING, false, true, 0, DEPS_MET, DEPS_MET },
		{ SERVICE_UNKILLABLE, true, true, 0, DEPS_WAIT, DEPS_WAIT },
	};
	struct town town = { .set = { .units = town.units, .nunits = 3 } };
	uint32_t which = 99;

	(void)state;
	town.units[1].after = (struct unit_list){ list, 2 };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (int required = 0; required < 2; required++) {
			town.machines[0].state = rows[i].db;
			town.machines[0].wanted = rows[i].wanted;
			town.machines[0].arrived = rows[i].arrived;
			town.machines[0].failures = rows[i].failures;
			town.units[1].requires = (struct unit_list){ list, required ? 2 : 0 };
			if (deps_start(&town.set, 1, machine_of, &town, &which) !=
				(required ? rows[i].required : rows[i].after))
				fail_msg("row %zu required %d", i, required);
		}
	assert_int_equal(which, 0);
	/* The db stops after the web that is to be stopped, not after one that stays. */
	town.machines[1].state = SERVICE_STOPPING;
	assert_false(deps_stop(&town.set, 0, machine_of, &town));
	town.machines[1].wanted = true;
	assert_true(deps_stop(&town.set, 0, machine_of, &town));
	town.machines[1].wanted = false;
	town.machines[1].state = SERVICE_INACTIVE;
	assert_true(deps_stop(&town.set, 0, machine_of, &town));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_hole),
		cmocka_unit_test(test_every_cell),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_backoff_grows_and_resets),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_unknown_status),
		cmocka_unit_test(test_stop_life),
		cmocka_unit_test(test_wanted_wins),
		cmocka_unit_test(test_oneshot_and_hold),
		cmocka_unit_test(test_notify_and_timeouts),
		cmocka_unit_test(test_supervisor_failure_is_retried),
		cmocka_unit_test(test_deps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
