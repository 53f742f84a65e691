/* What may block is done here: one forked process for one piece of work. */
#ifndef BERTH_CORE_JOB_H
#define BERTH_CORE_JOB_H

#include <stdbool.h>
#include <sys/types.h>

#include "supervisor/base/err.h"

struct supervisor;
struct job;

/* In the child: may block, may fail with words. Its memory is a copy. */
typedef int job_fn(const void *data, struct err *err);
/* In the loop: `r` is what the work gave; a death by signal is -EIO, with words. */
typedef void job_done_fn(struct supervisor *sv, int r, const struct err *err, void *data);

/* `what` for messages: "set up the network". `data` is seen by both, as it is now. `done` may be
 * NULL. 0 or -errno of pipe, clone: then `done` is not called. */
int job_start(struct supervisor *sv, const char *what, job_fn *work, job_done_fn *done, void *data,
	struct err *err);
/* The same with a child that exists already: its pid and pidfd (taken). */
int job_adopt(struct supervisor *sv, const char *what, pid_t pid, int pidfd, struct err *err);
/* Is it one of ours? For the reaper of orphans. */
bool job_has_pid(const struct supervisor *sv, pid_t pid);
/* SIGKILL to all, and forget them. */
void jobs_done(struct supervisor *sv);

#endif
