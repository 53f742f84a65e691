/* An auth file, behind a first line that is the name of an image, or the URL of a mirror. */
#include <stdlib.h>
#include <string.h>

#include "images/fetch/credentials.h"
#include "images/fetch/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void find(struct arena *arena, const struct auth_files *files, const char *line)
{
	struct credentials found;
	struct reference ref;
	const char *host, *base;
	struct err err = { 0 };

	if (reference_mirror(arena, line, &host, &base, &err) == 0)
		(void)credentials_find(arena, files, host, "x/y", &found, &err);
	if (reference_parse(arena, line, &ref, &err) < 0)
		return;
	if (strpbrk(ref.repository, "?#@ ") || (ref.digest && !digest_text_valid(ref.digest)))
		__builtin_trap();
	if (credentials_find(arena, files, ref.registry, ref.repository, &found, &err) == 0 &&
		found.user && !found.password)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *end = memchr(data, '\n', n);
	size_t first = end ? (size_t)(end - data) : n;
	struct auth_files files = { .n = 1 };
	struct arena arena = { 0 };
	struct err err = { 0 };
	char *line = strndup((const char *)data, first);

	files.v[0].path = "auth.json";
	files.v[0].json =
		end ? auth_file_parse((const char *)end + 1, n - first - 1, "auth.json", &err)
		    : json_object();
	if (line && files.v[0].json)
		find(&arena, &files, line);
	auth_files_done(&files);
	arena_done(&arena);
	free(line);
	return 0;
}
