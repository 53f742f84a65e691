/*
 * One container (or native service, or exec session), from spec to exec to teardown. Knows no
 * services and no loop: it gives descriptors to poll.
 *
 * A start: where something must be made in the host's namespaces first (a network namespace and its
 * pin, an unpacked image), a preparer does that, a process that may block. Then one clone3 makes the
 * container's first process, as the caller's child, in its cgroup and its namespaces; it builds its
 * own root and ends in exec. A restart, whose network is kept, has no preparer. What happens arrives
 * on `report_fd`, in this order:
 *
 *     REPORT_WARN*  REPORT_CREATED  (container_go)  (REPORT_WARN | REPORT_CONSOLE)*  end of file
 *     …  REPORT_FAIL  end of file
 *
 * Nothing of the payload runs before container_go(): the caller records the pid first. End of file
 * after container_go() without REPORT_FAIL means that exec happened.
 */
#ifndef BERTH_RUNTIME_CONTAINER_H
#define BERTH_RUNTIME_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroups/cgroup.h"
#include "config/spec.h"
#include "supervisor/base/err.h"

struct seccomp_cache;

/* Where: the same for all containers of one supervisor. All strings are borrowed. */
struct container_env {
	const char *instance;     /* of the state directory: names of links */
	const char *run_dir;      /* /run/berth: pin/ img/ mnt/ below it, on a private mount */
	const char *state_dir;    /* /var/lib/berth: volumes/ below it */
	const char *worker;       /* path of berth-worker */
	struct cgroup_tree *tree; /* its fd is -1 where there is no cgroup v2 at all */
	int workers_fd;           /* the leaf below workers/ that preparers are born in; -1: none */
	struct seccomp_cache *seccomp; /* filters that were built before; NULL: none are kept */
};

/* One run of one spec. Only `spec` must live on when container_start returns. */
struct container_run {
	const struct container_spec *spec;
	uint64_t number;  /* of the run, never used before for this name: leaf c/NAME/NUMBER */
	int in, out, err; /* the payload's 0, 1, 2; -1: /dev/null */
	const char *notify_socket; /* host path of a bound AF_UNIX socket, or NULL */
	bool hold; /* run the pause process instead of spec->process.argv (HoldOpen=) */
	/* In the network namespace that it has of its own, or that it asks for an address in. */
	enum net_others others;
	bool in_use; /* spec->asks_for: that container runs, so its network is left as it is */
};

/* Steps of a start, for messages: see container_stage_name. Order is the order of happening. */
enum container_stage {
	STAGE_NONE,
	/* in the preparer, in the host's namespaces */
	STAGE_IMAGE,
	STAGE_BUNDLE,
	STAGE_NETWORK,
	/* in the joiner of an exec */
	STAGE_JOIN,
	/* in the container's first process */
	STAGE_CLOSE,
	STAGE_SIGNALS,
	STAGE_CGROUP,
	STAGE_CREATED,
	STAGE_RESOLVE,
	STAGE_JOIN_NETWORK,
	STAGE_ROOT,
	STAGE_USERS,
	STAGE_VOLUMES,
	STAGE_SESSION,
	STAGE_NAMESPACES,
	STAGE_KERNEL_FS,
	STAGE_DEVICES,
	STAGE_SYSCTLS,
	STAGE_MOUNTS,
	STAGE_HOSTNAME,
	STAGE_MASKS,
	STAGE_PIVOT,
	STAGE_TERMINAL,
	STAGE_STDIO,
	STAGE_LIMITS,
	STAGE_DIRECTORY,
	STAGE_KEYRING,
	STAGE_GO,
	STAGE_SOURCE,
	STAGE_FILESYSTEM,
	STAGE_LISTEN,
	STAGE_VIEW,
	STAGE_USER,
	STAGE_EXEC,
	STAGE_COUNT,
};
/* "build the root", "exec": the words for "web: cannot start: WORDS: …". */
const char *container_stage_name(enum container_stage stage);

/* A started thing. The zero value is not valid: use CONTAINER_NONE. */
struct container {
	pid_t builder; /* a preparer or joiner, the caller's child to reap; 0 when there is none */
	int builder_pidfd;
	int report_fd; /* non-blocking SOCK_SEQPACKET */
	pid_t pid;     /* from REPORT_CREATED; the caller's child */
	int pidfd;
	int cgroup_fd;                  /* of the leaf; -1 without cgroups */
	volatile int32_t *shared_stage; /* a page its processes write to; NULL after the report */
	int32_t last_stage;             /* what it said in the end */
	struct container_pending *pending; /* what the clone after the preparer needs */
};
#define CONTAINER_NONE \
	((struct container){ .builder_pidfd = -1, .report_fd = -1, .pidfd = -1, .cgroup_fd = -1 })

enum report_kind {
	REPORT_WARN = 1,
	REPORT_CREATED,
	REPORT_CONSOLE,
	REPORT_FAIL,
	REPORT_PREPARED, /* never seen by callers of container_read_report */
};

struct report {
	int32_t kind;
	int32_t stage;
	int32_t pid;    /* REPORT_CREATED */
	struct err err; /* REPORT_WARN, REPORT_FAIL */
};

/*
 * container_start - make the leaf; begin with the preparer or with the container itself
 *
 * Needs:  env->tree open (or fd -1), run->number new. No signal ignored (signals_default).
 * Gives:  *ret with report_fd, cgroup_fd, and builder when there is one. `dropped`: limits that could
 *         not be enforced.
 * Blocks: never.
 * Fails:  cgroup (a written limit that cannot be enforced), fork, seccomp profile; nothing is left.
 */
int container_start(const struct container_env *env, const struct container_run *run,
	struct container *ret, struct cgroup_dropped *dropped, struct err *err);

/*
 * container_exec - a further process in a running container (exec, health probes)
 *
 * Joins all namespaces of `pidfd` (a process of the container), the cgroup `cgroup_fd`, then applies
 * `process` exactly as a start does (ids, capabilities of `spec`'s policy, seccomp, no_new_privs).
 * Reports as a start does; process->tty asks for a terminal: its master comes in REPORT_CONSOLE.
 */
int container_exec(const struct container_env *env, const struct container_spec *spec,
	const struct process_spec *process, int pidfd, int cgroup_fd, int in, int out, int errfd,
	struct container *ret, struct err *err);

/*
 * container_read_report - one message of the report
 *
 * Gives: 1 and *ret; for REPORT_CREATED container->pid and ->pidfd are set; for REPORT_CONSOLE
 *        *ret_console is the terminal's master (taken by the caller). 0: end of file, and
 *        container->report_fd is closed. -EAGAIN: nothing yet. When the preparer is done, this is
 *        where the container is cloned.
 */
int container_read_report(struct container *container, struct report *ret, int *ret_console);

/* As the end of file: nothing that comes later is read. */
void container_hang_up(struct container *container);

/* Lets the child go on to exec, after the caller has recorded its pid. 0 (also when it is dead already:
 * the report says why) or -errno. */
int container_go(struct container *container);

/* Where the start is, or where it ended. */
enum container_stage container_stage(const struct container *container);

/* After end of file without REPORT_FAIL: did exec happen? Else the child died at its container_stage(). */
bool container_exec_happened(const struct container *container);

/* Closes what is open. Kills and reaps nothing. */
void container_done(struct container *container);

#endif
