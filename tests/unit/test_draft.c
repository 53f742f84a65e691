/* From a directory to drafts: which files count, in which order, and what is expanded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/draft.h"
#include "supervisor/base/path.h"

/* A directory of files, and what came of it. */
struct bench {
	char dir[32];
	struct unit_set set;
	struct draft_set drafts;
};

static void put(const struct bench *bench, const char *name, const char *text)
{
	char path[200];
	char *slash;
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s", bench->dir, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_int_equal(path_mkdirs(path, 0755), 0);
	*slash = '/';
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void link_to(const struct bench *bench, const char *target, const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof path, "%s/%s", bench->dir, name);
	assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);

	if (!bench)
		return -1;
	(void)snprintf(bench->dir, sizeof bench->dir, "/tmp/berth-test-XXXXXX");
	*state = bench;
	return mkdtemp(bench->dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	int r = nftw(bench->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);

	draft_set_done(&bench->drafts);
	arena_done(&bench->set.arena);
	free(bench);
	return r;
}

static void load(struct bench *bench)
{
	struct err err = { 0 };

	assert_int_equal(draft_set_load(&bench->set, bench->dir, NULL, &bench->drafts, &err), 0);
}

static const struct unit_draft *find(const struct bench *bench, const char *id)
{
	for (size_t i = 0; i < bench->drafts.n; i++)
		if (strcmp(bench->drafts.v[i].id, id) == 0)
			return &bench->drafts.v[i];
	return NULL;
}

/* The texts of all problems, one a line. */
static const char *problems(const struct bench *bench)
{
	static char text[4096];
	struct strbuf buf = STRBUF(text);

	text[0] = '\0';
	for (size_t i = 0; i < bench->set.nproblems; i++)
		strbuf_add(&buf, "%s:%u: %s\n",
			bench->set.problems[i].file + strlen(bench->dir) + 1,
			bench->set.problems[i].line, bench->set.problems[i].text);
	return text;
}

static void test_files(void **state)
{
	struct bench *bench = *state;

	put(bench, "web.container", "[Container]\nImage=top\n");
	put(bench, "sub/web.container", "[Container]\nImage=sub\n");
	put(bench, "sub/deep/db.container", "[Container]\nImage=db\n");
	put(bench, "README.md", "no unit");
	put(bench, ".hidden.container", "[Container]\nFoo=1\n");
	put(bench, "off.container", "");
	link_to(bench, "/dev/null", "gone.container");
	link_to(bench, "..", "sub/loop");
	put(bench, "x.pod", "[Pod]\n");
	put(bench, "a b.container", "[Container]\n");
	load(bench);
	assert_string_equal(find(bench, "web.container")->image.v, "top");
	assert_string_equal(find(bench, "db.container")->image.v, "db");
	assert_null(find(bench, "off.container"));
	assert_null(find(bench, "gone.container"));
	assert_int_equal(bench->drafts.n, 2);
	assert_string_equal(bench->drafts.v[0].id, "db.container");
	assert_int_equal(bench->set.nerrors, 2);
	assert_int_equal(bench->set.nproblems, 3);
	assert_non_null(strstr(problems(bench), "x.pod:0: .pod units are not served: "));
	assert_non_null(strstr(problems(bench), "a b.container:0: a unit's name is "));
	assert_non_null(strstr(problems(bench), "sub/web.container:0: ignored, "));
}

