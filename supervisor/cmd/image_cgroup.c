#include "supervisor/cmd/image_cgroup.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "supervisor/base/own.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/show.h"

/* Beside the window. What the worker allocates is far less (confine.h); files that it has read and
 * written count too, and the kernel takes them back when it has to. */
#define LEAF_MEMORY (256UL << 20)
enum { LEAF_TASKS = 16 };

static bool is_in_memory(const struct store *store)
{
	struct statfs fs;

	return fstatfs(store->dir, &fs) < 0 || fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
}

static int tree_find(struct cgroup_tree *ret)
{
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	json_t *status = NULL;
	int r = client_open(&client, &err);

	if (r >= 0)
		r = client_call(&client, "GetStatus", NULL, &status, &err);
	if (r >= 0)
		r = cgroup_tree_join(ret, show_text(status, "cgroup"), &err);
	json_decref(status);
	client_close(&client);
	return r;
}

void image_cgroup_make(struct image_cgroup *ret, const struct store *store)
{
	struct cgroup_limits limits = {
		.pids_max = { .value = LEAF_TASKS, .set = true, .builtin = true },
	};
	struct cgroup_dropped dropped;
	int fd;

	*ret = (struct image_cgroup){ .tree.fd = -1 };
	if (tree_find(&ret->tree) < 0)
		return;
	if (!is_in_memory(store)) {
		ret->memory = LEAF_MEMORY + client_image_memory();
		limits.memory_max =
			(struct limit){ .value = ret->memory, .set = true, .builtin = true };
	}
	(void)snprintf(ret->path, sizeof ret->path, "workers/import-%d", (int)getpid());
	(void)cgroup_remove(&ret->tree, ret->path); /* of one that was killed and had our number */
	fd = cgroup_make(&ret->tree, ret->path, &limits, &dropped, NULL);
	ret->fd = fd < 0 ? 0 : fd;
}

int image_cgroup_end(struct image_cgroup *cgroup, int r, struct err *err)
{
	struct cgroup_usage usage = { 0 };

	if (cgroup->fd > 0) {
		cgroup_usage(cgroup->fd, &usage);
		(void)close(cgroup->fd);
		(void)cgroup_remove(&cgroup->tree, cgroup->path);
	}
	cgroup->fd = 0;
	cgroup_tree_done(&cgroup->tree);
	if (r < 0 && usage.oom_kills > 0)
		return err_set(err, ENOMEM,
			"it takes more memory than %s; nothing of it stays: raise ImageMemory= in "
			"berth.conf if it is to be trusted",
			show_bytes(cgroup->memory).text);
	return r;
}
