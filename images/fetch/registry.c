#include "images/fetch/registry.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "images/fetch/layout.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"

enum { TOKEN_REPLY_MAX = 256 * 1024, ERROR_REPLY_MAX = 16 * 1024, LOGINS_MAX = 2, URL_SIZE = 2048 };

static const char accepted[] = "Accept: application/vnd.oci.image.index.v1+json, "
			       "application/vnd.oci.image.manifest.v1+json, "
			       "application/vnd.docker.distribution.manifest.list.v2+json, "
			       "application/vnd.docker.distribution.manifest.v2+json";

/* ---- whom --------------------------------------------------------------------------------------- */

/* `host` is how files name the source: docker.io is asked elsewhere than it is called. */
static int source_read(struct arena *arena, const char *host, const struct reference *ref,
	const struct registry_files *files, const struct auth_files *auth, struct source *source,
	struct err *err)
{
	int r = certs_read(arena, files->cert_dir, files->ca, source->host, &source->certs, err);

	return r < 0 ? r
		     : credentials_find(
			       arena, auth, host, ref->repository, &source->credentials, err);
}

static int sources_read(struct arena *arena, const struct http *http, const struct reference *ref,
	const struct strv *mirrors, const struct registry_files *files,
	const struct auth_files *auth, struct registry *ret, struct err *err)
{
	struct source *origin = &ret->sources[mirrors->n];
	char *creds;
	int r = 0;

	for (size_t i = 0; i < mirrors->n && r == 0; i++) {
		struct source *source = &ret->sources[i];

		r = reference_mirror(arena, mirrors->v[i], &source->host, &source->base, err);
		if (r == 0)
			r = source_read(arena, source->host, ref, files, auth, source, err);
	}
	if (r < 0)
		return r;
	origin->host = ref->host;
	origin->base = arena_printf(arena, "https://%s", ref->host);
	origin->plain_too = !http->verify;
	r = source_read(arena, ref->registry, ref, files, auth, origin, err);
	if (r < 0 || !files->creds)
		return r;
	origin->credentials = (struct credentials){ 0 };
	creds = arena_strdup(arena, files->creds);
	if (!creds || credentials_part(creds, &origin->credentials) < 0)
		return err_set(err, EINVAL, "the credentials are not USER:PASSWORD");
	return 0;
}

int registry_open(struct arena *arena, const struct http *http, const struct reference *ref,
	const struct strv *mirrors, const struct registry_files *files, struct registry *ret,
	struct err *err)
{
	struct auth_files auth;
	int r = auth_files_read(arena, files->auth, &auth, err);

	*ret = (struct registry){ .http = http, .ref = ref, .n = mirrors->n + 1 };
	if (r < 0)
		return r;
	ret->sources = arena_alloc(arena, ret->n * sizeof *ret->sources);
	ret->curl = curl_easy_init();
	r = ret->sources && ret->curl
		    ? sources_read(arena, http, ref, mirrors, files, &auth, ret, err)
		    : err_sys(err, ENOMEM, "libcurl");
	auth_files_done(&auth);
	return r;
}

void registry_done(struct registry *registry)
{
	for (size_t i = 0; registry->sources && i < registry->n; i++)
		free(registry->sources[i].token);
	curl_easy_cleanup(registry->curl);
}

/* ---- a small answer ----------------------------------------------------------------------------- */

struct taking {
	struct body body;
	size_t limit;
	bool over;
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct taking *taking = arg;
	struct body *body = &taking->body;
	char *grown;

	n *= size;
	taking->over = n > taking->limit - body->n;
	grown = taking->over ? NULL : realloc(body->text, body->n + n + 1);
	if (!grown)
		return 0;
	memcpy(grown + body->n, data, n);
	body->text = grown;
	body->n += n;
	body->text[body->n] = '\0';
	return n;
}

/* One request, at most `limit` bytes of an answer. `post`: what to send, or NULL to ask by GET. */
static CURLcode ask(const struct registry *registry, const struct source *source, const char *url,
	const struct http_as *as, const char *post, struct taking *taking, struct reply *reply)
{
	CURL *curl = registry->curl;
	struct curl_slist *headers = curl_slist_append(NULL, accepted);
	CURLcode code;

	http_begin(curl, registry->http, &source->certs, url, as, reply);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, taking);
	if (post)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post);
	code = headers ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
	curl_slist_free_all(headers);
	return code;
}

