/*
 * The child: from birth to exec, in one readable file.
 *
 * On entry we are a clone of the supervisor and its child, born in our cgroup and in new mount, pid,
 * ipc, uts and cgroup namespaces, still with the host's root, network and every privilege. What has
 * to exist in the host's own namespaces was made by the preparer. The table `steps` at the end is what
 * happens from here to exec, in an order that matters; each step says why it stands where it does.
 * The steps that may wait for a disk are in build.c, those about /proc, /sys and /dev in kernelfs.c, the
 * others here.
 *
 * May not be used here: the log, the loop, NSS, locale, stdio (but for streams in memory); after
 * STAGE_VOLUMES, the heap. A step that fails ends us: its words go to the supervisor. A privilege half
 * dropped is never repaired.
 * PR_SET_PDEATHSIG is never set: it survives exec and would kill the container together with its
 * supervisor.
 *
 * A native service (`spec->native`) has no namespaces and no root of its own, but for one that is
 * secluded (`spec->secluded`: network and mounts, and the host's root read-only); an exec session
 * (`plan->join`) enters what is there. Both skip the steps that make them. A file system of the host
 * (`spec->filesystem`) is mounted by a native service that then keeps it, as berth-init; published ports
 * (`spec->proxy`) are carried by one that listened on them before it became nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/runtime/build.h"
#include "supervisor/runtime/caps.h"
#include "supervisor/runtime/kernelfs.h"
#include "supervisor/runtime/listen.h"
#include "supervisor/runtime/mounts.h"
#include "supervisor/runtime/rlimits.h"
#include "supervisor/runtime/seal.h"
#include "supervisor/runtime/seclude.h"
#include "supervisor/runtime/spawn.h"

/* ---- alone ------------------------------------------------------------------------------------- */

/* First, before any waiting: a sibling's socket or FIFO that we kept open would never reach end of
 * file for its reader. */
static int step_close(struct plan *plan, struct err *err)
{
	const int keep[] = { plan->report_fd, plan->cgroup_fd, plan->join_pidfd, plan->root_fd,
		plan->null_fd, plan->tty_fd, plan->init_fd, plan->in, plan->out, plan->err };

	(void)err;
	spawn_close_others(keep, sizeof keep / sizeof keep[0]);
	return 0;
}

/* Before anything can fire: the caller blocks every signal, and exec keeps the mask. */
static int step_signals(struct plan *plan, struct err *err)
{
	sigset_t none;

	(void)plan;
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return err_sys(err, errno, "unblock signals");
	return 0;
}

/* Before go, so that nothing of ours ever runs outside the limits. */
static int step_cgroup(struct plan *plan, struct err *err)
{
	return plan->must_join_cgroup ? spawn_join_cgroup(plan->cgroup_fd, err) : 0;
}

/* Only a message: the supervisor knows our pid since it cloned us. An exec session was announced by
 * its joiner. */
static int step_created(struct plan *plan, struct err *err)
{
	int r = plan_report(plan, REPORT_CREATED, NULL, -1);

	return r < 0 ? err_sys(err, -r, "tell the supervisor") : 0;
}

/* The supervisor has written our pid down, or it is gone (end of file): then so are we. Late, so that
 * its writing and our building go on at the same time. */
static int step_go(struct plan *plan, struct err *err)
{
	char go;
	ssize_t n = read_full(plan->report_fd, &go, 1);

	if (n < 0)
		return err_sys(err, (int)-n, "hear from the supervisor");
	return n == 1 ? 0 : err_set(err, ECANCELED, "the supervisor is gone");
}

/* Before a terminal can be taken: only a session's leader may take one. */
static int step_session(struct plan *plan, struct err *err)
{
	(void)plan;
	return setsid() < 0 ? err_sys(err, errno, "setsid") : 0;
}

/* ---- the view ---------------------------------------------------------------------------------- */

/* Only now: from inside the container's cgroup namespace we could not have been born into it. */
static int step_namespaces(struct plan *plan, struct err *err)
{
	if (setns(plan->join_pidfd, CLONE_NEWCGROUP) < 0)
		return err_sys(err, errno, "enter the container's cgroup namespace");
	return 0;
}

/* Through the proc we have just mounted and before anything of the container's is mounted over it: no
 * volume may catch these writes (CVE-2025-52881). Names were checked to be namespaced by the
 * configuration. */
