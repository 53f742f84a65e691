/*
 * Building: the steps of a start that may wait for a disk, and need the container's own mount
 * namespace. What they open stays in the plan for the steps that follow in child.c.
 *
 * We are the container's first process already: in its cgroup, so that what is spent here is spent
 * within its limits, and in its namespaces, but still with the host's root and every privilege.
 */
#include "supervisor/runtime/build.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "images/rootfs.h"
#include "netns/net.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/runtime/caps.h"
#include "supervisor/runtime/filesystem.h"
#include "supervisor/runtime/initblob.h"
#include "supervisor/runtime/listen.h"
#include "supervisor/runtime/mounts.h"
#include "supervisor/base/sealed.h"
#include "supervisor/runtime/resolv.h"
#include "supervisor/runtime/seclude.h"
#include "supervisor/runtime/uplink.h"
#include "supervisor/runtime/volume.h"

/* A read-only container still needs its mount points made: in an upper layer this small. */
enum { READONLY_UPPER_SIZE = 1 << 20 };

/* For files that are read and nothing else. */
#define NOTHING_RUNS (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

/* ---- STAGE_RESOLVE, STAGE_USERS ---------------------------------------------------------------- */

/* The host's /dev/null, and really that: masks are made of it (CVE-2025-31133). */
int build_open_null(struct plan *plan, struct err *err)
{
	struct stat st;

	plan->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (plan->null_fd < 0 || fstat(plan->null_fd, &st) < 0)
		return err_sys(err, errno, "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(err, EINVAL, "open /dev/null: it is not the null device");
	return 0;
}

static int open_tty(struct plan *plan, struct err *err)
{
	const char *path = plan->process->tty_path;

	if (!path)
		return 0;
	plan->tty_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (plan->tty_fd < 0)
		return err_sys(err, errno, "open the terminal %s", path);
	return isatty(plan->tty_fd) ? 0 : err_set(err, ENOTTY, "%s is not a terminal", path);
}

static int open_init(struct plan *plan, struct err *err)
{
	const struct container_spec *spec = plan->spec;

	if (!plan->hold && !spec->run_init && !spec->filesystem && !spec->proxy)
		return 0;
	plan->init_fd = initblob_open(err);
	return plan->init_fd < 0 ? plan->init_fd : 0;
}

/* As a whole or not at all: the program may be told to read it again at any time. */
static int write_config(const struct container_spec *spec, struct err *err)
{
	const char *slash = spec->config_path ? strrchr(spec->config_path, '/') : NULL;
	own_fd dir = -1;
	char path[4096];
	int r;

	if (!spec->config_text || !slash)
		return 0;
	(void)snprintf(
		path, sizeof path, "%.*s", (int)(slash - spec->config_path), spec->config_path);
	r = path_mkdirs(path, 0700);
	dir = r < 0 ? r : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, r < 0 ? -r : errno, "make the directory %s", path);
	r = file_replace_at(dir, slash + 1, spec->config_text, strlen(spec->config_text), 0600, 0);
	return r < 0 ? err_sys(err, -r, "write %s", spec->config_path) : 0;
}

/* A program of a bundle is run by its path, where it finds its siblings; out of memory where the only
 * places for it are mounted noexec. */
static int open_program(struct plan *plan, struct err *err)
{
	const struct container_spec *spec = plan->spec;

	return spec->program.bundle && !spec->own_program
		       ? sealed_copy(plan->lower, &plan->program_fd, err)
		       : 0;
}

/* Capabilities follow from the user, so this comes after users_resolve. */
static int choose_caps(struct plan *plan, struct err *err)
{
	const struct process_spec *process = plan->process;
	bool is_root = plan->ids.uid == 0;
	uint64_t ours = 0;
	uint64_t more;
	int r = caps_permitted(&ours);

	if (r < 0)
		return err_sys(err, -r, "read our own capabilities");
	plan->caps = is_root ? process->caps_root : process->caps_other;
	more = plan->caps & ~ours;
	/* A native service has what berth has; a container that was promised more is refused. */
	if (more && !plan->spec->native)
		return err_set(err, EPERM,
			"give %s: berth does not have it here (see berth doctor); remove it from "
			"AddCapability=",
			capability_name(__builtin_ctzll(more)));
	plan->caps &= ours;
	plan->ambient = !is_root && plan->caps;
	if (process->seccomp_off || (plan->filter.len && plan->filter_caps == plan->caps))
		return 0;
	return seccomp_build(
		process->seccomp_path, plan->caps, !process->no_new_privs, &plan->filter, err);
}

