#include "images/work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

static const char *name_of(const char *program)
{
	const char *slash = strrchr(program, '/');

	return slash ? slash + 1 : program;
}

static _Noreturn void work_exec(const struct work *work, int said, pid_t parent)
{
	char *argv[WORK_WORDS + 2] = { (char *)(uintptr_t)name_of(work->program) };
	char *const envp[] = { (char *)(uintptr_t) "LC_CTYPE=C.UTF-8", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	for (int i = 0; i < WORK_WORDS; i++)
		argv[1 + i] = (char *)(uintptr_t)work->words[i];
	/* Locks and half-made things are the caller's: without it, nobody would clean up. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0) {
		(void)dup2(work->in >= 0 ? work->in : null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
	}
	(void)dup2(said, STDERR_FILENO);
	if (work->by_path)
		(void)execvp(work->program, argv);
	else
		(void)execve(work->program, argv, envp);
	(void)dprintf(STDERR_FILENO, "exec %s: %s\n", work->program, strerror(errno));
	_exit(127);
}

/* The first line that it says, without its name. */
static void words_read(int fd, const char *name, char *text, size_t size)
{
	ssize_t n = read_full(fd, text, size - 1);
	size_t length = strlen(name);
	const char *line = text;
	char rest[128];

	text[n > 0 ? n : 0] = '\0';
	/* What does not fit is read all the same: a writer must not die of a closed pipe. */
	while (read_full(fd, rest, sizeof rest) > 0)
		continue;
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(text, name, length) == 0 && strncmp(text + length, ": ", 2) == 0)
		line = text + length + 2;
	memmove(text, line, strlen(line) + 1);
}

int work_run(const struct work *work, struct err *err)
{
	const char *name = name_of(work->program);
	pid_t parent = getpid();
	char text[400];
	own_fd out = -1;
	own_fd in = -1;
	int pipefd[2];
	int status;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	in = pipefd[0];
	out = pipefd[1];
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "fork");
	if (pid == 0)
		work_exec(work, out, parent);
	fd_close(&out);
	words_read(in, name, text, sizeof text);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "wait for %s", name);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(err, EIO, "%s %s: it was killed by signal %d", name,
			work->words[0] ? work->words[0] : "", WTERMSIG(status));
	if (!*text)
		return err_set(err, EINVAL, "%s failed without a word", name);
	return err_set(err, EINVAL, "%s", text);
}
