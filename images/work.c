#include "images/work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/sealed.h"

static const char *name_of(const char *program)
{
	const char *slash = strrchr(program, '/');

	return slash ? slash + 1 : program;
}

/* What one of its two outputs has said: the line that is being read. */
struct line {
	char text[400];
	size_t used;
	bool over; /* longer than that: its rest is passed over */
};

static _Noreturn void work_exec(const struct work *work, int steps, int said, pid_t parent)
{
	char *argv[WORK_WORDS + 2] = { (char *)(uintptr_t)name_of(work->program) };
	char *const envp[] = { (char *)(uintptr_t) "LC_CTYPE=C.UTF-8", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int copy = -1;
	int code;
	sigset_t none;

	for (int i = 0; i < WORK_WORDS; i++)
		argv[1 + i] = (char *)(uintptr_t)work->words[i];
	/* Before it is another program. Where that cannot be, its own limits hold it. */
	if (work->cgroup > 0)
		(void)file_write_at(work->cgroup, "cgroup.procs", "0");
	/* Locks and half-made things are the caller's: without it, nobody would clean up. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0)
		(void)dup2(work->in >= 0 ? work->in : null, STDIN_FILENO);
	(void)dup2(steps >= 0 ? steps : null, STDOUT_FILENO);
	(void)dup2(said, STDERR_FILENO);
	if (!strchr(work->program, '/'))
		(void)execvp(work->program, argv);
	else
		(void)execve(work->program, argv, work->by_path ? environ : envp);
	code = errno;
	if (strchr(work->program, '/') && sealed_copy(work->program, &copy, NULL) == 0 &&
		copy >= 0) {
		(void)fexecve(copy, argv, work->by_path ? environ : envp);
		code = errno;
	}
	(void)dprintf(STDERR_FILENO, "exec %s: %s\n", work->program, strerror(code));
	_exit(127);
}

/* ---- what it says --------------------------------------------------------------------------------- */

/* "DONE TOTAL WHAT" */
static void step_take(const struct work *work, char *text)
{
	struct work_step step = { .what = "" };
	char *rest = text;
	const char *done = strsep(&rest, " ");
	const char *total = strsep(&rest, " ");

	if (!work->step || !total || num_u64(done, &step.done) < 0 ||
		num_u64(total, &step.total) < 0)
		return;
	if (rest)
		step.what = rest;
	work->step(work->context, &step);
}

/* One read: each whole line of it is a step. False at the end. */
static bool steps_read(const struct work *work, int fd, struct line *line)
{
	char buf[512];
	ssize_t n = read(fd, buf, sizeof buf);

	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n') {
			line->text[line->used] = '\0';
			if (!line->over)
				step_take(work, line->text);
			*line = (struct line){ 0 };
		} else if (line->used < sizeof line->text - 1) {
			line->text[line->used++] = buf[i];
		} else {
			line->over = true;
		}
	}
	return n > 0 || (n < 0 && errno == EINTR);
}

/* One read of standard error, of which the first line counts. What does not fit is read all the same:
 * a writer must not die of a closed pipe. */
static bool words_read(int fd, struct line *line)
{
	char rest[128];
	size_t room = sizeof line->text - 1 - line->used;
	ssize_t n = room ? read(fd, line->text + line->used, room) : read(fd, rest, sizeof rest);

	if (n > 0 && room)
		line->used += (size_t)n;
	return n > 0 || (n < 0 && errno == EINTR);
}

/*
 * Until both ends are closed. The first line of standard error, without its name, is left in `ret`.
 * Gives: 0, or why it may not go on; then it is told to end.
 */
static int listen_to(
	const struct work *work, pid_t pid, int steps, int said, struct line *ret, struct err *err)
{
	struct pollfd ends[2] = { { .fd = steps, .events = POLLIN },
		{ .fd = said, .events = POLLIN } };
	const char *name = name_of(work->program);
	size_t length = strlen(name);
	struct line line = { 0 };
	const char *words = ret->text;
	int stop = 0;

	while (ends[0].fd >= 0 || ends[1].fd >= 0) {
		if (poll(ends, 2, -1) < 0 && errno != EINTR)
			break;
		if (ends[0].revents && !steps_read(work, steps, &line))
			ends[0].fd = -1;
		else if (ends[0].revents && work->may_go_on && stop == 0) {
			stop = work->may_go_on(work->context, err);
			if (stop < 0)
				(void)kill(pid, SIGKILL);
		}
		if (ends[1].revents && !words_read(said, ret))
			ends[1].fd = -1;
		ends[0].revents = ends[1].revents = 0;
	}
	ret->text[ret->used] = '\0';
	ret->text[strcspn(ret->text, "\n")] = '\0';
	if (strncmp(words, name, length) == 0 && strncmp(words + length, ": ", 2) == 0)
		words += length + 2;
	memmove(ret->text, words, strlen(words) + 1);
	return stop;
}

/* ---- running it ----------------------------------------------------------------------------------- */

static int pipe_make(int *ret_in, int *ret_out, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	*ret_in = ends[0];
	*ret_out = ends[1];
	return 0;
}

int work_run(const struct work *work, struct err *err)
{
	const char *name = name_of(work->program);
	pid_t parent = getpid();
	own_fd said_in = -1, said_out = -1, steps_in = -1, steps_out = -1;
	struct line said = { 0 };
	int r = pipe_make(&said_in, &said_out, err);
	int status;
	pid_t pid;

	if (r == 0 && work->step)
		r = pipe_make(&steps_in, &steps_out, err);
	if (r < 0)
		return r;
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "fork");
	if (pid == 0)
		work_exec(work, steps_out, said_out, parent);
	fd_close(&said_out);
	fd_close(&steps_out);
	r = listen_to(work, pid, steps_in, said_in, &said, err);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "wait for %s", name);
	if (r < 0)
		return r;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(err, EIO, "%s %s: it was killed by signal %d", name,
			work->words[0] ? work->words[0] : "", WTERMSIG(status));
	if (!*said.text)
		return err_set(err, EINVAL, "%s failed without a word", name);
	return err_set(err, EINVAL, "%s", said.text);
}
