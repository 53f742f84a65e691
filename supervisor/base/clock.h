/* Times. Everything that waits uses nanoseconds of CLOCK_MONOTONIC; wall time is for people. */
#ifndef BERTH_BASE_CLOCK_H
#define BERTH_BASE_CLOCK_H

#include <stdint.h>

#define NSEC_PER_USEC 1000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC  1000000000ULL
#define NSEC_NEVER    UINT64_MAX

uint64_t clock_monotonic(void);
uint64_t clock_realtime(void);

/* RFC 3339 in UTC with nanoseconds: "2026-11-22T10:20:38.123456789Z". */
struct clock_text {
	char text[40];
};
struct clock_text clock_rfc3339(uint64_t realtime_ns);

/* A span for people: "1min 20s", "350ms". */
struct clock_text clock_span(uint64_t ns);

#endif
