#include "supervisor/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/clock.h"

static struct {
	int fd;
	int is_kmsg;
	enum log_level level;
	unsigned dropped;
	size_t end; /* bytes ever written to the ring */
	char ring[LOG_RING_SIZE];
} sink = { .fd = STDERR_FILENO, .level = LOG_NOTICE };

static const char *const names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* The priorities of syslog(3), as /dev/kmsg takes them. */
static const int kmsg_priority[] = {
	[LOG_ERROR] = 3,
	[LOG_WARNING] = 4,
	[LOG_NOTICE] = 5,
	[LOG_INFO] = 6,
	[LOG_DEBUG] = 7,
};

void log_open(int fd, int is_kmsg, enum log_level level)
{
	sink.fd = fd;
	sink.is_kmsg = is_kmsg;
	sink.level = level;
}

void log_level_set(enum log_level level)
{
	sink.level = level;
}

int log_level_parse(const char *text, enum log_level *ret)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	if (strcmp(text, "err") == 0)
		*ret = LOG_ERROR;
	else if (strcmp(text, "warn") == 0)
		*ret = LOG_WARNING;
	else
		return -EINVAL;
	return 0;
}

static void ring_put(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sink.ring[sink.end++ % LOG_RING_SIZE] = text[i];
}

/* One write, and only when it cannot block: a stopped terminal (^S) must not stop PID 1. */
static void sink_put(const char *text, size_t n)
{
	struct pollfd p = { .fd = sink.fd, .events = POLLOUT };

	if (sink.fd < 0)
		return;
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT) || write(sink.fd, text, n) < 0)
		sink.dropped++;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	char text[900];
	int saved = errno;
	va_list ap;
	int n;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (level != LOG_DEBUG || sink.level == LOG_DEBUG) {
		n = snprintf(line, sizeof line, "%s %s %s\n", clock_rfc3339(clock_realtime()).text,
			names[level], text);
		ring_put(line, (size_t)n);
	}
	if (level <= sink.level) {
		if (sink.is_kmsg)
			n = snprintf(
				line, sizeof line, "<%d>berth: %s\n", kmsg_priority[level], text);
		else
			n = snprintf(line, sizeof line, "berth: %s\n", text);
		sink_put(line, (size_t)n);
	}
	errno = saved;
}

size_t log_ring(char *buf, size_t size)
{
	size_t start = sink.end > LOG_RING_SIZE ? sink.end - LOG_RING_SIZE : 0;
	size_t n = 0;

	/* After a wrap the oldest line has lost its beginning: skip to the next one. */
	if (start)
		while (start < sink.end && sink.ring[start++ % LOG_RING_SIZE] != '\n')
			continue;
	while (start < sink.end && n + 1 < size)
		buf[n++] = sink.ring[start++ % LOG_RING_SIZE];
	if (size)
		buf[n] = '\0';
	return n;
}
