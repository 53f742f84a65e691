/*
 * `berth doctor`: what this kernel and machine can do, each thing tried for real. What leaves a trace
 * is tried in a child with namespaces of its own; the one cgroup that is made is removed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns/net.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"

/* A row of the table. `probe` gives 0, or -errno. */
struct check {
	const char *name;
	int (*probe)(const struct check *check);
	const char *arg; /* for the probe */
	bool child;      /* in a child with mount and network namespaces of its own */
	bool needed;     /* no container starts without it */
	const char *cost, *cure;
};

/* ---- probes ------------------------------------------------------------------------------------ */

static int probe_root(const struct check *check)
{
	(void)check;
	return geteuid() == 0 ? 0 : -EPERM;
}

/* `arg` is the capability's name. */
static int probe_capability(const struct check *check)
{
	int bit = capability_from_name(check->arg);
	char text[4096];
	const char *p;

	if (file_read_at(AT_FDCWD, "/proc/self/status", text, sizeof text) < 0)
		return -ENOENT;
	p = strstr(text, "CapEff:");
	return p && strtoull(p + 7, NULL, 16) >> bit & 1 ? 0 : -EPERM;
}

static int probe_kernel(const struct check *check)
{
	struct utsname u;
	char *rest;
	long major;
	long minor;

	(void)check;
	if (uname(&u) < 0)
		return -errno;
	major = strtol(u.release, &rest, 10);
	minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
	return major > 5 || (major == 5 && minor >= 10) ? 0 : -ENOSYS;
}

