/* One start, from clone to exec: what was asked, and what each step leaves for the next: descriptors
 * and plain values. Internal to the runtime. */
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

struct listeners;

struct plan {
	const struct container_env *env;
	const struct container_spec *spec;
	const struct process_spec *process;
	const char *notify_socket; /* on the host; NULL: none */
	bool prepared;             /* a preparer has made the network as it should be */
	const char *lower; /* the root's lower directory; of a native service: the program's path */
	bool join;         /* exec: into a running container, whose pidfd is join_pidfd */
	bool hold;
	enum net_others others;
	bool in_use;           /* its network is that of a container that runs */
	bool must_join_cgroup; /* the kernel could not do it at birth */
	volatile int32_t *stage;

	int report_fd; /* our end of the report */
	int cgroup_fd;
	int join_pidfd;
	int root_fd;    /* O_PATH of the assembled root; -1: native or join */
	int null_fd;    /* the host's /dev/null, verified */
	int tty_fd;     /* TTYPath= */
	int init_fd;    /* berth-init, for RunInit= and HoldOpen= */
	int program_fd; /* a program of a bundle, in memory; -1: it is run by its path */
	int in, out, err;

	struct plan_mount mounts[PLAN_MOUNTS];
	size_t nmounts;
	struct ids ids;
	uint64_t caps;              /* bounding, permitted, effective */
	bool ambient;               /* caps also survive the exec of a user that is not root */
	struct seccomp_prog filter; /* len 0: none (yet) */
	uint64_t filter_caps;       /* the capabilities it was built for */
	const char *source;         /* of the file system */
	const struct listeners *listeners; /* of a proxy */
	const char **environ;              /* NULL-terminated */
	char **argv;                       /* NULL-terminated */
};

/* Sends a message, with a descriptor if fd is not -1: 0 or -errno. A message that the other end waits
 * for must not be lost in silence; for the others it may be gone, and that is that. */
int plan_report(const struct plan *plan, enum report_kind kind, const struct err *err, int fd);

/* RUN_DIR/pin/NAME.net */
void plan_pin_path(const struct container_env *env, const char *name, char *ret, size_t size);

/* The root's lower directory, when nothing has to be made for it first. */
bool plan_lower(
	const struct container_env *env, const struct container_spec *spec, char *ret, size_t size);

/* child.c: never returns. */
_Noreturn void child_main(struct plan *plan);

#endif
