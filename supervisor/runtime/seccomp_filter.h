/* A seccomp filter being built: what libseccomp needs to be told, with its sharp edges taken off.
 * Shared by the built-in profile and the JSON reader; not for others. */
#ifndef BERTH_RUNTIME_SECCOMP_FILTER_H
#define BERTH_RUNTIME_SECCOMP_FILTER_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct seccomp_prog;

enum { SECCOMP_ARCHS_MAX = 8 };

/* libseccomp cannot take a number it has no name for as soon as a second architecture is in the
 * context: so the native one is a context of its own, and the two are merged at the end. */
struct seccomp_filter {
	scmp_filter_ctx native;
	scmp_filter_ctx compat; /* NULL: none */
	uint32_t fallback;      /* the action for what no rule names */
	bool capset, execve;    /* are these allowed, whatever their arguments */
};

/* The architectures whose programs this kernel may run beside its own: a list ending in 0,
 * the 32-bit one of the family first. */
extern const uint32_t seccomp_compat_archs[];

/* `archs`: beside the native one; n may be 0. */
int seccomp_filter_init(struct seccomp_filter *filter, uint32_t fallback, uint32_t bad_arch,
	const uint32_t *archs, size_t n, struct err *err);

/*
 * seccomp_filter_rule - one call, one action; the comparisons must all hold
 *
 * A rule that says what the fallback says already is left out. A name that nobody knows is left
 * out if that makes the filter stricter, else it fails.
 */
int seccomp_filter_rule(struct seccomp_filter *filter, uint32_t action, const char *name,
	const struct scmp_arg_cmp *args, unsigned nargs, struct err *err);

/* The program, in memory of its own: seccomp_prog_done frees it. */
int seccomp_filter_export(struct seccomp_filter *filter, struct seccomp_prog *ret, struct err *err);

void seccomp_filter_done(struct seccomp_filter *filter);

#endif
