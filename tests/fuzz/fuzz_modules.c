/* modules.dep of a kernel that somebody else has built. */
#include <stdio.h>

#include "supervisor/core/modules.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *wanted[] = { "a" };
	const struct strv more = { .v = wanted, .n = 1 };
	struct arena arena = { 0 };
	struct strv files = { 0 };
	FILE *out = fopen("/dev/null", "we");

	scratch_put("modules.dep", data, n);
	if (modules_closure(scratch_path, &more, &arena, &files, NULL) >= 0 && out)
		(void)modules_write_dep(scratch_path, &files, out, NULL);
	for (size_t i = 0; i < files.n; i++)
		if (!*files.v[i])
			__builtin_trap();
	if (out)
		(void)fclose(out);
	arena_done(&arena);
	return 0;
}
