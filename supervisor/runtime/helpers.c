/*
 * The two helpers of a start: short-lived processes that may block, born beside the loop.
 *
 * The preparer works in the host's namespaces, because what it makes must outlive the container: a
 * pin made in the container's mount namespace would vanish with it. The joiner enters a running
 * container, because only a child of a process that has entered a pid namespace is in it; the child
 * is cloned as the supervisor's own (CLONE_PARENT).
 */
#include "supervisor/runtime/helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "images/program.h"
#include "images/rootfs.h"
#include "netns/net.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/runtime/build.h"
#include "supervisor/runtime/spawn.h"

static _Noreturn void fail(const struct plan *plan, const struct err *err)
{
	(void)plan_report(plan, REPORT_FAIL, err, -1);
	_exit(1);
}

/* Siblings' sockets must not be kept open by us; nor must we be traced by a container we join. */
static void leave_the_loop(struct plan *plan)
{
	const int keep[] = { plan->report_fd, plan->cgroup_fd, plan->join_pidfd, plan->in,
		plan->out, plan->err };

	spawn_close_others(keep, sizeof keep / sizeof keep[0]);
	(void)prctl(PR_SET_DUMPABLE, 0);
}

/* ---- the preparer ------------------------------------------------------------------------------ */

bool helpers_is_net_admin(const struct container_spec *spec)
{
	return (spec->process.caps_root | spec->process.caps_other) & CAPABILITY_BIT(CAP_NET_ADMIN);
}

/* Its addresses are asked for in its namespace, before it begins. */
static bool is_leased(const struct net_spec *net)
{
	for (size_t i = 0; i < net->nifaces; i++)
		if (net->ifaces[i].leased)
			return true;
	for (size_t i = 0; i < net->ndevices; i++)
		if (net->devices[i].leased)
			return true;
	return false;
}

/* The namespace of the last run: what was lent to it comes home, and who could have left anything in
 * it gets a new one, unless others are in it, who would be left behind. */
static int leave_old(const struct plan *plan, const struct container_spec *spec, const char *pin,
	struct err *err)
{
	bool asks = plan->spec->asks_for;
	bool renewed = helpers_is_net_admin(spec) && plan->others == NET_ALONE &&
		       asks == is_leased(&spec->net);
	own_fd old = netns_open(pin, err);
	int r = 0;

	if (old >= 0)
		r = net_devices_back(old, renewed ? NULL : spec->net.devices,
			renewed ? 0 : spec->net.ndevices, err);
	if (r < 0 || !renewed)
		return r;
	r = net_remove(pin);
	return r < 0 ? err_sys(err, -r, "remove the network namespace pinned at %s", pin) : 0;
}

/* What somebody wrote and only packet rules can do, on a kernel without: all others start. */
static int check_rules(const struct net_spec *net, struct err *err)
{
	bool filter = net->filter.nallow + net->filter.ndeny;
	size_t i = 0;

	while (i < net->nports && net->ports[i].proxied)
		i++;
	if ((i == net->nports && !filter) || net_has_nft())
		return 0;
	if (filter)
		return err_set(err, EOPNOTSUPP,
			"IPAddressAllow= and IPAddressDeny= cannot be kept: the kernel has no "
			"nf_tables");
	return err_set(err, EOPNOTSUPP,
		"publish port %u: the kernel has no nf_tables: write [X-Berth] PublishMode=proxy",
		net->ports[i].host_port);
}

/* After the start is under way: nobody waits for us. Who is not told learns it by asking. */
static void announce(const struct plan *plan)
{
	const struct net_spec *net = &plan->spec->net;
	char pin[256];
	own_fd fd = -1;

	if (plan->spec->native || net->mode != NET_PRIVATE || !net->nifaces)
		return;
	plan_pin_path(plan->env, plan->spec->name, pin, sizeof pin);
	fd = netns_open(pin, NULL);
	if (fd >= 0)
		(void)net_announce(fd, net->ifaces, net->nifaces, NULL);
}

/* Who asks for the address of a container is there before it and makes its network; a new namespace is
 * his to make, too. */
static int prepare_network(const struct plan *plan, struct err *err)
{
	const struct container_spec *spec =
		plan->spec->asks_for ? plan->spec->asks_for : plan->spec;
	const struct net_spec *net = &spec->net;
	char pin[256];
	own_fd fd = -1;
	bool made;
	int r;

	if (net->mode != NET_PRIVATE)
		return 0;
	r = check_rules(net, err);
	if (r < 0)
		return r;
	plan_pin_path(plan->env, spec->name, pin, sizeof pin);
	if (!plan->in_use)
		r = leave_old(plan, spec, pin, err);
	if (r < 0)
		return r;
	fd = netns_ensure(pin, &made, err);
	if (fd < 0)
		return fd;
	r = made || plan->in_use ? net_attach(fd, net->ifaces, net->nifaces, err)
				 : net_clear(fd, net, plan->others, err);
	if (r == 0)
		r = net_devices_take(fd, net->devices, net->ndevices, err);
	if (r < 0 && made)
		(void)net_remove(pin);
	return r;
}

