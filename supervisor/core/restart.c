#include "supervisor/core/restart.h"

#include <signal.h>

#include "supervisor/base/clock.h"

static bool exit_set_has(const struct exit_set *set, const struct service_exit *last)
{
	if (last->signal)
		return last->signal < 64 && (set->signals >> last->signal & 1);
	return last->code >= 0 && last->code < 256 &&
	       (set->codes[last->code / 64] >> (last->code % 64) & 1);
}

bool exit_is_clean(const struct service_spec *spec, const struct service_exit *last)
{
	if (!last->known || !last->status)
		return false;
	if (exit_set_has(&spec->success, last))
		return true;
	if (!last->signal)
		return last->code == 0;
	return spec->type != TYPE_ONESHOT &&
	       (last->signal == SIGHUP || last->signal == SIGINT || last->signal == SIGPIPE ||
		       last->signal == SIGTERM);
}

/* The columns of the table in systemd.service(5), Restart=. */
enum cause { CAUSE_CLEAN, CAUSE_CODE, CAUSE_SIGNAL, CAUSE_TIMEOUT, CAUSE_WATCHDOG, CAUSE_COUNT };

static const bool asked[][CAUSE_COUNT] = {
	[RESTART_NO] = { false, false, false, false, false },
	[RESTART_ALWAYS] = { true, true, true, true, true },
	[RESTART_ON_SUCCESS] = { true, false, false, false, false },
	[RESTART_ON_FAILURE] = { false, true, true, true, true },
	[RESTART_ON_ABNORMAL] = { false, false, true, true, true },
	[RESTART_ON_ABORT] = { false, false, true, false, false },
	[RESTART_ON_WATCHDOG] = { false, false, false, false, true },
};

static enum cause cause_of_exit(const struct service_spec *spec, const struct service_exit *last)
{
	if (exit_is_clean(spec, last))
		return CAUSE_CLEAN;
	/* Of an unknown status we assume the lesser: on-failure restarts it, on-abort does not. */
	return last->status && last->signal ? CAUSE_SIGNAL : CAUSE_CODE;
}

bool restart_asked(
	const struct service_spec *spec, enum end_reason reason, const struct service_exit *last)
{
	switch (reason) {
	case END_NONE:
	case END_STOP:
	case END_DEPENDENCY:
	case END_REFUSED:
	case END_REASON_COUNT:
		return false;
	case END_SUPERVISOR:
		return true;
	case END_SETUP:
		return asked[spec->restart][CAUSE_CODE];
	case END_TIMEOUT:
		return asked[spec->restart][CAUSE_TIMEOUT];
	case END_UNHEALTHY:
		return asked[spec->restart][CAUSE_WATCHDOG];
	case END_EXIT:
		break;
	}
	if (last->status && exit_set_has(&spec->no_restart, last))
		return false;
	return asked[spec->restart][cause_of_exit(spec, last)];
}

static double power(double base, uint32_t n)
{
	double result = 1;

	while (n--)
		result *= base;
	return result;
}

/* The factor that takes 1 to `ratio` in `steps` steps: by halving, so that libm is not needed. */
static double root(double ratio, uint32_t steps)
{
	double low = 1, high = ratio;

	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;

		if (power(middle, steps) > ratio)
			high = middle;
		else
			low = middle;
	}
	return low;
}

uint64_t restart_delay(const struct service_spec *spec, uint32_t failures)
{
	uint64_t first = spec->restart_delay ? spec->restart_delay : NSEC_PER_MSEC;
	uint64_t last = spec->restart_max_delay;
	uint32_t steps = spec->restart_steps < 1000 ? spec->restart_steps : 1000;

	if (steps == 0 || last <= first || last == NSEC_NEVER)
		return first;
	if (failures >= steps)
		return last;
	return (uint64_t)((double)first *
			  power(root((double)last / (double)first, steps), failures));
}

/* splitmix64: each input a number that looks random. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

uint64_t restart_delay_jittered(const struct service_spec *spec, uint32_t failures, uint64_t seed)
{
	uint64_t delay = restart_delay(spec, failures);
	uint64_t permille = 900 + mix(seed + failures) % 201;

	return delay / 1000 * permille;
}
