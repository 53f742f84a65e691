/* Complaints about the set, and where in the files something was said. */
#ifndef BERTH_CONFIG_PROBLEM_H
#define BERTH_CONFIG_PROBLEM_H

#include <stdbool.h>

struct problem;
struct unit_set;

/* The line that said it. file NULL: nobody did. */
struct origin {
	const char *file;
	unsigned line;
};

/*
 * problem_add - one more complaint: "KEY: what is wrong, what to do"
 *
 * Gives: 0 or -ENOMEM. `file` is kept (not copied: it lives in the set's arena), and may be NULL
 *        when the set as a whole is meant; line 0 means the whole file.
 */
int problem_add(struct unit_set *set, bool is_error, const char *file, unsigned line,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* problem_at - the same with an origin. */
int problem_at(struct unit_set *set, bool is_error, struct origin at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* "FILE:LINE: ", "FILE: " or "": what stands before the words of a problem. */
struct problem_place {
	char text[300];
};
struct problem_place problem_place(const struct problem *problem);

#endif
