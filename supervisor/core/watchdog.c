#include "supervisor/core/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/log.h"
#include "supervisor/core/modules.h"

static void set_timeout(struct watchdog *watchdog, uint64_t timeout)
{
	int seconds = (int)((timeout + NSEC_PER_SEC - 1) / NSEC_PER_SEC);

	/* It gives back what the hardware can do. */
	if (ioctl(watchdog->fd, WDIOC_SETTIMEOUT, &seconds) < 0)
		log_warning("set the watchdog's timeout: %s", strerror(errno));
	if (seconds < 1)
		seconds = 1;
	watchdog->interval = (unsigned)seconds * NSEC_PER_SEC / 3;
}

void watchdog_open(struct watchdog *watchdog, uint64_t timeout)
{
	struct err err = { 0 };

	watchdog->fd = -1;
	if (!timeout)
		return;
	watchdog->fd = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
	/* The kernel's own one cannot see the kernel hang, but it sees us hang. */
	if (watchdog->fd < 0 && errno == ENOENT && modules_load("softdog", &err) == 0) {
		log_notice("no driver of a hardware watchdog is loaded: softdog takes its place");
		watchdog->fd = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
	}
	if (watchdog->fd < 0) {
		log_warning("open /dev/watchdog: %s (RuntimeWatchdogSec= has no effect)",
			strerror(errno));
		return;
	}
	set_timeout(watchdog, timeout);
	log_notice(
		"the watchdog bites after %s without us", clock_span(watchdog->interval * 3).text);
}

static void feed(struct watchdog *watchdog)
{
	if (write(watchdog->fd, "", 1) < 0)
		log_error("feed the watchdog: %s", strerror(errno));
}

static void on_timer(struct loop *loop, void *data)
{
	struct watchdog *watchdog = data;

	feed(watchdog);
	(void)loop_timer_set(loop, &watchdog->timer, loop_now(loop) + watchdog->interval);
}

void watchdog_feed_from(struct watchdog *watchdog, struct loop *loop)
{
	if (watchdog->fd < 0)
		return;
	feed(watchdog);
	watchdog->timer = (struct loop_timer){ .fn = on_timer, .data = watchdog };
	(void)loop_timer_set(loop, &watchdog->timer, clock_monotonic() + watchdog->interval);
}

void watchdog_stop(struct watchdog *watchdog, struct loop *loop)
{
	if (watchdog->fd >= 0)
		loop_timer_cancel(loop, &watchdog->timer);
}

void watchdog_last(struct watchdog *watchdog, uint64_t timeout)
{
	if (watchdog->fd < 0)
		return;
	set_timeout(watchdog, timeout);
	feed(watchdog);
}
