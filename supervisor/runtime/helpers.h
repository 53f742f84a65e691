/* The short-lived processes beside the loop: they may block, they never return. */
#ifndef BERTH_RUNTIME_HELPERS_H
#define BERTH_RUNTIME_HELPERS_H

#include "supervisor/runtime/plan.h"

/* Is there something to make in the host's namespaces before the container can be cloned? in_use: as in
 * struct container_run. */
bool helpers_prepare_needed(
	const struct container_env *env, const struct container_spec *spec, bool in_use);

/* May it configure its own network? Then it may have left anything in it, and each start gets a new
 * one; and what is in it now is its own business. */
bool helpers_is_net_admin(const struct container_spec *spec);

/* Ends with REPORT_PREPARED, whose text is the root's lower directory, or with REPORT_FAIL. */
_Noreturn void helpers_prepare(struct plan *plan);

/* Ends with REPORT_CREATED, or with REPORT_FAIL. */
_Noreturn void helpers_join(struct plan *plan);

#endif
