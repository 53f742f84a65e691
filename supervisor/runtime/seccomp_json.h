/* A seccomp profile in JSON, as docker, podman and the OCI runtime specification write it. */
#ifndef BERTH_RUNTIME_SECCOMP_JSON_H
#define BERTH_RUNTIME_SECCOMP_JSON_H

#include <stdint.h>

struct err;
struct seccomp_filter;

/*
 * seccomp_json_build - the rules of a profile that count for these capabilities
 *
 * Gives:  *filter (to be freed by seccomp_filter_done, also after a failure) and the flags for
 *         seccomp(2). "minKernel" is passed over: berth's own oldest kernel is newer than any met.
 * Fails:  -EINVAL: no JSON, a duplicate or missing key, an action that needs an agent outside
 *         (SCMP_ACT_NOTIFY), an unknown operator; what reading the file gives; -EFBIG above 1 MiB.
 */
int seccomp_json_build(const char *path, uint64_t caps, struct seccomp_filter *filter,
	uint32_t *ret_flags, struct err *err);

#endif
