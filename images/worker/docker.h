/* An image as `docker save` writes it. */
#ifndef BERTH_IMAGES_WORKER_DOCKER_H
#define BERTH_IMAGES_WORKER_DOCKER_H

#include "images/worker/image.h"

/*
 * docker_open - the image that is wanted, found by manifest.json
 *
 * docker_open_old - the same from before there was one: `repositories` names the topmost layer's
 * directory, in which `json` names the next below. Nothing in there is digested, and there is no
 * configuration but what the topmost layer says of it: one is made of that, by image_config_old.
 *
 * Give: *ret, for image_done also after a failure. Fail: as oci_open.
 */
int docker_open(const struct source *source, const struct image_wanted *wanted, struct image *ret,
	struct err *err);
int docker_open_old(const struct source *source, const struct image_wanted *wanted,
	struct image *ret, struct err *err);

#endif
