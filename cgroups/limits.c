#include "cgroups/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/impl.h"
#include "supervisor/base/fd.h"

enum { DEFAULT_PERIOD_US = 100000 };

/* One row for each limit: where it stands, which file takes it, who enforces it. */
static const struct row {
	const char *key; /* as the user writes it */
	size_t field;    /* of struct cgroup_limits */
	const char *file;
	unsigned controller;
} rows[] = {
	{ "MemoryMax=", offsetof(struct cgroup_limits, memory_max), "memory.max", CGROUP_MEMORY },
	{ "MemoryHigh=", offsetof(struct cgroup_limits, memory_high), "memory.high",
		CGROUP_MEMORY },
	{ "MemorySwapMax=", offsetof(struct cgroup_limits, memory_swap_max), "memory.swap.max",
		CGROUP_MEMORY },
	{ "PidsLimit=", offsetof(struct cgroup_limits, pids_max), "pids.max", CGROUP_PIDS },
	{ "CPUQuota=", offsetof(struct cgroup_limits, cpu_quota_us), "cpu.max", CGROUP_CPU },
	{ "CPUWeight=", offsetof(struct cgroup_limits, cpu_weight), "cpu.weight", CGROUP_CPU },
};

enum { NROWS = sizeof rows / sizeof rows[0] };

static const struct limit *row_limit(const struct row *row, const struct cgroup_limits *limits)
{
	return (const struct limit *)(const void *)((const char *)limits + row->field);
}

/* "No limit" needs nobody to enforce it; a weight is always a request. */
static bool row_wanted(const struct row *row, const struct cgroup_limits *limits)
{
	const struct limit *limit = row_limit(row, limits);

	return limit->set && limit->value != LIMIT_MAX;
}

static const char *controller_name(unsigned controller)
{
	return controller == CGROUP_MEMORY ? "memory" : controller == CGROUP_PIDS ? "pids" : "cpu";
}

const char *controller_cure(const struct cgroup_tree *tree, unsigned controller)
{
	if (tree->bound_v1 & controller)
		return "it is bound to cgroup v1: boot with systemd.unified_cgroup_hierarchy=1 or "
		       "cgroup_no_v1=all on the kernel command line";
	if (tree->delegated && (tree->at_top & controller || !tree->at_top))
		return "it is not delegated to berth: write Delegate=yes in its systemd unit";
	if (tree->at_top & controller)
		return "it cannot be enabled for berth's cgroups: see cgroup.subtree_control at "
		       "the "
		       "top of the hierarchy";
	if (controller == CGROUP_MEMORY)
		return "it is switched off or not built in: put cgroup_enable=memory on the kernel "
		       "command line, or use a kernel with CONFIG_MEMCG";
	if (controller == CGROUP_PIDS)
		return "the kernel does not have it: it needs CONFIG_CGROUP_PIDS, and no "
		       "cgroup_disable=pids on its command line";
	return "the kernel does not have it: it needs CONFIG_CFS_BANDWIDTH and "
	       "CONFIG_FAIR_GROUP_SCHED, and no cgroup_disable=cpu on its command line";
}

void dropped_add(struct strbuf *dropped, const char *text)
{
	if (dropped)
		strbuf_add(dropped, "%s%s", dropped->used ? "; " : "", text);
}

/* A limit that cannot be had: refuse it, or drop it and say so. */
static int give_up(const struct row *row, const struct cgroup_limits *limits, const struct err *why,
	struct strbuf *dropped, struct err *err)
{
	struct err short_why = { 0 };

	if (!limits->best_effort && !row_limit(row, limits)->builtin) {
		if (err)
			*err = *why;
		return -why->code;
	}
	(void)err_set(&short_why, why->code, "%s not enforced (no %s here)", row->key, row->file);
	dropped_add(dropped, short_why.text);
	return 0;
}

static int row_missing(const struct cgroup_tree *tree, const struct row *row, struct err *err)
{
	return err_set(err, ENOTSUP, "%s cannot be enforced: no %s controller: %s", row->key,
		controller_name(row->controller), controller_cure(tree, row->controller));
}

static int row_write(
	int leaf, const struct row *row, const struct cgroup_limits *limits, struct err *err)
{
	const struct limit *limit = row_limit(row, limits);
	uint64_t period = limits->cpu_period_us ? limits->cpu_period_us : DEFAULT_PERIOD_US;
	char text[64];
	int r;

	if (row->field == offsetof(struct cgroup_limits, cpu_quota_us))
		(void)snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, limit->value, period);
	else
		(void)snprintf(text, sizeof text, "%" PRIu64, limit->value);
	r = file_write_at(leaf, row->file, text);
	if (r == 0)
		return 0;
	if (r == -ENOENT && row->field == offsetof(struct cgroup_limits, memory_swap_max)) {
		/* A kernel without swap has nothing to limit. */
		if (access("/proc/swaps", F_OK) < 0)
			return 0;
		return err_set(err, ENOTSUP,
			"%s cannot be enforced: no swap accounting: put swapaccount=1 on the "
			"kernel command line",
			row->key);
	}
	if (r == -ENOENT)
		return err_set(err, ENOTSUP, "%s cannot be enforced: the kernel has no %s",
			row->key, row->file);
	return err_sys(err, -r, "%s: write %s to %s", row->key, text, row->file);
}

int limits_apply(const struct cgroup_tree *tree, int leaf, const struct cgroup_limits *limits,
	struct strbuf *dropped, struct err *err)
{
	for (size_t i = 0; i < NROWS; i++) {
		struct err why = { 0 };
		int r;

		if (!row_wanted(&rows[i], limits))
			continue;
		if (tree->controllers & rows[i].controller)
			r = row_write(leaf, &rows[i], limits, &why);
		else
			r = row_missing(tree, &rows[i], &why);
		if (r < 0)
			r = give_up(&rows[i], limits, &why, dropped, err);
		if (r < 0)
			return r;
	}
	/* One process of a container killed for memory is no container any more. */
	if (tree->controllers & CGROUP_MEMORY)
		(void)file_write_at(leaf, "memory.oom.group", "1");
	return 0;
}

int cgroup_limits_check(
	const struct cgroup_tree *tree, const struct cgroup_limits *limits, struct err *err)
{
	for (size_t i = 0; i < NROWS; i++)
		if (row_wanted(&rows[i], limits) && !limits->best_effort &&
			!row_limit(&rows[i], limits)->builtin &&
			!(tree->controllers & rows[i].controller))
			return row_missing(tree, &rows[i], err);
	if (limits->devices_filter && !limits->best_effort) {
		int r = devices_probe(err);

		/* Whoever only checks may not be allowed to load one; the start will say. */
		if (r < 0 && r != -EPERM)
			return r;
	}
	return 0;
}
