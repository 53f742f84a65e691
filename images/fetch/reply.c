#include "images/fetch/reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "supervisor/base/num.h"
#include "supervisor/base/str.h"

/* "bytes FIRST-LAST/WHOLE", "bytes * /WHOLE" (without the blank); what is not understood is -1. */
static void range_read(const char *text, struct reply *reply)
{
	char *end;
	long long value;

	if (strncasecmp(text, "bytes ", 6) != 0)
		return;
	text += 6;
	if (*text >= '0' && *text <= '9') {
		value = strtoll(text, &end, 10);
		reply->first = value;
	}
	text = strchr(text, '/');
	if (text && text[1] >= '0' && text[1] <= '9') {
		value = strtoll(text + 1, &end, 10);
		reply->whole = value;
	}
}

/* The value of a header "NAME: VALUE", if the line is one of that name. */
static const char *value_of(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " \t");
}

struct reply reply_none(size_t head)
{
	return (struct reply){ .length = -1, .first = -1, .whole = -1, .head = head };
}

void reply_line(struct reply *reply, const char *data, size_t n)
{
	char line[2048];
	const char *value;
	uint64_t length;

	if (n >= sizeof line)
		return;
	memcpy(line, data, n);
	line[n] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	if (str_starts(line, "HTTP/")) {
		/* After a redirection, or a "100 Continue": nothing of the former counts. */
		*reply = reply_none(reply->head);
		value = strchr(line, ' ');
		reply->status = value ? strtol(value, NULL, 10) : 0;
	} else if ((value = value_of(line, "WWW-Authenticate"))) {
		challenge_read(value, &reply->challenge);
	} else if ((value = value_of(line, "Docker-Content-Digest"))) {
		if (strlen(value) < sizeof reply->digest)
			memcpy(reply->digest, value, strlen(value) + 1);
	} else if ((value = value_of(line, "Content-Length"))) {
		if (num_u64(value, &length) == 0 && length <= INT64_MAX)
			reply->length = (int64_t)length;
	} else if ((value = value_of(line, "Content-Range"))) {
		range_read(value, reply);
	}
}
