/* passwd and group of a hostile image, and a hostile User=: the input's first line is the user, the
 * second the group, then the files, parted by a line "--". */
#include <string.h>

#include "supervisor/base/err.h"
#include "supervisor/runtime/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Takes a line off the input, as text. */
static void line_take(const char **text, size_t *n, char *ret, size_t size)
{
	const char *end = *n ? memchr(*text, '\n', *n) : NULL;
	size_t len = end ? (size_t)(end - *text) : *n;
	size_t kept = len < size ? len : size - 1;

	if (kept)
		memcpy(ret, *text, kept);
	ret[kept] = '\0';
	*text += len + (end != NULL);
	*n -= len + (end != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data;
	const char *more[] = { NULL, NULL };
	struct ids ids = { 0 };
	struct err err = { 0 };
	char user[300];
	char group[300];
	size_t first;

	line_take(&text, &n, user, sizeof user);
	line_take(&text, &n, group, sizeof group);
	more[0] = group;
	for (first = 0; first + 3 <= n; first++)
		if (memcmp(text + first, "--\n", 3) == 0)
			break;
	if (first + 3 > n)
		first = n;
	(void)users_resolve_text((struct users_text){ text, first },
		(struct users_text){ text + first, n - first }, user, NULL, NULL, &ids, &err);
	if (users_resolve_text((struct users_text){ text, first },
		    (struct users_text){ text + first, n - first }, user, group,
		    &(struct strv){ more, 1 }, &ids, &err) == 0) {
		if (ids.uid == UINT32_MAX || ids.gid == UINT32_MAX || ids.ngroups > IDS_GROUPS_MAX)
			__builtin_trap();
		if (ids.home[0] != '/' || !memchr(ids.home, '\0', sizeof ids.home))
			__builtin_trap();
	}
	return 0;
}
