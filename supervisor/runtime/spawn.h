/* One way to make a process: clone3(2), with what older kernels and sandboxes need instead. */
#ifndef BERTH_RUNTIME_SPAWN_H
#define BERTH_RUNTIME_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/*
 * spawn - a child of the caller, or, with CLONE_PARENT in flags, a sibling
 *
 * Needs:  one thread. `cgroup_fd`: the child is born there; -1: in the caller's cgroup.
 * Gives:  in the caller the pid and *ret_pidfd; in the child 0. Where the kernel has no clone3 or no
 *         CLONE_INTO_CGROUP (before 5.7, or hidden by a sandbox) *must_join is true in the child:
 *         it has to call spawn_join_cgroup before anything else may run.
 * Fails:  -errno of clone, with words.
 */
pid_t spawn(uint64_t flags, int cgroup_fd, int *ret_pidfd, bool *must_join, struct err *err);
int spawn_join_cgroup(int cgroup_fd, struct err *err);

/* Closes every descriptor from 3 up that is not in `keep`; -1s are ignored. */
void spawn_close_others(const int *keep, size_t n);

/* What the failure of an exec of `file` means to its reader: -code, and the words. */
int spawn_exec_error(const char *file, int code, struct err *err);

#endif
