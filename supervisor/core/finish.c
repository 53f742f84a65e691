/*
 * The end of a machine. The supervisor has stopped what it knows, in order; this is for the rest:
 * what others started, and what is mounted. No step may hang for ever and none may end the sequence;
 * the watchdog is armed for the whole of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/core/boot.h"

enum { TERM_WAIT_MS = 3000, KILL_WAIT_MS = 2000, ROUNDS_MAX = 16, MOUNTINFO_SIZE = 1 << 20 };

#define WATCHDOG_AT_END (120 * NSEC_PER_SEC)

/* Until nobody is left, at most `ms`; returns early. ECHILD: all are gone. */
static bool wait_for_all(unsigned ms)
{
	uint64_t end = clock_monotonic() + ms * NSEC_PER_MSEC;

	while (clock_monotonic() < end) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return true;
		if (pid == 0)
			(void)usleep(20000);
	}
	return false;
}

static void end_processes(void)
{
	(void)kill(-1, SIGTERM);
	(void)kill(-1, SIGCONT);
	if (wait_for_all(TERM_WAIT_MS))
		return;
	log_notice("some processes did not end on SIGTERM; killing them");
	(void)kill(-1, SIGKILL);
	(void)wait_for_all(KILL_WAIT_MS);
}

/* The mount points of mountinfo (proc(5): the fifth field), unescaped in place, the newest last. */
static size_t mount_points(char *text, char **ret, size_t max)
{
	size_t n = 0;

	for (char *line = strtok(text, "\n"); line && n < max; line = strtok(NULL, "\n")) {
		char *field = line;
		char *out;

		for (int i = 0; field && i < 4; i++) {
			field = strchr(field, ' ');
			field += field != NULL;
		}
		if (!field)
			continue;
		field[strcspn(field, " ")] = '\0';
		ret[n++] = out = field;
		for (; *field; field++)
			if (field[0] == '\\' && field[1] && field[2] && field[3]) {
				*out++ = (char)strtol(
					(char[]){ field[1], field[2], field[3], '\0' }, NULL, 8);
				field += 3;
			} else {
				*out++ = *field;
			}
		*out = '\0';
	}
	return n;
}

static bool is_kept(const char *path)
{
	return strcmp(path, "/") == 0 || strncmp(path, "/proc", 5) == 0 ||
	       strncmp(path, "/sys", 4) == 0 || strncmp(path, "/dev", 4) == 0;
}

/* One round, the newest mount first: how many could be unmounted. */
static unsigned unmount_round(bool last)
{
	own_mem char *text = malloc(MOUNTINFO_SIZE);
	char *points[1024];
	unsigned done = 0;
	size_t n;

	if (!text || file_read_at(AT_FDCWD, "/proc/self/mountinfo", text, MOUNTINFO_SIZE) < 0)
		return 0;
	n = mount_points(text, points, sizeof points / sizeof points[0]);
	while (n-- > 0) {
		if (is_kept(points[n]))
			continue;
		if (umount2(points[n], UMOUNT_NOFOLLOW) == 0)
			done++;
		else if (last)
			log_warning("unmount %s: %s", points[n], strerror(errno));
	}
	return done;
}

static void end_mounts(void)
{
	for (int i = 0; i < ROUNDS_MAX && unmount_round(false); i++)
		continue;
	(void)unmount_round(true);
	sync();
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0 && errno != EINVAL)
		log_warning("remount / read-only: %s", strerror(errno));
	sync();
}

static const struct {
	unsigned how; /* reboot(2) */
	const char *words;
} endings[] = {
	[SHUTDOWN_POWEROFF] = { RB_POWER_OFF, "powering off" },
	[SHUTDOWN_REBOOT] = { RB_AUTOBOOT, "rebooting" },
	[SHUTDOWN_HALT] = { RB_HALT_SYSTEM, "halting" },
};

_Noreturn void boot_end(enum shutdown_kind kind, struct watchdog *watchdog)
{
	if (kind != SHUTDOWN_POWEROFF && kind != SHUTDOWN_HALT)
		kind = SHUTDOWN_REBOOT;
	watchdog_last(watchdog, WATCHDOG_AT_END);
	log_notice("ending the remaining processes");
	end_processes();
	sync();
	log_notice("unmounting file systems");
	end_mounts();
	log_notice("%s", endings[kind].words);
	/* In a child, for the kernel may end the caller inside of it, and the end of process 1 would be
	 * a panic. In a pid namespace of its own (a test) it is the namespace that ends. */
	if (fork() == 0) {
		(void)reboot((int)endings[kind].how);
		_exit(1);
	}
	(void)wait(NULL);
	_exit(0);
}
