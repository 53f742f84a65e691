#include "images/reference.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/str.h"

#define DIGEST_MARK "@sha256:"
enum { DIGEST_LENGTH = 64 };

bool digest_valid(const char *text)
{
	return strspn(text, "0123456789abcdef") == DIGEST_LENGTH && !text[DIGEST_LENGTH];
}

bool reference_valid(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.:@/-";
	const char *at = strchr(text, '@');

	if (at && (!str_starts(at, DIGEST_MARK) || !digest_valid(at + strlen(DIGEST_MARK))))
		return false;
	return *text && !strchr("/.:@-", *text) && strspn(text, allowed) == strlen(text) &&
	       !strstr(text, "//") && !strstr(text, "..") && !strchr("/:", text[strlen(text) - 1]);
}

const char *reference_digest(const char *ref)
{
	const char *mark = strstr(ref, DIGEST_MARK);

	return mark ? mark + strlen(DIGEST_MARK) : NULL;
}

int reference_normalise(const char *text, char *ret)
{
	const char *at = strchr(text, '@');
	const char *slash = strrchr(text, '/');
	const char *last = slash ? slash + 1 : text;
	const char *colon;
	size_t name;
	int n;

	if (!reference_valid(text)) /* so no slash comes after an @ */
		return -EINVAL;
	name = at ? (size_t)(at - text) : strlen(text);
	colon = memchr(last, ':', (size_t)(text + name - last));
	if (at && colon)
		name = (size_t)(colon - text);
	n = snprintf(ret, REFERENCE_SIZE, "%s%.*s%s", slash ? "" : "localhost/", (int)name, text,
		at      ? at
		: colon ? ""
			: ":latest");
	return n < REFERENCE_SIZE ? 0 : -ENAMETOOLONG;
}

static bool is_registry(const char *text, size_t n)
{
	return memchr(text, '.', n) || memchr(text, ':', n) ||
	       (n == strlen("localhost") && memcmp(text, "localhost", n) == 0);
}

int reference_pull(const char *text, char *ret)
{
	static const char hub[] = "docker.io/";
	char full[REFERENCE_SIZE];
	const char *slash = strchr(text, '/');

	if (str_starts(text, hub))
		text += strlen(hub);
	else if (slash && is_registry(text, (size_t)(slash - text)))
		return reference_normalise(text, ret);
	if (snprintf(full, sizeof full, "%s%s%s", hub, strchr(text, '/') ? "" : "library/", text) >=
		(int)sizeof full)
		return -ENAMETOOLONG;
	return reference_normalise(full, ret);
}
