/*
 * What a container looks like from inside, as key=value lines; and small behaviours that tests need
 * of a payload. Static, so that it runs in any root. `probe` alone lists the commands.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void nap(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

static void __attribute__((noreturn)) sleep_forever(void)
{
	for (;;)
		(void)pause();
}

static long number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end) {
		(void)fprintf(stderr, "probe: %s is not a number\n", text);
		exit(2);
	}
	return n;
}

static int fail(const char *what)
{
	(void)fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	return 1;
}

/* ---- report ---------------------------------------------------------------------------------- */

/* Each line of a file as PREFIX=LINE. */
static void report_lines(FILE *out, const char *prefix, const char *path)
{
	FILE *in = fopen(path, "re");
	char line[4096];

	if (!in)
		return;
	while (fgets(line, sizeof line, in)) {
		line[strcspn(line, "\n")] = '\0';
		(void)fprintf(out, "%s=%s\n", prefix, line);
	}
	(void)fclose(in);
}

/* The fields of /proc/self/status that tell of rights and signals. */
static void report_status(FILE *out)
{
	static const struct {
		const char *field, *key;
	} fields[] = {
		{ "Uid:", "uid" },
		{ "Gid:", "gid" },
		{ "Groups:", "groups" },
		{ "Umask:", "umask" },
		{ "CapInh:", "cap.inheritable" },
		{ "CapPrm:", "cap.permitted" },
		{ "CapEff:", "cap.effective" },
		{ "CapBnd:", "cap.bounding" },
		{ "CapAmb:", "cap.ambient" },
		{ "NoNewPrivs:", "no_new_privs" },
		{ "Seccomp:", "seccomp" },
		{ "Seccomp_filters:", "seccomp_filters" },
		{ "SigBlk:", "signals.blocked" },
		{ "SigIgn:", "signals.ignored" },
		{ "SigPnd:", "signals.pending" },
		{ "Threads:", "threads" },
	};
	FILE *in = fopen("/proc/self/status", "re");
	char line[1024];

	while (in && fgets(line, sizeof line, in)) {
		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
			size_t n = strlen(fields[i].field);
			char *value = line + n;
			size_t end;

			if (strncmp(line, fields[i].field, n) != 0)
				continue;
			value += strspn(value, " \t");
			end = strcspn(value, "\n");
			while (end && (value[end - 1] == ' ' || value[end - 1] == '\t'))
				end--;
			value[end] = '\0';
			for (char *p = value; *p; p++)
				if (*p == '\t')
					*p = ' ';
			(void)fprintf(out, "%s=%s\n", fields[i].key, value);
		}
	}
	if (in)
		(void)fclose(in);
}

static void report_rlimits(FILE *out)
{
	static const char *const names[] = {
		[RLIMIT_AS] = "as",
		[RLIMIT_CORE] = "core",
		[RLIMIT_CPU] = "cpu",
		[RLIMIT_DATA] = "data",
		[RLIMIT_FSIZE] = "fsize",
		[RLIMIT_LOCKS] = "locks",
		[RLIMIT_MEMLOCK] = "memlock",
		[RLIMIT_MSGQUEUE] = "msgqueue",
		[RLIMIT_NICE] = "nice",
		[RLIMIT_NOFILE] = "nofile",
		[RLIMIT_NPROC] = "nproc",
		[RLIMIT_RSS] = "rss",
		[RLIMIT_RTPRIO] = "rtprio",
		[RLIMIT_RTTIME] = "rttime",
		[RLIMIT_SIGPENDING] = "sigpending",
		[RLIMIT_STACK] = "stack",
	};

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct rlimit limit;

		if (!names[i] || getrlimit((__rlimit_resource_t)i, &limit) < 0)
			continue;
		(void)fprintf(out, "rlimit.%s=", names[i]);
		if (limit.rlim_cur == RLIM_INFINITY)
			(void)fprintf(out, "infinity:");
		else
			(void)fprintf(out, "%llu:", (unsigned long long)limit.rlim_cur);
		if (limit.rlim_max == RLIM_INFINITY)
			(void)fprintf(out, "infinity\n");
		else
			(void)fprintf(out, "%llu\n", (unsigned long long)limit.rlim_max);
	}
}

