/* What the builder prepared for the child: everything that can fail slowly is done, and what is left
 * is descriptors and plain values. Internal to the runtime. */
#ifndef BERTH_RUNTIME_PLAN_H
#define BERTH_RUNTIME_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/runtime/container.h"
#include "supervisor/runtime/seccomp.h"
#include "supervisor/runtime/users.h"

enum { PLAN_MOUNTS = 128, PLAN_ENV = 8 };

/* Where a container finds the socket of sd_notify(3). */
#define PLAN_NOTIFY_PATH "/run/berth-notify"

/* One mount, opened detached; the child puts it in its place. */
struct plan_mount {
	int fd;
	const char *target;
	bool is_dir;
};

struct plan {
	const struct container_env *env;
	const struct container_spec *spec;
	const struct process_spec *process;
	bool join; /* exec: into a running container, whose pidfd is join_pidfd */
	bool hold;
	bool must_join_cgroup; /* the kernel could not do it at birth */
	volatile int32_t *stage;

	int report_fd; /* our end of the report */
	int cgroup_fd;
	int join_pidfd;
	int root_fd; /* O_PATH of the assembled root; -1: native or join */
	int null_fd; /* the host's /dev/null, verified */
	int tty_fd;  /* TTYPath= */
	int init_fd; /* berth-init, for RunInit= and HoldOpen= */
	int in, out, err;

	struct plan_mount mounts[PLAN_MOUNTS];
	size_t nmounts;
	struct ids ids;
	uint64_t caps;              /* bounding, permitted, effective */
	bool ambient;               /* caps also survive the exec of a user that is not root */
	struct seccomp_prog filter; /* len 0: none (yet) */
	uint64_t filter_caps;       /* the capabilities it was built for */
	const char **environ;       /* NULL-terminated */
	char **argv;                /* NULL-terminated */
};

/* Sends a warning or the final failure; both are best effort: the other end may be gone. */
void plan_report(const struct plan *plan, enum report_kind kind, const struct err *err, int fd);

/* child.c: never returns. */
_Noreturn void child_main(struct plan *plan);

/* builder.c: never returns. */
_Noreturn void builder_main(struct plan *plan, const struct container_run *run);
_Noreturn void joiner_main(struct plan *plan);

#endif