static bool env_has(const struct strv *env, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], key, n) == 0 && env->v[i][n] == '=')
			return true;
	return false;
}

/* RunInit= puts berth-init before the payload; without a payload it holds the namespaces open. */
static int make_argv(struct plan *plan, struct err *err)
{
	const struct strv *argv = &plan->process->argv;
	bool init = plan->init_fd >= 0;
	size_t n = 0;

	plan->argv = calloc(argv->n + 2, sizeof *plan->argv);
	if (!plan->argv)
		return err_sys(err, ENOMEM, "make the arguments");
	if (init)
		plan->argv[n++] = (char *)(size_t) "berth-init";
	for (size_t i = 0; !plan->hold && i < argv->n; i++)
		plan->argv[n++] = (char *)(size_t)argv->v[i];
	return 0;
}

/* The directory of the bundle comes first in the PATH of its program. */
static void prepend_path(const struct plan *plan, size_t n)
{
	static char path[8192];
	const char *file = plan->spec->asks_for ? SECLUDE_CLIENT : plan->lower;
	const char *slash = strrchr(file, '/');

	for (size_t i = 0; i < n; i++)
		if (strncmp(plan->environ[i], "PATH=", 5) == 0) {
			(void)snprintf(path, sizeof path, "PATH=%.*s:%s", (int)(slash - file), file,
				plan->environ[i] + 5);
			plan->environ[i] = path;
		}
}

/* The spec's environment, and what follows from the container: HOME, container, TERM. */
static int make_environment(struct plan *plan, struct err *err)
{
	const char *notify = plan->notify_socket;
	const struct strv *env = &plan->process->env;
	static char home[sizeof plan->ids.home + sizeof "HOME="];
	static char socket[300];
	size_t n = env->n;

	plan->environ = calloc(env->n + PLAN_ENV, sizeof *plan->environ);
	if (!plan->environ)
		return err_sys(err, ENOMEM, "make the environment");
	if (n)
		memcpy(plan->environ, env->v, n * sizeof *env->v);
	if (plan->spec->program.bundle)
		prepend_path(plan, n);
	(void)snprintf(home, sizeof home, "HOME=%s", plan->ids.home);
	if (!env_has(env, "HOME") && plan->ids.home[0])
		plan->environ[n++] = home;
	if (!env_has(env, "container") && !plan->spec->native)
		plan->environ[n++] = "container=berth";
	if (!env_has(env, "TERM") && (plan->process->tty || plan->process->tty_path))
		plan->environ[n++] = plan->process->tty ? "TERM=xterm" : "TERM=linux";
	(void)snprintf(socket, sizeof socket, "NOTIFY_SOCKET=%s",
		plan->spec->secluded           ? SECLUDE_NOTIFY
		: plan->spec->native && notify ? notify
					       : PLAN_NOTIFY_PATH);
	if (notify)
		plan->environ[n++] = socket;
	return 0;
}

/* All that follows from the user: capabilities, filter, environment, arguments. */
int build_process(struct plan *plan, struct err *err)
{
	int r = choose_caps(plan, err);

	if (r >= 0)
		r = make_environment(plan, err);
	return r < 0 ? r : make_argv(plan, err);
}

int step_resolve(struct plan *plan, struct err *err)
{
	int r = plan->spec->native ? build_open_null(plan, err) : 0;

	if (r >= 0)
		r = open_tty(plan, err);
	if (r >= 0)
		r = write_config(plan->spec, err);
	if (r >= 0)
		r = open_program(plan, err);
	return r < 0 ? r : open_init(plan, err);
}

/* Inside the assembled root, and before the old one goes: the lookup goes through the host's /proc. */
int step_users(struct plan *plan, struct err *err)
{
	const struct process_spec *process = plan->process;
	own_fd host = plan->spec->native ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int root = plan->spec->native ? host : plan->root_fd;
	int r;

	if (root < 0)
		return err_sys(err, errno, "open /");
	r = users_resolve(root, process->user, process->group, &process->groups, &plan->ids, err);
	return r < 0 ? r : build_process(plan, err);
}

/* ---- STAGE_SOURCE, STAGE_FILESYSTEM --------------------------------------------------------------- */

int step_source(struct plan *plan, struct err *err)
{
	static char source[4096];

	plan->source = source;
	return filesystem_source(plan->spec->filesystem, source, sizeof source, err);
}

