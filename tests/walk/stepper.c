/*
 * Runs a command under ptrace and, at the k-th system call after a trigger, kills it or makes that
 * call fail.
 *
 *   stepper -k K OUT COMMAND…          SIGKILL to COMMAND before its k-th call (0: only counts)
 *   stepper -k K -e ERRNO OUT COMMAND… the k-th call made by COMMAND's children, before they exec,
 *                                      returns -ERRNO instead of happening (0: only counts)
 *   -o: with -e, the calls of COMMAND itself are meant.
 *   ERRNO -9: instead of failing, that child is killed there; -1: the shell script OUT.do is run first,
 *   and the call happens.
 *   -n: the trigger is the start of COMMAND. Otherwise it is SIGUSR1, which may come again: it counts
 *   anew, and takes K and ERRNO from the file OUT.next when there is one.
 *
 * SIGUSR2 (again, if it comes too early) and the end write "pid=… calls=… hit=NAME" to OUT, NAME with "loader:" before
 * it when the dynamic loader made the call. The exit code says nothing.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRACEES = 256 };
/* In place of an errno value. */
enum { INSTEAD_KILL = -9, INSTEAD_RUN = -1 };

static struct tracee {
	pid_t pid;
	bool begun;    /* its first stop was seen */
	bool old;      /* it was there before the trigger */
	bool inside;   /* between a call's entry and its exit */
	bool injected; /* this call was taken away */
} tracees[TRACEES];

static volatile sig_atomic_t armed, triggered, asked;
static long calls, target, error;
static bool own, at_start;
static pid_t resident;
static const char *out_path;
static char hit[64] = "-";

static void tell(void)
{
	FILE *out = fopen(out_path, "we");

	asked = 0;
	if (!out)
		return;
	(void)fprintf(out, "pid=%d calls=%ld hit=%s\n", (int)resident, calls, hit);
	(void)fclose(out);
}

static void on_signal(int signal)
{
	if (signal == SIGUSR1)
		triggered = 1;
	else
		asked = 1;
}

static struct tracee *tracee_of(pid_t pid)
{
	struct tracee *free_slot = NULL;

	for (int i = 0; i < TRACEES; i++) {
		if (tracees[i].pid == pid)
			return &tracees[i];
		if (!tracees[i].pid && !free_slot)
			free_slot = &tracees[i];
	}
	if (!free_slot) {
		(void)fprintf(stderr, "stepper: more than %d children\n", TRACEES);
		exit(2);
	}
	*free_slot = (struct tracee){ .pid = pid };
	return free_slot;
}

/* What ends or gives back cannot fail in a way that a program could answer. */
static bool is_failable(long nr)
{
	static const long never[] = { SYS_exit, SYS_exit_group, SYS_close, SYS_close_range,
		SYS_munmap, SYS_brk, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigaction,
		SYS_futex, SYS_getpid, SYS_gettid, SYS_geteuid, SYS_umask, SYS_restart_syscall };

	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		if (never[i] == nr)
			return false;
	return true;
}

/* Is the code at that address the dynamic loader's? */
static bool is_loader(pid_t pid, uint64_t address)
{
	char line[512];
	FILE *maps;
	bool is = false;

	(void)snprintf(line, sizeof line, "/proc/%d/maps", (int)pid);
	maps = fopen(line, "re");
	while (maps && !is && fgets(line, sizeof line, maps)) {
		char *rest = line;
		uint64_t from = strtoull(line, &rest, 16);
		uint64_t to = strtoull(rest + 1, NULL, 16);

		is = address >= from && address < to && strstr(line, "/ld-");
	}
	if (maps)
		(void)fclose(maps);
	return is;
}

static void remember(pid_t pid, const struct __ptrace_syscall_info *call)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)call->entry.nr);

	(void)snprintf(hit, sizeof hit, "%s%s",
		is_loader(pid, call->instruction_pointer) ? "loader:" : "",
		name ? name : "unknown");
	free(name);
}

/* Before the call: no such call. After it: the error. */
static void rewrite(pid_t pid, bool entry)
{
#if defined __x86_64__
	struct user_regs_struct regs;
	struct iovec io = { &regs, sizeof regs };

	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &io) < 0)
		return;
	if (entry)
		regs.orig_rax = ~0ULL;
	else
		regs.rax = (unsigned long long)-error;
	(void)ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &io);
#else
	(void)pid;
	(void)entry;
#endif
}