/* The cgroup2 mount point, from mountinfo. */
static int cgroup2_dir(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	own_mem char *line = NULL;
	size_t size = 0;
	int fd = -ENOENT;

	if (!file)
		return -errno;
	while (fd < 0 && getline(&line, &size, file) > 0) {
		char *dir = line;
		char *end;

		if (!strstr(line, " - cgroup2 "))
			continue;
		for (int i = 0; i < 4 && dir; i++)
			dir = strchr(dir + (i > 0), ' ');
		end = dir ? strchr(dir + 1, ' ') : NULL;
		if (!end)
			continue;
		*end = '\0';
		fd = open(dir + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	(void)fclose(file);
	return fd;
}

static int probe_cgroup2(const struct check *check)
{
	own_fd fd = cgroup2_dir();

	(void)check;
	return fd < 0 ? fd : 0;
}

static int probe_controller(const struct check *check)
{
	own_fd fd = cgroup2_dir();
	size_t n = strlen(check->arg);
	char text[256];

	if (fd < 0)
		return fd;
	if (file_read_at(fd, "cgroup.controllers", text, sizeof text) < 0)
		return -ENOENT;
	for (const char *p = text; (p = strstr(p, check->arg)); p += n)
		if ((p == text || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\n'))
			return 0;
	return -ENOENT;
}

/* Something in a cgroup of ours, which is removed again. */
static int in_new_cgroup(int (*run)(int cgroup))
{
	own_fd top = cgroup2_dir();
	own_fd fd = -1;
	char name[40];
	int r;

	if (top < 0)
		return top;
	(void)snprintf(name, sizeof name, "berth-doctor-%d", (int)getpid());
	if (mkdirat(top, name, 0755) < 0)
		return -errno;
	fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : run(fd);
	(void)unlinkat(top, name, AT_REMOVEDIR);
	return r;
}

static int has_kill(int cgroup)
{
	return faccessat(cgroup, "cgroup.kill", F_OK, 0) < 0 ? -errno : 0;
}

static int probe_cgroup_kill(const struct check *check)
{
	(void)check;
	return in_new_cgroup(has_kill);
}

/* clone3 with a pidfd, into `cgroup` unless that is -1. */
static int clone_child(int cgroup)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD
	};
	siginfo_t info;
	long pid;

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)cgroup;
	}
	pid = syscall(SYS_clone3, &args, sizeof args);
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(0);
	(void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
	fd_close(&pidfd);
	return 0;
}

static int probe_clone3(const struct check *check)
{
	(void)check;
	return clone_child(-1);
}

static int probe_clone_into_cgroup(const struct check *check)
{
	(void)check;
	return in_new_cgroup(clone_child);
}

static int probe_namespace(const struct check *check)
{
	static const struct {
		const char *name;
		int flag;
	} kinds[] = {
		{ "mnt", CLONE_NEWNS },
		{ "pid", CLONE_NEWPID },
		{ "net", CLONE_NEWNET },
		{ "ipc", CLONE_NEWIPC },
		{ "uts", CLONE_NEWUTS },
		{ "cgroup", CLONE_NEWCGROUP },
		{ "user", CLONE_NEWUSER },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(check->arg, kinds[i].name) == 0)
			return unshare(kinds[i].flag) < 0 ? -errno : 0;
	return -EINVAL;
}

/* fsopen(2) finds the file system, loading its module, and mounts nothing. */
static int probe_filesystem(const struct check *check)
{
	own_fd fd = (int)syscall(SYS_fsopen, check->arg, 1U /* FSOPEN_CLOEXEC */);

	return fd < 0 ? -errno : 0;
}

/* A real overlay on a tmpfs, in a mount namespace of the child's. */
static int probe_overlay(const struct check *check)
{
	static const char *const dirs[] = { "/tmp/l", "/tmp/u", "/tmp/w", "/tmp/m" };

	(void)check;
	if (mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
		if (mkdir(dirs[i], 0755) < 0)
			return -errno;
	return mount("overlay", "/tmp/m", "overlay", 0,
		       "lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w") < 0
		       ? -errno
		       : 0;
}

/* open_tree, move_mount and, since 5.12, mount_setattr. */
static int probe_mount_api(const struct check *check)
{
	own_fd fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc", 1U | O_CLOEXEC);

	(void)check;
	if (fd < 0)
		return -errno;
	return syscall(SYS_move_mount, fd, "", AT_FDCWD, "/tmp", 4U) < 0 ? -errno : 0;
}

static int probe_mount_setattr(const struct check *check)
{
	(void)check;
	/* a size of 0 is refused with EINVAL by a kernel that knows the call */
	(void)syscall(SYS_mount_setattr, AT_FDCWD, "/", 0U, NULL, (size_t)0);
	return errno == ENOSYS ? -ENOSYS : 0;
}

static int probe_openat2(const struct check *check)
{
	own_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	own_fd fd = root < 0 ? -errno : path_open_in(root, "proc", O_PATH, 0);

	(void)check;
	return fd < 0 ? fd : 0;
}

/* `arg` is the kind of link, made in the child's network namespace. */
static int probe_link(const struct check *check)
{
	return net_link_probe(check->arg, NULL);
}

static int probe_nf_tables(const struct check *check)
{
	(void)check;
	return net_nft_probe();
}

static int probe_ip6(const struct check *check)
{
	(void)check;
	return net_ip6_probe(NULL, NULL);
}

static int probe_forward(const struct check *check)
{
	(void)check;
	return net_forward_probe();
}

/* The walls of one container that is not there, in the child's network namespace. */
static int probe_guard(const struct check *check)
{
	const struct net_bridge bridge = { .name = "doctor", .ifname = "doctor" };
	const struct net_addr addr = { .family = AF_INET, .prefix = 24, .bytes = { 10, 0, 0, 2 } };
	const struct net_iface iface = { .bridge = &bridge,
		.host_ifname = "doctor",
		.addrs = &addr,
		.naddrs = 1,
		.mac = { 2 } };
	const struct net_spec spec = { .ifaces = &iface, .nifaces = 1 };
	const struct net_spec *const members[] = { &spec };
	const struct net_rules rules = { .members = members, .nmembers = 1 };
	struct err unguarded = { 0 };
	int r;

	(void)check;
	r = net_ruleset_apply("doctor", &rules, &unguarded, NULL);
	return r < 0 ? r : -unguarded.code;
}

static int probe_seccomp(const struct check *check)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	(void)check;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0U, &action) < 0 ? -errno : 0;
}

