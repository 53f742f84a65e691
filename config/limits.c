/* Limits: the keys of podman and their twins of systemd, and what holds when nobody wrote any. */
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "config/types.h"

enum { PIDS_DEFAULT = 1024, NOFILE_SOFT = 1024, NOFILE_HARD = 524288 };

/* Two keys for one thing: whichever is set; both set must say the same. */
static void twin(struct build *b, const char *key, uint64_t value, struct origin at,
	const char *other_key, uint64_t other, struct origin other_at, struct limit *limit)
{
	bool set = at.file;
	bool other_set = other_at.file;

	if (set && other_set && value != other)
		ERROR_AT(b, at, "%s: %s= (%s:%u) says something else: remove one of them", key,
			other_key, other_at.file, other_at.line);
	if (!set && !other_set)
		return;
	limit->set = true;
	limit->builtin = false;
	limit->value = set ? value : other;
}

static void one(uint64_t value, struct origin at, struct limit *limit)
{
	limit->set = at.file;
	limit->value = value;
}

static void limits_cgroup(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	struct cgroup_limits *limits = &part->spec->limits;

	if (!part->spec->native)
		limits->pids_max =
			(struct limit){ .value = PIDS_DEFAULT, .set = true, .builtin = true };
	twin(b, "PidsLimit", draft->pids_limit.v, draft->pids_limit.at, "TasksMax",
		draft->tasks_max.v, draft->tasks_max.at, &limits->pids_max);
	twin(b, "Memory", draft->memory.v, draft->memory.at, "MemoryMax", draft->memory_max.v,
		draft->memory_max.at, &limits->memory_max);
	one(draft->memory_high.v, draft->memory_high.at, &limits->memory_high);
	one(draft->memory_swap_max.v, draft->memory_swap_max.at, &limits->memory_swap_max);
	one(draft->cpu_quota.v, draft->cpu_quota.at, &limits->cpu_quota_us);
	one(draft->cpu_weight.v, draft->cpu_weight.at, &limits->cpu_weight);
	limits->cpu_period_us = 100000;
	limits->best_effort = draft->limits_policy.v == POLICY_BEST_EFFORT;
	if (limits->memory_max.set && limits->memory_max.value == 0)
		ERROR_AT(b, DRAFT_SET(draft->memory) ? draft->memory.at : draft->memory_max.at,
			"%s: nothing runs in 0 bytes: write a size, or infinity",
			DRAFT_SET(draft->memory) ? "Memory" : "MemoryMax");
	if (limits->memory_high.set && limits->memory_max.set &&
		limits->memory_high.value > limits->memory_max.value)
		WARN_AT(b, draft->memory_high.at,
			"MemoryHigh: is above the maximum and has no effect: lower it");
}

static void limits_process(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	struct rlimit_spec *rlimits = part->spec->process.rlimits;

	if (!part->spec->native) {
		rlimits[RLIMIT_NOFILE] = (struct rlimit_spec){
			.set = true, .builtin = true, .soft = NOFILE_SOFT, .hard = NOFILE_HARD
		};
		rlimits[RLIMIT_CORE] =
			(struct rlimit_spec){ .set = true, .builtin = true, .hard = UINT64_MAX };
	}
	for (size_t i = 0; i < RLIM_NLIMITS; i++) {
		const struct draft_rlimit *ulimit = &draft->ulimit[i];
		const struct draft_rlimit *limit = &draft->limit[i];

		if (DRAFT_SET(*ulimit) && DRAFT_SET(*limit) &&
			(ulimit->v.soft != limit->v.soft || ulimit->v.hard != limit->v.hard))
			ERROR_AT(b, ulimit->at,
				"Ulimit: Limit%s= (%s:%u) says something else: remove one of them",
				rlimit_name((int)i), limit->at.file, limit->at.line);
		if (DRAFT_SET(*ulimit) || DRAFT_SET(*limit)) {
			rlimits[i] = DRAFT_SET(*ulimit) ? ulimit->v : limit->v;
			rlimits[i].set = true;
			rlimits[i].builtin = false;
		}
	}
	if (DRAFT_SET(draft->oom_score_adjust))
		part->spec->process.oom_score_adj = (int32_t)draft->oom_score_adjust.v;
}

void pass_limits(struct build *b, uint32_t unit)
{
	limits_cgroup(b, &b->parts[unit]);
	limits_process(b, &b->parts[unit]);
}
