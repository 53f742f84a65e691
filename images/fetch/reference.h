/* The name of an image, as a registry takes it. */
#ifndef BERTH_IMAGES_FETCH_REFERENCE_H
#define BERTH_IMAGES_FETCH_REFERENCE_H

#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"

struct reference {
	const char *name;       /* all of it: docker.io/library/alpine:3.20 */
	const char *registry;   /* docker.io, registry.lan:5000 */
	const char *host;       /* where its interface is: registry-1.docker.io */
	const char *repository; /* library/alpine */
	const char *tag;        /* NULL when there is a digest */
	const char *digest;     /* sha256:…, or NULL */
};

/*
 * reference_parse - "[REGISTRY/]REPOSITORY[:TAG][@DIGEST]"
 *
 * As reference_pull has it in full. A digest wins over a tag. Strings are the arena's.
 * Fails: -EINVAL with words.
 */
int reference_parse(struct arena *arena, const char *text, struct reference *ret, struct err *err);

/*
 * reference_mirror - "http[s]://HOST[:PORT][/PATH]"
 *
 * Gives: HOST[:PORT], and the URL without slashes at its end. Fails: -EINVAL with words.
 */
int reference_mirror(struct arena *arena, const char *url, const char **ret_host,
	const char **ret_base, struct err *err);

/* digest_text_valid - "sha256:" and 64 of 0-9a-f: it becomes the name of a file. */
int digest_text_valid(const char *text);

#endif
