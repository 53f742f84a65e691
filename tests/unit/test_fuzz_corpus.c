/* What the fuzzers start from must also pass without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

/* LLVMFuzzerTestOneInput of each tests/fuzz/fuzz_NAME.c. */
typedef int fuzz_fn(const uint8_t *data, size_t n);
extern fuzz_fn fuzz_auth, fuzz_bundle, fuzz_elf, fuzz_import, fuzz_ini, fuzz_ip, fuzz_layer,
	fuzz_lease, fuzz_manifest, fuzz_modules, fuzz_passwd, fuzz_reply, fuzz_store, fuzz_varlink;

static const struct {
	const char *name;
	fuzz_fn *run;
} fuzzers[] = {
	{ "auth", fuzz_auth },
	{ "bundle", fuzz_bundle },
	{ "elf", fuzz_elf },
	{ "import", fuzz_import },
	{ "ini", fuzz_ini },
	{ "ip", fuzz_ip },
	{ "layer", fuzz_layer },
	{ "lease", fuzz_lease },
	{ "manifest", fuzz_manifest },
	{ "modules", fuzz_modules },
	{ "passwd", fuzz_passwd },
	{ "reply", fuzz_reply },
	{ "store", fuzz_store },
	{ "varlink", fuzz_varlink },
};

static unsigned replay(const char *name, fuzz_fn *run)
{
	static uint8_t data[1 << 16];
	char path[64];
	const struct dirent *entry;
	unsigned replayed = 0;
	DIR *corpus;

	(void)snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name);
	corpus = opendir(path);
	while (corpus && (entry = readdir(corpus))) {
		own_fd fd = openat(dirfd(corpus), entry->d_name, O_RDONLY | O_CLOEXEC);
		ssize_t n = read_full(fd, data, sizeof data);

		if (n < 0)
			continue;
		assert_int_equal(run(data, (size_t)n), 0);
		replayed++;
	}
	if (corpus)
		(void)closedir(corpus);
	return replayed;
}

static void test_corpus(void **state)
{
	(void)state;
	if (!replay("ini", fuzz_ini)) {
		skip(); /* not run from the top of the tree */
		return;
	}
	for (size_t i = 0; i < sizeof fuzzers / sizeof fuzzers[0]; i++)
		assert_true(replay(fuzzers[i].name, fuzzers[i].run) >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_corpus) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
