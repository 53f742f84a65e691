/*
 * start - how long a container takes from its spec to the first instruction of its entrypoint
 *
 *     start berth|berth-net|berth-again|floor ROOT COUNT
 *     start peer ROOT COUNT COMMAND…
 *
 * ROOT holds /probe (tests/probe), whose "stamp" prints CLOCK_MONOTONIC when it is reached. One line
 * per run: MODE WALL_US CPU_US. The floor is a bare clone3 into the same namespaces, pivot_root and
 * exec, nothing else. A peer (crun, runc) is a whole command that ends in the same stamp; "%d" in
 * its arguments is the number of the run. Run it in network and mount namespaces of its own:
 * bench/run does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns/net.h"
#include "netns/netns.h"
#include "images/fsimage.h"
#include "images/rootfs.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/path.h"
#include "supervisor/runtime/container.h"
#include "supervisor/runtime/seccomp.h"

#define RUN_DIR "/run/berth-bench"

static const char *root;
static struct seccomp_cache filters;
static struct cgroup_tree tree = { .fd = -1 };
static struct container_env env = { .instance = "bench",
	.run_dir = RUN_DIR,
	.state_dir = RUN_DIR,
	.worker = "/nonexistent",
	.tree = &tree,
	.workers_fd = -1,
	.seccomp = &filters };

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "start: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t cpu_us(void)
{
	struct rusage used[2];
	uint64_t sum = 0;

	(void)getrusage(RUSAGE_SELF, &used[0]);
	(void)getrusage(RUSAGE_CHILDREN, &used[1]);
	for (int i = 0; i < 2; i++)
		sum += (uint64_t)(used[i].ru_utime.tv_sec + used[i].ru_stime.tv_sec) * 1000000 +
		       (uint64_t)(used[i].ru_utime.tv_usec + used[i].ru_stime.tv_usec);
	return sum;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

/* ---- the three kinds --------------------------------------------------------------------------- */

static struct net_subnet subnet;
static struct net_addr addr;
static const struct net_bridge bridge = {
	.name = "bench", .ifname = "br-bench", .subnets = &subnet, .nsubnets = 1
};
static const struct net_iface iface = { .bridge = &bridge,
	.addrs = &addr,
	.naddrs = 1,
	.host_ifname = "bbenchbench0",
	.alias = "berth:bench:bench:0",
	.ifname = "eth0",
	.default_route = true };

static struct container_spec make_spec(bool net)
{
	static const char *argv[] = { "/probe", "stamp", NULL };
	static const char *environment[] = { "PATH=/bin", NULL };
	struct container_spec spec = {
		.name = "bench",
		.root = { .kind = ROOT_DIR, .path = root, .upper_size = 16 << 20 },
		.limits = { .pids_max = { .value = 1024, .set = true, .builtin = true },
			.best_effort = true },
		.net = { .mode = NET_NONE },
		.process = { .argv = { argv, 2 },
			.env = { environment, 1 },
			.cwd = "/",
			.caps_root = 0x5fb,
			.no_new_privs = true,
			.umask = 022 },
		.hostname = "bench",
		.shm_size = 64 << 20,
		.hosts = "127.0.0.1 localhost\n",
		.resolv_conf = "",
	};

	if (net) {
		(void)net_addr_parse("10.99.0.0/24", &subnet.net);
		(void)net_addr_parse("10.99.0.1/24", &subnet.gateway);
		(void)net_addr_parse("10.99.0.2/24", &addr);
		spec.net = (struct net_spec){ .mode = NET_PRIVATE, .ifaces = &iface, .nifaces = 1 };
	}
	return spec;
}

static void run_berth(const struct container_spec *spec, unsigned number, int out)
{
	struct container_run run = {
		.spec = spec, .number = number, .in = -1, .out = out, .err = 2
	};
	struct cgroup_dropped dropped;
	struct container container;
	struct report report;
	struct err err = { 0 };
	int console = -1;
	int r;

	if (container_start(&env, &run, &container, &dropped, &err) < 0) {
		(void)fprintf(stderr, "start: %s\n", err.text);
		exit(1);
	}
	do {
		struct pollfd p = { .fd = container.report_fd, .events = POLLIN };

		(void)poll(&p, 1, -1);
		r = container_read_report(&container, &report, &console);
		if (r == 1 && report.kind == REPORT_CREATED)
			(void)container_go(&container);
		else if (r == 1 && report.kind != REPORT_CONSOLE)
			(void)fprintf(stderr, "start: %s: %s\n",
				container_stage_name((enum container_stage)report.stage),
				report.err.text);
	} while (r != 0);
	reap(container.builder);
	if (container.pid)
		reap(container.pid);
	container_done(&container);
}

/* ---- an image of an appliance ------------------------------------------------------------------------ */

/* FILE OFFSET LENGTH TAG WORKER: what `berth bundle ls --json` says of the image, and its digests' judge. */
static void use_image(struct root_spec *spec, char **words)
{
	spec->kind = ROOT_FILE;
	spec->path = words[0];
	spec->offset = strtoull(words[1], NULL, 10);
	spec->length = strtoull(words[2], NULL, 10);
	spec->tag = words[3];
	spec->image = "localhost/bench:latest";
	env.worker = words[4];
}

