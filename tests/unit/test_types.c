/* Values of keys: right ones, and wrong ones with their words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "config/podman_args.h"
#include "config/types.h"
#include "supervisor/base/arena.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/err.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The words as "<a><b>". */
static void join(const struct strv *words, struct strbuf *buf)
{
	for (size_t i = 0; i < words->n; i++)
		strbuf_add(buf, "<%s>", words->v[i]);
}

static void test_words(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *words; /* or the error's text */
	} rows[] = {
		{ "", 0, "" },
		{ "  ", 0, "" },
		{ "a b\tc", 0, "<a><b><c>" },
		{ "sh -c \"echo a ; echo b\"", 0, "<sh><-c><echo a ; echo b>" },
		{ "'a \"b' \"c 'd\"", 0, "<a \"b><c 'd>" },
		{ "a\"b c\"d", 0, "<ab cd>" },
		{ "\"\" ''", 0, "<><>" },
		{ "a\\x20b \\t\\s\\\\ \\101", 0, "<a b><\t \\><A>" },
		{ "\\u00e9\\U0001f600\\u20ac", 0, "<\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac>" },
		{ "a\\\"b", 0, "<a\"b>" },
		{ "\"a", -EINVAL, "a \" is not closed" },
		{ "a 'b", -EINVAL, "a ' is not closed" },
		{ "a\\qb", -EINVAL, "\"\\qb\" is not an escape: write \\\\ for a backslash" },
		{ "a\\", -EINVAL, "\"\\\" is not an escape: write \\\\ for a backslash" },
		{ "\\x00", -EINVAL, "\"\\x00\" is not an escape: write \\\\ for a backslash" },
		{ "\\ud800", -EINVAL, "\"\\ud800\" is not an escape: write \\\\ for a backslash" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena = { 0 };
		struct strv words = { 0 };
		struct err err = { 0 };
		char text[200] = "";
		struct strbuf buf = STRBUF(text);

		assert_int_equal(words_split(&arena, rows[i].text, &words, &err), rows[i].r);
		join(&words, &buf);
		assert_string_equal(rows[i].r ? err.text : text, rows[i].words);
		arena_done(&arena);
	}
}

static void test_json(void **state)
{
	struct arena arena = { 0 };
	struct strv words = { 0 };
	struct err err = { 0 };
	char text[64] = "";
	struct strbuf buf = STRBUF(text);

	(void)state;
	assert_int_equal(json_strings(&arena, "[\"a b\", \"c\"]", &words, &err), 0);
	join(&words, &buf);
	assert_string_equal(text, "<a b><c>");
	assert_int_equal(json_strings(&arena, "[\"a\", 1]", &words, &err), -EINVAL);
	assert_int_equal(json_strings(&arena, "[\"a\"", &words, &err), -EINVAL);
	assert_string_equal(err.text, "this is not a JSON array of strings");
	arena_done(&arena);
}

