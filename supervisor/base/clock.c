#include "supervisor/base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t now(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic(void)
{
	return now(CLOCK_MONOTONIC);
}

uint64_t clock_realtime(void)
{
	return now(CLOCK_REALTIME);
}

struct clock_text clock_rfc3339(uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / NSEC_PER_SEC);
	struct clock_text ret;
	struct tm tm;
	size_t n;

	if (!gmtime_r(&seconds, &tm))
		tm = (struct tm){ .tm_year = 70, .tm_mday = 1 };
	n = strftime(ret.text, sizeof ret.text, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret.text + n, sizeof ret.text - n, ".%09uZ",
		(unsigned)(realtime_ns % NSEC_PER_SEC));
	return ret;
}

struct clock_text clock_span(uint64_t ns)
{
	unsigned long long s = ns / NSEC_PER_SEC;
	struct clock_text ret;

	if (ns == NSEC_NEVER)
		(void)snprintf(ret.text, sizeof ret.text, "infinity");
	else if (s < 10 && ns % NSEC_PER_SEC)
		(void)snprintf(ret.text, sizeof ret.text, "%llums",
			(unsigned long long)(ns / NSEC_PER_MSEC));
	else if (s < 60)
		(void)snprintf(ret.text, sizeof ret.text, "%llus", s);
	else if (s < 3600)
		(void)snprintf(ret.text, sizeof ret.text, "%llumin %llus", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(ret.text, sizeof ret.text, "%lluh %llumin", s / 3600, s / 60 % 60);
	else
		(void)snprintf(ret.text, sizeof ret.text, "%llud %lluh", s / 86400, s / 3600 % 24);
	return ret;
}
