/*
 * The log writer: one process for all containers of a supervisor, and the supervisor's end of it.
 *
 * Each container writes into two FIFOs, RUN_DIR/fifo/NAME.out and .err, which it holds O_RDWR: a
 * dead reader gives it no SIGPIPE, it only waits once 64 KiB are full. The writer holds the read ends
 * and may block on the disk; the supervisor never does. The writer outlives the supervisor: a new one
 * connects to it at RUN_DIR/logw.sock. Should the writer die, the next dispatch starts another and
 * tells it everything again; what is in the FIFOs is not lost. A writer that is alone (no supervisor,
 * and no container holds a FIFO any more) ends by itself.
 */
#ifndef BERTH_CORE_LOGWRITER_H
#define BERTH_CORE_LOGWRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/base/err.h"
#include "supervisor/core/loop.h"

struct logwriter;

/* Every drain that was asked for is answered once, also when the writer had to be started anew. */
typedef void logwriter_drained_fn(
	struct logwriter *writer, const char *name, uint64_t cookie, void *data);

struct logwriter_options {
	struct loop *loop;
	const char *run_dir, *log_dir; /* copied */
	int cgroup_fd; /* a cgroup directory for the process (workers/log), taken over; -1: ours */
	logwriter_drained_fn *drained;
	void *data;
};

/*
 * logwriter_open - connect to the living writer, or fork one
 *
 * Needs: the lock of RUN_DIR held, RUN_DIR there. Call it early: a fork costs by the memory in use.
 * Blocks: never. Fails: the FIFO directory or the socket cannot be made, fork.
 */
int logwriter_open(
	struct logwriter **ret, const struct logwriter_options *options, struct err *err);
/* `quit`: the writer empties what is left, then ends; else it goes on alone. NULL is fine. */
void logwriter_close(struct logwriter *writer, bool quit);

/* Where the next process goes, when the cgroup from before is gone. Taken over as well. */
void logwriter_set_cgroup(struct logwriter *writer, int cgroup_fd);

/* The process, if it is a child of ours: not a service's, to whoever reaps. 0: none. */
pid_t logwriter_pid(const struct logwriter *writer);

/*
 * logwriter_attach - be ready for a run of `name`, new or adopted; harmless to repeat
 *
 * Gives: the FIFOs opened O_RDWR for the container's 1 and 2 (the caller closes its copies after the
 *        start, so that the writer sees their end); NULL for both of an adopted one that has them.
 *        They belong to no user: mode 0622 in a directory that only root enters.
 */
int logwriter_attach(struct logwriter *writer, const char *name, uint64_t log_size,
	uint32_t log_count, int *ret_out, int *ret_err, struct err *err);

/* After the end of a run: everything the FIFOs hold is in the segments when `drained` is called. The
 * caller sets a deadline of its own, for the disk may hang. */
void logwriter_drain(struct logwriter *writer, const char *name, uint64_t cookie);

/* The definition is gone: the FIFOs are removed. The segments stay. */
void logwriter_detach(struct logwriter *writer, const char *name);

/* The process's own main function, for tests: serves `listener` until told to quit or alone. */
int logwriter_main(int listener, const char *run_dir, const char *log_dir);

#endif
