/* The key table: every row is whole, parses a sample, and is found again when misspelt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "config/keys.h"
#include "config/parse.h"
#include "config/reader.h"

/* A value that each type takes. */
static const char *const samples[] = {
	[TYPE_str] = "text",
	[TYPE_name] = "web",
	[TYPE_lines] = "one item",
	[TYPE_words] = "a \"b c\"",
	[TYPE_env] = "F A=b \"C=d e\"",
	[TYPE_pairs] = "A=b \"C=d e\"",
	[TYPE_argv] = "/bin/sh -c \"echo ; true\"",
	[TYPE_entry] = "[\"/bin/sh\", \"-c\"]",
	[TYPE_shell] = "true",
	[TYPE_flag] = "yes",
	[TYPE_bytes] = "64M",
	[TYPE_time] = "1min 5s",
	[TYPE_timeout] = "90",
	[TYPE_interval] = "disable",
	[TYPE_signal] = "SIGINT",
	[TYPE_tasks] = "64",
	[TYPE_number] = "3",
	[TYPE_integer] = "-5",
	[TYPE_quota] = "150%",
	[TYPE_caps] = "NET_RAW CAP_CHOWN",
	[TYPE_exits] = "143 SIGTERM TEMPFAIL",
	[TYPE_choice] = NULL, /* the first of the row's own words */
	[TYPE_rlimit] = "5:infinity",
	[TYPE_ulimits] = "nofile=5:10",
};

/* A set, a draft and where they come from. */
struct bench {
	struct unit_set set;
	struct arena lists;
	struct unit_draft unit;
	struct conf_draft conf;
	struct parse parse;
};

static void bench_init(struct bench *bench, enum unit_kind kind, bool conf)
{
	*bench = (struct bench){ 0 };
	bench->unit =
		(struct unit_draft){ .kind = kind, .stem = "web", .prefix = "web", .instance = "" };
	bench->parse = (struct parse){ .set = &bench->set,
		.arena = &bench->lists,
		.unit = conf ? NULL : &bench->unit,
		.conf = &bench->conf,
		.file = "file" };
}

static void bench_done(struct bench *bench)
{
	arena_done(&bench->lists);
	arena_done(&bench->set.arena);
}

static void assign(struct bench *bench, const char *section, const char *key, const char *value)
{
	struct reader_line line = { .section = section, .key = key, .value = value, .line = 7 };

	assert_int_equal(parse_assign(&bench->parse, &line), 0);
}

static enum unit_kind kind_for(const struct key *key)
{
	unsigned kinds = key->kinds ? key->kinds : section_find(key->section)->kinds;
	enum unit_kind kind = UNIT_CONTAINER;

	while (!(kinds & KIND(kind)) && kind < UNIT_IMAGE)
		kind++;
	return kind;
}

static void test_rows_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < keys_served_count; i++) {
		const struct key *key = &keys_served[i];

		assert_non_null(section_find(key->section));
		assert_true(strlen(key->help) > 5);
		assert_ptr_equal(key_find(key->section, key->name), key);
	}
	for (size_t i = 0; i < keys_unserved_count; i++) {
		const struct key *key = &keys_unserved[i];

		assert_non_null(section_find(key->section));
		assert_true(strlen(key->help) > 5);
		assert_true(key->class != KEY_SERVED);
		/* No second row, also not in the other table. */
		assert_ptr_equal(key_find(key->section, key->name), key);
	}
}

static void test_each_key_takes_a_sample(void **state)
{
	static const struct unit_draft empty;

	(void)state;
	for (size_t i = 0; i < keys_served_count; i++) {
		const struct key *key = &keys_served[i];
		bool conf = strcmp(key->section, "Supervisor") == 0;
		const char *sample = samples[key->type] ? samples[key->type] : key->words->word;
		struct bench bench;

		bench_init(&bench, conf ? UNIT_CONTAINER : kind_for(key), conf);
		assign(&bench, key->section, key->name, sample);
		if (bench.set.nproblems)
			print_error("%s: %s\n", key->name, bench.set.problems[0].text);
		assert_int_equal(bench.set.nproblems, 0);
		if (!conf)
			assert_memory_not_equal(&bench.unit.description, &empty.description,
				sizeof empty - offsetof(struct unit_draft, description));
		/* And an empty value takes it back. */
		assign(&bench, key->section, key->name, "");
		if (!conf)
			assert_memory_equal(&bench.unit.description, &empty.description,
				sizeof empty - offsetof(struct unit_draft, description));
		bench_done(&bench);
	}
}

