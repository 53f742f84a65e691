/* The shape of a root file system that is asked for. Plain data. */
#ifndef BERTH_IMAGES_ROOT_SPEC_H
#define BERTH_IMAGES_ROOT_SPEC_H

#include <stdbool.h>
#include <stdint.h>

enum root_kind {
	ROOT_NONE, /* a native service: the host's root */
	ROOT_DIR,  /* a directory */
	ROOT_TAR,  /* a plain or compressed tar archive, unpacked once per content under img/ */
};

struct root_spec {
	enum root_kind kind;
	const char *path;    /* absolute, on the host */
	bool readonly;       /* ReadOnly=: no upper layer, the root is mounted read-only */
	uint64_t upper_size; /* RootSize=: bytes of the tmpfs upper layer; 0: half of the memory */
};

#endif
