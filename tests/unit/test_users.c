/* Who a container runs as, on friendly and hostile passwd and group files. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/own.h"
#include "supervisor/runtime/users.h"

#define TEXT(s) ((struct users_text){ s, sizeof(s) - 1 })

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "\n"
			     "# not an entry\n"
			     "broken\n"
			     "worse:x:abc:1::/:\n"
			     "huge:x:4294967296:1::/:\n"
			     "minus:x:4294967295:1::/:\n"
			     "web:x:33:34:web:/srv/web:/bin/false\n"
			     "short:x:50:51\n"
			     "rel:x:52:53::srv:\n"
			     "web:x:99:99:second:/nowhere:\n"
			     "1000:x:7:7::/seven:\n"
			     "last:x:60:61::/last";
static const char group[] = "root:x:0:\n"
			    "www:x:80:a,web,b\n"
			    "webby:x:81:webb,xweb\n"
			    "bad:x:-1:web\n"
			    "log:x:82:web\n"
			    "log2:x:82:web\n"
			    "rooters:x:83:root\n";

static int resolve(const char *user, const char *grp, const struct strv *more, struct ids *ids,
	struct err *err)
{
	return users_resolve_text(TEXT(passwd), TEXT(group), user, grp, more, ids, err);
}

static void test_who(void **state)
{
	static const struct {
		const char *user, *group;
		uint32_t uid, gid;
		const char *name, *home;
		size_t ngroups;
	} rows[] = {
		{ NULL, NULL, 0, 0, "root", "/root", 1 },
		{ "", "", 0, 0, "root", "/root", 1 },
		{ "root", NULL, 0, 0, "root", "/root", 1 },
		{ "web", NULL, 33, 34, "web", "/srv/web", 2 },
		{ "33", NULL, 33, 34, "web", "/srv/web", 2 },
		{ "web:www", NULL, 33, 80, "web", "/srv/web", 0 },
		{ "web:5", NULL, 33, 5, "web", "/srv/web", 0 },
		{ "web", "www", 33, 80, "web", "/srv/web", 0 },
		{ "web:5", "www", 33, 80, "web", "/srv/web", 0 },
		{ ":81", NULL, 0, 81, "root", "/root", 0 },
		{ "1000", NULL, 1000, 0, "", "/", 0 },
		{ "1000:1000", NULL, 1000, 1000, "", "/", 0 },
		{ "4294967294", NULL, 4294967294U, 0, "", "/", 0 },
		{ "short", NULL, 50, 51, "short", "/", 0 },
		{ "rel", NULL, 52, 53, "rel", "/", 0 },
		{ "last", NULL, 60, 61, "last", "/last", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };
		struct ids ids = { 0 };

		if (resolve(rows[i].user, rows[i].group, NULL, &ids, &err) < 0)
			fail_msg("row %zu: %s", i, err.text);
		assert_int_equal(ids.uid, rows[i].uid);
		assert_int_equal(ids.gid, rows[i].gid);
		assert_string_equal(ids.name, rows[i].name);
		assert_string_equal(ids.home, rows[i].home);
		assert_int_equal(ids.ngroups, rows[i].ngroups);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *user, *group, *part;
	} rows[] = {
		{ "nobody", NULL, "user nobody: no such name in /etc/passwd" },
		{ "4294967295", NULL, "0 to 4294967294" },
		{ "4294967296", NULL, "0 to 4294967294" },
		{ "99999999999999999999", NULL, "0 to 4294967294" },
		{ "-1", NULL, "user -1: no such name" },
		{ "+1", NULL, "no such name" },
		{ " 0", NULL, "no such name" },
		{ "0x0", NULL, "no such name" },
		{ "0 ", NULL, "no such name" },
		{ "1e3", NULL, "no such name" },
		{ "worse", NULL, "no such name" },
		{ "huge", NULL, "no such name" },
		{ "minus", NULL, "no such name" },
		{ "web:nope", NULL, "group nope: no such name in /etc/group" },
		{ "web", "4294967295", "group 4294967295: a number must be" },
		{ "web:33:33", NULL, "group 33:33: no such name" },
		{ "web", "bad", "group bad: no such name" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };
		struct ids ids = { .uid = 77 };

		assert_int_equal(resolve(rows[i].user, rows[i].group, NULL, &ids, &err), -EINVAL);
		if (!strstr(err.text, rows[i].part))
			fail_msg("row %zu: %s", i, err.text);
		assert_int_equal(ids.uid, 77);
	}
}

static void test_added_groups(void **state)
{
	const char *more[] = { "log", "7", "www", "7", NULL };
	const char *unknown[] = { "nope", NULL };
	struct strv list = { more, 4 };
	struct err err = { 0 };
	struct ids ids;

	(void)state;
	assert_int_equal(resolve("web", NULL, &list, &ids, &err), 0);
	assert_int_equal(ids.ngroups, 3);
	assert_int_equal(ids.groups[0], 80);
	assert_int_equal(ids.groups[1], 82);
	assert_int_equal(ids.groups[2], 7);
	assert_int_equal(resolve("web", "5", &list, &ids, &err), 0);
	assert_int_equal(ids.ngroups, 3);
	assert_int_equal(ids.groups[0], 82);
	assert_int_equal(resolve("web", NULL, &(struct strv){ unknown, 1 }, &ids, &err), -EINVAL);
}

static void test_hostile_text(void **state)
{
	static char big[1 << 16];
	struct users_text none = { NULL, 0 };
	struct err err = { 0 };
	struct ids ids;
	size_t n = 0;

	(void)state;
	assert_int_equal(users_resolve_text(none, none, "5:6", NULL, NULL, &ids, &err), 0);
	assert_int_equal(ids.gid, 6);
	assert_int_equal(users_resolve_text(none, none, "web", NULL, NULL, &ids, &err), -EINVAL);
	/* A NUL must not end a field early, a long line must not be cut into an entry. */
	assert_int_equal(users_resolve_text(TEXT("web\0:x:0:0::/:\nweb:x:1:1::/:\n"), none, "web",
				 NULL, NULL, &ids, &err),
		0);
	assert_int_equal(ids.uid, 1);
	n += (size_t)snprintf(big, sizeof big, "web:x:0:0:");
	memset(big + n, 'x', 5000);
	n += 5000;
	n += (size_t)snprintf(big + n, sizeof big - n, ":/:\nweb:x:2:2::/:\n");
	assert_int_equal(users_resolve_text((struct users_text){ big, n }, none, "web", NULL, NULL,
				 &ids, &err),
		0);
	assert_int_equal(ids.uid, 2);
	n = 0;
	for (int i = 1; i <= IDS_GROUPS_MAX + 1; i++)
		n += (size_t)snprintf(big + n, sizeof big - n, "g%d:x:%d:web\n", i, i);
	assert_int_equal(users_resolve_text(TEXT(passwd), (struct users_text){ big, n }, "web",
				 NULL, NULL, &ids, &err),
		-EINVAL);
	assert_non_null(strstr(err.text, "more than 64"));
}

