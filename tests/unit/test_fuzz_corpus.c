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

#include "tests/fuzz/fuzz_ini.c"

static void test_ini(void **state)
{
	static const char dir[] = "tests/fuzz/corpus/ini";
	static uint8_t data[1 << 16];
	DIR *corpus = opendir(dir);
	struct dirent *entry;
	unsigned replayed = 0;

	(void)state;
	if (!corpus) {
		skip(); /* not run from the top of the tree */
		return;
	}
	while ((entry = readdir(corpus))) {
		own_fd fd = openat(dirfd(corpus), entry->d_name, O_RDONLY | O_CLOEXEC);
		ssize_t n = read_full(fd, data, sizeof data);

		if (n < 0)
			continue;
		assert_int_equal(LLVMFuzzerTestOneInput(data, (size_t)n), 0);
		replayed++;
	}
	(void)closedir(corpus);
	assert_true(replayed >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ini) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