/* So that the next start is the first again. */
static void forget_image(const struct root_spec *spec)
{
	struct root_spec mounted = *spec;
	char path[256];

	mounted.verify = VERIFY_ONCE;
	if (rootfs_ready(&mounted, RUN_DIR "/img", path, sizeof path))
		(void)umount2(path, 0);
}

/* FILE OFFSET LENGTH, mounted at the directory `root` and unmounted, `count` times. */
static int time_mounts(unsigned count, char **words)
{
	int file = open(words[0], O_RDONLY | O_CLOEXEC);
	struct err err = { 0 };
	enum fsimage_way way;

	for (unsigned i = 0; i < count; i++) {
		uint64_t begun = clock_monotonic();

		if (fsimage_mount(file, strtoull(words[1], NULL, 10), strtoull(words[2], NULL, 10),
			    root, &way, &err) < 0) {
			(void)fprintf(stderr, "start: %s\n", err.text);
			return 1;
		}
		(void)printf("%s %llu\n", way == FSIMAGE_FILE ? "file" : "loop",
			(unsigned long long)(clock_monotonic() - begun) / 1000);
		if (umount2(root, 0) < 0)
			die("umount");
	}
	(void)close(file);
	return 0;
}

/* ---- the others ---------------------------------------------------------------------------------------- */

static void run_floor(int out)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
			 CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

	if (pid < 0)
		die("clone3");
	if (pid == 0) {
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount(root, root, NULL, MS_BIND, NULL) < 0 || chdir(root) < 0 ||
			syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
			dup2(out, 1) < 0)
			_exit(1);
		execl("/probe", "/probe", "stamp", NULL);
		_exit(127);
	}
	reap(pid);
}

static void run_peer(char **argv, unsigned number, int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		static char text[64];

		for (char **arg = argv; *arg; arg++)
			if (strstr(*arg, "%d")) {
				(void)snprintf(text, sizeof text, "%.*s%u",
					(int)(strstr(*arg, "%d") - *arg), *arg, number);
				*arg = text;
			}
		(void)dup2(out, 1);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	reap(pid);
}

/* ---- one sample -------------------------------------------------------------------------------- */

static void sample(
	const char *mode, const struct container_spec *spec, char **peer, unsigned number)
{
	char text[64] = "";
	uint64_t begun;
	uint64_t cpu;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		die("pipe");
	cpu = cpu_us();
	begun = clock_monotonic();
	if (strncmp(mode, "berth", 5) == 0)
		run_berth(spec, number, pair[1]);
	else if (strcmp(mode, "floor") == 0)
		run_floor(pair[1]);
	else if (peer[0])
		run_peer(peer, number, pair[1]);
	cpu = cpu_us() - cpu;
	(void)close(pair[1]);
	if (read_full(pair[0], text, sizeof text - 1) <= 0) {
		(void)fprintf(stderr, "start: %s: the entrypoint was not reached\n", mode);
		exit(1);
	}
	(void)close(pair[0]);
	(void)printf("%s %llu %llu\n", mode,
		(unsigned long long)(strtoull(text, NULL, 10) - begun) / 1000,
		(unsigned long long)cpu);
	(void)fflush(stdout);
	if (strcmp(mode, "berth-again") != 0) {
		(void)net_detach(&iface, 1, NULL);
		(void)netns_remove(RUN_DIR "/pin/bench.net");
	}
}

/* What a supervisor has done by reading its configuration: the loader finds a function of libc once for
 * a process and all of its children, and each child of ours would look for it again. */
static void bind_streams(void)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	if (out)
		(void)fclose(out);
	free(text);
}

int main(int argc, char **argv)
{
	struct container_spec spec;
	struct err err = { 0 };
	char leaf[32];
	unsigned count;

	if (argc < 4)
		return 2;
	root = argv[2];
	count = (unsigned)strtoul(argv[3], NULL, 10);
	if (strcmp(argv[1], "mount") == 0 && argc == 7)
		return time_mounts(count, argv + 4);
	spec = make_spec(strcmp(argv[1], "berth-net") == 0 || strcmp(argv[1], "berth-again") == 0);
	if (strncmp(argv[1], "berth-image", 11) == 0 && argc == 9)
		use_image(&spec.root, argv + 4);
	if (strcmp(argv[1], "berth-image-first") == 0)
		spec.root.verify = VERIFY_ALWAYS;
	if (path_mkdirs(RUN_DIR "/pin", 0700) < 0)
		die(RUN_DIR);
	if (strncmp(argv[1], "berth", 5) == 0) {
		bind_streams();
		if (cgroup_tree_open(&tree, "berth-bench", NULL, &err) < 0)
			(void)fprintf(stderr, "start: without cgroups: %s\n", err.text);
		if (spec.net.mode == NET_PRIVATE && net_bridge_ensure("bench", &bridge, &err) < 0) {
			(void)fprintf(stderr, "start: %s\n", err.text);
			return 1;
		}
	}
	for (unsigned i = 0; i < count; i++) {
		sample(argv[1], &spec, argv + 4, i);
		if (spec.root.verify == VERIFY_ALWAYS || i + 1 == count)
			forget_image(&spec.root);
		(void)snprintf(leaf, sizeof leaf, "c/bench/%u", i);
		if (tree.fd >= 0)
			(void)cgroup_remove(&tree, leaf);
	}
	if (tree.fd >= 0)
		(void)cgroup_tree_remove(&tree, NULL);
	return 0;
}
