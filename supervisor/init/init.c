/*
 * berth-init: process 1 of a container with RunInit=. Runs the program it is given, hands every
 * signal on to it, reaps what is orphaned, and ends as the program ended (128+n for signal n).
 * Without a program it holds the container open until SIGTERM or SIGINT.
 *
 * All signals are blocked and taken by rt_sigtimedwait(2). That is also what makes them arrive: the
 * kernel drops what a process 1 neither handles nor blocks. It sleeps until something happens.
 *
 * Called "berth-mount" it keeps a file system that is mounted: it ends when somebody else unmounts
 * that or its server dies, and unmounts it itself when it is asked to end.
 *
 * Called "berth-proxy" it publishes the ports of a container: proxy.c.
 *
 * No C library: it runs in images that have none, or another one. So this room alone speaks to the
 * kernel by hand.
 */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/init/kernel.h"
#include "supervisor/init/proxy.h"

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call init_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n"
	"	mov x29, #0\n"
	"	mov x0, sp\n"
	"	bl init_main\n");
#elif defined(__riscv)
__asm__(".globl _start\n_start:\n"
	"	mv a0, sp\n"
	"	andi sp, sp, -16\n"
	"	call init_main\n");
#elif defined(__arm__)
__asm__(".globl _start\n_start:\n"
	"	mov r0, sp\n"
	"	bic sp, sp, #7\n"
	"	bl init_main\n");
#else
#error "supervisor/init/init.c: write _start for this architecture"
#endif

enum {
	KERNEL_SIG_INT = 2,
	KERNEL_SIG_TERM = 15,
	KERNEL_SIG_CHLD = 17,
	KERNEL_SIG_TTIN = 21,
	KERNEL_SIG_TTOU = 22,
};
enum { SET_BLOCK = 0, SET_MASK = 2, SET_SIZE = 8 };
enum { WAIT_NOHANG = 1, SET_NAME = 15, SUBREAPER = 36, SET_FOREGROUND = 0x5410 };
enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127, EXIT_OWN = 125, EXIT_SIGNAL = 128 };

/* The compiler may call these whatever it is told. */
void *memset(void *to, int byte, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int byte, size_t n)
{
	volatile unsigned char *p = to;

	while (n--)
		*p++ = (unsigned char)byte;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	volatile unsigned char *p = to;
	const unsigned char *q = from;

	while (n--)
		*p++ = *q++;
	return to;
}

