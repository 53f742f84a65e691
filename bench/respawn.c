/*
 * respawn - how long a killed service is gone
 *
 *     respawn measure FILE COUNT     kills the beacon of FILE, waits for its replacement
 *     respawn beacon FILE            adds its time of birth to FILE as its first act, then sleeps
 *     respawn floor COMMAND…         a supervisor that can do nothing but start it again
 *
 * The beacon tells its birth by CLOCK_MONOTONIC; which process it is, is looked for in /proc, because
 * a container knows only its own numbers. One line per kill: the microseconds from kill(2) to the first
 * instruction of the replacement's main.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Longer than the second after which runit and s6 take a service for stable. */
enum { SETTLE_MS = 1500, PATIENCE_MS = 20000, LOOK_US = 200 };

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int beacon(const char *file, uint64_t born)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	char line[64];
	int n = snprintf(line, sizeof line, "%llu\n", (unsigned long long)born);

	if (fd < 0 || write(fd, line, (size_t)n) != n) {
		perror(file);
		return 1;
	}
	for (;;)
		(void)pause();
}

/* The stamp of the newest birth, 0 when there is none yet. */
static uint64_t newest(const char *file)
{
	FILE *in = fopen(file, "re");
	char line[64];
	uint64_t stamp = 0;

	if (!in)
		return 0;
	while (fgets(line, sizeof line, in))
		stamp = strtoull(line, NULL, 10);
	(void)fclose(in);
	return stamp;
}

/* Is it `… beacon PATH/NAME`? A container sees the file under another path. */
static int is_beacon(const char *pid, const char *name)
{
	char path[300];
	char text[256] = "";
	const char *word = text;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 2);
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = text[n + 1] = '\0';
	word += strlen(word) + 1;
	if (word >= text + n || strcmp(word, "beacon") != 0)
		return 0;
	word += strlen(word) + 1;
	return strrchr(word, '/') && strcmp(strrchr(word, '/'), name) == 0;
}

static pid_t find_beacon(const char *file)
{
	const char *slash = strrchr(file, '/');
	const char *name = slash ? slash : "/";
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t pid = -1;

	while (proc && pid < 0 && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_beacon(entry->d_name, name))
			pid = (pid_t)strtol(entry->d_name, NULL, 10);
	if (proc)
		(void)closedir(proc);
	return pid;
}

static int measure(const char *file, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t killed;
		uint64_t stamp;
		pid_t pid;

		(void)usleep(SETTLE_MS * 1000);
		pid = find_beacon(file);
		if (pid < 0) {
			(void)fprintf(stderr, "respawn: no beacon runs\n");
			return 1;
		}
		killed = now();
		if (kill(pid, SIGKILL) < 0) {
			perror("respawn: kill");
			return 1;
		}
		while ((stamp = newest(file)) < killed) {
			if (now() - killed > (uint64_t)PATIENCE_MS * 1000000) {
				(void)fprintf(stderr, "respawn: no replacement came\n");
				return 1;
			}
			(void)usleep(LOOK_US);
		}
		(void)printf("%llu\n", (unsigned long long)(stamp - killed) / 1000);
		(void)fflush(stdout);
	}
	return 0;
}

static int floor_of(char **argv)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)execv(argv[0], argv);
			_exit(127);
		}
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
}

int main(int argc, char **argv)
{
	uint64_t born = now();

	if (argc == 3 && strcmp(argv[1], "beacon") == 0)
		return beacon(argv[2], born);
	if (argc == 4 && strcmp(argv[1], "measure") == 0)
		return measure(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
	if (argc > 2 && strcmp(argv[1], "floor") == 0)
		return floor_of(argv + 2);
	(void)fprintf(stderr, "respawn: see the top of bench/respawn.c\n");
	return 2;
}
