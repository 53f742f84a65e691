/* What an image is made of: manifests and indexes of OCI and docker. */
#ifndef BERTH_IMAGES_FETCH_MANIFEST_H
#define BERTH_IMAGES_FETCH_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "images/fetch/layout.h"
#include "images/fetch/reply.h"
#include "images/platform.h"

enum { MANIFEST_BLOBS_MAX = 1024 };

struct manifest {
	struct body body; /* as it came */
	struct digest_text digest;
	json_t *json;
	const char *type; /* its media type */
	bool index;       /* of manifests; else it is of one image */
};

/* Something that a manifest names. */
struct descriptor {
	const char *digest; /* valid */
	uint64_t size;
};

/*
 * manifest_read - what came, looked at
 *
 * Takes the body. What it is, is told by its content; its media type must not say otherwise.
 * Fails: -EINVAL, with words, when it is nothing that has an image of a container.
 */
int manifest_read(struct body body, struct manifest *ret, struct err *err);
void manifest_done(struct manifest *manifest);

/*
 * manifest_choose - the entry of an index that suits the machine best, the first of equals
 *
 * One without a platform is taken when no other suits. Fails: -ENOENT, with those that there are.
 */
int manifest_choose(const struct manifest *index, const struct platform *machine,
	struct descriptor *ret, struct err *err);

/*
 * manifest_blobs - the configuration, which is the first, and the layers, each once
 *
 * Gives: how many, at most MANIFEST_BLOBS_MAX. Fails: -EINVAL with words.
 */
int manifest_blobs(const struct manifest *image, struct descriptor *ret, struct err *err);

#endif
