/* What the files of this room share with each other and with nobody else. */
#ifndef BERTH_CGROUPS_IMPL_H
#define BERTH_CGROUPS_IMPL_H

#include <linux/bpf.h>
#include <stddef.h>

#include "cgroups/cgroup.h"
#include "supervisor/base/str.h"

/* Writes the limits into a new leaf; what may be dropped is, and `dropped` says so. */
int limits_apply(const struct cgroup_tree *tree, int leaf, const struct cgroup_limits *limits,
	struct strbuf *dropped, struct err *err);

/* The cure for a missing controller, as a clause. */
const char *controller_cure(const struct cgroup_tree *tree, unsigned controller);

/* One more sentence for what was dropped. */
void dropped_add(struct strbuf *dropped, const char *text);

/*
 * devices_program - the device filter as BPF instructions; pure
 *
 * Gives: how many instructions (at most `max`), or -E2BIG, or -EINVAL for a rule that is none.
 */
enum { DEVICES_INSNS_MAX = 4096 };
int devices_program(const struct device_rule *rules, size_t n, struct bpf_insn *ret, size_t max,
	struct err *err);
/* Loads the filter and attaches it to the cgroup, for as long as the directory exists. */
int devices_attach(int leaf, const struct cgroup_limits *limits, struct err *err);
/* Does this kernel know such programs? 0, -EPERM (who knows), or -ENOTSUP with words. */
int devices_probe(struct err *err);

#endif