/* ---- who we are --------------------------------------------------------------------------------- */

struct http_as registry_as(const struct source *source)
{
	if (source->token)
		return (struct http_as){ .bearer = source->token };
	if (source->basic)
		return (struct http_as){ .user = source->credentials.user,
			.password = source->credentials.password };
	return (struct http_as){ 0 };
}

int registry_refused(const struct source *source, struct err *err)
{
	if (source->credentials.user || source->credentials.token)
		return err_set(err, EACCES,
			"%s does not let us in with the credentials for it: are they right, and "
			"may "
			"they read this image?",
			source->host);
	if (source->credentials.helper)
		return err_set(err, EACCES,
			"%s wants credentials, and %s leaves them to a helper, which is not asked: "
			"write an auth file with them (podman login --authfile)",
			source->host, source->credentials.helper);
	return err_set(err, EACCES,
		"%s does not let us in: there is no such image, or it wants credentials: write "
		"them "
		"to an auth file (podman login, skopeo login)",
		source->host);
}

/* The URL of a token, or with an identity token what is posted there. Never in a message. */
static char *token_request(
	const struct registry *registry, const struct source *source, char *url, size_t size)
{
	const struct challenge *c = &source->challenge;
	char *service = curl_easy_escape(registry->curl, c->service, 0);
	char pull[300];
	char *scope, *token = NULL, *post = NULL;
	int n = 0;

	(void)snprintf(pull, sizeof pull, "repository:%s:pull", registry->ref->repository);
	scope = curl_easy_escape(registry->curl, *c->scope ? c->scope : pull, 0);
	if (source->credentials.token)
		token = curl_easy_escape(registry->curl, source->credentials.token, 0);
	if (token)
		n = asprintf(&post,
			"grant_type=refresh_token&client_id=berth&service=%s&scope=%s&"
			"refresh_token=%s",
			service, scope, token);
	(void)snprintf(url, size, "%s", c->realm);
	if (!token)
		(void)snprintf(url, size, "%s%sservice=%s&scope=%s", c->realm,
			strchr(c->realm, '?') ? "&" : "?", service ? service : "",
			scope ? scope : "");
	curl_free(service);
	curl_free(scope);
	curl_free(token);
	return n < 0 ? NULL : post;
}

/* A token goes into a header: nothing in it may end that. */
static char *token_read(const char *text)
{
	json_t *top = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *token = json_string_value(json_object_get(top, "token"));
	char *ret = NULL;

	if (!token || !*token)
		token = json_string_value(json_object_get(top, "access_token"));
	if (token && *token) {
		const char *at = token;

		while (*at > ' ' && *at < 0x7f)
			at++;
		ret = *at ? NULL : strdup(token);
	}
	json_decref(top);
	return ret;
}

static int token_get(const struct registry *registry, struct source *source, struct err *err)
{
	const struct credentials *have = &source->credentials;
	struct http_as as = { .user = have->user, .password = have->password };
	struct taking taking = { .limit = TOKEN_REPLY_MAX };
	const char *realm = source->challenge.realm;
	bool plain = str_starts(source->base, "http:") || !registry->http->verify;
	char url[URL_SIZE];
	struct reply reply;
	CURLcode code;
	char *post;
	int r = 0;

	if (!str_starts(realm, "https://") && !(plain && str_starts(realm, "http://")))
		return err_set(err, EPROTO, "%s: it gives tokens at %.200s, which is not https",
			source->host, realm);
	post = token_request(registry, source, url, sizeof url);
	code = ask(registry, source, url, &as, post, &taking, &reply);
	free(post);
	if (code == CURLE_OK && reply.status == 200) {
		free(source->token);
		source->token = token_read(taking.body.text);
		if (!source->token)
			r = err_set(
				err, EPROTO, "%s: there is no token in its answer", source->host);
	} else if (code == CURLE_OK && (reply.status == 401 || reply.status == 403)) {
		r = registry_refused(source, err);
	} else {
		(void)http_failed(
			registry->curl, code, &reply, source->host, taking.body.text, err);
		r = err_wrap(err, "get a token");
	}
	if (taking.body.text)
		explicit_bzero(taking.body.text, taking.body.n);
	free(taking.body.text);
	return r;
}

