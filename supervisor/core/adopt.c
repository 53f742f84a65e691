#include "supervisor/core/adopt.h"

#include <string.h>

bool adopt_needs_word(enum service_state state, const struct service_spec *spec)
{
	return state == SERVICE_RUNNING && spec->type != TYPE_ONESHOT &&
	       (spec->notify == NOTIFY_YES || spec->type == TYPE_NOTIFY);
}

enum adopt_answer adopt_decide(const struct state_record *record, const struct service_spec *spec,
	const struct adopt_facts *facts)
{
	bool same = record->pid > 0 && facts->alive && facts->starttime == record->starttime &&
		    facts->in_leaf;

	if (strcmp(record->boot_id, facts->boot_id) != 0)
		return ADOPT_FORGET;
	switch (record->state) {
	case SERVICE_INACTIVE:
	case SERVICE_DONE:
	case SERVICE_FAILED:
	case SERVICE_EXTERNAL:
		return ADOPT_NOTHING;
	case SERVICE_RUNNING:
		/* Its READY=1 went, or will go, to a socket that died with its supervisor. */
		if (same && adopt_needs_word(record->state, spec))
			return ADOPT_KILL;
		return same ? ADOPT_RUNNING : ADOPT_ENDED;
	case SERVICE_READY:
	case SERVICE_HELD:
	case SERVICE_STOPPING:
		return same ? ADOPT_RUNNING : ADOPT_ENDED;
	case SERVICE_WAITING:
	case SERVICE_STARTING:
	case SERVICE_KILLING:
	case SERVICE_DRAINING:
	case SERVICE_BACKOFF:
	case SERVICE_UNKILLABLE:
	case SERVICE_STATE_COUNT:
		break;
	}
	return ADOPT_KILL;
}