static void test_rlimits(void **state)
{
	static const struct {
		int resource;
		int r;
		const char *text;
		uint64_t soft, hard;
	} rows[] = {
		{ RLIMIT_NOFILE, 0, "1024:4096", 1024, 4096 },
		{ RLIMIT_NOFILE, 0, "64", 64, 64 },
		{ RLIMIT_NOFILE, 0, "64:infinity", 64, UINT64_MAX },
		{ RLIMIT_NOFILE, 0, "-1", UINT64_MAX, UINT64_MAX },
		{ RLIMIT_NOFILE, -EINVAL, "64K", 0, 0 },
		{ RLIMIT_MEMLOCK, 0, "64K", 65536, 65536 },
		{ RLIMIT_CPU, 0, "90", 90, 90 },
		{ RLIMIT_CPU, 0, "1min", 60, 60 },
		{ RLIMIT_RTTIME, 0, "1ms", 1000, 1000 },
		{ RLIMIT_NOFILE, -ERANGE, "10:5", 0, 0 },
		{ RLIMIT_NOFILE, -ERANGE, "infinity:5", 0, 0 },
		{ RLIMIT_NOFILE, -EINVAL, "", 0, 0 },
		{ RLIMIT_NOFILE, -EINVAL, "5:", 0, 0 },
		{ RLIMIT_NOFILE, -EINVAL, "1:2:3", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rlimit_spec limit = { 0 };
		struct err err = { 0 };

		assert_int_equal(
			value_rlimit(rows[i].resource, rows[i].text, &limit, &err), rows[i].r);
		assert_int_equal(limit.set, rows[i].r == 0);
		assert_true(limit.soft == rows[i].soft && limit.hard == rows[i].hard);
		assert_true(rows[i].r == 0 || err.text[0]);
	}
	assert_int_equal(rlimit_from_name("NOFILE"), RLIMIT_NOFILE);
	assert_int_equal(rlimit_from_name("nofile"), RLIMIT_NOFILE);
	assert_int_equal(rlimit_from_name("files"), -EINVAL);
}

static void test_exits(void **state)
{
	struct exit_set set = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(value_exit("TEMPFAIL", &set, &err), 0);
	assert_int_equal(value_exit("250", &set, &err), 0);
	assert_int_equal(value_exit("9", &set, &err), 0);
	assert_int_equal(value_exit("SIGKILL", &set, &err), 0);
	assert_true(set.codes[75 / 64] == UINT64_C(1) << 75 % 64);
	assert_true(set.codes[3] == UINT64_C(1) << (250 - 192));
	assert_true(set.codes[0] == UINT64_C(1) << 9);
	assert_true(set.signals == UINT64_C(1) << SIGKILL);
	assert_int_equal(value_exit("256", &set, &err), -ERANGE);
	assert_string_equal(err.text, "256 is not an exit code: they end at 255");
	assert_int_equal(value_exit("maybe", &set, &err), -EINVAL);
}

static void test_numbers(void **state)
{
	struct err err = { 0 };
	uint64_t value = 7;
	int64_t number = 7;
	bool flag = false;
	int signal = 0;

	(void)state;
	assert_int_equal(value_cpu_quota("150%", &value, &err), 0);
	assert_int_equal(value, 150000);
	assert_int_equal(value_cpu_quota("12.5%", &value, &err), 0);
	assert_int_equal(value, 12500);
	assert_int_equal(value_cpu_quota("0.5%", &value, &err), -ERANGE);
	assert_int_equal(value_cpu_quota("2", &value, &err), -EINVAL);
	assert_int_equal(value_cpu_quota("%", &value, &err), -EINVAL);
	assert_int_equal(value_cpu_quota("99999999999%", &value, &err), -EINVAL);
	assert_int_equal(value, 12500);
	assert_int_equal(value_tasks("-1", &value, &err), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(value_tasks("50%", &value, &err), -EINVAL);
	assert_int_equal(value_tasks("0", &value, &err), -ERANGE);
	assert_int_equal(value_number("5", 1, 4, &value, &err), -ERANGE);
	assert_string_equal(err.text, "5 is not between 1 and 4");
	assert_int_equal(value_integer("-1000", -1000, 1000, &number, &err), 0);
	assert_int_equal(number, -1000);
	assert_int_equal(value_integer("+5", -1000, 1000, &number, &err), 0);
	assert_int_equal(number, 5);
	assert_int_equal(value_integer("1e3", -1000, 1000, &number, &err), -EINVAL);
	assert_int_equal(value_bytes("0%", &value, &err), 0);
	assert_int_equal(value, 0);
	assert_int_equal(value_bytes("100%", &value, &err), 0);
	assert_true(value > 1 << 20);
	assert_int_equal(value_bytes("101%", &value, &err), -EINVAL);
	assert_int_equal(value_bytes("64Q", &value, &err), -EINVAL);
	assert_string_equal(err.text, "\"64Q\" is not a size: write 64M, 1.5G or infinity");
	assert_int_equal(value_time("5min 20s", &value, &err), 0);
	assert_true(value == UINT64_C(320000000000));
	assert_int_equal(value_time("soon", &value, &err), -EINVAL);
	assert_int_equal(value_bool("on", &flag, &err), 0);
	assert_true(flag);
	assert_int_equal(value_bool("maybe", &flag, &err), -EINVAL);
	assert_int_equal(value_signal("SIGINT", &signal, &err), 0);
	assert_int_equal(signal, SIGINT);
	assert_int_equal(value_signal("SIGNOTHING", &signal, &err), -EINVAL);
}

static void test_capabilities(void **state)
{
	struct err err = { 0 };
	uint64_t mask = 0;
	bool all = false;

	(void)state;
	assert_int_equal(value_capability("NET_RAW", &mask, &all, &err), 0);
	assert_int_equal(value_capability("cap_chown", &mask, &all, &err), 0);
	assert_true(mask == (CAPABILITY_BIT(13) | CAPABILITY_BIT(0)) && !all);
	assert_int_equal(value_capability("CAP_NONSENSE", &mask, &all, &err), -EINVAL);
	assert_int_equal(value_capability("all", &mask, &all, &err), 0);
	assert_true(mask == CAPABILITY_ALL && all);
}

static void test_podman_args(void **state)
{
	static const struct {
		const char *args;
		const char *advice;
	} rows[] = {
		{ "--cpus=2", "[Service] CPUQuota=200%" },
		{ "--cpus 0.5", "[Service] CPUQuota=50%" },
		{ "--cpu-quota=50000", "[Service] CPUQuota=50%" },
		{ "--memory=1g --init", "[Service] MemoryMax=1g; [Container] RunInit=yes" },
		{ "-v /a:/b:ro", "[Container] Volume=/a:/b:ro" },
		{ "--security-opt no-new-privileges:true", "[Container] NoNewPrivileges=yes" },
		{ "--security-opt=seccomp=/x.json", "[Container] SeccompProfile=/x.json" },
		{ "--cpu-shares 512 --no-healthcheck",
			"[Service] CPUWeight=50; [Container] HealthCmd=none" },
		{ "--privileged", "nothing for --privileged (name what is needed with [Container] "
				  "AddCapability=, AddDevice=, Unmask=)" },
		{ "--gpus=all", "nothing for --gpus=all (berth has no such key)" },
		{ "--rm", "nothing for --rm (a container is always new at its start)" },
		{ "-p", "[Container] PublishPort=yes" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena = { 0 };
		struct strv args = { 0 };
		struct err err = { 0 };
		char text[300] = "";
		struct strbuf buf = STRBUF(text);

		assert_int_equal(words_split(&arena, rows[i].args, &args, &err), 0);
		podman_args_advice(&args, &buf);
		assert_string_equal(text + strlen("write instead: "), rows[i].advice);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_rlimits),
		cmocka_unit_test(test_exits),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_podman_args),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
