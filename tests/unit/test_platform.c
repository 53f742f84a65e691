/* For which machine an image is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "images/platform.h"

static struct platform platform(const char *text)
{
	struct platform ret;
	struct err err;

	assert_int_equal(platform_parse(text, &ret, &err), 0);
	return ret;
}

static void test_parse(void **state)
{
	static const char *const bad[] = { "", "/", "linux/", "/amd64", "linux/arm/v7/x",
		"linux//v7", "linux/an-architecture-of-too-many-letters",
		"0123456789012345678901234567890123456789012345678901234567890123456789012345" };
	static const char *const rows[][2] = {
		{ "linux/amd64", "linux/amd64" },
		{ "x86_64", "linux/amd64" },
		{ "aarch64", "linux/arm64/v8" },
		{ "linux/armv7l", "linux/arm/v7" },
		{ "linux/arm/v6", "linux/arm/v6" },
		{ "riscv64", "linux/riscv64" },
	};
	struct platform host;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(platform_parse(bad[i], &host, &err), -EINVAL);
		assert_non_null(strstr(err.text, "not a platform"));
	}
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct platform parsed = platform(rows[i][0]);

		assert_string_equal(platform_text(&parsed).text, rows[i][1]);
	}
	platform_host(&host);
	assert_string_equal(host.os, "linux");
	assert_int_equal(platform_suits(&host, &host), 100);
}

/* Each row: a machine, and images from the best to the last that runs; then one that does not. */
static void test_suits(void **state)
{
	static const struct {
		const char *machine, *images[5], *never;
	} rows[] = {
		{ "linux/amd64/v3", { "linux/amd64/v3", "linux/amd64/v2", "linux/amd64/v1" },
			"linux/amd64/v4" },
		{ "linux/amd64", { "linux/amd64", "linux/amd64/v1" }, "linux/amd64/v2" },
		{ "linux/arm/v7", { "linux/arm/v7", "linux/arm/v6", "linux/arm/v5" },
			"linux/arm/v8" },
		{ "linux/arm/v6", { "linux/arm/v6", "linux/arm/v5" }, "linux/arm" },
		{ "linux/arm64", { "linux/arm64", "linux/arm64/v8" }, "linux/arm/v7" },
		{ "linux/riscv64", { "linux/riscv64" }, "linux/riscv64/rva23" },
		{ "linux/amd64", { "linux/amd64" }, "unknown/unknown" },
		{ "linux/amd64", { "linux/amd64" }, "windows/amd64" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct platform machine = platform(rows[i].machine);
		struct platform never = platform(rows[i].never);
		unsigned last = UINT32_MAX;

		for (size_t k = 0; k < 5 && rows[i].images[k]; k++) {
			struct platform image = platform(rows[i].images[k]);
			unsigned suits = platform_suits(&machine, &image);

			assert_in_range(suits, 1, last - 1);
			last = suits;
		}
		assert_int_equal(platform_suits(&machine, &never), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_suits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
