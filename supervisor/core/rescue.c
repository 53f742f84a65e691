/* A shell on the console, for when nothing else can be had; the machine stays manageable and alive. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"
#include "supervisor/core/boot.h"

enum { RESPAWN_DELAY_SEC = 1 };

struct rescue {
	struct loop *loop;
	pid_t shell;
	struct loop_timer respawn;
	enum shutdown_kind end;
};

static const char *const shells[] = { "/bin/sh", "/bin/bash", "/bin/busybox" };

/* In the child: a session of its own on the console, which job control and Ctrl-C need. */
static _Noreturn void become_shell(void)
{
	int console = open("/dev/console", O_RDWR | O_NOCTTY);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	if (console >= 0) {
		(void)ioctl(console, TIOCSCTTY, 1);
		for (int i = 0; i < 3; i++)
			(void)dup2(console, i);
	}
	for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
		(void)execl(shells[i], "sh", "-i", (char *)NULL);
	(void)dprintf(
		2, "berth: no shell here: /bin/sh, /bin/bash, /bin/busybox: %s\n", strerror(errno));
	_exit(127);
}

static void start_shell(struct loop *loop, void *data)
{
	struct rescue *rescue = data;

	rescue->shell = fork();
	if (rescue->shell == 0) {
		loop_forget(rescue->loop);
		become_shell();
	}
	if (rescue->shell < 0) {
		log_error("start the rescue shell: %s", strerror(errno));
		(void)loop_timer_set(loop, &rescue->respawn,
			clock_monotonic() + RESPAWN_DELAY_SEC * NSEC_PER_SEC);
	}
}

/* Everything that dies is ours to reap; a shell that ended is started again, not in a tight loop. */
static void reap(struct rescue *rescue)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		if (pid == rescue->shell)
			(void)loop_timer_set(rescue->loop, &rescue->respawn,
				clock_monotonic() + RESPAWN_DELAY_SEC * NSEC_PER_SEC);
}

static void on_signal(struct loop *loop, int signal, pid_t pid, void *data)
{
	struct rescue *rescue = data;

	(void)pid;
	if (signal == SIGCHLD) {
		reap(rescue);
		return;
	}
	rescue->end = boot_signal(signal);
	if (rescue->end != SHUTDOWN_NONE || signal == SIGHUP)
		loop_stop(loop, 0);
}

enum shutdown_kind boot_rescue(const char *why, struct watchdog *watchdog)
{
	struct rescue rescue = { .respawn = { .fn = start_shell, .data = &rescue } };
	struct err err = { 0 };

	if (loop_new(&rescue.loop, &err) < 0) {
		log_error("rescue: %s", err.text);
		return SHUTDOWN_REBOOT;
	}
	(void)dprintf(STDERR_FILENO,
		"\nberth: rescue: %s\n"
		"berth: this is a shell on the console; the watchdog is fed. When it is mended:\n"
		"berth: kill -HUP 1 tries again, kill -TERM 1 reboots, kill -USR2 1 powers "
		"off.\n\n",
		why);
	watchdog_feed_from(watchdog, rescue.loop);
	loop_on_signal(rescue.loop, on_signal, &rescue);
	start_shell(rescue.loop, &rescue);
	(void)loop_run(rescue.loop);
	loop_timer_cancel(rescue.loop, &rescue.respawn);
	watchdog_stop(watchdog, rescue.loop);
	loop_free(rescue.loop);
	if (rescue.shell > 0)
		(void)kill(rescue.shell, SIGKILL);
	return rescue.end;
}
