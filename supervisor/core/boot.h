/* The first second of a machine, and its last ones: what only process 1 does. */
#ifndef BERTH_CORE_BOOT_H
#define BERTH_CORE_BOOT_H

#include <stdbool.h>

#include "supervisor/base/err.h"
#include "supervisor/base/log.h"
#include "supervisor/core/supervisor.h"
#include "supervisor/core/watchdog.h"

/* What the kernel's command line asks of us: berth.config= berth.log_level= berth.rescue ip=. */
struct boot_request {
	char config_dir[256]; /* "": the usual places */
	char ip[512];         /* what follows each "ip=", and a blank */
	enum log_level log_level;
	bool log_level_given;
	bool rescue;
};

/* The very first: /proc, without which nothing can be found out. Harmless to repeat. */
void boot_proc(void);

/*
 * boot_early - from the kernel's hands to a system in which a supervisor can be opened
 *
 * Mounts what the kernel offers, moves an initramfs to a root that can be pivoted away from, opens
 * console and kmsg, loads modules, brings up lo, sets the host name. Where the kernel has given a link an
 * address already, its ip= is done: ret->ip is empty then. Nothing in here ends the boot:
 * what fails is logged, and a machine with half of it is still better than a panic.
 */
void boot_early(struct boot_request *ret);

/* The words of a command line, pure. */
void boot_parse(const char *command_line, struct boot_request *ret);

/*
 * boot_rescue - a shell on the console, started again when it ends, until a signal asks for an end
 *
 * The watchdog is fed meanwhile, orphans are reaped. Gives the end that
 * was asked for; SHUTDOWN_NONE: try again (SIGHUP), for the configuration may be mended.
 */
enum shutdown_kind boot_rescue(const char *why, struct watchdog *watchdog);

/* The signals of process 1, as busybox's tools send them; SHUTDOWN_NONE: not one of them. */
enum shutdown_kind boot_signal(int signal);

/*
 * boot_end - the last thing: everything that still runs is asked, then killed; file systems are
 * unmounted, what cannot be is made read-only; then the machine ends. Does not return.
 */
_Noreturn void boot_end(enum shutdown_kind kind, struct watchdog *watchdog);

#endif