static int step_sysctls(struct plan *plan, struct err *err)
{
	const struct strv *sysctls = &plan->spec->sysctls;

	for (size_t i = 0; i < sysctls->n; i++) {
		const char *value = strchr(sysctls->v[i], '=');
		char path[256] = "proc/sys/";
		own_fd fd = -1;
		size_t n = strlen(path);

		if (!value || (size_t)(value - sysctls->v[i]) >= sizeof path - n)
			return err_set(err, EINVAL, "sysctl %s", sysctls->v[i]);
		for (const char *p = sysctls->v[i]; p < value; p++)
			path[n++] = *p == '.' ? '/' : *p;
		path[n] = '\0';
		fd = path_open_beneath(plan->root_fd, path, O_WRONLY, 0);
		if (fd < 0)
			return err_sys(err, -fd, "open the sysctl %s", path + sizeof "proc/sys");
		if (write(fd, value + 1, strlen(value + 1)) < 0)
			return err_sys(err, errno, "set the sysctl %s", sysctls->v[i]);
	}
	return 0;
}

/* Where a link of the image leads must be a place that the configuration could have named: never the
 * root, nor the kernel's own file systems by the back door. */
static int target_check(const struct stat *root, const char *path, int target, struct err *err)
{
	struct stat st;
	struct statfs fs;

	if (fstat(target, &st) < 0 || fstatfs(target, &fs) < 0)
		return err_sys(err, errno, "look at the mount point %s", path);
	if (st.st_dev == root->st_dev && st.st_ino == root->st_ino)
		return err_set(
			err, EINVAL, "mount on %s: the image has a link to its root there", path);
	if ((fs.f_type == PROC_SUPER_MAGIC && strncmp(path, "/proc/", 6) != 0) ||
		(fs.f_type == SYSFS_MAGIC && strncmp(path, "/sys/", 5) != 0))
		return err_set(err, EINVAL,
			"mount on %s: the image has a link into /proc or /sys there", path);
	return 0;
}

/* After the kernel's file systems, for a volume may lie below /dev or /run. Each target is resolved
 * once, inside the root, and mounted by descriptor (CVE-2021-30465 and its family). */
static int step_mounts(struct plan *plan, struct err *err)
{
	struct stat root;
	int cwd;

	if (fstat(plan->root_fd, &root) < 0)
		return err_sys(err, errno, "look at the root");
	for (size_t i = 0; i < plan->nmounts; i++) {
		struct plan_mount *mount = &plan->mounts[i];
		own_fd target = mount->is_dir
					? path_mkdirs_in(plan->root_fd, mount->target, 0755, err)
					: path_touch_in(plan->root_fd, mount->target, err);
		int r;

		if (target < 0)
			return err_wrap(err, "make the mount point %s", mount->target);
		r = target_check(&root, mount->target, target, err);
		if (r < 0)
			return r;
		r = mount_attach(mount->fd, target);
		if (r < 0)
			return err_sys(err, -r, "mount on %s", mount->target);
		fd_close(&mount->fd);
	}
	/* As with the peers, a WorkingDir= that the image does not have is made; if it cannot be,
	 * step_directory has the words. */
	cwd = path_mkdirs_in(plan->root_fd, plan->process->cwd, 0755, NULL);
	fd_close(&cwd);
	return 0;
}

static int step_hostname(struct plan *plan, struct err *err)
{
	const char *name = plan->spec->hostname;

	if (name && sethostname(name, strlen(name)) < 0)
		return err_sys(err, errno, "set the host name %s", name);
	return 0;
}

