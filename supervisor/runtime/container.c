#include "supervisor/runtime/container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/runtime/caps.h"
#include "supervisor/runtime/helpers.h"
#include "supervisor/runtime/rlimits.h"
#include "supervisor/runtime/spawn.h"

enum { STAGE_PAGE = 4096 };

static const char *const stage_names[] = {
	[STAGE_NONE] = "begin",
	[STAGE_IMAGE] = "prepare the image",
	[STAGE_BUNDLE] = "prepare the program",
	[STAGE_NETWORK] = "attach the network",
	[STAGE_JOIN] = "enter the container",
	[STAGE_CLOSE] = "close descriptors",
	[STAGE_SIGNALS] = "reset signals",
	[STAGE_CGROUP] = "join the cgroup",
	[STAGE_CREATED] = "report the process",
	[STAGE_RESOLVE] = "look up what it needs",
	[STAGE_JOIN_NETWORK] = "enter the network",
	[STAGE_ROOT] = "build the root",
	[STAGE_USERS] = "look up the user",
	[STAGE_VOLUMES] = "open the volumes",
	[STAGE_SESSION] = "begin a session",
	[STAGE_NAMESPACES] = "enter the namespaces",
	[STAGE_KERNEL_FS] = "mount the kernel's file systems",
	[STAGE_DEVICES] = "make devices",
	[STAGE_MOUNTS] = "mount the volumes",
	[STAGE_HOSTNAME] = "set the host name",
	[STAGE_SYSCTLS] = "set sysctls",
	[STAGE_MASKS] = "mask paths",
	[STAGE_PIVOT] = "enter the root",
	[STAGE_TERMINAL] = "take the terminal",
	[STAGE_STDIO] = "connect standard input and output",
	[STAGE_LIMITS] = "set resource limits",
	[STAGE_DIRECTORY] = "enter the working directory",
	[STAGE_KEYRING] = "make a session keyring",
	[STAGE_GO] = "wait for the supervisor",
	[STAGE_SOURCE] = "wait for the device",
	[STAGE_FILESYSTEM] = "mount the file system",
	[STAGE_LISTEN] = "listen on the published ports",
	[STAGE_VIEW] = "close the view",
	[STAGE_USER] = "become the user",
	[STAGE_EXEC] = "exec",
};
_Static_assert(sizeof stage_names / sizeof stage_names[0] == STAGE_COUNT, "a stage has no name");

const char *container_stage_name(enum container_stage stage)
{
	return stage >= 0 && stage < STAGE_COUNT ? stage_names[stage] : "?";
}

/* ---- what loop and child share --------------------------------------------------------------- */

/* The report's two ends and the page with the stage; *ret_theirs is the builder's end. */
static int open_report(struct container *container, int *ret_theirs, struct err *err)
{
	int pair[2];
	void *page;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "make a socket pair");
	page = mmap(NULL, STAGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		int r = err_sys(err, errno, "map a page");

		fd_close(&pair[0]);
		fd_close(&pair[1]);
		return r;
	}
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	container->report_fd = pair[0];
	container->shared_stage = page;
	*ret_theirs = pair[1];
	return 0;
}

static struct plan plan_new(const struct container_env *env, const struct container_spec *spec,
	const struct process_spec *process, int in, int out, int errfd)
{
	(void)caps_last(); /* forty calls that each child would make again */
	return (struct plan){
		.env = env,
		.spec = spec,
		.process = process,
		.report_fd = -1,
		.cgroup_fd = -1,
		.join_pidfd = -1,
		.root_fd = -1,
		.null_fd = -1,
		.tty_fd = -1,
		.init_fd = -1,
		.program_fd = -1,
		.in = in,
		.out = out,
		.err = errfd,
	};
}

/*
 * The built-in filter depends on little, and building it costs more than the rest of a start: it is
 * built here, in the process that lives, and kept. The builder makes its own where this guess (root,
 * unless a user is named) turns out wrong, and where a profile must be read from a disk.
 */
static void guess_filter(struct plan *plan)
{
	const struct process_spec *process = plan->process;
	const struct seccomp_prog *prog = NULL;
	const char *user = process->user;
	bool is_root = !user || !*user || strcmp(user, "0") == 0 || strcmp(user, "root") == 0;

	if (process->seccomp_off || process->seccomp_path || !plan->env->seccomp)
		return;
	plan->filter_caps = is_root ? process->caps_root : process->caps_other;
	if (seccomp_cache_get(plan->env->seccomp, NULL, plan->filter_caps, !process->no_new_privs,
		    &prog, NULL) >= 0)
		plan->filter = *prog;
}

/* ---- start ------------------------------------------------------------------------------------- */

