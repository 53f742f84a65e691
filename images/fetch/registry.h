/* Who has the image: mirrors in their order, then the registry itself; logging in, and manifests. */
#ifndef BERTH_IMAGES_FETCH_REGISTRY_H
#define BERTH_IMAGES_FETCH_REGISTRY_H

#include "images/fetch/credentials.h"
#include "images/fetch/http.h"
#include "images/fetch/reference.h"
#include "supervisor/base/str.h"

enum { MANIFEST_MAX = 4 * 1024 * 1024 };

struct source {
	const char *host; /* HOST[:PORT] */
	const char *base; /* SCHEME://HOST[:PORT][/PATH]: before /v2/ */
	bool plain_too;   /* try http where there is no https */
	struct certs certs;
	struct credentials credentials;
	struct challenge challenge; /* the last that it asked with */
	char *token;                /* of a bearer */
	bool basic;                 /* it wants user and password with each request */
	unsigned logins;            /* how often we did */
	bool answered;              /* it was reached, whatever it said */
};

struct registry {
	const struct http *http;
	const struct reference *ref;
	struct source *sources; /* the last is the registry itself */
	size_t n;
	CURL *curl; /* for one request at a time */
};

/* Files that are read before anything is asked; each may be NULL. */
struct registry_files {
	const char *auth;
	const char *cert_dir, *ca;
	const char *creds; /* "USER:PASSWORD": goes before what the auth files say */
};

/*
 * registry_open - find out whom to ask, and read what is on the disk about them
 *
 * Nothing is asked yet. `mirrors` are URLs. What is given must outlive the registry.
 * Fails: with words.
 */
int registry_open(struct arena *arena, const struct http *http, const struct reference *ref,
	const struct strv *mirrors, const struct registry_files *files, struct registry *ret,
	struct err *err);
void registry_done(struct registry *registry);

/* As whom to ask a source now. */
struct http_as registry_as(const struct source *source);

/*
 * registry_login - do what a 401 asks for
 *
 * Blocks: for one request.
 * Fails: -EACCES when there is nothing (more) that we could show; as http_failed.
 */
int registry_login(const struct registry *registry, struct source *source,
	const struct reply *reply, struct err *err);

/* The words for a source that lets us in with nothing that we have. */
int registry_refused(const struct source *source, struct err *err);

/* registry_plain - there is no https: is http to be tried? If so, the source has changed to it. */
bool registry_plain(struct arena *arena, struct source *source, CURLcode code);

/*
 * registry_manifest - a manifest or an index, by tag or digest
 *
 * Blocks: until it is there, with tries and waits. Gives: its bytes, whose digest is what was asked
 *         for, or what the registry says it is.
 * Fails: with words; -ENOENT when the source does not have it.
 */
int registry_manifest(struct arena *arena, const struct registry *registry, struct source *source,
	const char *which, struct body *ret, struct err *err);

#endif