/* Each link of a directory as PREFIX.NAME=TARGET, without the descriptor that reads it. */
static void report_links(FILE *out, const char *prefix, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char target[4096];
		ssize_t n;

		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "probe") == 0)
			continue;
		if (strcmp(prefix, "fd") == 0 &&
			(atoi(entry->d_name) == dirfd(dir) || atoi(entry->d_name) == fileno(out)) &&
			atoi(entry->d_name) > STDERR_FILENO)
			continue;
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		(void)fprintf(out, "%s.%s=%s\n", prefix, entry->d_name, target);
	}
	if (dir)
		(void)closedir(dir);
}

/* dev.null=c1:3 666 0:0; links as dev.fd=l /proc/self/fd; directories as d. */
static void report_devices(FILE *out)
{
	DIR *dir = opendir("/dev");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char target[1024];
		struct stat st;
		ssize_t n;

		if (entry->d_name[0] == '.' ||
			fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		(void)fprintf(out, "dev.%s=", entry->d_name);
		if (S_ISLNK(st.st_mode)) {
			n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
			target[n < 0 ? 0 : n] = '\0';
			(void)fprintf(out, "l %s\n", target);
		} else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
			(void)fprintf(out, "%c%u:%u %o %u:%u\n", S_ISCHR(st.st_mode) ? 'c' : 'b',
				major(st.st_rdev), minor(st.st_rdev), st.st_mode & 07777U,
				st.st_uid, st.st_gid);
		} else {
			(void)fprintf(out, "%c %o\n", S_ISDIR(st.st_mode) ? 'd' : 'f',
				st.st_mode & 07777U);
		}
	}
	if (dir)
		(void)closedir(dir);
}

static void report_keyring(FILE *out)
{
	char text[256];
	long n = syscall(
		SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof text - 1);

	if (n < 0)
		(void)fprintf(out, "keyring=error %s\n", strerror(errno));
	else
		(void)fprintf(out, "keyring=%.*s\n", (int)n, text);
}

static int report(int argc, char **argv)
{
	FILE *out = argc > 0 ? fopen(argv[0], "we") : stdout;
	struct utsname uts;
	char cwd[4096];

	if (!out)
		return fail(argv[0]);
	(void)uname(&uts);
	(void)fprintf(out, "pid=%d\nppid=%d\nsid=%d\npgid=%d\n", getpid(), getppid(),
		(int)syscall(SYS_getsid, 0), getpgrp());
	(void)fprintf(out, "hostname=%s\ndomainname=%s\n", uts.nodename, uts.domainname);
	(void)fprintf(out, "cwd=%s\n", getcwd(cwd, sizeof cwd) ? cwd : strerror(errno));
	(void)fprintf(out, "tty=%s\n", isatty(STDIN_FILENO) ? "yes" : "no");
	(void)fprintf(out, "securebits=%d\ndumpable=%d\n", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0),
		prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	report_status(out);
	report_rlimits(out);
	report_links(out, "fd", "/proc/self/fd");
	report_links(out, "ns", "/proc/self/ns");
	report_lines(out, "cgroup", "/proc/self/cgroup");
	report_lines(out, "oom_score_adj", "/proc/self/oom_score_adj");
	report_lines(out, "mount", "/proc/self/mountinfo");
	report_lines(out, "hosts", "/etc/hosts");
	report_lines(out, "resolv", "/etc/resolv.conf");
	report_lines(out, "link", "/proc/self/net/dev");
	report_devices(out);
	report_keyring(out);
	for (char **env = environ; *env; env++)
		(void)fprintf(out, "env.%s\n", *env);
	return fflush(out) == 0 && (out == stdout || fclose(out) == 0) ? 0 : fail("write");
}

