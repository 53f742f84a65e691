#include "images/fetch/reference.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "images/reference.h"
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

/* HOST[:PORT] */
static bool registry_valid(const char *text)
{
	size_t n = strcspn(text, ":");
	const char *port = text + n;

	return n > 0 && n <= REGISTRY_MAX && strspn(text, LOWER UPPER ".-") == n &&
	       (!*port || (port[1] && strlen(port) <= 6 &&
				  strspn(port + 1, "0123456789") == strlen(port + 1)));
}

int reference_parse(struct arena *arena, const char *text, struct reference *ret, struct err *err)
{
	struct reference ref = { 0 };
	char full[REFERENCE_SIZE];
	char *copy, *mark;

	if (reference_pull(text, full) < 0)
		return err_set(err, EINVAL,
			"\"%.200s\" is no name of an image: write [REGISTRY/]NAME[:TAG][@DIGEST]",
			text);
	ref.name = arena_strdup(arena, full);
	copy = arena_strdup(arena, full);
	if (!ref.name || !copy)
		return err_sys(err, ENOMEM, "%s", text);
	/* In full: a registry, and a tag or a digest. */
	ref.registry = strsep(&copy, "/");
	ref.repository = copy;
	mark = strchr(copy, '@');
	if (mark)
		ref.digest = mark + 1;
	else if ((mark = strrchr(copy, ':')))
		ref.tag = mark + 1;
	if (mark)
		*mark = '\0';
	ref.host = strcmp(ref.registry, "docker.io") == 0 ? "registry-1.docker.io" : ref.registry;
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
	*ret = ref;
	return 0;
}

int reference_mirror(struct arena *arena, const char *url, const char **ret_host,
	const char **ret_base, struct err *err)
{
	size_t scheme = str_starts(url, "https://") ? 8 : str_starts(url, "http://") ? 7 : 0;
	size_t host = strcspn(url + scheme, "/");
	size_t n = strlen(url);

	if (!scheme || !host || strpbrk(url, "@?# "))
		return err_set(
			err, EINVAL, "the mirror %s: write http[s]://HOST[:PORT][/PATH]", url);
	while (n > scheme + host && url[n - 1] == '/')
		n--;
	*ret_host = arena_strndup(arena, url + scheme, host);
	*ret_base = arena_strndup(arena, url, n);
	return *ret_host && *ret_base ? 0 : err_sys(err, ENOMEM, "%s", url);
}
