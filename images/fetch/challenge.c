#include "images/fetch/challenge.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* The signs that a token may have, but letters and digits. */
static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* A token or a quoted string at *at; false: there is none, or it does not fit. */
static bool word_read(const char **at, char *ret, size_t size)
{
	const char *from = *at;
	bool quoted = *from == '"';
	size_t n = 0;

	from += quoted;
	while (quoted ? *from && *from != '"' : is_token(*from) || *from == '/' || *from == ':') {
		if (quoted && *from == '\\' && from[1])
			from++;
		if (n + 1 >= size)
			return false;
		ret[n++] = *from++;
	}
	if (quoted && *from != '"')
		return false;
	ret[n] = '\0';
	*at = from + quoted;
	return quoted || n > 0;
}

static void kept(const struct challenge *found, struct challenge *ret)
{
	if (found->kind > ret->kind && (found->kind != CHALLENGE_BEARER || *found->realm))
		*ret = *found;
}

void challenge_read(const char *text, struct challenge *ret)
{
	struct challenge found = { .kind = CHALLENGE_NONE };
	struct challenge next = { .kind = CHALLENGE_NONE };

	for (text += strspn(text, ", \t"); *text; text += strspn(text, ", \t")) {
		char name[32];
		char value[sizeof found.realm];

		if (!word_read(&text, name, sizeof name))
			return;
		text += strspn(text, " \t");
		if (*text != '=') {
			kept(&found, ret);
			found = next;
			found.kind = strcasecmp(name, "Bearer") == 0  ? CHALLENGE_BEARER
				     : strcasecmp(name, "Basic") == 0 ? CHALLENGE_BASIC
								      : CHALLENGE_NONE;
			continue;
		}
		text += 1 + strspn(text + 1, " \t");
		if (!word_read(&text, value, sizeof value))
			return;
		if (strcasecmp(name, "realm") == 0)
			memcpy(found.realm, value, strlen(value) + 1);
		else if (strcasecmp(name, "scope") == 0)
			memcpy(found.scope, value, strlen(value) + 1);
		else if (strcasecmp(name, "service") == 0 && strlen(value) < sizeof found.service)
			memcpy(found.service, value, strlen(value) + 1);
	}
	kept(&found, ret);
}