/* The old root is stacked below the new one by pivot_root(".", "."), then detached: pivot_root(2). */
static int step_pivot(struct plan *plan, struct err *err)
{
	if (fchdir(plan->root_fd) < 0)
		return err_sys(err, errno, "chdir to the new root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(err, errno, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(err, errno, "detach the old root");
	return chdir("/") < 0 ? err_sys(err, errno, "chdir /") : 0;
}

/* Before the user, who may not mount, and after all that is written below /proc. */
static int step_view(struct plan *plan, struct err *err)
{
	return plan->spec->secluded ? seclude_view(plan, err) : 0;
}

/* ---- the process ------------------------------------------------------------------------------- */

/* So that the payload can open /dev/stdout again. A descriptor of a file system that has no owners,
 * or is read-only, stays as it is: the payload still has it open. */
static void give_to_user(const struct plan *plan, int fd)
{
	if (fchown(fd, plan->ids.uid, (gid_t)-1) < 0)
		errno = 0;
}

/* A new terminal from the container's own devpts, so only after the pivot; the peer by ioctl, never
 * by its name, which somebody may have replaced (CVE-2025-52565). */
static int open_terminal(struct plan *plan, struct err *err)
{
	own_fd master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	int unlock = 0;
	int r;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(err, errno, "open /dev/pts/ptmx");
	plan->tty_fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (plan->tty_fd < 0)
		return err_sys(err, errno, "open the terminal");
	give_to_user(plan, plan->tty_fd);
	r = plan_report(plan, REPORT_CONSOLE, NULL, master);
	return r < 0 ? err_sys(err, -r, "hand the terminal over") : 0;
}

/* /dev/console is the payload's terminal, as programs that log there expect. */
static void bind_console(const struct plan *plan)
{
	own_fd file = open("/dev/console", O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	own_fd tree = mount_clone(plan->tty_fd, false);

	if (file >= 0 && tree >= 0)
		(void)mount_attach(tree, file);
}

static int step_terminal(struct plan *plan, struct err *err)
{
	int r = plan->process->tty ? open_terminal(plan, err) : 0;

	if (r < 0 || plan->tty_fd < 0)
		return r;
	if (plan->process->tty && !plan->join)
		bind_console(plan);
	/* 1: taken from another session, as a getty takes its line (needs CAP_SYS_ADMIN). */
	if (ioctl(plan->tty_fd, TIOCSCTTY, 1) < 0)
		return err_sys(err, errno, "take the terminal");
	plan->in = plan->out = plan->err = plan->tty_fd;
	return 0;
}

/* A null device is the host's and stays as it is. */
static int step_stdio(struct plan *plan, struct err *err)
{
	int from[3] = { plan->in, plan->out, plan->err };

	for (int i = 0; i < 3; i++) {
		/* Out of the way of 0..2 first: one of them may be the source of another. */
		from[i] = fcntl(from[i] >= 0 ? from[i] : plan->null_fd, F_DUPFD_CLOEXEC, 3);
		if (from[i] < 0)
			return err_sys(err, errno, "dup descriptor %d", i);
	}
	for (int i = 0; i < 3; i++) {
		struct stat st;

		if (dup2(from[i], i) < 0 || fstat(i, &st) < 0)
			return err_sys(err, errno, "dup descriptor %d", i);
		if (!(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
			give_to_user(plan, i);
	}
	return 0;
}

/* While we are still root: hard limits and a lower oom_score_adj need it. The supervisor's own
 * oom_score_adj must not be inherited. */
static int step_limits(struct plan *plan, struct err *err)
{
	const struct process_spec *process = plan->process;
	char text[16];
	int r = rlimits_set(plan->spec, process, err);

	if (r < 0)
		return r;
	(void)umask(process->umask);
	(void)snprintf(text, sizeof text, "%d", process->oom_score_adj);
	r = file_write_at(AT_FDCWD, "/proc/self/oom_score_adj", text);
	if (r < 0 && process->oom_score_adj < 0)
		return err_sys(err, -r, "set OOMScoreAdjust=%d (needs CAP_SYS_RESOURCE)",
			process->oom_score_adj);
	return 0;
}

/* After the pivot. Not by way of /proc/self/fd: these descriptors are ours. One of the host that was
 * taken all the same would be "(unreachable)" (CVE-2024-21626). */
static int step_directory(struct plan *plan, struct err *err)
{
	own_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	own_fd dir =
		root < 0 ? -errno : path_open_in(root, plan->process->cwd, O_PATH | O_DIRECTORY, 0);
	char cwd[4096];

	if (dir < 0)
		return err_sys(err, -dir, "chdir %s", plan->process->cwd);
	if (fchdir(dir) < 0)
		return err_sys(err, errno, "chdir %s", plan->process->cwd);
	if (syscall(SYS_getcwd, cwd, sizeof cwd) < 0)
		return err_sys(err, errno, "ask for the working directory %s", plan->process->cwd);
	if (cwd[0] != '/')
		return err_set(err, EINVAL, "chdir %s: not inside the root", plan->process->cwd);
	return 0;
}

/* Keyrings are not namespaced: without one of its own a container shares the supervisor's. A kernel
 * without keyrings has nothing to share. */
static int step_keyring(struct plan *plan, struct err *err)
{
	char name[80];

	(void)snprintf(name, sizeof name, "berth.%s", plan->spec->name);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name, 0, 0, 0) < 0 &&
		errno != ENOSYS && errno != EDQUOT)
		return err_sys(err, errno, "join a session keyring");
	return 0;
}

static int become_user(const struct plan *plan, struct err *err)
{
	const struct ids *ids = &plan->ids;
	gid_t groups[IDS_GROUPS_MAX];

	for (size_t i = 0; i < ids->ngroups; i++)
		groups[i] = ids->groups[i];
	if (setgroups(ids->ngroups, groups) < 0)
		return err_sys(err, errno, "set supplementary groups");
	if (setresgid(ids->gid, ids->gid, ids->gid) < 0)
		return err_sys(err, errno, "become group %u", ids->gid);
	if (setresuid(ids->uid, ids->uid, ids->uid) < 0)
		return err_sys(err, errno, "become user %u", ids->uid);
	return 0;
}

/* Without no_new_privs a filter is only loaded with CAP_SYS_ADMIN in effect, which the change of uid
 * has cleared. What follows must be allowed by the profile: capset and execve, no more, so the ambient
 * set is raised here. */
static int load_filter_early(const struct plan *plan, uint64_t ambient, struct err *err)
{
	uint64_t admin = plan->caps | UINT64_C(1) << CAP_SYS_ADMIN;
	int r = caps_set(admin, admin, ambient);

	if (r >= 0)
		r = caps_ambient(ambient);
	if (r >= 0)
		r = seccomp_apply(&plan->filter);
	if (r >= 0)
		r = caps_set(plan->caps, plan->caps, ambient);
	return r < 0 ? err_sys(err, -r, "load the seccomp filter") : 0;
}

/* With no_new_privs the filter is the very last thing: it need not allow what stands above it. */
static int load_filter_last(const struct plan *plan, uint64_t ambient, struct err *err)
{
	int r = caps_set(plan->caps, plan->caps, ambient);

	if (r >= 0)
		r = caps_ambient(ambient);
	if (r < 0)
		return err_sys(err, -r, "set capabilities");
	if (plan->process->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "set no_new_privs");
	r = seccomp_apply(&plan->filter);
	return r < 0 ? err_sys(err, -r, "load the seccomp filter") : 0;
}

/* Who we are and what we may do, as one step, for its order is the whole point: the bounding set
 * while we have CAP_SETPCAP; groups before the user; capabilities kept over setuid by KEEPCAPS. */
static int step_user(struct plan *plan, struct err *err)
{
	uint64_t ambient = plan->ambient ? plan->caps : 0;
	int r = caps_drop_bounding(plan->caps);

	if (r < 0)
		return err_sys(err, -r, "drop capabilities from the bounding set");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "keep capabilities");
	r = become_user(plan, err);
	if (r < 0)
		return r;
	return plan->filter.len && !plan->process->no_new_privs
		       ? load_filter_early(plan, ambient, err)
		       : load_filter_last(plan, ambient, err);
}

/* ---- exec -------------------------------------------------------------------------------------- */

/* PATH of the payload's own environment: names mean what they mean inside. */
static const char *find_path(const struct plan *plan)
{
	for (const char **e = plan->environ; *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			return *e + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* A program of a bundle: its path, or, where that is no way for this user, its descriptor. */
static int exec_bundled(const struct plan *plan, struct err *err)
{
	char *const *env = (char *const *)(size_t)plan->environ;

	(void)execve(plan->lower, plan->argv, env);
	if (plan->program_fd >= 0)
		(void)syscall(SYS_execveat, plan->program_fd, "", plan->argv, env, AT_EMPTY_PATH);
	return spawn_exec_error(plan->lower, errno, err);
}

static int exec_by_path(const struct plan *plan, char **argv, struct err *err)
{
	char *const *env = (char *const *)(size_t)plan->environ;
	const char *path = find_path(plan);
	int code = ENOENT;

	if (strchr(argv[0], '/')) {
		(void)execve(argv[0], argv, env);
		return spawn_exec_error(argv[0], errno, err);
	}
	while (*path) {
		size_t n = strcspn(path, ":");
		char file[4096];

		(void)snprintf(file, sizeof file, "%.*s/%s", (int)n, n ? path : ".", argv[0]);
		(void)execve(file, argv, env);
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return spawn_exec_error(file, errno, err);
		if (errno == EACCES)
			code = EACCES;
		else if (access(file, F_OK) == 0)
			return spawn_exec_error(file, ENOENT, err);
		path += n + (path[n] == ':');
	}
	return err_set(err, code, "%s: %s", argv[0],
		code == EACCES ? "found in PATH, but not executable"
			       : "not found in PATH of the container");
}

/* Success is silence: every descriptor of ours closes itself, and the supervisor reads end of file. */
static int step_exec(struct plan *plan, struct err *err)
{
	char *const *env = (char *const *)(size_t)plan->environ;

	(void)syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */);
	listen_keep(plan->listeners);
	if (plan->spec->secluded && plan->spec->own_program) {
		(void)syscall(SYS_execveat, plan->program_fd, "", plan->argv, env, AT_EMPTY_PATH);
		return spawn_exec_error(seal_program_path(), errno, err);
	}
	if (plan->spec->own_program) {
		(void)execve(seal_program_path(), plan->argv, env);
		return spawn_exec_error(seal_program_path(), errno, err);
	}
	if (plan->spec->program.bundle || plan->spec->secluded)
		return exec_bundled(plan, err);
	if (plan->init_fd < 0 || plan->join)
		return exec_by_path(plan, plan->argv, err);
	(void)syscall(SYS_execveat, plan->init_fd, "", plan->argv, env, AT_EMPTY_PATH);
	return err_sys(err, errno, "berth-init");
}

/* ---- the order --------------------------------------------------------------------------------- */

/* For whom a step is: containers, native services, exec sessions, file systems, proxies. */
enum { CONTAINER = 1, NATIVE = 2, SESSION = 4, MOUNT = 8, PROXY = 16 };
enum { ALL = CONTAINER | NATIVE | SESSION, EVERY = ALL | MOUNT | PROXY };

static const struct step {
	int (*run)(struct plan *plan, struct err *err);
	int who;
} steps[STAGE_COUNT] = {
	[STAGE_CLOSE] = { step_close, EVERY },
	[STAGE_SIGNALS] = { step_signals, EVERY },
	[STAGE_CGROUP] = { step_cgroup, EVERY },
	[STAGE_CREATED] = { step_created, CONTAINER | NATIVE | MOUNT | PROXY },
	[STAGE_RESOLVE] = { step_resolve, CONTAINER | NATIVE | MOUNT | PROXY },
	[STAGE_JOIN_NETWORK] = { step_join_network, CONTAINER | NATIVE },
	[STAGE_ROOT] = { step_root, CONTAINER | NATIVE },
	[STAGE_USERS] = { step_users, CONTAINER | NATIVE | PROXY },
	[STAGE_VOLUMES] = { step_volumes, CONTAINER | NATIVE },
	[STAGE_SESSION] = { step_session, EVERY },
	[STAGE_NAMESPACES] = { step_namespaces, SESSION },
	[STAGE_KERNEL_FS] = { step_kernel_fs, CONTAINER },
	[STAGE_DEVICES] = { step_devices, CONTAINER },
	[STAGE_SYSCTLS] = { step_sysctls, CONTAINER },
	[STAGE_MOUNTS] = { step_mounts, CONTAINER },
	[STAGE_HOSTNAME] = { step_hostname, CONTAINER },
	[STAGE_MASKS] = { step_masks, CONTAINER },
	[STAGE_PIVOT] = { step_pivot, CONTAINER },
	[STAGE_TERMINAL] = { step_terminal, ALL },
	[STAGE_STDIO] = { step_stdio, EVERY },
	[STAGE_LIMITS] = { step_limits, EVERY },
	[STAGE_DIRECTORY] = { step_directory, EVERY },
	[STAGE_KEYRING] = { step_keyring, CONTAINER | SESSION },
	[STAGE_GO] = { step_go, EVERY },
	[STAGE_SOURCE] = { step_source, MOUNT },
	[STAGE_FILESYSTEM] = { step_filesystem, MOUNT },
	[STAGE_LISTEN] = { step_listen, PROXY },
	[STAGE_VIEW] = { step_view, NATIVE },
	[STAGE_USER] = { step_user, ALL | PROXY },
	[STAGE_EXEC] = { step_exec, EVERY },
};

_Noreturn void child_main(struct plan *plan)
{
	int who = plan->spec->filesystem ? MOUNT
		  : plan->spec->proxy    ? PROXY
		  : plan->spec->native   ? NATIVE
		  : plan->join           ? SESSION
					 : CONTAINER;
	struct err err = { 0 };

	for (int stage = STAGE_CLOSE; stage < STAGE_COUNT; stage++) {
		const struct step *step = &steps[stage];

		if (!(step->who & who))
			continue;
		*plan->stage = stage;
		if (step->run(plan, &err) < 0)
			break;
	}
	(void)plan_report(plan, REPORT_FAIL, &err, -1);
	_exit(err.code == ENOENT ? 127 : 126);
}
