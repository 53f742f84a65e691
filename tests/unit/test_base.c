/* The ground floor: errors, numbers, strings, memory. */
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
#include <unistd.h>

#include "supervisor/base/arena.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/endpoint.h"
#include "supervisor/base/err.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

static void test_err_sentence(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_sys(&err, ENOENT, "mount %s on %s", "/srv", "/data"), -ENOENT);
	assert_int_equal(err_wrap(&err, "build the root"), -ENOENT);
	assert_string_equal(
		err.text, "build the root: mount /srv on /data: No such file or directory");
	assert_int_equal(err_set(NULL, 0, "a code of 0 is still a failure"), -EIO);
}

static void test_num_bytes(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 0 },
		{ "64M", 0, 64ULL << 20 },
		{ "1.5G", 0, 3ULL << 29 },
		{ "8KiB", 0, 8192 },
		{ "100kb", 0, 102400 },
		{ "infinity", 0, UINT64_MAX },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1X", -EINVAL, 0 },
		{ "1M5", -EINVAL, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "99999999P", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t value = 0;

		assert_int_equal(num_bytes(rows[i].text, &value), rows[i].r);
		assert_true(value == rows[i].value);
	}
}

static void test_num_duration(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t value;
	} rows[] = {
		{ "5", 0, 5 * NSEC_PER_SEC },
		{ "5min 20s", 0, 320 * NSEC_PER_SEC },
		{ "5min20s", 0, 320 * NSEC_PER_SEC },
		{ "1.5s", 0, 1500 * NSEC_PER_MSEC },
		{ "0.25", 0, 250 * NSEC_PER_MSEC },
		{ "100ms", 0, 100 * NSEC_PER_MSEC },
		{ "infinity", 0, NSEC_NEVER },
		{ "", -EINVAL, 0 },
		{ "5 parsecs", -EINVAL, 0 },
		{ "-5s", -EINVAL, 0 },
		{ "9999999w", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t value = 0;

		assert_int_equal(num_duration(rows[i].text, &value), rows[i].r);
		assert_true(value == rows[i].value);
	}
}

/* CVE-2024-40635 and CVE-2026-30892: an id that wraps or is cut becomes root. */
static void test_num_u32_is_strict(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1e3", "4294967296",
		"18446744073709551616", "1:2", "root" };
	uint32_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_true(num_u32(bad[i], &value) < 0);
	assert_int_equal(value, 77);
	assert_int_equal(num_u32("4294967295", &value), 0);
	assert_true(value == UINT32_MAX);
}

static void test_strv_grows(void **state)
{
	struct arena arena = { 0 };
	struct strv list = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(strv_add(&list, &arena, arena_printf(&arena, "%d", i)), 0);
	assert_int_equal(list.n, 100);
	assert_null(list.v[100]);
	for (int i = 0; i < 100; i++) {
		char text[12];

		(void)snprintf(text, sizeof text, "%d", i);
		assert_string_equal(list.v[i], text);
	}
	arena_done(&arena);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(name_valid("web-1_a.b@c"));
	assert_false(name_valid(""));
	assert_false(name_valid(".web"));
	assert_false(name_valid("a/b"));
	assert_false(name_valid("a b"));
	assert_false(
		name_valid("0123456789012345678901234567890123456789012345678901234567890123"));
}

static void test_rfc3339(void **state)
{
	(void)state;
	assert_string_equal(
		clock_rfc3339(1792146038123456789ULL).text, "2026-10-16T10:20:38.123456789Z");
}

static void test_endpoints(void **state)
{
	static const char *const good[] = { "unix:/run/x.sock", "tcp:127.0.0.1:80",
		"tcp:[::1]:65535" };
	static const char *const bad[] = { "", "unix:", "unix:run/x", "/run/x.sock",
		"tcp:", "tcp:80", "tcp:localhost:80", "tcp:127.0.0.1",
		"tcp:127.0.0.1:", "tcp:127.0.0.1:0", "tcp:127.0.0.1:65536", "tcp:127.0.0.1:8o",
		"tcp:[::1:80", "tcp:[]:80", "tcp:::1:80", "tcp:[127.0.0.1]:80",
		"udp:127.0.0.1:80" };
	bool pending = true;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (!endpoint_valid(good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (endpoint_valid(bad[i]))
			fail_msg("%s", bad[i]);
	assert_int_equal(endpoint_connect("nothing", &pending), -EINVAL);
	assert_int_equal(endpoint_connect("unix:/nowhere/x.sock", &pending), -ENOENT);
	assert_false(pending);
}

static void test_mkdirs(void **state)
{
	own_fd tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char dir[] = "/tmp/berth-base-XXXXXX";
	char path[64];
	char link[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/a/b/c", dir);
	(void)snprintf(link, sizeof link, "%s/link", dir);
	assert_int_equal(path_mkdirs(path, 0700), 0);
	assert_int_equal(path_mkdirs(path, 0700), 0);
	assert_int_equal(symlink("nowhere", link), 0);
	assert_int_equal(path_mkdirs(link, 0700), -ENOENT);
	assert_int_equal(path_remove_tree(tmp, strrchr(dir, '/') + 1), 0);
}

static void test_clock_span(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} spans[] = {
		{ 0, "0s" },
		{ 250 * NSEC_PER_MSEC, "250ms" },
		{ NSEC_PER_SEC, "1s" },
		{ 1500 * NSEC_PER_MSEC, "1500ms" },
		{ 90 * NSEC_PER_SEC, "1min 30s" },
		{ NSEC_NEVER, "infinity" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
		assert_string_equal(clock_span(spans[i].ns).text, spans[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_sentence),
		cmocka_unit_test(test_num_bytes),
		cmocka_unit_test(test_num_duration),
		cmocka_unit_test(test_num_u32_is_strict),
		cmocka_unit_test(test_strv_grows),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_rfc3339),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_mkdirs),
		cmocka_unit_test(test_clock_span),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
