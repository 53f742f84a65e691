/* The hardware watchdog: fed by the loop, so that a loop that does not turn resets the machine. */
#ifndef BERTH_CORE_WATCHDOG_H
#define BERTH_CORE_WATCHDOG_H

#include <stdint.h>

#include "supervisor/core/loop.h"

struct watchdog {
	int fd; /* -1: there is none */
	uint64_t interval;
	struct loop_timer timer;
};

/*
 * watchdog_open - arm /dev/watchdog, and feed it three times in each timeout from now on
 *
 * `timeout`: nanoseconds, rounded up to seconds; 0: leave it alone. Where there is no device the
 * kernel's softdog is tried (a module may be loaded: blocks on the disk). A device that is not there, or
 * that another process feeds, is logged, not failed.
 */
void watchdog_open(struct watchdog *watchdog, uint64_t timeout);
/* Once now, then from this loop. Stop before the loop goes; it stays armed. */
void watchdog_feed_from(struct watchdog *watchdog, struct loop *loop);
void watchdog_stop(struct watchdog *watchdog, struct loop *loop);
/* The last feeding: from now it bites after `timeout`. It is never disarmed: a shutdown that hangs
 * ends in a reset. */
void watchdog_last(struct watchdog *watchdog, uint64_t timeout);

#endif
