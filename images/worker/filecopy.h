/* A whole file, copied and hashed in one go. */
#ifndef BERTH_IMAGES_WORKER_FILECOPY_H
#define BERTH_IMAGES_WORKER_FILECOPY_H

#include "images/worker/digest.h"
#include "images/worker/progress.h"

/* filecopy - from the beginning to the end, zeros as holes. Needs: `to` is empty. -ENOSPC, ... */
int filecopy(int from, int to, struct progress *progress, uint8_t ret[SHA256_DIGEST_SIZE],
	struct err *err);

#endif