/* After the supervisor has our pid: what mounts may not be found by a later one otherwise. What follows
 * is berth-init, which keeps the mount until it is asked to stop. */
int step_filesystem(struct plan *plan, struct err *err)
{
	const struct filesystem_spec *fs = plan->spec->filesystem;
	static char number[16];
	static char flags[16];
	static char name[] = "berth-mount";
	static char *argv[] = { name, NULL, number, flags, NULL };
	static const char *environ[] = { NULL };
	int r = filesystem_mount(fs, plan->source, err);

	if (r < 0)
		return err_wrap(err, "mount %s", fs->where);
	argv[1] = (char *)(size_t)fs->where;
	(void)snprintf(number, sizeof number, "%d", r);
	(void)snprintf(flags, sizeof flags, "%d",
		UMOUNT_NOFOLLOW | (fs->lazy ? MNT_DETACH : 0) | (fs->force ? MNT_FORCE : 0));
	plan->argv = argv;
	plan->environ = environ;
	return 0;
}

/* ---- STAGE_LISTEN ------------------------------------------------------------------------------ */

/* While we are root, for ports below 1024; after the supervisor has our pid, so that who holds a port is
 * always known. What follows is berth-init, as nobody. */
int step_listen(struct plan *plan, struct err *err)
{
	static struct listeners listeners;
	static const char *environ[] = { NULL };
	int r = listen_open(plan->spec->proxy, &listeners, err);

	if (r < 0)
		return r;
	plan->listeners = &listeners;
	plan->argv = listeners.argv;
	plan->environ = environ;
	return 0;
}

/* ---- STAGE_JOIN_NETWORK ------------------------------------------------------------------------ */

/* Enters the pinned namespace; one without a network was made with us, and has lo alone. Before the
 * mount namespace is left to the container, for the pin is visible only now; sysfs, mounted later, then
 * shows this network. */
int step_join_network(struct plan *plan, struct err *err)
{
	const struct net_spec *net = &plan->spec->net;
	char pin[256];
	own_fd fd = -1;

	if (net->mode == NET_HOST)
		return 0;
	if (net->mode == NET_NONE)
		return net_loopback_up(err);
	if (net->mode == NET_PATH)
		return netns_join(net->path, err);
	plan_pin_path(plan->env, net->mode == NET_CONTAINER ? net->container : plan->spec->name,
		pin, sizeof pin);
	fd = open(pin, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && net->mode == NET_CONTAINER)
		return err_sys(err, errno,
			"join the network of %s, which has none of its own to share: %s",
			net->container, pin);
	if (fd < 0)
		return err_sys(err, errno, "open %s", pin);
	/* Kept from an earlier run, or just made: what a killed run left in it goes (rule: a restart
	 * begins clean). */
	if (net->mode == NET_PRIVATE && !plan->prepared) {
		/* Devices that an older definition was lent: with some of its own it was prepared. */
		int r = net_devices_back(fd, NULL, 0, err);

		if (r == 0)
			r = net_clear(fd, net, plan->others, err);
		if (r < 0)
			return r;
	}
	if (setns(fd, CLONE_NEWNET) < 0)
		return err_sys(err, errno, "enter the network namespace %s", pin);
	return 0;
}

/* ---- STAGE_ROOT -------------------------------------------------------------------------------- */

static int mount_root(struct plan *plan, struct err *err)
{
	struct root_spec root = plan->spec->root;
	char where[256];
	int r;

	if (root.readonly) {
		root.readonly = false; /* until the child has mounted everything: STAGE_MASKS */
		root.upper_size = READONLY_UPPER_SIZE;
		root.upper_dir = NULL;
	}
	(void)snprintf(where, sizeof where, "%s/mnt", plan->env->run_dir);
	r = path_mkdirs(where, 0700);
	if (r < 0)
		return err_sys(err, -r, "mkdir %s", where);
	r = rootfs_mount(&root, plan->lower, where, err);
	/* Without overlay nothing can be made in it: the image must have what is mounted on. */
	if (r == -ENODEV && plan->spec->root.readonly)
		r = rootfs_mount(&plan->spec->root, plan->lower, where, err);
	else if (r == -ENODEV)
		r = err_wrap(err, "without ReadOnly=yes it takes an overlay");
	if (r < 0)
		return r;
	plan->root_fd = open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return plan->root_fd < 0 ? err_sys(err, errno, "open %s", where) : 0;
}