/* What is left of container_start while the preparer is at work. */
struct container_pending {
	const struct container_env *env;
	const struct container_spec *spec;
	int theirs; /* the container's end of the report */
	int in, out, err;
	bool hold, in_use;
	enum net_others others;
	char notify[256];
};

static void pending_free(struct container_pending **pending)
{
	if (!*pending)
		return;
	fd_close(&(*pending)->theirs);
	fd_close(&(*pending)->in);
	fd_close(&(*pending)->out);
	fd_close(&(*pending)->err);
	free(*pending);
	*pending = NULL;
}

static int dup_or_none(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static struct container_pending *pending_new(const struct container_env *env,
	const struct container_run *run, int theirs /* taken */, struct err *err)
{
	struct container_pending *pending = calloc(1, sizeof *pending);

	if (!pending) {
		fd_close(&theirs);
		(void)err_sys(err, ENOMEM, "begin a start");
		return NULL;
	}
	*pending = (struct container_pending){ .env = env,
		.spec = run->spec,
		.theirs = theirs,
		.in = dup_or_none(run->in),
		.out = dup_or_none(run->out),
		.err = dup_or_none(run->err),
		.hold = run->hold || !run->spec->process.argv.n,
		.others = run->others,
		.in_use = run->in_use };
	if (run->notify_socket)
		(void)snprintf(pending->notify, sizeof pending->notify, "%s", run->notify_socket);
	return pending;
}

static struct plan pending_plan(const struct container *container)
{
	const struct container_pending *pending = container->pending;
	struct plan plan = plan_new(pending->env, pending->spec, &pending->spec->process,
		pending->in, pending->out, pending->err);

	plan.report_fd = pending->theirs;
	plan.cgroup_fd = container->cgroup_fd;
	plan.stage = container->shared_stage;
	plan.hold = pending->hold;
	plan.others = pending->others;
	plan.in_use = pending->in_use;
	plan.notify_socket = pending->notify[0] ? pending->notify : NULL;
	return plan;
}

/* A kernel without one of these namespaces says EINVAL: there is no weaker way to start. */
static uint64_t namespaces_of(const struct container *container, const struct container_spec *spec)
{
	uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;

	if (spec->native)
		return spec->secluded ? CLONE_NEWNS : 0;
	if (container->cgroup_fd >= 0)
		flags |= CLONE_NEWCGROUP;
	if (spec->net.mode == NET_NONE)
		flags |= CLONE_NEWNET;
	return flags;
}

/* The container itself. `lower`: what the preparer found out, or NULL when there was none. */
static int start_child(struct container *container, const char *lower, struct err *err)
{
	struct plan plan = pending_plan(container);
	uint64_t namespaces = namespaces_of(container, plan.spec);
	char ready[4096];
	pid_t pid;

	plan.prepared = lower != NULL;
	plan.lower = lower;
	if (!lower && plan_lower(plan.env, plan.spec, ready, sizeof ready))
		plan.lower = ready;
	guess_filter(&plan);
	pid = spawn(namespaces, plan.cgroup_fd, &container->pidfd, &plan.must_join_cgroup, err);
	if (pid == 0)
		child_main(&plan);
	if (pid < 0)
		return pid;
	container->pid = pid;
	pending_free(&container->pending);
	return 0;
}

static int start_preparer(struct container *container, struct err *err)
{
	struct plan plan = pending_plan(container);
	bool must_join;
	pid_t pid = spawn(0, plan.env->workers_fd, &container->builder_pidfd, &must_join, err);

	if (pid == 0)
		helpers_prepare(&plan);
	if (pid < 0)
		return pid;
	container->builder = pid;
	return 0;
}

static void leaf_path(const struct container_run *run, char ret[static 128])
{
	(void)snprintf(ret, 128, "c/%s/%llu", run->spec->name, (unsigned long long)run->number);
}

static int make_leaf(const struct container_env *env, const struct container_run *run,
	struct container *container, struct cgroup_dropped *dropped, struct err *err)
{
	char less[sizeof dropped->text] = "";
	struct strbuf words = { dropped->text, sizeof dropped->text, 0, false };
	char path[128];
	int r = rlimits_check(run->spec, less, sizeof less, err);

	dropped->text[0] = '\0';
	if (r < 0)
		return r;
	leaf_path(run, path);
	if (env->tree->fd < 0)
		r = cgroup_limits_check(env->tree, &run->spec->limits, err);
	else
		r = container->cgroup_fd =
			cgroup_make(env->tree, path, &run->spec->limits, dropped, err);
	words.used = strlen(dropped->text);
	if (r >= 0 && *less)
		strbuf_add(&words, "%s%s", words.used ? "; " : "", less);
	return r < 0 ? r : 0;
}

int container_start(const struct container_env *env, const struct container_run *run,
	struct container *ret, struct cgroup_dropped *dropped, struct err *err)
{
	struct container container = CONTAINER_NONE;
	char path[128];
	int theirs = -1;
	int r = make_leaf(env, run, &container, dropped, err);

	if (r < 0)
		return r;
	r = open_report(&container, &theirs, err);
	if (r >= 0) {
		container.pending = pending_new(env, run, theirs, err);
		r = container.pending ? 0 : -ENOMEM;
	}
	if (r >= 0)
		r = helpers_prepare_needed(env, run->spec, run->in_use)
			    ? start_preparer(&container, err)
			    : start_child(&container, NULL, err);
	if (r < 0) {
		container_done(&container);
		leaf_path(run, path);
		if (env->tree->fd >= 0)
			(void)cgroup_remove(env->tree, path);
		return r;
	}
	*ret = container;
	return 0;
}

int container_exec(const struct container_env *env, const struct container_spec *spec,
	const struct process_spec *process, int pidfd, int cgroup_fd, int in, int out, int errfd,
	struct container *ret, struct err *err)
{
	struct plan plan = plan_new(env, spec, process, in, out, errfd);
	struct container container = CONTAINER_NONE;
	bool must_join;
	int r;

	if (spec->native)
		return err_set(err, EOPNOTSUPP,
			"%s is a native service: it has no namespaces to enter", spec->name);
	r = open_report(&container, &plan.report_fd, err);
	if (r < 0)
		return r;
	plan.join = true;
	plan.join_pidfd = pidfd;
	plan.cgroup_fd = cgroup_fd;
	plan.stage = container.shared_stage;
	guess_filter(&plan);
	r = spawn(0, env->workers_fd, &container.builder_pidfd, &must_join, err);
	if (r == 0)
		helpers_join(&plan);
	fd_close(&plan.report_fd);
	if (r < 0) {
		container_done(&container);
		return r;
	}
	container.builder = r;
	*ret = container;
	return 0;
}

/* ---- report ------------------------------------------------------------------------------------ */

enum container_stage container_stage(const struct container *container)
{
	return (enum container_stage)(
		container->shared_stage ? *container->shared_stage : container->last_stage);
}

/* A page for each running container would be most of what the supervisor weighs. */
static void forget_stage(struct container *container)
{
	container->last_stage = (int32_t)container_stage(container);
	if (container->shared_stage)
		(void)munmap((void *)(size_t)container->shared_stage, STAGE_PAGE);
	container->shared_stage = NULL;
}

void container_hang_up(struct container *container)
{
	fd_close(&container->report_fd);
	forget_stage(container);
}

/* The preparer is done: now the container. A clone that fails is reported like any failure. */
static int read_prepared(struct container *container, struct report *report)
{
	struct err err = { 0 };

	if (start_child(container, report->err.text, &err) >= 0)
		return -EAGAIN;
	report->kind = REPORT_FAIL;
	report->err = err;
	return 1;
}

int container_read_report(struct container *container, struct report *ret, int *ret_console)
{
	struct report report;
	int fds[1] = { -1 };
	size_t nfds = 1;
	ssize_t n = msg_recv(container->report_fd, &report, sizeof report, fds, &nfds);

	/* It ended with our go byte unread. The kernel says that once, and before its last words. */
	if (n == -ECONNRESET) {
		nfds = 1;
		n = msg_recv(container->report_fd, &report, sizeof report, fds, &nfds);
	}
	if (n == -EAGAIN)
		return -EAGAIN;
	if (n != (ssize_t)sizeof report) {
		container_hang_up(container);
		if (n > 0 && nfds == 1)
			fd_close(&fds[0]);
		return 0;
	}
	report.err.text[sizeof report.err.text - 1] = '\0';
	if (report.kind == REPORT_CREATED && nfds == 1) {
		container->pid = report.pid;
		container->pidfd = fds[0];
	} else if (report.kind == REPORT_CONSOLE && nfds == 1) {
		*ret_console = fds[0];
	} else if (nfds == 1) {
		fd_close(&fds[0]);
	}
	if (report.kind == REPORT_PREPARED) {
		int r = read_prepared(container, &report);

		if (r < 0)
			return r;
	} else if (report.kind == REPORT_FAIL) {
		/* Our copy of its end would keep the end of file from us. */
		pending_free(&container->pending);
	}
	*ret = report;
	return 1;
}

int container_go(struct container *container)
{
	int r = msg_send(container->report_fd, "", 1, NULL, 0);

	/* It is dead already: why, the report says. */
	return r == -EPIPE ? 0 : r;
}

bool container_exec_happened(const struct container *container)
{
	return container_stage(container) == STAGE_EXEC;
}

void container_done(struct container *container)
{
	fd_close(&container->builder_pidfd);
	fd_close(&container->pidfd);
	fd_close(&container->cgroup_fd);
	container_hang_up(container);
	pending_free(&container->pending);
	container->builder = container->pid = 0;
}
