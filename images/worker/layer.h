/* One layer: from a blob in a source to a directory in overlay form. */
#ifndef BERTH_IMAGES_WORKER_LAYER_H
#define BERTH_IMAGES_WORKER_LAYER_H

#include "images/worker/image.h"
#include "images/worker/progress.h"
#include "images/worker/tree.h"
#include "images/worker/view.h"

/*
 * layer_apply - unpack the blob into the topmost directory of the view, which is empty
 *
 * `whiteouts`: the archive is a layer of an image (entries.h), not a tree of its own.
 * Gives: the tree, counted; ret_plain, if not NULL, the digest of the archive in the blob.
 * Fails: also when the blob's digest or the archive's is not the layer's; what was made stays.
 */
int layer_apply(const struct image_layer *layer, const struct view *view, bool whiteouts,
	struct progress *progress, struct tree_count *ret, uint8_t *ret_plain, struct err *err);

#endif
