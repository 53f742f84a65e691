/* Resource limits of a process: could they be set here, and setting them. */
#ifndef BERTH_RUNTIME_RLIMITS_H
#define BERTH_RUNTIME_RLIMITS_H

#include "config/spec.h"
#include "supervisor/base/err.h"

/*
 * rlimits_check - could the limits that somebody wrote be set by a child of ours?
 *
 * A hard limit above our own takes CAP_SYS_RESOURCE, and no number of files is above fs.nr_open;
 * "infinity" means as many as can be had there.
 * Gives: 0. With LimitsPolicy=best-effort those that could not are words for `dropped`, each with ";"
 *        after what it has already; else the first of them fails with -ENOTSUP.
 */
int rlimits_check(const struct container_spec *spec, char *dropped, size_t size, struct err *err);

/* rlimits_set - in the child: a default of ours, or with best-effort any, is lowered to what is
 * allowed; of the others each is set, or it fails. */
int rlimits_set(
	const struct container_spec *spec, const struct process_spec *process, struct err *err);

#endif