static int probe_bpf_device(const struct check *check)
{
	/* r0 = 1; exit */
	struct bpf_insn code[] = { { .code = 0xb7, .imm = 1 }, { .code = 0x95 } };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE };
	own_fd fd = -1;

	(void)check;
	attr.insns = (uint64_t)(uintptr_t)code;
	attr.insn_cnt = 2;
	attr.license = (uint64_t)(uintptr_t) "MIT";
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
	return fd < 0 ? -errno : 0;
}

static int probe_file(const struct check *check)
{
	return access(check->arg, F_OK) < 0 ? -errno : 0;
}

/* ---- the table --------------------------------------------------------------------------------- */

static const struct check checks[] = {
	{ "root", probe_root, NULL, false, true, "no container starts", "run berth as root" },
	{ "CAP_SYS_ADMIN", probe_capability, "CAP_SYS_ADMIN", false, true, "no container starts",
		"give berth this capability" },
	{ "CAP_NET_ADMIN", probe_capability, "CAP_NET_ADMIN", false, false,
		"no networks, only Network=host and none", "give berth this capability" },
	{ "CAP_SYS_RESOURCE", probe_capability, "CAP_SYS_RESOURCE", false, false,
		"Ulimit= and OOMScoreAdjust= cannot exceed berth's own",
		"give berth this capability" },
	{ "kernel 5.10", probe_kernel, NULL, false, true, "older kernels are not tested at all",
		"boot a newer kernel" },
	{ "cgroup2", probe_cgroup2, NULL, false, false,
		"no limits, and a container's stray processes are found by its pid namespace only",
		"mount -t cgroup2 cgroup2 /sys/fs/cgroup, or CONFIG_CGROUPS" },
	{ "cgroup cpu", probe_controller, "cpu", false, false,
		"CPUQuota= and CPUWeight= are refused",
		"CONFIG_CFS_BANDWIDTH; where it is bound to cgroup v1: cgroup_no_v1=all on the "
		"kernel command line" },
	{ "cgroup memory", probe_controller, "memory", false, false, "Memory= is refused",
		"cgroup_enable=memory on the kernel command line; where it is bound to cgroup v1: "
		"cgroup_no_v1=all" },
	{ "cgroup pids", probe_controller, "pids", false, false,
		"PidsLimit= is refused, and the default of 1024 is not enforced",
		"CONFIG_CGROUP_PIDS; where it is bound to cgroup v1: cgroup_no_v1=all" },
	{ "cgroup.kill", probe_cgroup_kill, NULL, false, false,
		"a container is killed process by process, frozen meanwhile", "kernel 5.14" },
	{ "clone3 into a cgroup", probe_clone_into_cgroup, NULL, false, false,
		"a container moves into its cgroup by itself, before it runs anything",
		"kernel 5.7" },
	{ "device filter", probe_bpf_device, NULL, false, false,
		"devices are guarded by missing CAP_MKNOD alone", "CONFIG_CGROUP_BPF" },
	{ "clone3, pidfd", probe_clone3, NULL, false, true, "no container starts",
		"kernel 5.4, and no seccomp filter that hides it" },
	{ "openat2", probe_openat2, NULL, false, true,
		"paths inside a root cannot be resolved safely", "kernel 5.6" },
	{ "mount namespace", probe_namespace, "mnt", true, true, "no container starts",
		"CONFIG_NAMESPACES" },
	{ "pid namespace", probe_namespace, "pid", true, true, "no container starts",
		"CONFIG_PID_NS" },
	{ "network namespace", probe_namespace, "net", true, true, "only Network=host",
		"CONFIG_NET_NS" },
	{ "ipc namespace", probe_namespace, "ipc", true, true, "no container starts",
		"CONFIG_IPC_NS" },
	{ "uts namespace", probe_namespace, "uts", true, true, "no container starts",
		"CONFIG_UTS_NS" },
	{ "cgroup namespace", probe_namespace, "cgroup", true, false,
		"a container sees its cgroup's path on the host", "CONFIG_CGROUPS" },
	{ "user namespace", probe_namespace, "user", true, false, "UserNS= is refused",
		"CONFIG_USER_NS; user.max_user_namespaces above 0" },
	{ "mount by descriptor", probe_mount_api, NULL, true, true, "no container starts",
		"kernel 5.2" },
	{ "mount_setattr", probe_mount_setattr, NULL, false, false,
		"read-only binds are made mount by mount", "kernel 5.12" },
	{ "overlay", probe_overlay, NULL, true, false,
		"every container needs ReadOnly=yes, and an image with all that is mounted on",
		"CONFIG_OVERLAY_FS, modprobe overlay" },
	{ "mqueue", probe_filesystem, "mqueue", true, false, "no /dev/mqueue in containers",
		"CONFIG_POSIX_MQUEUE" },
	{ "erofs", probe_filesystem, "erofs", true, false, "images cannot be mounted in place",
		"CONFIG_EROFS_FS, modprobe erofs" },
	{ "squashfs", probe_filesystem, "squashfs", true, false,
		"squashfs images cannot be mounted in place",
		"CONFIG_SQUASHFS, modprobe squashfs" },
	{ "seccomp", probe_seccomp, NULL, false, false, "only SeccompProfile=unconfined starts",
		"CONFIG_SECCOMP_FILTER" },
	{ "bridge", probe_link, "bridge", true, false, "no .network units, only host and none",
		"CONFIG_BRIDGE, modprobe bridge" },
	{ "veth", probe_link, "veth", true, false, "no .network units, only host and none",
		"CONFIG_VETH, modprobe veth" },
	{ "nf_tables", probe_nf_tables, NULL, true, false,
		"no PublishPort=, and containers do not reach beyond the host",
		"CONFIG_NF_TABLES, modprobe nf_tables" },
	{ "nf_tables bridge", probe_guard, NULL, true, false,
		"containers of one network can take each other's addresses, and IPAddressDeny= is "
		"refused",
		"CONFIG_NF_TABLES_BRIDGE, CONFIG_NFT_BRIDGE_META, modprobe nft_meta_bridge" },
	{ "IPv6", probe_ip6, NULL, false, false, "networks with an IPv6 Subnet= do not start",
		"CONFIG_IPV6, no ipv6.disable=1, net.ipv6.conf.default.disable_ipv6=0" },
	{ "forwarding", probe_forward, NULL, false, false, "only networks with Internal=yes",
		"a writable /proc/sys, or net.ipv4.ip_forward=1 before berth starts" },
	{ "tun", probe_file, "/dev/net/tun", false, false, "AddDevice=/dev/net/tun is refused",
		"CONFIG_TUN, modprobe tun" },
	{ "loop devices", probe_file, "/dev/loop-control", false, false,
		"image files are mounted only where the kernel mounts files directly",
		"CONFIG_BLK_DEV_LOOP, modprobe loop" },
	{ "watchdog", probe_file, "/dev/watchdog", false, false, "RuntimeWatchdogSec= does nothing",
		"the driver of the machine's watchdog, or modprobe softdog" },
};