/* ---- behaviours ------------------------------------------------------------------------------ */

static int run_sleep(int argc, char **argv)
{
	if (argc > 0)
		nap(number(argv[0]) * 1000);
	else
		sleep_forever();
	return 0;
}

static int run_ignore_term(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)!write(STDOUT_FILENO, "ready\n", 6);
	sleep_forever();
}

/* Ends cleanly on SIGTERM, saying so. */
static void on_term(int sig)
{
	(void)sig;
	(void)!write(STDOUT_FILENO, "terminated\n", 11);
	_exit(0);
}

static int run_wait_term(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)signal(SIGTERM, on_term);
	(void)!write(STDOUT_FILENO, "ready\n", 6);
	sleep_forever();
}

static int run_exit(int argc, char **argv)
{
	return argc > 0 ? (int)number(argv[0]) : 0;
}

static int run_alloc(int argc, char **argv)
{
	long left = argc > 0 ? number(argv[0]) : 0;
	const long step = 1 << 20;

	for (; left > 0; left -= step) {
		volatile char *piece = malloc((size_t)step); /* kept on purpose until the end */

		if (!piece)
			return fail("malloc");
		for (long i = 0; i < step; i += 1024)
			piece[i] = 'x';
	}
	(void)puts("allocated");
	return fflush(stdout);
}

/* Never more than a bound, for the day on which the limit that it tests is not there. */
static int run_forkbomb(int argc, char **argv)
{
	long most = argc > 0 ? number(argv[0]) : 2000;
	long n = 0;

	while (n < most) {
		pid_t pid = fork();

		if (pid == 0)
			sleep_forever();
		if (pid < 0)
			break;
		n++;
	}
	(void)printf("forked=%ld %s\n", n, n < most ? strerror(errno) : "no limit");
	(void)fflush(stdout);
	sleep_forever();
}

/* Lines without end, or N of them. */
static int run_flood(int argc, char **argv)
{
	long lines = argc > 0 ? number(argv[0]) : -1;

	for (long i = 0; lines < 0 || i < lines; i++)
		if (printf("flood %08ld ......................................................\n",
			    i) < 0)
			return fail("write");
	return fflush(stdout);
}

static int run_write(int argc, char **argv)
{
	int fd;

	if (argc < 2)
		return 2;
	fd = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, argv[1], strlen(argv[1])) < 0 || close(fd) < 0)
		return fail(argv[0]);
	return 0;
}

static int run_notify(int argc, char **argv)
{
	const char *text = argc > 0 ? argv[0] : "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path || strlen(path) >= sizeof to.sun_path) {
		(void)fprintf(stderr, "probe: no NOTIFY_SOCKET\n");
		return 1;
	}
	(void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	if (fd < 0 || sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof to) < 0)
		return fail(path);
	sleep_forever();
}

static int run_crash(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)signal(SIGSEGV, SIG_DFL);
	(void)raise(SIGSEGV);
	return 1;
}