static void test_problems(void **state)
{
	static const struct {
		const char *section, *key, *value;
		const char *text; /* how the first problem begins; NULL: none */
		enum unit_kind kind;
		bool is_error;
	} rows[] = {
		{ "Container", "Memroy", "1", "Memroy: unknown key; did you mean Memory?",
			UNIT_CONTAINER, true },
		{ "Container", "image", "x", "image: unknown key; did you mean Image?",
			UNIT_CONTAINER, true },
		{ "Container", "Xyzzy", "1", "Xyzzy: unknown key in [Container]", UNIT_CONTAINER,
			true },
		{ "Container", "Restart", "no",
			"Restart: is a key of [Service], not of [Container]", UNIT_CONTAINER,
			true },
		{ "Service", "Image", "x", "Image: is a key of [Container], not of [Service]",
			UNIT_CONTAINER, true },
		{ "Contaner", "Image", "x",
			"[Contaner]: unknown section; did you mean [Container]?", UNIT_CONTAINER,
			true },
		{ "Container", "Image", "x", "[Container]: not a section of .network files",
			UNIT_NETWORK, true },
		{ "Match", "Name", "eth0", "[Match]: that is a systemd-networkd file", UNIT_NETWORK,
			true },
		{ "X-Other", "What", "ever", NULL, UNIT_CONTAINER, false },
		{ "Container", "AutoUpdate", "registry",
			"AutoUpdate: has no effect: ", UNIT_CONTAINER, false },
		{ "Unit", "Documentation", "man:x",
			"Documentation: has no effect: ", UNIT_CONTAINER, false },
		{ "Quadlet", "DefaultDependencies", "no",
			"DefaultDependencies: has no effect: ", UNIT_CONTAINER, false },
		{ "Container", "UserNS", "auto", "UserNS: not served: ", UNIT_CONTAINER, true },
		{ "Container", "UserNS", "", NULL, UNIT_CONTAINER, false },
		{ "Container", "Pod", "x.pod", "Pod: not served: ", UNIT_CONTAINER, true },
		{ "Container", "HealthOnFailure", "kill",
			"HealthOnFailure: not served: ", UNIT_CONTAINER, true },
		{ "Container", "HealthOnFailure", "none", NULL, UNIT_CONTAINER, false },
		{ "Container", "PodmanArgs", "--cpus=2",
			"PodmanArgs: not served: write instead: [Service] CPUQuota=200%",
			UNIT_CONTAINER, true },
		{ "Network", "Driver", "bridge", NULL, UNIT_NETWORK, false },
		{ "Network", "Driver", "overlay", "Driver: \"overlay\"", UNIT_NETWORK, true },
		{ "Service", "IOWeight", "5", "IOWeight: not served: ", UNIT_CONTAINER, true },
		{ "Service", "ExecStart", "/bin/x", "ExecStart: is for .service files",
			UNIT_CONTAINER, true },
		{ "Service", "ExecStart", "+/bin/x", "ExecStart: the prefix \"+\" is not served",
			UNIT_SERVICE, true },
		{ "Service", "ExecStart", "-", "ExecStart: a command is missing", UNIT_SERVICE,
			true },
		{ "Service", "Type", "forking",
			"Type: \"forking\" is not served: write one of simple, exec, oneshot, "
			"notify",
			UNIT_CONTAINER, true },
		{ "Container", "Environment", "\"A=b", "Environment: a \" is not closed",
			UNIT_CONTAINER, true },
		{ "Container", "Label", "A", "Label: \"A\" is not KEY=VALUE", UNIT_CONTAINER,
			true },
		{ "Container", "Description", "%z",
			"Description: is a key of [Unit], not of [Container]", UNIT_CONTAINER,
			true },
		{ "Unit", "Description", "%z", "Description: %z is not a specifier", UNIT_CONTAINER,
			true },
		{ "Unit", "Description", "50%", "Description: % is not a specifier", UNIT_CONTAINER,
			true },
		{ "Container", "ContainerName", "../x", "ContainerName: \"../x\" cannot",
			UNIT_CONTAINER, true },
		{ "Container", "Ulimit", "files=5", "Ulimit: \"files=5\" names no limit",
			UNIT_CONTAINER, true },
		{ "Supervisor", "StateDir", "/x", "[Supervisor]: it belongs into berth.conf",
			UNIT_CONTAINER, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct bench bench;

		bench_init(&bench, rows[i].kind, false);
		assign(&bench, rows[i].section, rows[i].key, rows[i].value);
		assert_int_equal(bench.set.nproblems, rows[i].text != NULL);
		assert_int_equal(bench.set.nerrors, rows[i].is_error);
		if (rows[i].text) {
			const struct problem *problem = &bench.set.problems[0];

			if (!str_starts(problem->text, rows[i].text))
				assert_string_equal(problem->text, rows[i].text);
			assert_string_equal(problem->file, "file");
			assert_int_equal(problem->line, 7);
		}
		bench_done(&bench);
	}
}

static void test_quotes(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench, UNIT_CONTAINER, false);
	assign(&bench, "Container", "HostName", "\"web\"");
	assert_string_equal(bench.unit.hostname.v, "web");
	assign(&bench, "Container", "HealthCmd", "\"test -e \\\"/x\\\"\"");
	assert_string_equal(bench.unit.health_cmd.v.v[2], "test -e \\\"/x\\\"");
	assign(&bench, "Container", "HealthCmd", "\"test\" -e \"/x\"");
	assert_string_equal(bench.unit.health_cmd.v.v[2], "\"test\" -e \"/x\"");
	assign(&bench, "Container", "ReadOnly", "\"yes\"");
	assert_true(bench.unit.read_only.v);
	assign(&bench, "Unit", "Description", "\"web\"");
	assert_string_equal(bench.unit.description.v, "\"web\"");
	assert_int_equal(bench.set.nproblems, 0);
	assign(&bench, "Container", "Environment", "HOME");
	assert_int_equal(bench.set.nproblems, 0);
	assign(&bench, "Container", "Environment", "RULE=a && b");
	assert_int_equal(bench.set.nproblems, 1);
	assert_int_equal(bench.set.nerrors, 0);
	assert_true(str_starts(bench.set.problems[0].text, "Environment: \"&&\" has no \"=\", "));
	bench_done(&bench);
}

