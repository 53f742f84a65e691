#include "supervisor/core/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/core/service.h"
#include "supervisor/runtime/spawn.h"

struct job {
	struct supervisor *sv;
	struct job *next;
	const char *what;
	job_done_fn *done;
	void *data;
	pid_t pid;
	int pidfd, words_fd; /* words: struct err, when it failed */
	loop_id id;
};

static void job_free(struct job *job)
{
	struct job **p = &job->sv->jobs;

	while (*p && *p != job)
		p = &(*p)->next;
	if (*p)
		*p = job->next;
	loop_remove(job->sv->loop, &job->id);
	fd_close(&job->pidfd);
	fd_close(&job->words_fd);
	free(job);
}

static void on_exit_of_job(struct loop *loop, uint32_t events, void *data)
{
	struct job *job = data;
	struct supervisor *sv = job->sv;
	struct err err = { 0 };
	int status = 0, r;

	(void)loop;
	(void)events;
	r = sv->sys->pidfd_reap(job->pidfd, &status);
	if (r == 0)
		return;
	if (r > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		r = 0;
	else if (job->words_fd < 0 || read(job->words_fd, &err, sizeof err) != sizeof err)
		r = err_set(&err, EIO, "its worker process died (wait status %d)", status);
	else
		r = -err.code;
	if (r < 0)
		(void)err_wrap(&err, "%s", job->what);
	if (job->done)
		job->done(sv, r, &err, job->data);
	else if (r < 0)
		log_warning("%s", err.text);
	job_free(job);
}

static int job_watch(struct job *job, struct supervisor *sv, struct err *err)
{
	int r = loop_add(sv->loop, job->pidfd, EPOLLIN, LOOP_EXIT, on_exit_of_job, job, &job->id);

	if (r < 0)
		return err_sys(err, -r, "%s: watch its worker", job->what);
	job->next = sv->jobs;
	sv->jobs = job;
	return 0;
}

static _Noreturn void job_child(job_fn *work, const void *data, int words_fd)
{
	struct err err = { 0 };
	sigset_t none;
	int keep[] = { words_fd };

	spawn_close_others(keep, 1);
	/* A Ctrl-C at the supervisor's terminal is for the supervisor. */
	(void)setsid();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (work(data, &err) >= 0)
		_exit(0);
	if (!err.code)
		(void)err_set(&err, EIO, "no reason given");
	(void)write_full(words_fd, &err, sizeof err);
	_exit(1);
}

static struct job *job_new(struct supervisor *sv, const char *what)
{
	struct job *job = calloc(1, sizeof *job);

	if (job)
		*job = (struct job){ .sv = sv, .what = what, .pidfd = -1, .words_fd = -1 };
	return job;
}

int job_start(struct supervisor *sv, const char *what, job_fn *work, job_done_fn *done, void *data,
	struct err *err)
{
	struct job *job = job_new(sv, what);
	bool must_join;
	int words[2];
	int r;

	if (!job)
		return err_sys(err, ENOMEM, "%s", what);
	job->done = done;
	job->data = data;
	if (pipe2(words, O_CLOEXEC) < 0) {
		r = err_sys(err, errno, "%s: make a pipe", what);
		free(job);
		return r;
	}
	job->words_fd = words[0];
	/* Without one the job is in ours. */
	(void)supervisor_renew_cgroups(sv, NULL);
	job->pid = spawn(0, sv->env.workers_fd, &job->pidfd, &must_join, err);
	if (job->pid == 0)
		job_child(work, data, words[1]);
	fd_close(&words[1]);
	r = job->pid < 0 ? err_wrap(err, "%s", what) : job_watch(job, sv, err);
	if (r < 0)
		job_free(job);
	return r;
}

int job_adopt(struct supervisor *sv, const char *what, pid_t pid, int pidfd, struct err *err)
{
	struct job *job = job_new(sv, what);
	int r;

	if (!job) {
		fd_close(&pidfd);
		return err_sys(err, ENOMEM, "%s", what);
	}
	job->pid = pid;
	job->pidfd = pidfd;
	r = job_watch(job, sv, err);
	if (r < 0)
		job_free(job);
	return r;
}

bool job_has_pid(const struct supervisor *sv, pid_t pid)
{
	for (const struct job *job = sv->jobs; job; job = job->next)
		if (job->pid == pid)
			return true;
	return false;
}

void jobs_done(struct supervisor *sv)
{
	for (struct job *job = sv->jobs, *next; job; job = next) {
		next = job->next;
		(void)sv->sys->pidfd_signal(job->pidfd, SIGKILL);
		job_free(job);
	}
}