/* The mount namespace is ours since birth; nothing that is mounted from here on may propagate to the
 * host. The null device is opened only now: a bind of it is allowed within one mount namespace. */
int step_root(struct plan *plan, struct err *err)
{
	int r;

	if (plan->spec->native)
		return plan->spec->secluded ? seclude_open(plan, err) : 0;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "make / private");
	r = build_open_null(plan, err);
	return r < 0 ? r : mount_root(plan, err);
}

/* ---- STAGE_VOLUMES ----------------------------------------------------------------------------- */

static int add_mount(
	struct plan *plan, int fd /* taken */, const char *target, bool is_dir, struct err *err)
{
	if (plan->nmounts == PLAN_MOUNTS) {
		fd_close(&fd);
		return err_set(err, E2BIG, "more than %d mounts", PLAN_MOUNTS);
	}
	plan->mounts[plan->nmounts++] =
		(struct plan_mount){ .fd = fd, .target = target, .is_dir = is_dir };
	return 0;
}

/* A host file or directory as a detached bind. */
static int add_bind(struct plan *plan, const char *source, const char *target, bool recursive,
	uint64_t attributes, uint64_t propagation, struct err *err)
{
	own_fd fd = open(source, O_PATH | O_CLOEXEC);
	own_fd tree = -1;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "mount %s on %s", source, target);
	tree = mount_clone(fd, recursive);
	if (tree < 0)
		return err_sys(err, -tree, "mount %s on %s", source, target);
	r = mount_set(tree, attributes, propagation, recursive);
	if (r < 0)
		return err_sys(err, -r, "mount %s on %s: set its options", source, target);
	return add_mount(plan, fd_take(&tree), target, S_ISDIR(st.st_mode), err);
}

static uint64_t attributes_of(const struct mount_spec *mount)
{
	return (mount->readonly ? MOUNT_ATTR_RDONLY : 0) | (mount->noexec ? MOUNT_ATTR_NOEXEC : 0) |
	       (mount->nosuid ? MOUNT_ATTR_NOSUID : 0) | (mount->nodev ? MOUNT_ATTR_NODEV : 0);
}

static int add_tmpfs(struct plan *plan, const struct mount_spec *mount, struct err *err)
{
	char size[32];
	char mode[16];
	struct mount_option options[] = { { "mode", mode }, { "size", size } };
	int fd;
	int r;

	(void)snprintf(mode, sizeof mode, "%o", mount->mode ? mount->mode : 01777);
	(void)snprintf(size, sizeof size, "%llu", (unsigned long long)mount->size);
	fd = mount_new("tmpfs", options, mount->size ? 2 : 1, attributes_of(mount), err);
	if (fd < 0)
		return err_wrap(err, "mount a tmpfs on %s", mount->target);
	r = mount->copy_up ? volume_fill(plan->root_fd, mount->target, fd, false) : 0;
	if (r < 0) {
		fd_close(&fd);
		return err_sys(err, -r, "copy %s of the image into its tmpfs", mount->target);
	}
	return add_mount(plan, fd, mount->target, true, err);
}

/* Nobody has named it, so nobody counts on it: where nothing can be kept, it is not kept. */
static int add_in_memory(struct plan *plan, const struct mount_spec *mount, struct err *err)
{
	struct mount_spec memory = *mount;

	memory.kind = MOUNT_TMPFS;
	memory.mode = 0755;
	(void)err_wrap(err, "%s is kept in memory", mount->target);
	(void)plan_report(plan, REPORT_WARN, err, -1);
	return add_tmpfs(plan, &memory, err);
}

static int add_volume(struct plan *plan, const struct mount_spec *mount, struct err *err)
{
	uint64_t propagation = mount->shared ? MS_SHARED : mount->slave ? MS_SLAVE : MS_PRIVATE;
	int r = 0;

	switch (mount->kind) {
	case MOUNT_TMPFS:
		return add_tmpfs(plan, mount, err);
	case MOUNT_FILE:
		r = volume_stage_file(plan->env->run_dir, mount, err);
		if (r < 0)
			return r;
		return add_mount(plan, r, mount->target, false, err);
	case MOUNT_VOLUME:
		/* Open until exec closes it: as long as it is locked, nobody removes the volume. */
		r = volume_ensure(mount, plan->root_fd, &plan->ids, err);
		if (r == -EROFS && mount->anonymous)
			return add_in_memory(plan, mount, err);
		break;
	case MOUNT_BIND:
		r = mount->chown ? volume_chown(mount->source, &plan->ids, err) : 0;
		break;
	}
	if (r < 0)
		return r;
	return add_bind(plan, mount->source, mount->target, mount->recursive, attributes_of(mount),
		propagation, err);
}

