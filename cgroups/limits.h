/* The shape of what a cgroup is asked to enforce. Plain data; cgroup-v2.rst names the files. */
#ifndef BERTH_CGROUPS_LIMITS_H
#define BERTH_CGROUPS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_MAX UINT64_MAX /* the word "max": no limit */

/* One number for one file. A limit that somebody wrote must be enforced or the start is refused; a
 * built-in default that cannot be enforced is dropped and reported. */
struct limit {
	uint64_t value;
	bool set;
	bool builtin;
};

/* One device rule of the eBPF filter; the filter denies what no rule allows. */
struct device_rule {
	char type;     /* 'c' or 'b' */
	int64_t major; /* -1: any */
	int64_t minor; /* -1: any */
	bool read, write, mknod;
};

struct cgroup_limits {
	struct limit memory_max;      /* bytes: memory.max */
	struct limit memory_high;     /* bytes: memory.high */
	struct limit memory_swap_max; /* bytes: memory.swap.max */
	struct limit pids_max;        /* tasks: pids.max */
	struct limit cpu_quota_us;    /* microseconds each period: cpu.max */
	uint64_t cpu_period_us;       /* 0: 100000 */
	struct limit cpu_weight;      /* 1..10000: cpu.weight */
	bool best_effort;    /* LimitsPolicy=best-effort: what cannot be enforced is dropped */
	bool devices_filter; /* false: every device (native services) */
	const struct device_rule *devices;
	size_t ndevices;
};

#endif
