/* Further processes in running containers: `berth exec`. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "supervisor/base/own.h"
#include "supervisor/core/service.h"

struct exec {
	struct supervisor *sv;
	struct exec *next;
	struct watched w;
	exec_fn *fn; /* NULL: forgotten */
	void *data;
	int console; /* until STARTED takes it */
};

static void exec_free(struct exec *exec)
{
	struct exec **p = &exec->sv->execs;

	while (*p && *p != exec)
		p = &(*p)->next;
	if (*p)
		*p = exec->next;
	watched_done(exec->sv->loop, &exec->w);
	fd_close(&exec->console);
	free(exec);
}

static void tell(struct exec *exec, const struct exec_news *news)
{
	if (exec->fn)
		exec->fn(exec, news, exec->data);
}

static bool check_ended(struct exec *exec)
{
	struct err no_memory = { .code = ENOMEM, .text = "no memory for the reason" };
	struct exec_news news = {
		.event = EXEC_FAILED,
		.fd = -1,
		.stage = exec->w.stage,
		.err = exec->w.err ? exec->w.err : &no_memory,
	};

	if (exec->w.c.builder_pidfd >= 0 || exec->w.c.pidfd >= 0 || exec->w.c.report_fd >= 0)
		return false;
	if (exec->w.failed)
		tell(exec, &news);
	exec_free(exec);
	return true;
}

static void report_ended(struct exec *exec)
{
	struct exec_news news = { .event = EXEC_STARTED, .pid = exec->w.c.pid, .fd = -1 };

	if (exec->w.failed)
		return;
	news.fd = exec->fn ? fd_take(&exec->console) : -1;
	tell(exec, &news);
}

static void on_exec_message(void *owner, const struct report *report, int console);

static void on_exec_exit(struct loop *loop, uint32_t events, void *data)
{
	struct exec *exec = data;
	struct exec_news news = { .event = EXEC_EXITED, .pid = exec->w.c.pid, .fd = -1 };

	(void)events;
	if (exec->sv->sys->pidfd_reap(exec->w.c.pidfd, &news.status) == 0)
		return;
	/* STARTED comes before EXITED. */
	if (watched_last_words(loop, &exec->w, on_exec_message, exec))
		report_ended(exec);
	loop_remove(loop, &exec->w.pidfd_id);
	fd_close(&exec->w.c.pidfd);
	exec->w.c.pid = 0;
	if (!exec->w.failed) {
		tell(exec, &news);
		exec->fn = NULL;
	}
	(void)check_ended(exec);
}

static void on_exec_message(void *owner, const struct report *report, int console)
{
	struct exec *exec = owner;
	struct watched *w = &exec->w;

	if (report->kind == REPORT_CONSOLE) {
		fd_close(&exec->console);
		exec->console = console;
	}
	if (report->kind == REPORT_CREATED &&
		(watched_add_pidfd(exec->sv->loop, w, on_exec_exit, exec) < 0 ||
			container_go(&w->c) < 0))
		watched_kill(exec->sv, w);
}

static void on_exec_report(struct loop *loop, uint32_t events, void *data)
{
	struct exec *exec = data;

	(void)events;
	if (!watched_read(loop, &exec->w, on_exec_message, exec))
		return;
	report_ended(exec);
	(void)check_ended(exec);
}

static void on_exec_builder(struct loop *loop, uint32_t events, void *data)
{
	struct exec *exec = data;

	(void)loop;
	(void)events;
	if (watched_reap_builder(exec->sv, &exec->w))
		(void)check_ended(exec);
}

int service_exec(struct service *service, const struct process_spec *process, int in, int out,
	int errfd, exec_fn *fn, void *data, struct exec **ret, struct err *err)
{
	struct supervisor *sv = service->sv;
	struct exec *exec;
	int r;

	if (service->w.c.pidfd < 0 || !service->w.exec_seen)
		return err_set(err, ESRCH, "%s is not running (%s)", service->unit->stem,
			service_state_name(service->m.state));
	exec = calloc(1, sizeof *exec);
	if (!exec)
		return err_sys(err, ENOMEM, "exec in %s", service->unit->stem);
	*exec = (struct exec){
		.sv = sv,
		.next = sv->execs,
		.w = { .c = CONTAINER_NONE },
		.fn = fn,
		.data = data,
		.console = -1,
	};
	sv->execs = exec;
	r = container_exec(&sv->env, service->unit->spec, process, service->w.c.pidfd,
		service->w.c.cgroup_fd, in, out, errfd, &exec->w.c, err);
	if (r >= 0) {
		r = watched_add(sv->loop, &exec->w, on_exec_report, on_exec_builder, exec);
		if (r < 0) {
			(void)err_sys(err, -r, "watch a process");
			watched_kill(sv, &exec->w);
		}
	}
	if (r < 0) {
		exec_free(exec);
		return err_wrap(err, "exec in %s", service->unit->stem);
	}
	*ret = exec;
	return 0;
}

int exec_signal(struct exec *exec, int signal)
{
	if (exec->w.c.pidfd < 0)
		return -ESRCH;
	return exec->sv->sys->pidfd_signal(exec->w.c.pidfd, signal);
}

void exec_forget(struct exec *exec, bool kill)
{
	exec->fn = NULL;
	if (kill)
		watched_kill(exec->sv, &exec->w);
}

bool execs_have_pid(const struct supervisor *sv, pid_t pid)
{
	for (const struct exec *exec = sv->execs; exec; exec = exec->next)
		if (watched_has_pid(&exec->w, pid))
			return true;
	return false;
}

void execs_done(struct supervisor *sv)
{
	for (struct exec *exec = sv->execs, *next; exec; exec = next) {
		next = exec->next;
		exec_free(exec);
	}
}
