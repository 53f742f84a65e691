/* What the verbs share that stay: supervise, init, run. */
#ifndef BERTH_CMD_RESIDENT_H
#define BERTH_CMD_RESIDENT_H

#include "supervisor/core/supervisor.h"
#include "supervisor/core/watchdog.h"

/* berth's program file becomes unreachable for the containers that its processes enter: seal.h. The
 * process begins anew, once. What cannot be sealed is logged: an old kernel is no reason not to run. */
void resident_seal(void);

/* To systemd, when we are its Type=notify service: "READY=1", "STOPPING=1". Harmless otherwise. */
void resident_notify(const char *text);

/*
 * resident_run - turn a supervisor (taken) and answer the verbs; after a reload, the next one
 *
 * `options` are those it was opened with; `watchdog`: NULL, or process 1's, fed from each loop.
 * Gives: the kind of the end, with everything closed.
 * Fails: what a reload led to cannot be opened, with words; what runs goes on.
 */
int resident_run(struct supervisor *sv, const struct supervisor_options *options,
	struct watchdog *watchdog, enum shutdown_kind *ret, struct err *err);

#endif
