/* A stretch of a file. */
#ifndef BERTH_IMAGES_WORKER_BLOB_H
#define BERTH_IMAGES_WORKER_BLOB_H

#include <stdint.h>

struct blob {
	int fd; /* may be shared with others */
	uint64_t offset, size;
};

#endif
