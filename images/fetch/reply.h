/* What comes from a server, before anybody believes it. */
#ifndef BERTH_IMAGES_FETCH_REPLY_H
#define BERTH_IMAGES_FETCH_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "images/fetch/challenge.h"

/* What the last answer said of itself. */
struct reply {
	long status;
	char digest[80]; /* Docker-Content-Digest */
	struct challenge challenge;
	int64_t length;  /* Content-Length; -1 */
	int64_t first;   /* Content-Range: the first byte of these; -1 */
	int64_t whole;   /* Content-Range: the length of all; -1 */
	size_t head;     /* bytes of headers, of all answers on the way to this one */
	char words[256]; /* libcurl's reason for a failure */
};

/* One that has said nothing yet, after `head` bytes of headers. */
struct reply reply_none(size_t head);

/* reply_line - take one line of a head, of `n` bytes, into it; what is not understood changes nothing. */
void reply_line(struct reply *reply, const char *data, size_t n);

struct body {
	char *text; /* ends with a zero; free() */
	size_t n;
};

#endif
