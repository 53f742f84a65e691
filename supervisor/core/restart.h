/* When a service that ended is started again, and after how long. Pure. */
#ifndef BERTH_CORE_RESTART_H
#define BERTH_CORE_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "config/unit.h"
#include "supervisor/core/supervisor.h"

/* Why a run ended, or could not begin. */
enum end_reason {
	END_NONE,
	END_EXIT,       /* of its own accord, or killed by somebody else: see struct service_exit */
	END_STOP,       /* we were asked to stop it */
	END_SETUP,      /* it did not come as far as exec */
	END_SUPERVISOR, /* we could not start it: out of processes, memory, descriptors */
	END_TIMEOUT,    /* not ready within TimeoutStartSec= */
	END_UNHEALTHY,  /* HealthRetries= probes in a row failed */
	END_DEPENDENCY, /* a unit that it Requires= failed */
	END_REFUSED,    /* this machine cannot enforce what was written: no try will go better */
	END_REASON_COUNT,
};

/* Did it end well: exit code 0 or one of SuccessExitStatus=; by HUP, INT, PIPE or TERM, when it is
 * no oneshot (systemd.service(5), Restart=). A status that nobody knows is not success. */
bool exit_is_clean(const struct service_spec *spec, const struct service_exit *last);

/* Does Restart= (and RestartPreventExitStatus=) ask for another run? END_STOP, END_DEPENDENCY, END_REFUSED: no;
 * END_SUPERVISOR: always, for it is no fault of the service. */
bool restart_asked(
	const struct service_spec *spec, enum end_reason reason, const struct service_exit *last);

/*
 * restart_delay - before the next try
 *
 * `failures`: early deaths in a row before this one. RestartSec= grows to RestartMaxDelaySec= in
 * RestartSteps= equal factors, and stays there. RestartSec=0 counts as 1 ms: no tight loop.
 */
uint64_t restart_delay(const struct service_spec *spec, uint32_t failures);
/* That, up to 10 % shorter or longer, by a number that differs for each service and each try, so
 * that a hundred services which died together do not come back in step. */
uint64_t restart_delay_jittered(const struct service_spec *spec, uint32_t failures, uint64_t seed);

#endif
