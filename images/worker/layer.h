/* One layer: from a blob in a source to a directory in overlay form. */
#ifndef BERTH_IMAGES_WORKER_LAYER_H
#define BERTH_IMAGES_WORKER_LAYER_H

#include "images/worker/image.h"
#include "images/worker/progress.h"
#include "images/worker/tree.h"
#include "images/worker/view.h"

struct layer_job {
	const struct view *view; /* the layer's own directory on top, which is empty */
	bool whiteouts;          /* it is a layer of an image (entries.h), not a tree of its own */
	uint64_t window;         /* stream.h */
	struct progress *progress;
};

/*
 * layer_apply - unpack the layer's blob
 *
 * Gives: the tree, counted; the layer's diff_id, where it was not told.
 * Fails: also when the blob's digest or the archive's is not the layer's; what was made stays.
 */
int layer_apply(const struct layer_job *job, struct image_layer *layer, struct tree_count *ret,
	struct err *err);

/*
 * layer_copy - the same from a tree in the directory `from`
 *
 * There is no archive that could have a digest: the tree's own takes the place of the diff_id. The
 * directory `avoid` is passed over when it lies below.
 */
int layer_copy(const struct layer_job *job, struct image_layer *layer, int from, int avoid,
	struct tree_count *ret, struct err *err);

#endif
