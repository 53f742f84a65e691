/* What the store writes down of a layer: one line of an image's file `layers`. */
#ifndef BERTH_IMAGES_WORKER_RECORD_H
#define BERTH_IMAGES_WORKER_RECORD_H

#include "images/worker/digest.h"
#include "images/worker/tree.h"

enum { RECORD_CHAIN = 32, RECORD_TEXT = 256 };

struct record {
	uint8_t chain_id[SHA256_DIGEST_SIZE];
	char chain[RECORD_CHAIN + 1]; /* its first digits: the name of the layer's directory */
	uint8_t diff_id[SHA256_DIGEST_SIZE];
	struct tree_count tree;
};

/* record_init - a layer on top of `below` (NULL: the lowest): the ChainID of the OCI image spec. */
void record_init(struct record *record, const struct record *below,
	const uint8_t diff_id[SHA256_DIGEST_SIZE]);

/* record_find - take `tree` from an image of the store that has the same layer: 0 or -ENOENT. */
int record_find(int images, struct record *record);

/* record_text - "CHAIN sha256:DIFFID BYTES ENTRIES sha256:TREE\n"; its length, below RECORD_TEXT. */
size_t record_text(const struct record *record, char ret[static RECORD_TEXT]);

#endif
