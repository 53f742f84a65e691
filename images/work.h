/* One job by another program: berth-worker, or a tool where images are made. */
#ifndef BERTH_IMAGES_WORK_H
#define BERTH_IMAGES_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/base/err.h"

enum { WORK_WORDS = 32 };

/* How far a job is, by its own word. */
struct work_step {
	uint64_t done, total; /* bytes; total 0: not known */
	const char *what;     /* "layer 2 of 3"; "": not said */
};

struct work {
	const char *program;           /* a path, or a name that PATH= leads to */
	const char *words[WORK_WORDS]; /* what follows its name; NULL ends them */
	int in;                        /* its standard input; -1: none */
	int cgroup;                    /* a directory of cgroup2 that it runs in; 0: ours */
	bool by_path; /* PATH= and the environment are ours; else it gets next to none */
	/* Called for each line "DONE TOTAL WHAT" on its standard output; NULL: nobody asks. Lines of
	 * another shape are nobody's. */
	void (*step)(void *context, const struct work_step *step);
	/* Asked after each step: may it go on? A negative answer ends the job, and is what work_run
	 * fails with; NULL: always. */
	int (*may_go_on)(void *context, struct err *err);
	void *context;
};

/*
 * work_run - run it, and wait for its end
 *
 * It dies with the caller. What it says on standard error is the error, without its name: the first
 * line. Blocks: for as long as it works.
 * Fails: -EINVAL with its words for any exit code but 0; -EIO when a signal killed it.
 */
int work_run(const struct work *work, struct err *err);

#endif
