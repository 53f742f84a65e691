/* Names of images: what people write, and the one form in which the store has them. Pure. */
#ifndef BERTH_IMAGES_REFERENCE_H
#define BERTH_IMAGES_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

/* A name in full is also a file's name in the store: with what a temporary file adds. */
enum { REFERENCE_SIZE = 248 };

/* May this be the name of an image: [REGISTRY/]PATH[:TAG][@DIGEST], of letters, digits and _.:@/- */
bool reference_valid(const char *text);

/*
 * reference_normalise - the name in full
 *
 * "web" is "localhost/web:latest"; a registry, a tag or a digest that is there stays. Beside a digest
 * a tag says nothing, and goes.
 * Gives: 0 and the name in ret (REFERENCE_SIZE bytes), or -EINVAL, or -ENAMETOOLONG.
 */
int reference_normalise(const char *text, char *ret);

/*
 * reference_pull - the name in full, as those have it who pull images
 *
 * A first part without a dot, a colon, and which is not "localhost", is no registry: the name is of
 * docker.io, where one of a single word is below library/. Else as reference_normalise.
 */
int reference_pull(const char *text, char *ret);

/* The 64 hex digits of the digest in a name in full; NULL: it has a tag. */
const char *reference_digest(const char *ref);

/* Are these 64 hex digits, in lower case, and is nothing after them? */
bool digest_valid(const char *text);

#endif
