#include "supervisor/base/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/num.h"

enum { RT_FIRST = 34, RT_LAST = 64 }; /* 32 and 33 belong to libc's threads */

#define ROW(name) [name] = #name

static const char *const names[RT_FIRST] = {
	ROW(SIGHUP),
	ROW(SIGINT),
	ROW(SIGQUIT),
	ROW(SIGILL),
	ROW(SIGTRAP),
	ROW(SIGABRT),
	ROW(SIGBUS),
	ROW(SIGFPE),
	ROW(SIGKILL),
	ROW(SIGUSR1),
	ROW(SIGSEGV),
	ROW(SIGUSR2),
	ROW(SIGPIPE),
	ROW(SIGALRM),
	ROW(SIGTERM),
	ROW(SIGSTKFLT),
	ROW(SIGCHLD),
	ROW(SIGCONT),
	ROW(SIGSTOP),
	ROW(SIGTSTP),
	ROW(SIGTTIN),
	ROW(SIGTTOU),
	ROW(SIGURG),
	ROW(SIGXCPU),
	ROW(SIGXFSZ),
	ROW(SIGVTALRM),
	ROW(SIGPROF),
	ROW(SIGWINCH),
	ROW(SIGIO),
	ROW(SIGPWR),
	ROW(SIGSYS),
};

#define UP(n)   [n] = "SIGRTMIN+" #n
#define DOWN(n) [RT_LAST - RT_FIRST - (n)] = "SIGRTMAX-" #n

/* As kill -l prints them: counted from the nearer end. */
static const char *const rt_names[RT_LAST - RT_FIRST + 1] = {
	[0] = "SIGRTMIN",
	UP(1),
	UP(2),
	UP(3),
	UP(4),
	UP(5),
	UP(6),
	UP(7),
	UP(8),
	UP(9),
	UP(10),
	UP(11),
	UP(12),
	UP(13),
	UP(14),
	UP(15),
	DOWN(14),
	DOWN(13),
	DOWN(12),
	DOWN(11),
	DOWN(10),
	DOWN(9),
	DOWN(8),
	DOWN(7),
	DOWN(6),
	DOWN(5),
	DOWN(4),
	DOWN(3),
	DOWN(2),
	DOWN(1),
	[RT_LAST - RT_FIRST] = "SIGRTMAX",
};

/* Second names that libc also knows. */
static const struct {
	const char *name;
	int number;
} aliases[] = {
	{ "IOT", SIGABRT },
	{ "POLL", SIGIO },
	{ "CLD", SIGCHLD },
};

/* "+3" after RTMIN, "-1" after RTMAX, or nothing. */
static int rt_number(int base, char sign, const char *rest)
{
	uint32_t offset = 0;

	if (*rest &&
		(*rest != sign || num_u32(rest + 1, &offset) < 0 || offset > RT_LAST - RT_FIRST))
		return -EINVAL;
	return sign == '+' ? base + (int)offset : base - (int)offset;
}

int signal_from_name(const char *name)
{
	uint32_t number;

	if (num_u32(name, &number) == 0)
		return number >= 1 && number <= RT_LAST ? (int)number : -EINVAL;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	if (strncasecmp(name, "RTMIN", 5) == 0)
		return rt_number(RT_FIRST, '+', name + 5);
	if (strncasecmp(name, "RTMAX", 5) == 0)
		return rt_number(RT_LAST, '-', name + 5);
	for (int i = 1; i < RT_FIRST; i++)
		if (names[i] && strcasecmp(name, names[i] + 3) == 0)
			return i;
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (strcasecmp(name, aliases[i].name) == 0)
			return aliases[i].number;
	return -EINVAL;
}

const char *signal_name(int number)
{
	if (number >= RT_FIRST && number <= RT_LAST)
		return rt_names[number - RT_FIRST];
	return number > 0 && number < RT_FIRST ? names[number] : NULL;
}

void signals_default(void)
{
	/* The kernel's struct, whose handler comes first; zeros: SIG_DFL, no flags, no mask. */
	static const unsigned long default_action[16];
	unsigned long action[16];

	for (int i = 1; i <= RT_LAST; i++)
		if (syscall(SYS_rt_sigaction, i, NULL, action, RT_LAST / 8) == 0 &&
			action[0] == (unsigned long)SIG_IGN)
			(void)syscall(SYS_rt_sigaction, i, default_action, NULL, RT_LAST / 8);
}
