/* One request by libcurl: how it is set up, what its answer says, and why it failed, in words. */
#ifndef BERTH_IMAGES_FETCH_HTTP_H
#define BERTH_IMAGES_FETCH_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "images/fetch/certs.h"
#include "images/fetch/reply.h"
#include "supervisor/base/err.h"

enum { HTTP_HEAD_MAX = 64 * 1024, HTTP_REDIRECTS_MAX = 5 };

/* How to ask, for all requests alike. */
struct http {
	bool verify;         /* certificates */
	long stall;          /* seconds: of less than 1 kB/s, until it is given up */
	unsigned tries;      /* how often again after a failure that may pass */
	uint64_t retry_wait; /* ns: before the first of them; doubled for each next; 0: 1 s */
};

/* Who is asked for, and as whom. All NULL: nobody in particular. */
struct http_as {
	const char *bearer;
	const char *user, *password;
};

/*
 * http_begin - set up a handle for one GET
 *
 * `reply` and `certs` must live until the transfer's end. libcurl follows at most HTTP_REDIRECTS_MAX
 * redirections, never from https to http, and takes `as` nowhere but to the first host.
 */
void http_begin(CURL *curl, const struct http *http, const struct certs *certs, const char *url,
	const struct http_as *as, struct reply *reply);

/*
 * http_failed - what went wrong, in words, with the name of who was asked before them
 *
 * `body`: what came of an answer that is an error; a registry tells its reason there.
 * Gives: -errno.
 */
int http_failed(CURL *curl, CURLcode code, const struct reply *reply, const char *host,
	const char *body, struct err *err);

/* May the same request succeed later? */
bool http_may_pass(CURLcode code, const struct reply *reply);

/* How long to wait before try `n` (0 is the first after a failure): what the server asked for, or a
 * doubling time of at most a minute, about. NSEC_NEVER: the server asks for more than we would wait. */
uint64_t http_wait(CURL *curl, const struct http *http, unsigned n);

#endif
