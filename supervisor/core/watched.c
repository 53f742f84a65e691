/* A start or an exec on its way: its report, its builder. The same for services, probes and execs. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/core/service.h"

int watched_add(struct loop *loop, struct watched *w, loop_fd_fn *on_report, loop_fd_fn *on_builder,
	void *owner)
{
	int r = loop_add(
		loop, w->c.report_fd, EPOLLIN, LOOP_NOTICE, on_report, owner, &w->report_id);

	/* There is none where nothing has to be prepared. */
	if (r >= 0 && w->c.builder_pidfd >= 0)
		r = loop_add(loop, w->c.builder_pidfd, EPOLLIN, LOOP_EXIT, on_builder, owner,
			&w->builder_id);
	return r;
}

int watched_add_pidfd(struct loop *loop, struct watched *w, loop_fd_fn *on_exit, void *owner)
{
	if (w->c.pidfd < 0 || w->pidfd_id)
		return 0;
	return loop_add(loop, w->c.pidfd, EPOLLIN, LOOP_EXIT, on_exit, owner, &w->pidfd_id);
}

const char *watched_words(const struct watched *w)
{
	return w->err ? w->err->text : "no memory for the reason";
}

void watched_fail(struct watched *w, const struct err *err)
{
	if (w->failed)
		return;
	w->failed = true;
	w->err = malloc(sizeof *w->err);
	if (w->err)
		*w->err = *err;
}

static void died(struct watched *w)
{
	struct err err;

	w->stage = (int32_t)container_stage(&w->c);
	(void)err_set(&err, EIO, "%s: the process died there",
		container_stage_name((enum container_stage)w->stage));
	watched_fail(w, &err);
}

static void report_ended(struct loop *loop, struct watched *w)
{
	loop_remove(loop, &w->report_id);
	if (w->failed)
		return;
	w->exec_seen = container_exec_happened(&w->c);
	if (!w->exec_seen)
		died(w);
}

bool watched_read(struct loop *loop, struct watched *w, watched_warn_fn *fn, void *owner)
{
	struct report report;

	while (w->c.report_fd >= 0) {
		int console = -1;
		int r = container_read_report(&w->c, &report, &console);

		if (r == 0) {
			report_ended(loop, w);
			return true;
		}
		if (r < 0)
			return false;
		if (report.kind == REPORT_FAIL && !w->failed) {
			w->stage = report.stage;
			(void)err_wrap(&report.err, "%s",
				container_stage_name((enum container_stage)report.stage));
			watched_fail(w, &report.err);
		} else {
			fn(owner, &report, console);
		}
	}
	return false;
}

bool watched_last_words(struct loop *loop, struct watched *w, watched_warn_fn *fn, void *owner)
{
	if (w->c.report_fd < 0)
		return false;
	if (watched_read(loop, w, fn, owner))
		return true;
	loop_remove(loop, &w->report_id);
	container_hang_up(&w->c);
	report_ended(loop, w);
	return true;
}

bool watched_reap_builder(struct supervisor *sv, struct watched *w)
{
	int status;

	if (w->c.builder_pidfd < 0 || sv->sys->pidfd_reap(w->c.builder_pidfd, &status) == 0)
		return false;
	loop_remove(sv->loop, &w->builder_id);
	fd_close(&w->c.builder_pidfd);
	w->c.builder = 0;
	return true;
}

bool watched_died_preparing(struct loop *loop, struct watched *w)
{
	if (w->c.report_fd < 0 || w->c.builder_pidfd >= 0 || !w->c.pending)
		return false;
	/* Its end of the report is kept for the clone that does not come now. */
	if (!w->failed)
		died(w);
	loop_remove(loop, &w->report_id);
	fd_close(&w->c.report_fd);
	return true;
}

void watched_kill(struct supervisor *sv, struct watched *w)
{
	if (w->c.builder_pidfd >= 0)
		(void)sv->sys->pidfd_signal(w->c.builder_pidfd, SIGKILL);
	if (w->c.cgroup_fd >= 0)
		(void)cgroup_kill(w->c.cgroup_fd);
	/* Also what was not born in a cgroup. */
	if (w->c.pidfd >= 0)
		(void)sv->sys->pidfd_signal(w->c.pidfd, SIGKILL);
}

void watched_done(struct loop *loop, struct watched *w)
{
	loop_remove(loop, &w->report_id);
	loop_remove(loop, &w->builder_id);
	loop_remove(loop, &w->pidfd_id);
	container_done(&w->c);
	free(w->err);
	*w = (struct watched){ .c = CONTAINER_NONE };
}

bool watched_has_pid(const struct watched *w, pid_t pid)
{
	return pid > 0 && (w->c.builder == pid || w->c.pid == pid);
}
