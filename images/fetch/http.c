#include "images/fetch/http.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/str.h"

enum {
	CONNECT_SECONDS = 20,
	WAIT_MAX_SECONDS = 60,
	ASKED_MAX_SECONDS = 300, /* of a server's Retry-After */
	BUFFER_SIZE = 256 * 1024,
};

static_assert(sizeof(((struct reply *)NULL)->words) >= CURL_ERROR_SIZE, "libcurl writes so much");

/* ---- asking ------------------------------------------------------------------------------------- */

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct reply *reply = arg;

	n *= size;
	reply->head += n;
	/* A number that it did not get tells libcurl to give up. */
	if (reply->head > HTTP_HEAD_MAX)
		return 0;
	reply_line(reply, data, n);
	return n;
}

static struct curl_blob blob(const char *text)
{
	return (struct curl_blob){
		.data = (void *)(uintptr_t)text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY
	};
}

static void trust(CURL *curl, const struct http *http, const struct certs *certs)
{
	struct curl_blob pem;

	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, http->verify ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, http->verify ? 2L : 0L);
	if (certs->ca) {
		/* In the place of the file of the system's; its directory stays. */
		pem = blob(certs->ca);
		curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &pem);
	}
	if (certs->cert) {
		pem = blob(certs->cert);
		curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &pem);
		pem = blob(certs->key);
		curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &pem);
	}
}

void http_begin(CURL *curl, const struct http *http, const struct certs *certs, const char *url,
	const struct http_as *as, struct reply *reply)
{
	bool tls = str_starts(url, "https:");

	*reply = reply_none(0);
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(
		curl, CURLOPT_REDIR_PROTOCOLS_STR, tls && http->verify ? "https" : "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, http->stall);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER_SIZE);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reply->words);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
	trust(curl, http, certs);
	if (as->bearer) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, as->bearer);
	} else if (as->user) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(curl, CURLOPT_USERNAME, as->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, as->password);
	}
}

/* ---- failing ------------------------------------------------------------------------------------ */

/* A clock that stands before the day this was built is the usual reason on a box without a battery. */
static void clock_blame(struct err *err)
{
	time_t now = time(NULL);
	const struct err was = *err;
	struct clock_text is;
	struct clock_text built;

	if (now >= (time_t)BERTH_BUILT)
		return;
	is = clock_rfc3339((uint64_t)now * NSEC_PER_SEC);
	built = clock_rfc3339((uint64_t)BERTH_BUILT * NSEC_PER_SEC);
	(void)err_set(err, was.code,
		"the clock says %.10s, which is before this program was built (%.10s): set it; no "
		"certificate is valid then (%.160s)",
		is.text, built.text, was.text);
}

/* What a registry says in the body of an answer that is an error, without what a terminal would obey. */
static void reason_add(struct strbuf *to, const char *body)
{
	json_t *top = body ? json_loads(body, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const json_t *first = json_array_get(json_object_get(top, "errors"), 0);
	const char *code = json_string_value(json_object_get(first, "code"));
	const char *message = json_string_value(json_object_get(first, "message"));
	size_t from = to->used;

	if (code || message)
		strbuf_add(to, " (it says: %.60s%s%.160s)", code ? code : "",
			code && message ? ": " : "", message ? message : "");
	for (; from < to->used; from++)
		if ((unsigned char)to->text[from] < ' ' || to->text[from] == 0x7f)
			to->text[from] = '?';
	json_decref(top);
}

static int status_failed(const struct reply *reply, const char *body, struct err *err)
{
	char text[300] = "";
	struct strbuf reason = STRBUF(text);

	reason_add(&reason, body);
	switch (reply->status) {
	case 401:
	case 403:
		return err_set(err, EACCES, "it does not let us%s", text);
	case 404:
		return err_set(err, ENOENT, "it does not have that%s", text);
	case 407:
		return err_set(err, EACCES, "the proxy wants to know who asks");
	case 429:
		return err_set(err, EBUSY, "too many requests%s", text);
	default:
		return err_set(err, EIO, "it answers with the error %ld%s", reply->status, text);
	}
}

static int code_failed(CURLcode code, const struct reply *reply, struct err *err)
{
	const char *words = *reply->words ? reply->words : curl_easy_strerror(code);

	switch ((int)code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(err, EHOSTUNREACH,
			"its name does not resolve: is it spelt right, and does the machine have a "
			"network and a name server (/etc/resolv.conf)?");
	case CURLE_COULDNT_RESOLVE_PROXY:
		return err_set(err, EHOSTUNREACH, "the name of the proxy does not resolve");
	case CURLE_COULDNT_CONNECT:
		return err_set(err, ECONNREFUSED, "no connection: %s", words);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ETIMEDOUT, "too slow: %s", words);
	case CURLE_TOO_MANY_REDIRECTS:
		return err_set(err, ELOOP, "more than %d redirections", HTTP_REDIRECTS_MAX);
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(err, EPROTO, "a redirection to what is not https (%s)", words);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
		(void)err_set(err, EPROTO,
			code == CURLE_SSL_CONNECT_ERROR
				? "no secure connection (does it speak plain http? that takes "
				  "--tls-verify no): %s"
				: "its certificate is not trusted: %s",
			words);
		clock_blame(err);
		return -EPROTO;
	default:
		return err_set(err, EIO, "%s", words);
	}
}

int http_failed(CURL *curl, CURLcode code, const struct reply *reply, const char *host,
	const char *body, struct err *err)
{
	long redirects = 0;

	(void)curl_easy_getinfo(curl, CURLINFO_REDIRECT_COUNT, &redirects);
	if (reply->head > HTTP_HEAD_MAX)
		(void)err_set(err, EPROTO, "more than %d kB of headers", HTTP_HEAD_MAX / 1024);
	else if (code != CURLE_OK && reply->status < 400)
		(void)code_failed(code, reply, err);
	else
		(void)status_failed(reply, body, err);
	if (redirects > 0)
		return err_wrap(err, "%s (which redirected us)", host);
	return err_wrap(err, "%s", host);
}

/* ---- again -------------------------------------------------------------------------------------- */

bool http_may_pass(CURLcode code, const struct reply *reply)
{
	if (reply->head > HTTP_HEAD_MAX)
		return false;
	/* An error that came counts, also when its body was cut off. */
	if (code == CURLE_OK || reply->status >= 400)
		return reply->status == 408 || reply->status == 425 || reply->status == 429 ||
		       (reply->status >= 500 && reply->status != 501);
	switch ((int)code) {
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

uint64_t http_wait(CURL *curl, const struct http *http, unsigned n)
{
	uint64_t wait = http->retry_wait ? http->retry_wait : NSEC_PER_SEC;
	curl_off_t asked = 0;

	(void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &asked);
	if (asked > ASKED_MAX_SECONDS)
		return NSEC_NEVER;
	/* Not all at once that failed at once: between half and one and a half of it. */
	wait = wait / 2 + (uint64_t)random() % (wait + 1);
	for (unsigned i = 0; i < n && wait < WAIT_MAX_SECONDS * NSEC_PER_SEC; i++)
		wait *= 2;
	if (wait > WAIT_MAX_SECONDS * NSEC_PER_SEC)
		wait = WAIT_MAX_SECONDS * NSEC_PER_SEC;
	return asked > 0 && (uint64_t)asked * NSEC_PER_SEC > wait ? (uint64_t)asked * NSEC_PER_SEC
								  : wait;
}