/* The value of PATH, or what a C library would take without one. */
static const char *search_path(char **env)
{
	for (; *env; env++)
		if ((*env)[0] == 'P' && (*env)[1] == 'A' && (*env)[2] == 'T' && (*env)[3] == 'H' &&
			(*env)[4] == '=')
			return *env + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* "DIR/NAME" for the next directory of *path; false when there is none or it is too long. */
static int candidate(const char **path, const char *name, char *ret, size_t size)
{
	size_t n = 0;

	while (**path && **path != ':' && n + 2 < size)
		ret[n++] = *(*path)++;
	if (**path == ':')
		(*path)++;
	if (n == 0)
		ret[n++] = '.';
	ret[n++] = '/';
	while (*name && n + 1 < size)
		ret[n++] = *name++;
	ret[n] = '\0';
	return !*name;
}

static int has_slash(const char *name)
{
	while (*name && *name != '/')
		name++;
	return *name == '/';
}

/* Never returns from a success. -ENOENT only when it was nowhere; any other reason is kept. */
static long run(char **argv, char **env)
{
	char file[4096];
	const char *path = search_path(env);
	long worst = -ENOENT;

	if (has_slash(argv[0]))
		return CALL(execve, argv[0], argv, env, 0, 0);
	while (*path) {
		long r;

		if (!candidate(&path, argv[0], file, sizeof file))
			continue;
		r = CALL(execve, file, argv, env, 0, 0);
		if (r != -ENOENT && r != -ENOTDIR)
			worst = r;
	}
	return worst;
}

/* A group of its own, in the foreground of the terminal if there is one: so that Ctrl-C goes to the
 * program once, by the kernel, and not a second time through here. SIGTTOU is blocked meanwhile. */
static void take_foreground(void)
{
	long fd;
	int group;

	(void)CALL(setpgid, 0, 0, 0, 0, 0);
	fd = CALL(openat, AT_FDCWD, "/dev/tty", O_RDWR | O_CLOEXEC, 0, 0);
	if (fd < 0)
		return;
	group = (int)CALL(getpid, 0, 0, 0, 0, 0);
	(void)CALL(ioctl, fd, SET_FOREGROUND, &group, 0, 0);
	(void)CALL(close, fd, 0, 0, 0, 0);
}

static void __attribute__((noreturn)) child(char **argv, char **env, const uint64_t *mask)
{
	long r;

	take_foreground();
	(void)CALL(rt_sigprocmask, SET_MASK, mask, 0, SET_SIZE, 0);
	r = run(argv, env);
	say("berth-init: cannot run ");
	say(argv[0]);
	say(r == -ENOENT || r == -ENOTDIR ? ": not found\n"
		: r == -EACCES            ? ": permission denied\n"
					  : ": exec failed\n");
	leave(r == -ENOENT || r == -ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Reaps all there is to reap. Gives the wait status of `main_pid`, or -1 while it runs; *ret_others: how
 * many that are not that one. */
static int reap(long main_pid, int *ret_others)
{
	int result = -1;

	for (;;) {
		int status = 0;
		long pid = CALL(wait4, -1, &status, WAIT_NOHANG, 0, 0);

		if (pid == -EINTR)
			continue;
		if (pid <= 0)
			return result;
		if (pid == main_pid)
			result = status;
		else
			++*ret_others;
	}
}

static void __attribute__((noreturn)) watch(long main_pid, const uint64_t *all)
{
	for (;;) {
		long sig = CALL(rt_sigtimedwait, all, 0, 0, SET_SIZE, 0);
		int others = 0;
		int status;

		if (sig == KERNEL_SIG_CHLD) {
			status = reap(main_pid, &others);
			if (status >= 0)
				leave(status & 0x7f ? EXIT_SIGNAL + (status & 0x7f)
						    : status >> 8 & 0xff);
		} else if (main_pid == 0) {
			if (sig == KERNEL_SIG_TERM || sig == KERNEL_SIG_INT)
				leave(0);
		} else if (sig > 0 && sig != KERNEL_SIG_TTIN && sig != KERNEL_SIG_TTOU) {
			(void)CALL(kill, main_pid, sig, 0, 0, 0);
		}
	}
}

/* ---- berth-mount WHERE ID FLAGS ------------------------------------------------------------------ */

enum { POLL_IN = 1, POLL_PRI = 2, SECOND = 1000000000, MOMENT = 50000000 };
enum { DETACH = 2, FORCE_SYNC = 0x2000, BASIC_STATS = 0x7ff };

struct poll_one {
	int fd;
	short events, revents;
};

/* Does a line of mountinfo begin with this number? */
static int is_mounted(long file, long id)
{
	char buf[2048];
	long here = 0;
	int field = 1;
	long n;

	(void)CALL(lseek, file, 0, 0, 0, 0);
	while ((n = CALL(read, file, buf, sizeof buf, 0, 0)) > 0) {
		for (long i = 0; i < n; i++) {
			if (buf[i] == '\n') {
				field = 1;
				here = 0;
			} else if (field && buf[i] == ' ') {
				if (here == id)
					return 1;
				field = 0;
			} else if (field) {
				here = 10 * here + (buf[i] - '0');
			}
		}
	}
	return n < 0;
}

/* Tries until it is unmounted: whoever uses it is told to end too, and may need a moment. The
 * supervisor ends us when its patience is over. */
static void __attribute__((noreturn)) unmount(const char *where, long flags)
{
	long pause[2] = { 0, MOMENT }; /* struct timespec, of the kernel */
	int said = 0;

	for (;;) {
		long r = CALL(umount2, where, flags, 0, 0, 0);

		if (r == 0 || r == -EINVAL || r == -ENOENT)
			leave(0);
		if (r != -EBUSY) {
			say("berth-mount: cannot unmount ");
			say(where);
			say("\n");
			leave(1);
		}
		if (!said)
			say("berth-mount: still in use: ");
		if (!said)
			say(where);
		if (!said)
			say("\n");
		said = 1;
		(void)CALL(ppoll, 0, 0, pause, 0, SET_SIZE);
		if (pause[1] < SECOND / 2)
			pause[1] *= 2;
	}
}

/*
 * A server of FUSE that mount.TYPE has left behind is our child, and mountinfo says nothing of its death.
 * After the death of any child another one asks the root for its attributes, for who asks may be kept
 * waiting for ever; that one's end is the answer.
 */
static long ask(const char *where)
{
	char attributes[256]; /* struct statx */
	long pid = CALL(clone, KERNEL_SIG_CHLD, 0, 0, 0, 0);

	if (pid == 0)
		leave(CALL(statx, AT_FDCWD, where, FORCE_SYNC, BASIC_STATS, attributes) ==
			-ENOTCONN);
	return pid;
}

static void look_at_children(char **argv, long *asked)
{
	int others = 0;
	int status = reap(*asked, &others);

	if (status >= 0)
		*asked = 0;
	if (status == 1 << 8) {
		say("berth-mount: its server is dead: unmounting ");
		say(argv[1]);
		say("\n");
		(void)CALL(umount2, argv[1], number(argv[3]) | DETACH, 0, 0, 0);
		leave(2);
	}
	if (others && *asked <= 0)
		*asked = ask(argv[1]);
}

/* mountinfo says when anything is mounted or unmounted (proc(5)); nothing else wakes us but signals. */
static void __attribute__((noreturn)) keep(char **argv, const uint64_t *all)
{
	long info = CALL(openat, AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC, 0, 0);
	long signals = CALL(signalfd4, -1, all, SET_SIZE, O_CLOEXEC, 0);
	struct poll_one fds[2] = { { (int)signals, POLL_IN, 0 }, { (int)info, POLL_PRI, 0 } };
	uint32_t signal[32];
	long asked = 0;

	(void)CALL(prctl, SET_NAME, "berth-mount", 0, 0, 0);
	for (;;) {
		if (info >= 0 && !is_mounted(info, number(argv[2]))) {
			say("berth-mount: somebody else has unmounted ");
			say(argv[1]);
			say("\n");
			leave(1);
		}
		fds[0].revents = 0;
		(void)CALL(ppoll, fds, 2, 0, 0, SET_SIZE);
		if (!(fds[0].revents & POLL_IN) ||
			CALL(read, signals, signal, sizeof signal, 0, 0) <= 0)
			continue;
		if (signal[0] == KERNEL_SIG_CHLD)
			look_at_children(argv, &asked);
		if (signal[0] == KERNEL_SIG_TERM || signal[0] == KERNEL_SIG_INT)
			unmount(argv[1], number(argv[3]));
	}
}

static int is_called(const char *name, const char *wanted)
{
	while (*name && *name == *wanted) {
		name++;
		wanted++;
	}
	return *name == *wanted;
}

void init_main(long *stack) __attribute__((noreturn, used));
void init_main(long *stack)
{
	const uint64_t all = ~UINT64_C(0);
	const uint64_t default_action[8] = { 0 };
	char **argv = (char **)(stack + 1);
	char **env = argv + stack[0] + 1;
	uint64_t mask = 0;
	long pid = 0;

	if (is_called(argv[0], "berth-proxy"))
		proxy_main(argv + 1);
	/* What ps shows; the program came from a memfd, which has no name to show. */
	(void)CALL(prctl, SET_NAME, "berth-init", 0, 0, 0);
	/* An inherited "ignore SIGCHLD" would reap the program unseen. */
	(void)CALL(rt_sigaction, KERNEL_SIG_CHLD, default_action, 0, SET_SIZE, 0);
	(void)CALL(rt_sigprocmask, SET_BLOCK, &all, &mask, SET_SIZE, 0);
	if (stack[0] == 4 && is_called(argv[0], "berth-mount"))
		keep(argv, &all);
	/* Of no effect for process 1, who gets the orphans anyway. */
	(void)CALL(prctl, SUBREAPER, 1, 0, 0, 0);
	if (stack[0] > 1) {
		pid = CALL(clone, KERNEL_SIG_CHLD, 0, 0, 0, 0);
		if (pid == 0)
			child(argv + 1, env, &mask);
		if (pid < 0) {
			say("berth-init: cannot fork\n");
			leave(EXIT_OWN);
		}
	}
	watch(pid, &all);
}