/* Asked by the loop: a look at a tmpfs, no more. */
bool helpers_prepare_needed(
	const struct container_env *env, const struct container_spec *spec, bool in_use)
{
	char lower[4096];
	struct statfs st;
	char pin[256];

	if (spec->native && (spec->program.bundle || !spec->secluded))
		return spec->program.bundle;
	if (!spec->native && !plan_lower(env, spec, lower, sizeof lower))
		return true;
	if (spec->asks_for)
		spec = spec->asks_for;
	if (spec->net.mode != NET_PRIVATE)
		return false;
	plan_pin_path(env, spec->name, pin, sizeof pin);
	return (!in_use && helpers_is_net_admin(spec)) || spec->net.ndevices ||
	       statfs(pin, &st) < 0 || st.f_type != NSFS_MAGIC;
}

/* What the container stands on: its image's directory, or the program of a native service. */
static int prepare_lower(const struct plan *plan, char *ret, size_t size, struct err *err)
{
	const struct container_env *env = plan->env;
	char img_dir[256];

	if (plan->spec->native && !plan->spec->program.bundle) {
		(void)snprintf(ret, size, "%s", plan->process->argv.v[0]);
		return 0;
	}
	if (plan->spec->native) {
		*plan->stage = STAGE_BUNDLE;
		return program_prepare(&plan->spec->program, env->state_dir, env->run_dir,
			env->worker, ret, size, err);
	}
	(void)snprintf(img_dir, sizeof img_dir, "%s/img", env->run_dir);
	*plan->stage = STAGE_IMAGE;
	return rootfs_prepare(&plan->spec->root, img_dir, env->worker, ret, size, err);
}

_Noreturn void helpers_prepare(struct plan *plan)
{
	struct err err = { 0 };
	struct err lower = { 0 };
	int r;

	leave_the_loop(plan);
	r = prepare_lower(plan, lower.text, sizeof lower.text, &err);
	if (r >= 0) {
		*plan->stage = STAGE_NETWORK;
		r = prepare_network(plan, &err);
	}
	if (r >= 0) {
		r = plan_report(plan, REPORT_PREPARED, &lower, -1);
		if (r < 0)
			(void)err_sys(&err, -r, "tell the supervisor");
	}
	if (r < 0)
		fail(plan, &err);
	announce(plan);
	_exit(0);
}

/* ---- the joiner -------------------------------------------------------------------------------- */

/* The root of the process behind a pidfd, seen from the host. */
static int open_joined_root(const struct plan *plan, struct err *err)
{
	char info[1024];
	char path[64];
	const char *line;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", plan->join_pidfd);
	if (file_read_at(AT_FDCWD, path, info, sizeof info) < 0 || !(line = strstr(info, "\nPid:")))
		return err_set(err, ESRCH, "find the container's process");
	(void)snprintf(path, sizeof path, "/proc/%ld/root", strtol(line + 5, NULL, 10));
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open the container's root") : fd;
}

/* The cgroup namespace is entered by the child, for from inside it no process of ours could be born
 * into a cgroup outside of it (cgroup-v2.rst, nsdelegate). */
static int join(struct plan *plan, struct err *err)
{
	const int spaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	const struct process_spec *process = plan->process;
	own_fd root = open_joined_root(plan, err);
	int r;

	if (root < 0)
		return root;
	r = users_resolve(root, process->user, process->group, &process->groups, &plan->ids, err);
	if (r >= 0)
		r = build_process(plan, err);
	if (r >= 0)
		r = build_open_null(plan, err);
	if (r < 0)
		return r;
	if (setns(plan->join_pidfd, spaces) < 0)
		return err_sys(err, errno, "enter the container's namespaces");
	return 0;
}

_Noreturn void helpers_join(struct plan *plan)
{
	struct report report = { .kind = REPORT_CREATED };
	struct err err = { 0 };
	int pidfd = -1;
	int r;

	leave_the_loop(plan);
	*plan->stage = STAGE_JOIN;
	r = join(plan, &err);
	if (r >= 0)
		r = spawn(CLONE_PARENT, plan->cgroup_fd, &pidfd, &plan->must_join_cgroup, &err);
	if (r < 0)
		fail(plan, &err);
	if (r == 0)
		child_main(plan);
	report.pid = r;
	r = msg_send(plan->report_fd, &report, sizeof report, &pidfd, 1);
	if (r < 0) {
		/* Nobody would know of it. */
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		(void)err_sys(&err, -r, "tell the supervisor");
		fail(plan, &err);
	}
	_exit(0);
}