static long count_zombies(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	long n = 0;

	while (dir && (entry = readdir(dir))) {
		char path[300];
		char text[512];
		const char *state;
		FILE *in;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		(void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		in = fopen(path, "re");
		if (!in)
			continue;
		state = fgets(text, sizeof text, in) ? strrchr(text, ')') : NULL;
		n += state && state[1] == ' ' && state[2] == 'Z';
		(void)fclose(in);
	}
	if (dir)
		(void)closedir(dir);
	return n;
}

/* N grandchildren whose parent is gone; says how many of them nobody reaped. */
/* The moment it is reached, for measuring starts. */
static int run_stamp(int argc, char **argv)
{
	struct timespec now;

	(void)argc;
	(void)argv;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)printf("%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
	return 0;
}

static int run_orphans(int argc, char **argv)
{
	long n = argc > 0 ? number(argv[0]) : 1;
	pid_t pid = fork();

	if (pid < 0)
		return fail("fork");
	if (pid == 0) {
		for (long i = 0; i < n; i++) {
			if (fork() == 0) {
				nap(100);
				_exit(0);
			}
		}
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	nap(500);
	(void)printf("zombies=%ld\n", count_zombies());
	return fflush(stdout);
}

/* ---- network --------------------------------------------------------------------------------- */

static int listen_on(uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;
	int zero = 0;

	if (fd >= 0) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(fd, (struct sockaddr *)&six, sizeof six) == 0 && listen(fd, 64) == 0)
			return fd;
		(void)close(fd);
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&four, sizeof four) == 0 && listen(fd, 64) == 0)
		return fd;
	return -1;
}

/* One request after another; "GET /hold" keeps the connection open until the peer closes. */
static int run_http(int argc, char **argv)
{
	int server;

	if (argc < 2)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN);
	server = listen_on((uint16_t)number(argv[0]));
	if (server < 0)
		return fail("listen");
	(void)puts("listening");
	(void)fflush(stdout);
	for (;;) {
		int client = accept4(server, NULL, NULL, SOCK_CLOEXEC);
		char request[2048];
		ssize_t n;

		if (client < 0)
			continue;
		n = read(client, request, sizeof request - 1);
		request[n < 0 ? 0 : n] = '\0';
		(void)dprintf(client,
			"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
			"%zu\r\n\r\n%s\n",
			strlen(argv[1]) + 1, argv[1]);
		if (strncmp(request, "GET /hold", 9) == 0 && fork() == 0) {
			while (read(client, request, sizeof request) > 0)
				;
			_exit(0);
		}
		(void)close(client);
	}
}

/* An address as text, or a name of /etc/hosts; no resolver: this program is static. */
static int resolve(const char *host, uint16_t port, struct sockaddr_storage *ret, socklen_t *n)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	char line[1024];
	FILE *in;

	memset(ret, 0, sizeof *ret);
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		*n = sizeof *four;
		return 0;
	}
	if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		*n = sizeof *six;
		return 0;
	}
	in = fopen("/etc/hosts", "re");
	while (in && fgets(line, sizeof line, in)) {
		char *save;
		char *address;

		line[strcspn(line, "#\n")] = '\0';
		address = strtok_r(line, " \t", &save);
		for (char *name; address && (name = strtok_r(NULL, " \t", &save));)
			if (strcmp(name, host) == 0 && strcmp(address, host) != 0) {
				(void)fclose(in);
				return resolve(address, port, ret, n);
			}
	}
	if (in)
		(void)fclose(in);
	errno = ENOENT;
	return -1;
}

/* The body on stdout; with PATH, of that path. */
static int run_get(int argc, char **argv)
{
	struct timeval limit = { 5, 0 };
	struct sockaddr_storage to;
	socklen_t to_len = 0;
	char reply[65536];
	size_t used = 0;
	const char *body;
	ssize_t n;
	int fd;

	if (argc < 2)
		return 2;
	if (resolve(argv[0], (uint16_t)number(argv[1]), &to, &to_len) < 0)
		return fail(argv[0]);
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, to_len) < 0)
		return fail(argv[0]);
	(void)dprintf(fd, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", argc > 2 ? argv[2] : "/", argv[0]);
	while (used < sizeof reply - 1 && (n = read(fd, reply + used, sizeof reply - 1 - used)) > 0)
		used += (size_t)n;
	reply[used] = '\0';
	(void)close(fd);
	body = strstr(reply, "\r\n\r\n");
	if (!body) {
		(void)fprintf(stderr, "probe: %s: no answer\n", argv[0]);
		return 1;
	}
	(void)fputs(body + 4, stdout);
	return fflush(stdout);
}

/* ---- attacks --------------------------------------------------------------------------------- */