int registry_login(const struct registry *registry, struct source *source,
	const struct reply *reply, struct err *err)
{
	if (reply->challenge.kind != CHALLENGE_NONE)
		source->challenge = reply->challenge;
	source->logins++;
	if (source->challenge.kind == CHALLENGE_BEARER)
		return token_get(registry, source, err);
	if (source->challenge.kind == CHALLENGE_NONE || source->basic || !source->credentials.user)
		return registry_refused(source, err);
	source->basic = true;
	return 0;
}

bool registry_plain(struct arena *arena, struct source *source, CURLcode code)
{
	char *base;

	if (!source->plain_too ||
		(code != CURLE_SSL_CONNECT_ERROR && code != CURLE_COULDNT_CONNECT))
		return false;
	base = arena_printf(arena, "http%s", source->base + strlen("https"));
	if (!base)
		return false;
	source->plain_too = false;
	source->base = base;
	return true;
}

/* ---- manifests ---------------------------------------------------------------------------------- */

static void wait_for(uint64_t ns)
{
	struct timespec left = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (long)(ns % NSEC_PER_SEC) };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		continue;
}

/* Are these the bytes that were asked for, or that the registry says it sends? */
static int manifest_verify(const char *host, const char *which, const char *said,
	const struct body *body, struct err *err)
{
	struct digest_text is = digest_of(body->text, body->n);
	bool by_digest = strncmp(which, "sha256:", 7) == 0;

	if (by_digest ? strcmp(which, is.text) == 0
		      : !str_starts(said, "sha256:") || strcmp(said, is.text) == 0)
		return 0;
	return err_set(err, EBADMSG, "%s: the manifest that came is %s, not %s", host, is.text,
		by_digest ? which : said);
}

/* 1: ask again, at once or after a wait that is over; 0: it is there; or -errno. */
static int manifest_try(struct arena *arena, const struct registry *registry, struct source *source,
	const char *which, unsigned *tried, unsigned *logins, struct taking *taking,
	struct err *err)
{
	struct http_as as = registry_as(source);
	char url[URL_SIZE];
	struct reply reply;
	long redirects = 0;
	uint64_t wait;
	CURLcode code;

	(void)snprintf(url, sizeof url, "%s/v2/%s/manifests/%s", source->base,
		registry->ref->repository, which);
	taking->body.n = 0;
	if (taking->body.text)
		taking->body.text[0] = '\0';
	code = ask(registry, source, url, &as, NULL, taking, &reply);
	source->answered |= reply.status > 0;
	if (taking->over)
		return err_set(err, EFBIG, "%s: a manifest of more than %d MiB", source->host,
			MANIFEST_MAX >> 20);
	if (code == CURLE_OK && reply.status == 200)
		return taking->body.text
			       ? manifest_verify(
					 source->host, which, reply.digest, &taking->body, err)
			       : err_set(err, EPROTO, "%s: an empty manifest", source->host);
	if (registry_plain(arena, source, code))
		return 1;
	(void)curl_easy_getinfo(registry->curl, CURLINFO_REDIRECT_COUNT, &redirects);
	if (code == CURLE_OK && reply.status == 401 && redirects == 0) {
		int r = ++*logins > LOGINS_MAX ? registry_refused(source, err)
					       : registry_login(registry, source, &reply, err);

		return r < 0 ? r : 1;
	}
	if (http_may_pass(code, &reply) && *tried < registry->http->tries) {
		wait = http_wait(registry->curl, registry->http, (*tried)++);
		if (wait != NSEC_NEVER) {
			wait_for(wait);
			return 1;
		}
	}
	if (code == CURLE_OK && reply.status == 403)
		return registry_refused(source, err);
	return http_failed(registry->curl, code, &reply, source->host, taking->body.text, err);
}

int registry_manifest(struct arena *arena, const struct registry *registry, struct source *source,
	const char *which, struct body *ret, struct err *err)
{
	struct taking taking = { .limit = MANIFEST_MAX };
	unsigned tried = 0;
	unsigned logins = 0;
	int r = 1;

	while (r > 0)
		r = manifest_try(arena, registry, source, which, &tried, &logins, &taking, err);
	if (r < 0)
		free(taking.body.text);
	else
		*ret = taking.body;
	return r;
}
