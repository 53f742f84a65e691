/* Observing and killing what lives in a cgroup. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/parse.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

/* A file of a removed cgroup: openat says ENOENT, read on an open one ENODEV. */
static bool is_gone(int r)
{
	return r == -ENODEV || r == -ENOENT;
}

static int populated_of(const char *text)
{
	uint64_t value;
	int r = parse_key_value(text, "populated", &value);

	return r < 0 ? -EIO : value != 0;
}

int cgroup_populated(int fd)
{
	char text[256];
	ssize_t n = file_read_at(fd, "cgroup.events", text, sizeof text);

	if (n < 0)
		return is_gone((int)n) ? 0 : (int)n;
	return populated_of(text);
}

int cgroup_events_read(int events_fd)
{
	char text[256];
	ssize_t n = pread(events_fd, text, sizeof text - 1, 0);

	if (n < 0)
		return is_gone(-errno) ? 0 : -errno;
	text[n] = '\0';
	return populated_of(text);
}

int cgroup_events_open(int fd)
{
	own_fd events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int r;

	if (events < 0)
		return -errno;
	/* A kernfs file that was never read polls as changed. */
	r = cgroup_events_read(events);
	return r < 0 ? r : fd_take(&events);
}

ssize_t cgroup_pids(int fd, pid_t *pids, size_t max)
{
	own_fd procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096];
	size_t count = 0;
	pid_t pid = 0;
	ssize_t n;

	if (procs < 0)
		return -errno;
	while (count < max && (n = read(procs, text, sizeof text)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* A number may lie across two reads: `pid` is carried over. */
		for (ssize_t i = 0; i < n && count < max; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				pid = pid * 10 + (text[i] - '0');
			} else {
				if (pid > 0)
					pids[count++] = pid;
				pid = 0;
			}
		}
	}
	return (ssize_t)count;
}

enum { KILL_BATCH = 256, KILL_PASSES = 64, KILL_DEPTH = 32 };

/*
 * A pid that was read may be another process by the time it is signalled. So: take pidfds first,
 * read the list once more, and signal only those whose pid is still in it.
 */
static ssize_t kill_here(int fd)
{
	pid_t pids[KILL_BATCH] = { 0 };
	pid_t again[KILL_BATCH] = { 0 };
	int pidfds[KILL_BATCH];
	ssize_t n = cgroup_pids(fd, pids, KILL_BATCH);
	ssize_t m;

	for (ssize_t i = 0; i < n; i++)
		pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
	m = n > 0 ? cgroup_pids(fd, again, KILL_BATCH) : 0;
	for (ssize_t i = 0; i < n; i++) {
		for (ssize_t k = 0; k < m; k++)
			if (again[k] == pids[i] && pidfds[i] >= 0)
				(void)syscall(SYS_pidfd_send_signal, pidfds[i], SIGKILL, NULL, 0);
		fd_close(&pidfds[i]);
	}
	return n;
}

/* How many processes were seen in it and below it. */
static ssize_t kill_below(int fd, int depth)
{
	own_fd copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t seen = kill_here(fd);
	struct dirent *entry;
	DIR *dir;

	if (copy < 0 || depth >= KILL_DEPTH)
		return seen;
	dir = fdopendir(copy);
	if (!dir)
		return seen;
	(void)fd_take(&copy); /* dir has it */
	while ((entry = readdir(dir))) {
		own_fd child = -1;
		ssize_t n;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		n = child < 0 ? 0 : kill_below(child, depth + 1);
		if (n > 0)
			seen = seen > 0 ? seen + n : n;
	}
	(void)closedir(dir);
	return seen;
}

int cgroup_kill_each(int fd)
{
	int r = file_write_at(fd, "cgroup.freeze", "1");

	if (is_gone(r))
		return 0;
	/* Frozen, nothing forks; what was between fork and freezing shows up in a later pass. A
	 * killed process stays in the list until it is reaped, so the passes are bounded. */
	for (int pass = 0; pass < KILL_PASSES; pass++) {
		if (kill_below(fd, 0) <= 0 || cgroup_populated(fd) <= 0)
			break;
	}
	/* A process that is killed leaves the freezer by itself, but a cgroup that is left frozen
	 * would hold whatever joins it later. */
	(void)file_write_at(fd, "cgroup.freeze", "0");
	return 0;
}

int cgroup_kill(int fd)
{
	int r = file_write_at(fd, "cgroup.kill", "1");

	if (r == -ENODEV)
		return 0;
	if (r == -ENOENT)
		return cgroup_kill_each(fd);
	return r;
}

static uint64_t number_of(int fd, const char *file)
{
	char text[64];
	uint64_t value = 0;

	if (file_read_at(fd, file, text, sizeof text) > 0)
		(void)parse_number(text, &value);
	return value;
}

static uint64_t value_of(int fd, const char *file, const char *key)
{
	char text[4096];
	uint64_t value = 0;

	if (file_read_at(fd, file, text, sizeof text) > 0)
		(void)parse_key_value(text, key, &value);
	return value;
}

void cgroup_usage(int fd, struct cgroup_usage *ret)
{
	*ret = (struct cgroup_usage){
		.memory_current = number_of(fd, "memory.current"),
		.memory_peak = number_of(fd, "memory.peak"), /* 5.19 */
		.oom_kills = value_of(fd, "memory.events", "oom_kill"),
		.pids_current = number_of(fd, "pids.current"),
		.pids_max_hits = value_of(fd, "pids.events", "max"),
		.cpu_usec = value_of(fd, "cpu.stat", "usage_usec"),
	};
}