/* Runs a probe in a child that may break what it likes. */
static int probe_in_child(const struct check *check)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int r = unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
					mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
				? -errno
				: check->probe(check);

		_exit(-r & 0xff);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static json_t *row_json(const struct check *check, int r)
{
	json_t *o = json_pack(
		"{s:s,s:b,s:b}", "name", check->name, "ok", r == 0, "needed", (int)check->needed);

	if (r < 0) {
		(void)json_object_set_new(o, "error", json_string(strerror(-r)));
		(void)json_object_set_new(o, "cost", json_string(check->cost));
		(void)json_object_set_new(o, "cure", json_string(check->cure));
	}
	return o;
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	json_t *rows = json_array();
	bool json = false;
	int code = CMD_OK;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (cmd_global(c, "doctor"))
			return CMD_USAGE;
	}
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		const struct check *check = &checks[i];
		int r = check->child ? probe_in_child(check) : check->probe(check);

		if (r < 0 && check->needed)
			code = CMD_FAILED;
		(void)json_array_append_new(rows, row_json(check, r));
		if (json)
			continue;
		if (r == 0)
			printf("%-22s ok\n", check->name);
		else
			printf("%-22s missing (%s): %s: %s\n", check->name, strerror(-r),
				check->cost, check->cure);
		(void)fflush(stdout);
	}
	if (json)
		show_json(rows);
	return code;
}
