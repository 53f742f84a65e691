/* What the kernel shows a container: proc, sys, cgroup2, dev and what is in it, and which of their
 * paths are hidden or read-only. Steps of the table in child.c, which says when each is. */
#ifndef BERTH_RUNTIME_KERNELFS_H
#define BERTH_RUNTIME_KERNELFS_H

#include "supervisor/runtime/plan.h"

/*
 * All need the root at plan->root_fd, and the namespaces of the container. They fail with the path
 * inside the root in their words; what is mounted by then goes with the mount namespace.
 */

/* The file systems, each on a plain directory of the root. A cgroup2 or mqueue that the kernel does not
 * have is left out, mqueue with a warning. */
int step_kernel_fs(struct plan *plan, struct err *err);
/* The nodes and links of /dev, and those of AddDevice=. Needs: /dev is mounted. */
int step_devices(struct plan *plan, struct err *err);
/* Hides and makes read-only what the OCI runtimes do, but for Unmask=, and what Mask= names; then the
 * root, where it is read-only. Needs: nothing more will be mounted; plan->null_fd. */
int step_masks(struct plan *plan, struct err *err);

#endif
