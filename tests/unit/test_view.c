/* The merged view of layers: what a path means before anything is mounted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "images/worker/view.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

enum { LAYERS = 3 };

struct layers {
	char top[64];
	int fds[LAYERS];
	struct view view;
};

static void make_dir(int at, const char *path)
{
	assert_int_equal(mkdirat(at, path, 0755), 0);
}

static void make_file(int at, const char *path)
{
	own_fd fd = openat(at, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
}

static void make_link(int at, const char *target, const char *path)
{
	assert_int_equal(symlinkat(target, at, path), 0);
}

/* A whiteout takes no privilege since Linux 5.8. */
static void make_whiteout(int at, const char *path)
{
	assert_int_equal(mknodat(at, path, S_IFCHR, makedev(0, 0)), 0);
}

/* 0: usr/lib/so, a file d, links. 1: hides usr/lib/so, d is a directory. 2: a link in its own right. */
static int set_up(void **state)
{
	struct layers *it = calloc(1, sizeof *it);
	struct err err = { 0 };

	assert_non_null(it);
	(void)strcpy(it->top, "/tmp/berth-test-view-XXXXXX");
	assert_non_null(mkdtemp(it->top));
	for (int i = 0; i < LAYERS; i++) {
		char path[80];

		(void)snprintf(path, sizeof path, "%s/%d", it->top, i);
		assert_int_equal(mkdir(path, 0755), 0);
		it->fds[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(it->fds[i] >= 0);
		assert_int_equal(view_add(&it->view, it->fds[i], &err), 0);
	}
	make_dir(it->fds[0], "usr");
	make_dir(it->fds[0], "usr/lib");
	make_file(it->fds[0], "usr/lib/so");
	make_file(it->fds[0], "usr/lib/other");
	make_file(it->fds[0], "d");
	make_dir(it->fds[0], "gone");
	make_file(it->fds[0], "gone/in");
	make_link(it->fds[0], "usr/lib", "lib");
	make_link(it->fds[0], "/usr/lib", "abs");
	make_link(it->fds[0], "../../../usr", "up");
	make_link(it->fds[0], "b", "a");
	make_link(it->fds[0], "a", "b");
	make_link(it->fds[0], "made/later", "later");
	make_dir(it->fds[1], "usr");
	make_dir(it->fds[1], "usr/lib");
	make_whiteout(it->fds[1], "usr/lib/so");
	make_dir(it->fds[1], "d");
	make_whiteout(it->fds[1], "gone");
	make_dir(it->fds[2], "usr");
	make_link(it->fds[2], "../lib/x", "usr/here");
	make_link(it->fds[2], "usr", "up");
	*state = it;
	return 0;
}

static int tear_down(void **state)
{
	struct layers *it = *state;

	for (int i = 0; i < LAYERS; i++)
		fd_close(&it->fds[i]);
	assert_int_equal(path_remove_tree(AT_FDCWD, it->top), 0);
	free(it);
	return 0;
}

static void test_resolve(void **state)
{
	static const struct {
		const char *path;
		const char *is; /* NULL: -ELOOP */
	} cases[] = {
		{ "", "" },
		{ "/", "" },
		{ ".", "" },
		{ "usr/lib", "usr/lib" },
		{ "//usr/./lib/", "usr/lib" },
		{ "lib", "usr/lib" },
		{ "lib/so", "usr/lib/so" },
		{ "abs/x/y", "usr/lib/x/y" },
		{ "up/lib", "usr/lib" },
		{ "usr/here/z", "usr/lib/x/z" },
		{ "later/f", "made/later/f" },
		{ "usr/..", "" },
		{ "../..", "" },
		{ "usr/lib/../../d", "d" },
		{ "missing/../usr", "usr" },
		{ "missing/lib", "missing/lib" },
		{ "d/lib", "d/lib" },
		{ "gone/in", "gone/in" },
		{ "a", NULL },
		{ "b/x", NULL },
	};
	const struct layers *it = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char real[VIEW_PATH_SIZE];
		int r = view_resolve(&it->view, cases[i].path, real);

		assert_int_equal(r, cases[i].is ? 0 : -ELOOP);
		if (cases[i].is)
			assert_string_equal(real, cases[i].is);
	}
}

static void test_too_long(void **state)
{
	const struct layers *it = *state;
	char path[2 * VIEW_PATH_SIZE];
	char real[VIEW_PATH_SIZE];

	memset(path, 'x', sizeof path);
	path[300] = '\0';
	assert_int_equal(view_resolve(&it->view, path, real), -ENAMETOOLONG);
	for (size_t i = 0; i < sizeof path; i += 2)
		memcpy(path + i, "x/", 2);
	path[sizeof path - 1] = '\0';
	assert_int_equal(view_resolve(&it->view, path, real), -ENAMETOOLONG);
}

static void test_look(void **state)
{
	const struct layers *it = *state;
	struct view_found found;
	struct view_dir dir;

	assert_int_equal(view_open(&it->view, "usr/lib", &dir), 0);
	assert_int_equal(dir.n, 2); /* the topmost layer has no usr/lib */
	assert_false(dir.top);
	assert_int_equal(view_look(&dir, "other", &found), 0);
	assert_false(found.top);
	assert_int_equal(view_look(&dir, "so", &found), -ENOENT);
	view_dir_done(&dir);

	assert_int_equal(view_open(&it->view, "", &dir), 0);
	assert_int_equal(dir.n, LAYERS);
	assert_int_equal(view_look(&dir, "up", &found), 0);
	assert_true(found.top);
	assert_int_equal(view_look_below(&dir, "up", &found), 0);
	assert_false(found.top);
	assert_int_equal(view_look(&dir, "gone", &found), -ENOENT);
	assert_int_equal(view_look(&dir, "d", &found), 0);
	assert_true(S_ISDIR(found.st.st_mode));
	view_dir_done(&dir);

	/* What is below a file, or hidden, has no part in a directory. */
	assert_int_equal(view_open(&it->view, "d", &dir), 0);
	assert_int_equal(dir.n, 1);
	view_dir_done(&dir);
	assert_int_equal(view_open(&it->view, "gone", &dir), -ENOTDIR);
	assert_int_equal(view_open(&it->view, "nothing", &dir), -ENOENT);
}

static void test_too_many(void **state)
{
	struct view view = { .n = VIEW_LAYERS_MAX };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(view_add(&view, 0, &err), -E2BIG);
	assert_string_equal(err.text, "more than 500 layers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_resolve, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_look, set_up, tear_down),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
