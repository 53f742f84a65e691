/* An image as a source has it: its configuration, and its layers, none of them read yet. */
#ifndef BERTH_IMAGES_WORKER_IMAGE_H
#define BERTH_IMAGES_WORKER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/worker/blob.h"
#include "images/worker/digest.h"
#include "images/worker/json.h"
#include "images/platform.h"
#include "images/worker/source.h"

struct image_layer {
	struct blob blob; /* its descriptor is its own */
	bool digested;    /* the source says what the blob's digest is */
	uint8_t digest[SHA256_DIGEST_SIZE];
	bool told; /* the configuration says what diff_id is; else it is what comes out */
	uint8_t diff_id[SHA256_DIGEST_SIZE]; /* of the tar archive in it */
};

struct image {
	char *config; /* the bytes of the configuration; NULL: there is none */
	size_t config_size;
	json_t *old; /* what a docker-archive of old says instead */
	bool tree;   /* the only layer is a tree of its own: no whiteouts, no configuration */
	uint8_t id[SHA256_DIGEST_SIZE];
	struct image_layer *layers; /* the lowest first */
	size_t n;
	char *names; /* one a line; NULL: none */
};

/* Which of several images is meant. */
struct image_wanted {
	struct platform platform;
	const char *ref; /* NULL: the only one */
};

/* The zero value may be given back too. */
void image_done(struct image *image);

/* image_name_add - one more name; what is not a plain line is passed over. 0 or -ENOMEM with words. */
int image_name_add(struct image *image, const char *name, struct err *err);

/*
 * image_config - take the configuration over, and what it says of the layers
 *
 * Needs: image->n layers. Gives: image->id and each layer's diff_id.
 * Fails: -EINVAL for a rootfs that is not made of layers, another number of diff_ids than layers.
 */
int image_config(struct image *image, char *text /* taken */, size_t n, struct err *err);

/* image_config_old - make the configuration of image->old, once each layer's diff_id is known. */
int image_config_old(struct image *image, struct err *err);

#endif
