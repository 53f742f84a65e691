/* One tree of cgroup v2 directories that is ours: make, kill, observe, remove. */
#ifndef BERTH_CGROUPS_CGROUP_H
#define BERTH_CGROUPS_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroups/limits.h"
#include "supervisor/base/err.h"

/* Controllers that berth uses, as bits. */
enum { CGROUP_CPU = 1, CGROUP_MEMORY = 2, CGROUP_PIDS = 4 };

struct cgroup_tree {
	int fd;               /* the directory of our tree, e.g. /sys/fs/cgroup/berth; -1: none */
	unsigned controllers; /* enabled for the leaves */
	unsigned bound_v1;    /* cannot be ours: a cgroup v1 hierarchy holds them */
	unsigned at_top; /* the top of the hierarchy has them, whether we were given them or not */
	bool hybrid;     /* controllers (also ones we do not use) are bound to cgroup v1 */
	bool delegated;  /* below a subtree that systemd delegated to us */
	bool apart;      /* a directory that was named: we ourselves live elsewhere */
	char path[256];  /* of the directory, in our mount namespace */
};

/*
 * cgroup_tree_open - find the cgroup2 hierarchy and make our tree in it
 *
 * Where: `name` beginning with / is a directory of that hierarchy that was made for us, and we stay
 *        where we are (a service manager's unit beside ours). Else: in the subtree that was delegated
 *        to us (xattr user.delegate or trusted.delegate of our own cgroup is "1": then the tree is our
 *        own cgroup, and `name` is not used), else the directory `name` at the top of the hierarchy,
 *        wherever mountinfo says it is mounted; where it is not mounted at all, at `mount_at` (made by
 *        us), unless that is NULL.
 * Gives: the calling process moved into NAME/supervisor (but see above), controllers enabled for
 *        NAME/c and NAME/workers. A controller that is missing (bound to v1, not compiled in, not
 *        delegated) is not an error here: it is absent from ret->controllers.
 * Fails: -ENODEV: no cgroup2 in this kernel; the errno of mount, mkdir or write, with words.
 */
int cgroup_tree_open(
	struct cgroup_tree *ret, const char *name, const char *mount_at, struct err *err);
/*
 * cgroup_tree_join - the tree at that path, which another process of ours has opened
 *
 * Gives: a tree to make leaves in, beside those of the other; nothing is changed, and we stay where
 *        we are. Fails: it is not there, with words.
 */
int cgroup_tree_join(struct cgroup_tree *ret, const char *path, struct err *err);
void cgroup_tree_done(struct cgroup_tree *tree);
/*
 * cgroup_tree_renew - the tree again, when the directory that was made for us was removed
 *
 * A service manager does so with all that is below when its unit ends, and makes another of the same
 * name when it begins again. What was opened below the old one is of no use any more.
 * Gives: 0 it is as it was; 1 it was opened anew. Fails: -ENOENT there is none, with words.
 */
int cgroup_tree_renew(struct cgroup_tree *tree, struct err *err);
/*
 * cgroup_tree_look - what a tree of ours could enforce here; nothing is made or changed
 *
 * Gives: ret->controllers and the like, for cgroup_limits_check; ret->fd is -1. Where cgroup2 is
 *        not mounted, what a mount of it would give. Fails: mountinfo cannot be read.
 */
int cgroup_tree_look(struct cgroup_tree *ret, struct err *err);
/* Removes the empty directories of the tree, deepest first, the process itself moved out (to the
 * directory above the tree; to the tree itself when it was delegated). -EBUSY while others run. */
int cgroup_tree_remove(struct cgroup_tree *tree, struct err *err);

/* What could not be enforced and was dropped, in words for `status` and `check`. */
struct cgroup_dropped {
	char text[200];
};

/*
 * cgroup_make - a new leaf with its limits, before anything runs in it
 *
 * Needs:  `path` below the tree, "c/web/17" (parents are made); it must not exist: a cgroup that
 *         was killed through cgroup.kill kills later children at birth, so none is used twice.
 * Gives:  a directory descriptor (O_RDONLY|O_DIRECTORY, fit for CLONE_INTO_CGROUP), limits written,
 *         the device filter attached, memory.oom.group=1 where memory is controlled.
 * Blocks: never on anything but the kernel's cgroup mutex.
 * Fails:  -ENOTSUP for a written limit without its controller; the message names the key's cure
 *         (e.g. cgroup_enable=memory on the kernel command line). Nothing is left behind.
 */
int cgroup_make(struct cgroup_tree *tree, const char *path, const struct cgroup_limits *limits,
	struct cgroup_dropped *dropped, struct err *err);
/* An existing directory below the tree: its descriptor or -errno. */
int cgroup_open(const struct cgroup_tree *tree, const char *path);
/* Could these limits be enforced here? For `berth check` and before a start. 0 or -ENOTSUP. What
 * best_effort or `builtin` allows to be dropped is no failure. */
int cgroup_limits_check(
	const struct cgroup_tree *tree, const struct cgroup_limits *limits, struct err *err);

/* cgroup_kill - SIGKILL to everything in it (cgroup.kill; before 5.14: cgroup_kill_each). Never
 * waits; 0 also when it is gone already. */
int cgroup_kill(int fd);
/* cgroup_kill_each - the same without cgroup.kill: freeze, kill each one below it, thaw. */
int cgroup_kill_each(int fd);
/* 1 when a process lives in it or below it, 0 when not (also when it is gone), -errno. */
int cgroup_populated(int fd);
/*
 * cgroup_events_open - the cgroup.events file, to be polled for POLLPRI
 *
 * It is read once here, so that only changes from now on fire: call cgroup_populated after it. After
 * each event cgroup_events_read must read this very descriptor, or it stays ready for ever.
 */
int cgroup_events_open(int fd);
/* As cgroup_populated, and arms the descriptor for the next change. */
int cgroup_events_read(int events_fd);
/* The pids in it (not below; 0 for ones our pid namespace does not know are left out): how many, at
 * most `max`, or -errno. */
ssize_t cgroup_pids(int fd, pid_t *pids, size_t max);

/* memory.events and friends; absent files count as zero. */
struct cgroup_usage {
	uint64_t memory_current, memory_peak; /* bytes */
	uint64_t oom_kills;                   /* memory.events oom_kill */
	uint64_t pids_current, pids_max_hits; /* pids.current, pids.events max */
	uint64_t cpu_usec;                    /* cpu.stat usage_usec */
};
void cgroup_usage(int fd, struct cgroup_usage *ret);

/*
 * cgroup_remove - rmdir of a leaf and what is below it
 *
 * Gives: 0, also when it is not there. -EBUSY while something lives in it. Blocks: never.
 */
int cgroup_remove(const struct cgroup_tree *tree, const char *path);

/*
 * cgroup_reclaim - take the pages out of an empty leaf (memory.reclaim, Linux 5.19), before its rmdir
 *
 * Pages that outlive their cgroup keep its kernel memory, about 11 kB a start. Blocks: for as long as
 * writing back takes, so it is for a process of its own; cgroup_keeps_pages says whether to bother.
 */
void cgroup_reclaim(int fd);
bool cgroup_keeps_pages(int fd);

/* Calls back for each child directory of `path`; a callback's non-zero result ends the walk. */
int cgroup_each(const struct cgroup_tree *tree, const char *path,
	int (*each)(const char *name, void *data), void *data);

#endif
