#include "images/fetch/reference.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "supervisor/base/str.h"

enum { REPOSITORY_MAX = 255, TAG_MAX = 128, REGISTRY_MAX = 255 };

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

int digest_text_valid(const char *text)
{
	return str_starts(text, "sha256:") && strlen(text) == 7 + 64 &&
	       strspn(text + 7, "0123456789abcdef") == 64;
}

/* What may stand between two words of a name: how many characters; 0: nothing that may. */
static size_t between(const char *text)
{
	if (*text == '.' || *text == '/')
		return 1;
	if (*text == '_')
		return text[1] == '_' ? 2 : 1;
	return strspn(text, "-");
}

static bool repository_valid(const char *text)
{
	size_t n = 1;

	if (strlen(text) > REPOSITORY_MAX)
		return false;
	while (n > 0) {
		n = strspn(text, LOWER);
		text += n;
		if (n == 0 || !*text)
			return n > 0;
		n = between(text);
		text += n;
	}
	return false;
}

static bool tag_valid(const char *text)
{
	size_t n = strlen(text);

	return n >= 1 && n <= TAG_MAX && *text != '.' && *text != '-' &&
	       strspn(text, LOWER UPPER "_.-") == n;
}

/* HOST[:PORT]; an address of IPv6 stands in brackets. */
static bool registry_valid(const char *text)
{
	size_t n = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");
	const char *port = text + n;

	if (strlen(text) > REGISTRY_MAX || n == 0)
		return false;
	if (*text == '[' ? strspn(text + 1, "0123456789abcdefABCDEF:") != n - 2
			 : strspn(text, LOWER UPPER ".-") != n)
		return false;
	return !*port || (*port == ':' && port[1] && strlen(port) <= 6 &&
				 strspn(port + 1, "0123456789") == strlen(port + 1));
}

static bool is_registry(const char *first)
{
	return strpbrk(first, ".:") || strcmp(first, "localhost") == 0;
}

int reference_parse(struct arena *arena, const char *text, struct reference *ret, struct err *err)
{
	struct reference ref = { .registry = "docker.io" };
	char *copy = arena_strdup(arena, text);
	char *slash, *at, *colon;

	if (!copy)
		return err_sys(err, ENOMEM, "%s", text);
	at = strchr(copy, '@');
	if (at) {
		*at = '\0';
		ref.digest = at + 1;
	}
	slash = strchr(copy, '/');
	if (slash) {
		*slash = '\0';
		if (is_registry(copy)) {
			ref.registry = copy;
			copy = slash + 1;
		} else {
			*slash = '/';
		}
	}
	colon = strrchr(copy, ':');
	if (colon) {
		*colon = '\0';
		ref.tag = colon + 1;
	}
	ref.repository = copy;
	ref.host = ref.registry;
	if (strcmp(ref.registry, "docker.io") == 0 ||
		strcmp(ref.registry, "index.docker.io") == 0) {
		ref.registry = "docker.io";
		ref.host = "registry-1.docker.io";
		if (!strchr(copy, '/'))
			ref.repository = arena_printf(arena, "library/%s", copy);
	}
	if (!ref.tag && !ref.digest)
		ref.tag = "latest";
	if (!ref.repository)
		return err_sys(err, ENOMEM, "%s", text);
	if (!registry_valid(ref.registry))
		return err_set(err, EINVAL, "%s: \"%s\" is no registry: write HOST[:PORT]", text,
			ref.registry);
	if (!repository_valid(ref.repository))
		return err_set(err, EINVAL,
			"%s: \"%s\" is no name in a registry: lower case letters, digits, and "
			"single . _ - between them",
			text, ref.repository);
	if (ref.tag && !tag_valid(ref.tag))
		return err_set(err, EINVAL, "%s: \"%s\" is no tag", text, ref.tag);
	if (ref.digest && !digest_text_valid(ref.digest))
		return err_set(err, EINVAL, "%s: \"%s\" is no digest: write sha256: and 64 digits",
			text, ref.digest);
	if (ref.digest)
		ref.tag = NULL;
	ref.name = arena_printf(arena, "%s/%s%s%s", ref.registry, ref.repository,
		ref.digest ? "@" : ":", ref.digest ? ref.digest : ref.tag);
	if (!ref.name)
		return err_sys(err, ENOMEM, "%s", text);
	*ret = ref;
	return 0;
}
