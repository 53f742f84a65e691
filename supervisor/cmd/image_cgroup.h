/* The cgroup of an import or a pull: where a supervisor has a tree, who works on it has a leaf with limits
 * there. */
#ifndef BERTH_CMD_IMAGE_CGROUP_H
#define BERTH_CMD_IMAGE_CGROUP_H

#include "cgroups/cgroup.h"
#include "images/store.h"

struct image_cgroup {
	struct cgroup_tree tree;
	char path[64]; /* below it */
	int fd;        /* of the leaf; 0: there is none */
	uint64_t memory;
};

/*
 * image_cgroup_make - a leaf for one worker, with its limits of memory and tasks
 *
 * Memory is not limited where the store itself is in memory: what is imported would count.
 * Gives: *ret; fd is 0 where there is no supervisor, or no cgroup is to be had: then the worker is in
 *        ours, and its resource limits are what holds it. Never fails.
 */
void image_cgroup_make(struct image_cgroup *ret, const struct store *store);

/* Its worker has ended, with `r`, and the leaf goes. Gives `r`; -ENOMEM with words where it failed because
 * it took more memory than it may. */
int image_cgroup_end(struct image_cgroup *cgroup, int r, struct err *err);

#endif
