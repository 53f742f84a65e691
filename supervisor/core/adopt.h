/* What to do with what a supervisor before us left running. Pure. */
#ifndef BERTH_CORE_ADOPT_H
#define BERTH_CORE_ADOPT_H

#include <stdbool.h>

#include "config/unit.h"
#include "supervisor/core/state.h"

/* What was found out about the recorded process. */
struct adopt_facts {
	const char *boot_id;
	bool alive;         /* a process with that pid is there */
	uint64_t starttime; /* of that process, read again after its pidfd was opened */
	bool in_leaf;       /* it is in the recorded cgroup; true where there are no cgroups */
};

enum adopt_answer {
	ADOPT_NOTHING, /* nothing ran, as recorded: the result is kept */
	ADOPT_RUNNING, /* it is the process on record, and it was running */
	ADOPT_ENDED,   /* it was running and ended while we were dead: how is not known */
	ADOPT_KILL,    /* it was on its way up or down: what is left of it is killed, begun anew */
	ADOPT_FORGET,  /* of another boot: only the run's number does not matter either */
};

/* It runs, and waits to say READY=1 to a socket that dies with its supervisor. */
bool adopt_needs_word(enum service_state state, const struct service_spec *spec);

enum adopt_answer adopt_decide(const struct state_record *record, const struct service_spec *spec,
	const struct adopt_facts *facts);

#endif
