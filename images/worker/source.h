/* Where an image comes from: a directory or an archive whose members are found by name. */
#ifndef BERTH_IMAGES_WORKER_SOURCE_H
#define BERTH_IMAGES_WORKER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "images/worker/blob.h"
#include "supervisor/base/err.h"

struct source {
	int dir; /* of a layout; -1: none */
};

/* source_has - is there a file of that name. */
bool source_has(const struct source *source, const char *name);

/*
 * source_find - the file `name`
 *
 * Gives: a blob with a descriptor of its own, the caller's. Fails: -ENOENT. Links are not followed.
 */
int source_find(const struct source *source, const char *name, struct blob *ret, struct err *err);

/* blob_load - a small blob as it is; the text is the caller's to free. -EFBIG above JSON_SIZE_MAX. */
int blob_load(const struct blob *blob, char **ret, struct err *err);

#endif