/* A text that many containers of a network share is one file, read-only: named, or by its content. */
static int add_text(
	struct plan *plan, const char *name, const char *text, const char *target, struct err *err)
{
	char path[256];
	int r;

	if (!text)
		return 0;
	r = volume_shared_text(plan->env->run_dir, name, text, path, sizeof path, err);
	if (r < 0)
		return r;
	return add_bind(
		plan, path, target, false, MOUNT_ATTR_RDONLY | NOTHING_RUNS, MS_PRIVATE, err);
}

static int add_timezone(struct plan *plan, struct err *err)
{
	const char *zone = plan->spec->timezone;
	char path[300];

	if (!zone)
		return 0;
	if (strcmp(zone, "local") == 0)
		(void)snprintf(path, sizeof path, "/etc/localtime");
	else
		(void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", zone);
	return add_bind(plan, path, "/etc/localtime", false, MOUNT_ATTR_RDONLY, MS_PRIVATE, err);
}

/* The directory of its record is the client's own, and nobody else's. */
static int add_lease(struct plan *plan, struct err *err)
{
	const struct container_spec *spec = plan->spec;
	const struct uplink_owner owner = uplink_of_client(plan->env->run_dir, spec->name);
	int r = path_mkdirs(owner.dir, 0700);

	if (r < 0 || chown(owner.dir, plan->ids.uid, plan->ids.gid) < 0)
		return err_sys(err, r < 0 ? -r : errno, "make the directory %s", owner.dir);
	r = add_bind(plan, owner.dir, SECLUDE_LEASE, false, NOTHING_RUNS, MS_PRIVATE, err);
	if (r >= 0 && spec->program.bundle)
		r = add_bind(plan, plan->lower, SECLUDE_CLIENT, false, 0, MS_PRIVATE, err);
	return r;
}

static int add_secluded(struct plan *plan, struct err *err)
{
	const struct container_spec *spec = plan->spec;
	own_mem char *servers = NULL;
	int r = resolv_text(plan->env->run_dir, spec, &servers, err);

	if (r >= 0 && spec->asks_for)
		r = add_lease(plan, err);
	if (r >= 0)
		r = add_text(plan, spec->hosts_name, spec->hosts, SECLUDE_HOSTS, err);
	if (r >= 0)
		r = add_text(plan, spec->resolv_name, servers, SECLUDE_RESOLV, err);
	if (r >= 0 && plan->notify_socket)
		r = add_bind(plan, plan->notify_socket, SECLUDE_NOTIFY, false, 0, MS_PRIVATE, err);
	return r;
}

/* Sources are opened where host paths mean what the configuration says; targets wait for the child. */
int step_volumes(struct plan *plan, struct err *err)
{
	const char *notify = plan->notify_socket;
	const struct container_spec *spec = plan->spec;
	own_mem char *resolv = NULL;
	own_mem char *hosts = NULL;
	char hostname[80];
	int r;

	if (spec->native)
		return spec->secluded ? add_secluded(plan, err) : 0;
	r = resolv_text(plan->env->run_dir, spec, &resolv, err);
	if (r >= 0)
		r = hosts_text(plan->env->run_dir, spec, &hosts, err);
	for (size_t i = 0; r >= 0 && i < spec->nmounts; i++) {
		r = add_volume(plan, &spec->mounts[i], err);
		if (r < 0 && spec->mounts[i].origin)
			return err_wrap(err, "%s", spec->mounts[i].origin);
	}
	(void)snprintf(hostname, sizeof hostname, "%s\n", spec->hostname ? spec->hostname : "");
	if (r >= 0 && spec->hostname)
		r = add_text(plan, NULL, hostname, "/etc/hostname", err);
	if (r >= 0)
		r = add_text(plan, spec->hosts_name, hosts, "/etc/hosts", err);
	if (r >= 0)
		r = add_text(plan, spec->resolv_name, resolv, "/etc/resolv.conf", err);
	if (r >= 0)
		r = add_timezone(plan, err);
	if (r >= 0 && notify)
		r = add_bind(plan, notify, PLAN_NOTIFY_PATH, false, 0, MS_PRIVATE, err);
	return r;
}
