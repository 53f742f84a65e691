/* The filter of system calls: built in the supervisor (libseccomp allocates), kept for the next
 * start, loaded by the child, which may not allocate. */
#ifndef BERTH_RUNTIME_SECCOMP_H
#define BERTH_RUNTIME_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct sock_filter;

/* A finished program. The zero value is none; seccomp_apply then does nothing. */
struct seccomp_prog {
	struct sock_filter *filter;
	unsigned short len;
	unsigned flags; /* of seccomp(2): a profile may ask for LOG or SPEC_ALLOW */
};

/*
 * seccomp_build - the program for a container
 *
 * Needs:  profile_path: JSON as docker, podman and OCI write it; NULL: berth's own profile
 *         (seccomp_table.c). caps: the container's bounding set, bit N for capability N.
 *         allow_setup: no_new_privs is off, so the filter is loaded before capset(2) and execve(2),
 *         and must allow both.
 * Gives:  *ret, to be freed by seccomp_prog_done.
 * Blocks: reading the profile. The rest is a few ms of CPU: use the cache.
 * Fails:  -EINVAL with what is wrong in the profile; what reading it gives.
 */
int seccomp_build(const char *profile_path, uint64_t caps, bool allow_setup,
	struct seccomp_prog *ret, struct err *err);
void seccomp_prog_done(struct seccomp_prog *prog);

/*
 * seccomp_apply - load it; there is no way back
 *
 * Needs:  no_new_privs, or CAP_SYS_ADMIN in the current user namespace.
 * Gives:  0 or -errno. Allocates nothing, opens nothing: for the child, between fork and exec.
 */
int seccomp_apply(const struct seccomp_prog *prog);

/* Programs that were built. The zero value is an empty cache. */
enum { SECCOMP_CACHE_SIZE = 8 };
struct seccomp_cache {
	struct seccomp_cached {
		struct seccomp_prog prog;
		char *path; /* NULL: the built-in profile */
		uint64_t caps;
		bool allow_setup;
		uint64_t dev, ino, size, mtime; /* of the profile */
		uint64_t used;                  /* when, in requests */
	} entries[SECCOMP_CACHE_SIZE];
	uint64_t requests;
};

/*
 * seccomp_cache_get - seccomp_build, or what it gave before
 *
 * Gives: *ret, which belongs to the cache and is good until the next call; a fork keeps its copy.
 *        A profile that changed (inode, size, time) is read again.
 */
int seccomp_cache_get(struct seccomp_cache *cache, const char *profile_path, uint64_t caps,
	bool allow_setup, const struct seccomp_prog **ret, struct err *err);
void seccomp_cache_done(struct seccomp_cache *cache);

#endif
