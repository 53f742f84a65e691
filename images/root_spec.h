/* The shape of a root file system that is asked for. Plain data. */
#ifndef BERTH_IMAGES_ROOT_SPEC_H
#define BERTH_IMAGES_ROOT_SPEC_H

#include <stdbool.h>
#include <stdint.h>

enum root_kind {
	ROOT_NONE, /* a native service: the host's root */
	ROOT_DIR,  /* a directory */
	ROOT_TAR,  /* a plain or compressed tar archive, unpacked once per content under img/ */
	ROOT_FILE, /* an erofs or squashfs image in a file, mounted once per content under img/ */
};

/* When the digest of an image in an appliance file is compared. */
enum root_verify {
	VERIFY_ONCE,   /* before it is mounted, which happens once for each boot and content */
	VERIFY_ALWAYS, /* before each start too */
	VERIFY_NEVER,
};

struct root_spec {
	enum root_kind kind;
	const char *path;    /* absolute, on the host */
	const char *image;   /* the reference that was asked for; NULL: Rootfs= */
	const char *config;  /* the OCI image configuration that was read; NULL: there was none */
	bool readonly;       /* ReadOnly=: no upper layer, the root is mounted read-only */
	uint64_t upper_size; /* RootSize=: bytes of the tmpfs upper layer; 0: half of the memory */

	/* ROOT_FILE: where in the file. A length of 0: to its end. */
	uint64_t offset, length;
	const char *tag; /* in an appliance file: 16 digits that name the content; else NULL */
	enum root_verify verify;
};

#endif
