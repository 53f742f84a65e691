/* The blobs of an image, several at once: kept on the way, gone on with, tried again, verified. */
#ifndef BERTH_IMAGES_FETCH_BLOBS_H
#define BERTH_IMAGES_FETCH_BLOBS_H

#include "images/fetch/layout.h"
#include "images/fetch/manifest.h"
#include "images/fetch/registry.h"

/*
 * blobs_fetch - get what is not there yet
 *
 * A blob that is cut off goes on where it was, also in a later run; what the digest contradicts is
 * thrown away, and asked of the next source; `first` is the first to be asked. Progress is said on
 * standard output, a line "DONE TOTAL fetch" at most ten times a second.
 * Blocks: until all are there. Fails: with words; what is there stays.
 */
int blobs_fetch(struct arena *arena, const struct registry *registry, const struct layout *layout,
	const struct descriptor *list, size_t n, size_t first, unsigned parallel, struct err *err);

#endif
