#include "supervisor/core/deps.h"

bool deps_has(const struct unit_list *list, uint32_t unit)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i] == unit)
			return true;
	return false;
}

/* What After= says about one other unit. */
static enum deps_answer peer_answer(const struct machine *peer, bool required)
{
	switch (peer->state) {
	case SERVICE_READY:
	case SERVICE_HELD:
	case SERVICE_EXTERNAL:
	case SERVICE_DONE:
		return DEPS_MET;
	case SERVICE_FAILED:
		return required ? DEPS_FAILED : DEPS_MET;
	case SERVICE_INACTIVE:
		return peer->wanted ? DEPS_WAIT : DEPS_MET;
	case SERVICE_BACKOFF:
		return required || peer->arrived ? DEPS_WAIT : DEPS_MET;
	case SERVICE_WAITING:
	case SERVICE_STARTING:
	case SERVICE_RUNNING:
		/* The second and later tries of one that never came up hold nobody else. */
		return required || peer->arrived || peer->failures == 0 ? DEPS_WAIT : DEPS_MET;
	case SERVICE_STOPPING:
	case SERVICE_KILLING:
	case SERVICE_DRAINING:
	case SERVICE_UNKILLABLE:
		/* On its way out and back: it will be there again. Out for good: no reason to wait. */
		return peer->wanted ? DEPS_WAIT : DEPS_MET;
	case SERVICE_STATE_COUNT:
		break;
	}
	return DEPS_MET;
}

enum deps_answer deps_start(const struct unit_set *set, uint32_t unit, deps_machine_fn *machine_of,
	void *data, uint32_t *ret_which)
{
	const struct unit *self = &set->units[unit];
	enum deps_answer answer = DEPS_MET;

	for (size_t i = 0; i < self->requires.n; i++) {
		const struct machine *peer = machine_of(self->requires.v[i], data);

		if (peer && (peer->state == SERVICE_FAILED ||
				    (peer->state == SERVICE_INACTIVE && !peer->wanted))) {
			*ret_which = self->requires.v[i];
			return DEPS_FAILED;
		}
	}
	for (size_t i = 0; i < self->after.n && answer == DEPS_MET; i++) {
		uint32_t other = self->after.v[i];
		const struct machine *peer = machine_of(other, data);

		if (!peer)
			continue;
		answer = peer_answer(peer, deps_has(&self->requires, other));
		if (answer != DEPS_MET)
			*ret_which = other;
	}
	return answer;
}

bool deps_stop(const struct unit_set *set, uint32_t unit, deps_machine_fn *machine_of, void *data)
{
	for (uint32_t i = 0; i < set->nunits; i++) {
		const struct machine *later = machine_of(i, data);

		if (i != unit && later && !later->wanted && machine_alive(later) &&
			deps_has(&set->units[i].after, unit))
			return false;
	}
	return true;
}