static void test_what_is_no_file(void **state)
{
	struct bench *bench = *state;
	char path[64];

	(void)snprintf(path, sizeof path, "%s/a.container", bench->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/b.network", bench->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	link_to(bench, "/nowhere/x", "c.volume");
	put(bench, "berth.conf", "[Supervisor]\nLogLevel=debug\n");
	load(bench);
	assert_string_equal(problems(bench),
		"a.container:0: this is a directory, not a file: move it away\n"
		"b.network:0: this is a FIFO, not a file: move it away\n"
		"c.volume:0: this is a link to what is not there: correct it, or remove it\n");
	assert_int_equal(bench->set.nerrors, 3);
	assert_string_equal(bench->set.conf.log_level, "debug");
}

static void test_no_directory(void **state)
{
	struct unit_set set = { 0 };
	struct draft_set drafts = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(draft_set_load(&set, "/nowhere/x", NULL, &drafts, &err), -ENOENT);
	assert_string_equal(err.text, "read the directory /nowhere/x: No such file or directory");
	arena_done(&set.arena);
}

static void test_dropins(void **state)
{
	struct bench *bench = *state;
	const struct unit_draft *unit;

	put(bench, "foo-bar.container", "[Container]\nImage=main\nEnvironment=A=main\n");
	put(bench, "container.d/10-all.conf", "[Container]\nEnvironment=A=all\n");
	put(bench, "container.d/30-same.conf", "[Container]\nEnvironment=A=general\n");
	put(bench, "foo-.container.d/20-foo.conf", "[Container]\nEnvironment=A=foo\n");
	put(bench, "foo-.container.d/30-same.conf", "[Container]\nEnvironment=A=middle\n");
	put(bench, "foo-bar.container.d/30-same.conf", "[Container]\nEnvironment=A=special\n");
	put(bench, "foo-bar.container.d/05-x.conf", "[Container]\nImage=early\n");
	put(bench, "foo-bar.container.d/note.txt", "not read\n");
	put(bench, "other.container.d/99.conf", "[Container]\nImage=wrong\n");
	load(bench);
	unit = find(bench, "foo-bar.container");
	assert_int_equal(bench->set.nproblems, 0);
	assert_int_equal(unit->dropins.n, 4);
	assert_string_equal(unit->image.v, "early");
	assert_int_equal(unit->environment.n, 4);
	assert_string_equal(unit->environment.v[0].text, "A=main");
	assert_string_equal(unit->environment.v[1].text, "A=all");
	assert_string_equal(unit->environment.v[2].text, "A=foo");
	assert_string_equal(unit->environment.v[3].text, "A=special");
	assert_int_equal(unit->environment.v[3].at.line, 2);
	assert_non_null(strstr(unit->environment.v[3].at.file, "foo-bar.container.d/30-same.conf"));
}

static void test_templates(void **state)
{
	struct bench *bench = *state;
	const struct unit_draft *unit;

	put(bench, "job@.container",
		"[Unit]\nDescription=%n %N %p %i %I\n[Container]\nImage=%i\n"
		"[Unit]\nWants=next@%i.service\n");
	put(bench, "next@.container", "[Container]\nImage=next-%i\n");
	put(bench, "job@.container.d/a.conf", "[Container]\nHostName=h-%i\n");
	put(bench, "job@red.container.d/b.conf", "[Container]\nTimezone=local\n");
	link_to(bench, "job@.container", "job@red.container");
	link_to(bench, "/dev/null", "job@off.container");
	put(bench, "web.container",
		"[Unit]\nWants=job@blue-x.service job@off.service\nRequires=nothing@1.container\n"
		"[Container]\nImage=web\n");
	load(bench);
	assert_int_equal(bench->set.nproblems, 0);
	unit = find(bench, "job@red.container");
	assert_string_equal(unit->description.v, "job@red.service job@red job red red");
	assert_string_equal(unit->hostname.v, "h-red");
	assert_string_equal(unit->timezone.v, "local");
	unit = find(bench, "job@blue-x.container");
	assert_string_equal(unit->description.v, "job@blue-x.service job@blue-x job blue-x blue/x");
	assert_string_equal(unit->image.v, "blue-x");
	assert_null(unit->timezone.v);
	assert_string_equal(find(bench, "next@blue-x.container")->image.v, "next-blue-x");
	assert_non_null(find(bench, "next@red.container"));
	assert_null(find(bench, "job@off.container"));
	assert_null(find(bench, "job@.container"));
	assert_int_equal(bench->drafts.n, 5);
}

static void test_variables(void **state)
{
	struct bench *bench = *state;
	const struct unit_draft *unit;
	static const char *const exec[] = { "run", "a", "b c", "x-a 'b c'-y", "$HOME is $FOO", "$",
		"${", "-" };

	put(bench, "web.container",
		"[Container]\nImage=web\n"
		"Exec=run $FOO x-${FOO}-y \"$HOME is $FOO\" $$ ${ ${NONE}- $NONE\n"
		"HealthCmd=test ${FOO} = $FOO\n"
		"[Service]\nEnvironment=FOO=old\nEnvironment=\"FOO=a 'b c'\"\n");
	load(bench);
	unit = find(bench, "web.container");
	assert_int_equal(unit->exec.v.n, sizeof exec / sizeof exec[0]);
	for (size_t i = 0; i < unit->exec.v.n; i++)
		assert_string_equal(unit->exec.v.v[i], exec[i]);
	assert_string_equal(unit->health_cmd.v.v[0], "/bin/sh");
	assert_string_equal(unit->health_cmd.v.v[2], "test a 'b c' = $FOO");
	assert_int_equal(bench->set.nerrors, 0);
	assert_int_equal(bench->set.nproblems, 2);
	assert_true(str_starts(problems(bench), "web.container:3: Exec: $NONE is not set, "));
}

static void test_conf(void **state)
{
	struct bench *bench = *state;
	const struct supervisor_conf *conf = &bench->set.conf;

	put(bench, "berth.conf",
		"[Supervisor]\nStateDir=/data/berth\nImagePath=/a:/b\nImagePath=/c\n"
		"DefaultRestart=on-failure\nDefaultCapabilities=none\nRuntimeWatchdogSec=30\n"
		"RunDir=here\n");
	put(bench, "berth.conf.d/10.conf", "[Supervisor]\nShutdownTimeoutSec=2min\n");
	put(bench, "sub/berth.conf", "[Supervisor]\nStateDir=/wrong\n");
	load(bench);
	assert_string_equal(conf->state_dir, "/data/berth");
	assert_string_equal(conf->log_dir, "/data/berth/logs");
	assert_string_equal(conf->run_dir, "/run/berth");
	assert_int_equal(conf->image_path.n, 3);
	assert_string_equal(conf->image_path.v[2], "/c");
	assert_int_equal(conf->default_restart, RESTART_ON_FAILURE);
	assert_true(conf->default_caps_none);
	assert_true(conf->watchdog == UINT64_C(30000000000));
	assert_true(conf->shutdown_max == UINT64_C(120000000000));
	assert_string_equal(
		problems(bench), "berth.conf:8: RunDir: \"here\" is not an absolute path\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_file, setup, teardown),
		cmocka_unit_test(test_no_directory),
		cmocka_unit_test_setup_teardown(test_dropins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_templates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_variables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conf, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