/* The one that is stopped waits meanwhile. */
static void run_script(void)
{
	char path[512];
	pid_t pid = fork();

	(void)snprintf(path, sizeof path, "%s.do", out_path);
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", path, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Every trigger begins anew, with "K ERRNO" of OUT.next when there is one. */
static void begin(void)
{
	char path[512];
	FILE *in;

	(void)snprintf(path, sizeof path, "%s.next", out_path);
	in = fopen(path, "re");
	if (in) {
		char line[64] = "";
		char *rest = line;

		if (fgets(line, sizeof line, in)) {
			target = strtol(line, &rest, 10);
			error = strtol(rest, NULL, 10);
		}
		(void)fclose(in);
	}
	for (int i = 0; i < TRACEES; i++)
		tracees[i].old = true;
	triggered = 0;
	armed = 1;
	calls = 0;
	(void)snprintf(hit, sizeof hit, "-");
	tell();
}

/* Is it one whose calls are meant? */
static bool is_counted(const struct tracee *t)
{
	if (!armed)
		return false;
	return error && !own ? t->pid != resident && !t->old : t->pid == resident;
}

static void on_call(struct tracee *t)
{
	struct __ptrace_syscall_info info;
	bool entry = !t->inside;
	long nr;

	t->inside = entry;
	if (!entry && t->injected) {
		rewrite(t->pid, false);
		t->injected = false;
	}
	if (triggered)
		begin();
	if (!entry || !is_counted(t) ||
		ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, sizeof info, &info) < 0)
		return;
	nr = (long)info.entry.nr;
	if (error && !is_failable(nr))
		return;
	calls++;
	if (calls != target)
		return;
	remember(t->pid, &info);
	if (error == INSTEAD_KILL) {
		(void)kill(t->pid, SIGKILL);
	} else if (error == INSTEAD_RUN) {
		run_script();
	} else if (error) {
		rewrite(t->pid, true);
		t->injected = true;
	} else {
		(void)kill(resident, SIGKILL);
	}
}

/* One stop: which signal it goes on with, or -1 when it was let go. */
static int on_stop(struct tracee *t, int status)
{
	int signal = WSTOPSIG(status);
	int event = status >> 16;

	if (signal == (SIGTRAP | 0x80)) {
		t->begun = true;
		on_call(t);
		return 0;
	}
	if (event == PTRACE_EVENT_EXEC) {
		/* A payload is none of ours; nor are helpers that are programs of their own. */
		if (t->pid == resident) {
			armed |= at_start;
			return 0;
		}
		(void)ptrace(PTRACE_DETACH, t->pid, NULL, NULL);
		t->pid = 0;
		return -1;
	}
	if (event)
		return 0;
	if (!t->begun && signal == SIGSTOP) {
		t->begun = true;
		return 0;
	}
	return signal;
}

static void trace(void)
{
	for (;;) {
		struct tracee *t;
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);
		int with;

		if (asked)
			tell();
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return;
		t = tracee_of(pid);
		if (!WIFSTOPPED(status)) {
			t->pid = 0;
			if (pid == resident)
				return;
			continue;
		}
		with = on_stop(t, status);
		if (with >= 0)
			(void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)with);
	}
}

int main(int argc, char **argv)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	struct sigaction act = { .sa_handler = on_signal };
	int c, status;

	while ((c = getopt(argc, argv, "+k:e:no")) != -1)
		if (c == 'k')
			target = strtol(optarg, NULL, 10);
		else if (c == 'e')
			error = strtol(optarg, NULL, 10);
		else if (c == 'n')
			at_start = true;
		else if (c == 'o')
			own = true;
		else
			return 2;
	if (argc - optind < 2)
		return 2;
	out_path = argv[optind];
	resident = fork();
	if (resident == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		(void)raise(SIGSTOP);
		(void)execvp(argv[optind + 1], argv + optind + 1);
		_exit(127);
	}
	/* Without SA_RESTART: waiting is interrupted. */
	(void)sigaction(SIGUSR1, &act, NULL);
	(void)sigaction(SIGUSR2, &act, NULL);
	if (resident < 0 || waitpid(resident, &status, 0) < 0)
		return 2;
	tracee_of(resident)->begun = true;
	if (error)
		options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
	(void)ptrace(PTRACE_SETOPTIONS, resident, NULL, (void *)options);
	tell();
	(void)ptrace(PTRACE_SYSCALL, resident, NULL, NULL);
	trace();
	tell();
	return 0;
}
