/* How far something is, for whoever waits: a bar on a terminal, a plain line now and then where there
 * is none, lines of JSON for programs. What takes less than a second says nothing. */
#ifndef BERTH_CMD_PROGRESS_H
#define BERTH_CMD_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/work.h"

enum progress_form {
	PROGRESS_LINES, /* standard error is no terminal: "berth: TITLE: 42% …", the first after a
			   second, then at most one in five */
	PROGRESS_BAR,   /* it is: one line, drawn anew ten times a second, taken away at the end */
	PROGRESS_JSON, /* standard output: {"progress":{"title","done","total","what"}}, two a second */
};

struct progress {
	enum progress_form form;
	const char *title; /* "import site.tar"; kept by the caller */
	uint64_t begun, said;
	bool shown; /* a bar stands on the terminal */
};

/* progress_begin - nothing is shown yet. The form is chosen by what standard error is, and `json`. */
void progress_begin(struct progress *p, const char *title, bool json);

/* progress_step - for struct work: `progress` is the struct progress. Control characters of what a job
 * says are not shown. Never fails. */
void progress_step(void *progress, const struct work_step *step);

/* progress_end - takes a bar away, so that the result stands in its place. Harmless to repeat. */
void progress_end(struct progress *p);

#endif