/* Swaps two names for ever: a mount target that changes under the runtime's hands. */
static int run_race(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	for (;;)
		if (syscall(SYS_renameat2, AT_FDCWD, argv[0], AT_FDCWD, argv[1], 2 /* EXCHANGE */) <
			0)
			return fail("renameat2");
}

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* What a process that enters the container could be robbed of: its program file, its descriptors,
 * its root, itself. MARKER is a path of the host that the container does not have. */
static void rob(int pid, const char *marker)
{
	char path[4096], exe[256];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof exe - 1);
	exe[n < 0 ? 0 : n] = '\0';
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)printf("robbed: %d: %s is writable\n", pid, exe);
		(void)close(fd);
	}
	for (int i = 0; i < 64; i++) {
		(void)snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, i);
		if (is_dir(path))
			(void)printf("robbed: %d: directory at descriptor %d\n", pid, i);
	}
	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof path, "/proc/%d/%s%s", pid, i ? "cwd" : "root", marker);
		if (access(path, F_OK) == 0)
			(void)printf("robbed: %d: its %s is the host's\n", pid, i ? "cwd" : "root");
	}
	if (strstr(exe, "berth") && ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0)
		(void)printf("robbed: %d: traced\n", pid);
}

/* For every process it meets, again and again; says `seen N` for the Nth process now and then. */
static int run_hunt(int argc, char **argv)
{
	long seen = 0;
	int highest = 0;

	if (argc < 1)
		return 2;
	for (;;) {
		DIR *dir = opendir("/proc");
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			int pid = atoi(entry->d_name);

			if (pid <= 1 || pid == getpid())
				continue;
			rob(pid, argv[0]);
			if (pid > highest) {
				highest = pid;
				if (++seen % 20 == 0)
					(void)printf("seen %ld\n", seen);
			}
		}
		if (dir)
			(void)closedir(dir);
		(void)fflush(stdout);
	}
}

/* ---- a kernel without --------------------------------------------------------------------------- */

/* Runs a program for which there is no netlink socket of netfilter's, as where nf_tables is missing. */
static int run_without_nft(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NETLINK_NETFILTER, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof code / sizeof code[0], code };

	if (argc < 1)
		return 2;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return fail("seccomp");
	(void)execvp(argv[0], argv);
	return fail(argv[0]);
}

/* ---- main ------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "report", report, "[FILE]           what it sees, as key=value" },
	{ "sleep", run_sleep, "[SECONDS]        for ever without" },
	{ "ignore-term", run_ignore_term, "                 ignores SIGTERM and SIGINT" },
	{ "wait-term", run_wait_term, "                 says `terminated` on SIGTERM, exit 0" },
	{ "exit", run_exit, "N" },
	{ "alloc", run_alloc, "BYTES            touches them" },
	{ "forkbomb", run_forkbomb, "[MOST]           says how far it came, then sleeps" },
	{ "flood", run_flood, "[LINES]          on stdout" },
	{ "write", run_write, "FILE TEXT" },
	{ "notify", run_notify, "[TEXT]           READY=1 to NOTIFY_SOCKET, then sleeps" },
	{ "crash", run_crash, "                 SIGSEGV" },
	{ "stamp", run_stamp, "                 CLOCK_MONOTONIC in nanoseconds" },
	{ "orphans", run_orphans, "N                says how many zombies are left" },
	{ "http", run_http, "PORT TEXT        answers every request with TEXT" },
	{ "race", run_race, "A B              swaps the two names for ever" },
	{ "hunt", run_hunt, "MARKER           attacks who enters; says what it robbed" },
	{ "without-nft", run_without_nft, "COMMAND…      as on a kernel without nf_tables" },
	{ "get", run_get, "HOST PORT [PATH] by /etc/hosts" },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		(void)fprintf(stderr, "probe %-12s %s\n", commands[i].name, commands[i].help);
	return 2;
}
