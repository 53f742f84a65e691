/* From whatever people have to layers in overlay form and an image of the store. */
#ifndef BERTH_IMAGES_WORKER_IMPORT_H
#define BERTH_IMAGES_WORKER_IMPORT_H

#include "images/worker/image.h"

struct import {
	struct image_wanted wanted;
	int source;      /* a directory, a file or a pipe, open for reading */
	int dir;         /* an empty directory */
	int layers;      /* the store's layers, and ... */
	int images;      /* ... its images; -1: none */
	uint64_t window; /* bytes that a decoder may look back */
};

/*
 * import_run - verify and unpack all of it
 *
 * Gives in `dir`:
 *	layers/C/       the layers that are not in the store, overlayfs' form; C: chain_name
 *	image/          config.json, and layers: "C sha256:DIFFID BYTES ENTRIES sha256:TREE" a line;
 *	                of a bare tree only layers, of a file system image only root.img
 *	id              "sha256:ID": of config.json; of a bare tree the DIFFID, of root.img its digest
 *	names           the references that the source has, one a line
 * Nothing is synced. Fails: nothing in `dir` is to be trusted then.
 */
int import_run(const struct import *import, struct err *err);

#endif
