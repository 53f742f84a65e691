/*
 * timed FILE COMMAND… - run a command; add its wall time and CPU time, both in microseconds, and the
 * largest resident set of any of its processes, in kB, as one line to FILE. Exit code: the command's.
 *
 * A program of its own, because a shell or an interpreter that forks has its own pages counted.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t usec(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

int main(int argc, char **argv)
{
	FILE *out = argc > 2 ? fopen(argv[1], "ae") : NULL;
	struct rusage used;
	int64_t begun;
	int status;
	pid_t pid;

	if (!out) {
		(void)fprintf(stderr, "usage: timed FILE COMMAND...\n");
		return 2;
	}
	begun = now();
	pid = fork();
	if (pid == 0) {
		(void)execvp(argv[2], argv + 2);
		_exit(127);
	}
	while (pid > 0 && wait4(pid, &status, 0, &used) < 0)
		if (errno != EINTR)
			return 1;
	if (pid < 0)
		return 1;
	(void)fprintf(out, "%lld %lld %ld\n", (long long)(now() - begun),
		(long long)(usec(used.ru_utime) + usec(used.ru_stime)), used.ru_maxrss);
	(void)fclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
