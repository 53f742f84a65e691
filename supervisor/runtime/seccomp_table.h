/* berth's own seccomp profile, as data. Why each group is as it is stands beside it in the .c. */
#ifndef BERTH_RUNTIME_SECCOMP_TABLE_H
#define BERTH_RUNTIME_SECCOMP_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Calls that share a verdict. `names` is separated by single blanks. */
struct seccomp_group {
	uint64_t with; /* capabilities, one of which allows; 0: allowed to all */
	int denied;    /* errno without them; with `with` 0: errno for all, 0: allowed */
	const char *names;
};

/* A call that depends on its arguments. A row counts when the container has one of `with` (or that
 * is 0) and none of `without`; rows of one call must not overlap unless they agree. */
struct seccomp_case {
	const char *name;
	uint64_t with, without;
	int denied; /* errno; 0: allowed */
	size_t nargs;
	struct {
		unsigned index;
		uint64_t mask, value; /* (argument & mask) == value */
	} args[2];
};

/* Calls newer than the oldest libseccomp berth is built with: their numbers are the same on all
 * architectures since Linux 5.1, except for the rows that are there for one only. */
struct seccomp_newer {
	const char *name;
	int number;
};

extern const struct seccomp_group seccomp_groups[];
extern const size_t seccomp_ngroups;
extern const struct seccomp_case seccomp_cases[];
extern const size_t seccomp_ncases;
extern const struct seccomp_newer seccomp_newers[];
extern const size_t seccomp_nnewers;

/* The capabilities on which the profile depends at all. */
uint64_t seccomp_table_caps(void);

#endif
