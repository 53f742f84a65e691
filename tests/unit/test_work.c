/* Jobs by another program: what they say of how far they are, what they say went wrong. Cost: 0.1 s. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "images/work.h"

struct steps {
	size_t n;
	uint64_t done, total; /* of the last */
	char what[64];
};

static void on_step(void *context, const struct work_step *step)
{
	struct steps *steps = context;

	steps->n++;
	steps->done = step->done;
	steps->total = step->total;
	(void)snprintf(steps->what, sizeof steps->what, "%s", step->what);
}

static int run(const char *script, struct steps *steps, struct err *err)
{
	const struct work work = { .program = "sh",
		.words = { "-c", script },
		.in = -1,
		.by_path = true,
		.step = steps ? on_step : NULL,
		.context = steps };

	return work_run(&work, err);
}

static void steps_are_told(void **state)
{
	struct steps steps = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		run("echo 1 9; echo nonsense; echo 1 x y; echo -1 2; echo; echo 3 9 layer 2 "
		    "of 3; echo; echo 5 0 whole; printf '7 9 cut'",
			&steps, &err),
		0);
	assert_int_equal(steps.n, 3); /* a line without its end is none */
	assert_int_equal(steps.done, 5);
	assert_int_equal(steps.total, 0);
	assert_string_equal(steps.what, "whole");
}

static void a_long_line_is_passed_over(void **state)
{
	struct steps steps = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(run("printf '1 2 %05000d\\n4 5 next\\n' 0", &steps, &err), 0);
	assert_int_equal(steps.n, 1);
	assert_string_equal(steps.what, "next");
}

static void both_ends_are_read(void **state)
{
	struct steps steps = { 0 };
	struct err err = { 0 };

	/* More than a pipe holds, on both; neither may stand still because of the other. */
	(void)state;
	assert_int_equal(run("echo the reason >&2; i=0; while [ $i -lt 3000 ]; do echo $i 3000 "
			     "unpacking; echo and more words that nobody reads >&2; i=$((i+1)); "
			     "done; exit 1",
				 &steps, &err),
		-EINVAL);
	assert_int_equal(steps.n, 3000);
	assert_string_equal(err.text, "the reason");
}

static void its_name_is_taken_off(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		run("echo 1 2 3; echo sh: no such layer >&2; exit 3", NULL, &err), -EINVAL);
	assert_string_equal(err.text, "no such layer");
	assert_int_equal(run("exit 3", NULL, &err), -EINVAL);
	assert_string_equal(err.text, "sh failed without a word");
	assert_int_equal(run("kill -9 $$", NULL, &err), -EIO);
	assert_non_null(strstr(err.text, "signal 9"));
}

static int no_further(void *context, struct err *err)
{
	const struct steps *steps = context;

	return steps->n >= 3 ? err_set(err, ENOSPC, "no room after %zu steps", steps->n) : 0;
}

static void a_job_can_be_ended(void **state)
{
	struct steps steps = { 0 };
	struct err err = { 0 };
	const struct work work = { .program = "sh",
		.words = { "-c", "while :; do echo 1 2 3; sleep 0.01; done" },
		.in = -1,
		.by_path = true,
		.step = on_step,
		.may_go_on = no_further,
		.context = &steps };

	(void)state;
	assert_int_equal(work_run(&work, &err), -ENOSPC);
	assert_true(steps.n >= 3);
	assert_non_null(strstr(err.text, "no room after"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_are_told),
		cmocka_unit_test(a_long_line_is_passed_over),
		cmocka_unit_test(both_ends_are_read),
		cmocka_unit_test(its_name_is_taken_off),
		cmocka_unit_test(a_job_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
