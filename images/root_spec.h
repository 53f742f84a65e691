/* The shape of a root file system that is asked for. Plain data. */
#ifndef BERTH_IMAGES_ROOT_SPEC_H
#define BERTH_IMAGES_ROOT_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/base/str.h"

enum root_kind {
	ROOT_NONE,   /* a native service: the host's root */
	ROOT_DIR,    /* a directory */
	ROOT_TAR,    /* a plain or compressed tar archive, unpacked once per content under img/ */
	ROOT_FILE,   /* an erofs or squashfs image in a file, mounted once per content under img/ */
	ROOT_LAYERS, /* an image of the store: some of the directories in its layers/ */
};

/* How long what the container writes is kept. */
enum root_persist {
	PERSIST_NO,        /* each start begins with the image */
	PERSIST_BOOT,      /* in memory, until the machine ends, or berth with all its containers */
	PERSIST_PERMANENT, /* on the disk, until somebody removes it */
};

/* When the digest of an image in an appliance file is compared. */
enum root_verify {
	VERIFY_ONCE,   /* once for each boot and file, before it is mounted */
	VERIFY_ALWAYS, /* before each start too */
	VERIFY_NEVER,
};

struct root_spec {
	enum root_kind kind;
	const char *path;    /* absolute, on the host; ROOT_LAYERS: the store's layers/ */
	struct strv layers;  /* ROOT_LAYERS: names in there, the lowest first */
	const char *id;      /* of an image of the store, 64 hex digits; else NULL */
	const char *image;   /* the reference that was asked for; NULL: Rootfs= */
	const char *archive; /* the name in the store of what was imported from a file; else NULL */
	const char *config;  /* the OCI image configuration that was read; NULL: there was none */
	bool readonly;       /* ReadOnly=: no upper layer, the root is mounted read-only */
	uint64_t upper_size; /* RootSize=: bytes of the tmpfs upper layer; 0: half of the memory */
	enum root_persist persist;
	const char *upper_dir; /* where the upper layer is kept; NULL with PERSIST_NO */

	/* ROOT_FILE: where in the file. A length of 0: to its end. */
	uint64_t offset, length;
	const char
		*tag; /* in an appliance or the store: 16 digits that name the content; else NULL */
	enum root_verify verify;
};

#endif