static void test_repeat_and_reset(void **state)
{
	struct bench bench;
	const struct draft_list *list = &bench.unit.environment;

	(void)state;
	bench_init(&bench, UNIT_CONTAINER, false);
	assign(&bench, "Container", "Environment", "A=1");
	assign(&bench, "Container", "Environment", "");
	assign(&bench, "Container", "Environment", "B=2 \"C=3 4\"");
	assign(&bench, "Container", "Environment", "D=%p%%");
	assert_int_equal(list->n, 3);
	assert_string_equal(list->v[0].text, "B=2");
	assert_string_equal(list->v[1].text, "C=3 4");
	assert_string_equal(list->v[2].text, "D=web%");
	assert_string_equal(list->v[2].at.file, "file");
	assert_int_equal(list->v[2].at.line, 7);
	/* Of a scalar the last one stands. */
	assign(&bench, "Container", "Image", "a");
	assign(&bench, "Container", "Image", "b");
	assert_string_equal(bench.unit.image.v, "b");
	assign(&bench, "Container", "DropCapability", "all");
	assign(&bench, "Container", "DropCapability", "");
	assign(&bench, "Container", "DropCapability", "CHOWN");
	assert_true(bench.unit.drop_capability.mask == 1 && !bench.unit.drop_capability.all);
	assign(&bench, "Container", "HealthCmd", "none");
	assert_true(bench.unit.health_none.v && bench.unit.health_cmd.v.n == 0);
	assign(&bench, "Container", "HealthCmd", "true");
	assert_true(!bench.unit.health_none.v && bench.unit.health_cmd.v.n == 3);
	assert_int_equal(bench.set.nproblems, 0);
	bench_done(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_each_key_takes_a_sample),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_repeat_and_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
