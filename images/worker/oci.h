/* An image in the form of an OCI image layout. */
#ifndef BERTH_IMAGES_WORKER_OCI_H
#define BERTH_IMAGES_WORKER_OCI_H

#include "images/worker/image.h"

/*
 * oci_open - find the image that is wanted, by way of indexes that may lie in each other
 *
 * Digest and size of every document on the way are compared before it is read; those of the layers
 * are the importer's to compare. Entries of kinds that are not known are passed over, as are
 * attestations. Of those for the platform the first of the best wins.
 * Gives: *ret, for image_done also after a failure.
 * Fails: -ENOENT with what there is instead; -EINVAL for what is broken.
 */
int oci_open(const struct source *source, const struct image_wanted *wanted, struct image *ret,
	struct err *err);

#endif