/* A root of its own for each test that needs files. */
struct root {
	char path[64];
	int fd;
};

static void root_write(const struct root *root, const char *path, const char *text)
{
	own_fd fd = openat(root->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int root_make(void **state)
{
	static struct root root;

	(void)snprintf(root.path, sizeof root.path, "/tmp/berth-users-XXXXXX");
	if (!mkdtemp(root.path))
		return -1;
	root.fd = open(root.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = &root;
	return root.fd < 0 || mkdirat(root.fd, "etc", 0755) < 0 ? -1 : 0;
}

static int root_drop(void **state)
{
	static const char *const files[] = { "etc/passwd", "etc/group", "link" };
	struct root *root = *state;

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		(void)unlinkat(root->fd, files[i], 0);
	(void)unlinkat(root->fd, "etc/passwd", AT_REMOVEDIR);
	(void)unlinkat(root->fd, "etc", AT_REMOVEDIR);
	fd_close(&root->fd);
	return rmdir(root->path);
}

static void test_root(void **state)
{
	struct root *root = *state;
	struct err err = { 0 };
	struct ids ids;

	assert_int_equal(users_resolve(root->fd, "8", NULL, NULL, &ids, &err), 0);
	assert_int_equal(ids.uid, 8);
	root_write(root, "etc/passwd", passwd);
	assert_int_equal(users_resolve(root->fd, "web", NULL, NULL, &ids, &err), 0);
	assert_int_equal(ids.ngroups, 0);
	root_write(root, "etc/group", group);
	assert_int_equal(users_resolve(root->fd, "web", NULL, NULL, &ids, &err), 0);
	assert_int_equal(ids.ngroups, 2);
}

/* Links out of the root, absolute and by "..", end inside it. */
static void test_links(void **state)
{
	struct root *root = *state;
	struct err err = { 0 };
	struct ids ids;

	root_write(root, "link", "web:x:41:42::/:\n");
	assert_int_equal(symlinkat("../../../../link", root->fd, "etc/passwd"), 0);
	assert_int_equal(users_resolve(root->fd, "web", NULL, NULL, &ids, &err), 0);
	assert_int_equal(ids.uid, 41);
	assert_int_equal(unlinkat(root->fd, "etc/passwd", 0), 0);
	assert_int_equal(symlinkat("/link", root->fd, "etc/passwd"), 0);
	assert_int_equal(users_resolve(root->fd, "web", NULL, NULL, &ids, &err), 0);
	assert_int_equal(unlinkat(root->fd, "etc/passwd", 0), 0);
	/* The classic: to the host's own file, which is this very link inside the root. */
	assert_int_equal(symlinkat("../../etc/passwd", root->fd, "etc/passwd"), 0);
	assert_int_equal(users_resolve(root->fd, "root", NULL, NULL, &ids, &err), -ELOOP);
}

/* What would hang or act when it is opened. */
static void test_special_files(void **state)
{
	struct root *root = *state;
	struct err err = { 0 };
	struct ids ids;

	assert_int_equal(mkfifoat(root->fd, "etc/passwd", 0644), 0);
	assert_int_equal(users_resolve(root->fd, "0", NULL, NULL, &ids, &err), -EINVAL);
	assert_string_equal(err.text, "/etc/passwd of the image is not a regular file");
	assert_int_equal(unlinkat(root->fd, "etc/passwd", 0), 0);
	assert_int_equal(mkdirat(root->fd, "etc/passwd", 0755), 0);
	assert_int_equal(users_resolve(root->fd, "0", NULL, NULL, &ids, &err), -EINVAL);
}

static void test_too_large(void **state)
{
	struct root *root = *state;
	struct err err = { 0 };
	struct ids ids;
	own_fd fd = -1;

	root_write(root, "etc/passwd", passwd);
	fd = openat(root->fd, "etc/passwd", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(users_resolve(root->fd, "web", NULL, NULL, &ids, &err), 0);
	assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
	assert_int_equal(users_resolve(root->fd, "web", NULL, NULL, &ids, &err), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_added_groups),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test_setup_teardown(test_root, root_make, root_drop),
		cmocka_unit_test_setup_teardown(test_links, root_make, root_drop),
		cmocka_unit_test_setup_teardown(test_special_files, root_make, root_drop),
		cmocka_unit_test_setup_teardown(test_too_large, root_make, root_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
