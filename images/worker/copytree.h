/* A tree in a directory, as entries for the applier. */
#ifndef BERTH_IMAGES_WORKER_COPYTREE_H
#define BERTH_IMAGES_WORKER_COPYTREE_H

#include "images/worker/apply.h"
#include "images/worker/progress.h"

/*
 * copytree - all that is below the directory `from`
 *
 * What is mounted there stays outside: its mount point comes out empty. `avoid` is a directory that
 * is passed over when it lies below. Sockets and devices are passed over.
 * Fails: -errno with "entry PATH: WHY".
 */
int copytree(int from, int avoid, struct apply *apply, struct progress *progress, struct err *err);

#endif
