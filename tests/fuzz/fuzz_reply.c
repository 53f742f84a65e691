/* The head of an answer, line by line, as a registry or a proxy may send it. */
#include <string.h>

#include "images/fetch/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void is_text(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *at = (const char *)data;
	struct reply reply = reply_none(0);

	while (n > 0) {
		const char *end = memchr(at, '\n', n);
		size_t line = end ? (size_t)(end - at) + 1 : n;

		reply_line(&reply, at, line);
		at += line;
		n -= line;
	}
	is_text(reply.digest, sizeof reply.digest);
	is_text(reply.challenge.realm, sizeof reply.challenge.realm);
	is_text(reply.challenge.service, sizeof reply.challenge.service);
	is_text(reply.challenge.scope, sizeof reply.challenge.scope);
	if (reply.length < -1 || reply.first < -1 || reply.whole < -1)
		__builtin_trap();
	if (reply.challenge.kind == CHALLENGE_BEARER && !*reply.challenge.realm)
		__builtin_trap();
	return 0;
}
