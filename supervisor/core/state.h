/*
 * What is on record about a service: RUN_DIR/state/NAME, text of key=value lines, replaced as a
 * whole. Written before the payload may run; read by the next supervisor, and by verbs that work
 * while none answers.
 */
#ifndef BERTH_CORE_STATE_H
#define BERTH_CORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/core/machine.h"

struct sys;
struct cgroup_tree;

struct state_record {
	char unit[80];    /* "web.container" */
	char boot_id[40]; /* of /proc/sys/kernel/random/boot_id: nothing outlives a boot */
	enum service_state state;
	enum end_reason reason;
	bool wanted, by_hand, arrived, hold;
	uint64_t run;
	pid_t pid; /* 0: none */
	uint64_t
		starttime; /* field 22 of /proc/PID/stat: with pid and boot_id, one process for ever */
	char cgroup[128]; /* below the tree: "c/web/17" */
	uint64_t hash;    /* struct unit's */
	uint32_t failures, restarts;
	uint64_t ready_at;                    /* CLOCK_MONOTONIC */
	uint64_t since, started, ready_since; /* CLOCK_REALTIME */
	struct service_times times;
	struct service_exit last;
	char failure[300];
	char dropped[200];
};

enum { STATE_TEXT_SIZE = 2048 };

/* As text, NUL-terminated: its length. It always fits. */
size_t state_print(const struct state_record *record, char buf[static STATE_TEXT_SIZE]);
/* 0, or -EBADMSG: not a whole record of this version. Unknown keys are passed over. */
int state_parse(const char *text, struct state_record *ret);

/* Of the file `name` below `dirfd`: 0 or -errno (-ENOENT: none). */
int state_read(const struct sys *sys, int dirfd, const char *name, struct state_record *ret);
int state_write(
	const struct sys *sys, int dirfd, const char *name, const struct state_record *record);

/* Field 22 of a /proc/PID/stat text; 0: not to be found. */
uint64_t stat_starttime(const char *text);
/* Of a living process: 0, or -errno. /proc is no disk: it does not block. */
int proc_starttime(pid_t pid, uint64_t *ret);
/* Is the process in the cgroup whose path ends so ("/c/web/17")? False also when it is gone. */
bool proc_in_cgroup(pid_t pid, const char *tail);
/* Is the process in a leaf of ours, below TREE/c/NAME? 1, with the name; 0: no; -errno: it is gone. */
int proc_container_of(const struct cgroup_tree *tree, pid_t pid, char *ret_name, size_t size);
/* The same of a text of /proc/PID/cgroup. */
int cgroup_container_of(
	const struct cgroup_tree *tree, const char *text, char *ret_name, size_t size);

#endif
