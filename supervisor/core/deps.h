/* Order: what a service waits for before it starts, and before it stops. Pure. */
#ifndef BERTH_CORE_DEPS_H
#define BERTH_CORE_DEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/unit.h"
#include "supervisor/core/machine.h"

/* The machine of a unit by its index in the set; NULL: a unit that does not run (a .network). */
typedef const struct machine *deps_machine_fn(uint32_t unit, void *data);

enum deps_answer { DEPS_WAIT, DEPS_MET, DEPS_FAILED };

/*
 * deps_start - may it start now?
 *
 * After= waits for what the other is about to become: started, ready or healthy as its Notify=
 * says, for a oneshot its end. It does not wait for one that nobody wants, for one that failed, nor
 * for one that has not come up once and is being retried; unless that one is also in Requires=.
 * Requires= without After= waits for nothing, but a required unit that failed or was stopped is
 * DEPS_FAILED.
 * Gives: for WAIT and FAILED *ret_which, the unit that is to blame.
 */
enum deps_answer deps_start(const struct unit_set *set, uint32_t unit, deps_machine_fn *machine_of,
	void *data, uint32_t *ret_which);

/* May it be stopped now? True when nothing that comes after it and is itself to be stopped is
 * alive: reverse order, and in parallel where there is no order. */
bool deps_stop(const struct unit_set *set, uint32_t unit, deps_machine_fn *machine_of, void *data);

/* Is `unit` in the list? */
bool deps_has(const struct unit_list *list, uint32_t unit);

#endif
