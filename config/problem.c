#include "config/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "config/unit.h"

/* The list doubles: its length is a power of two whenever it is full, so no capacity is kept. */
static int problem_push(struct unit_set *set, struct problem problem)
{
	size_t n = set->nproblems;

	if ((n & (n - 1)) == 0) {
		struct problem *grown =
			arena_grow(&set->arena, set->problems, n, n ? 2 * n : 1, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		set->problems = grown;
	}
	set->problems[set->nproblems++] = problem;
	set->nerrors += problem.is_error;
	return 0;
}

__attribute__((format(printf, 4, 0))) static int problem_vadd(
	struct unit_set *set, bool is_error, struct origin at, const char *fmt, va_list args)
{
	char text[1024];
	const char *kept;

	(void)vsnprintf(text, sizeof text, fmt, args);
	kept = arena_strdup(&set->arena, text);
	if (!kept)
		return -ENOMEM;
	return problem_push(set,
		(struct problem){
			.is_error = is_error, .file = at.file, .line = at.line, .text = kept });
}

int problem_add(
	struct unit_set *set, bool is_error, const char *file, unsigned line, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = problem_vadd(set, is_error, (struct origin){ file, line }, fmt, args);
	va_end(args);
	return r;
}

int problem_at(struct unit_set *set, bool is_error, struct origin at, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = problem_vadd(set, is_error, at, fmt, args);
	va_end(args);
	return r;
}

struct problem_place problem_place(const struct problem *problem)
{
	struct problem_place place = { "" };

	if (problem->file && problem->line)
		(void)snprintf(
			place.text, sizeof place.text, "%s:%u: ", problem->file, problem->line);
	else if (problem->file)
		(void)snprintf(place.text, sizeof place.text, "%s: ", problem->file);
	return place;
}
