/* The list that a packer hands over: three lines for each thing, what it is, its name, a path. */
#ifndef BERTH_IMAGES_WORKER_LIST_H
#define BERTH_IMAGES_WORKER_LIST_H

#include <stdio.h>

#include "supervisor/base/err.h"

/*
 * list_each - `put` for each thing, in their order
 *
 * Fails: -EINVAL for a list that is broken; what `put` gives, its words wrapped with kind and path.
 */
int list_each(FILE *list,
	int (*put)(
		void *data, const char *kind, const char *name, const char *path, struct err *err),
	void *data, struct err *err);

#endif
