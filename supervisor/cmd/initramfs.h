/* An appliance file as what a kernel boots: `berth pack --initramfs`. */
#ifndef BERTH_CMD_INITRAMFS_H
#define BERTH_CMD_INITRAMFS_H

#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"
#include "supervisor/base/str.h"

struct initramfs {
	const char *appliance; /* becomes /init */
	const char *worker;    /* what its payload runs: its libraries go along */
	const char *fetch;     /* the same; NULL: it has none */
	const char
		*kernel; /* NULL: not said, so there are no modules unless `modules` says where */
	const char *modules; /* lib/modules/RELEASE of the kernel; NULL: found by the kernel */
	const char *sysroot; /* where libraries are; "": this machine's */
	struct strv more;    /* names of further modules, loaded at boot */
	const char *tmp;     /* a directory for what is made on the way */
	const char *out;     /* the archive; must not exist */
	char release[128];   /* given: of the kernel whose modules are in it; "": none */
};

/*
 * initramfs_make - the archive, by berth-worker
 *
 * Gives: a cpio archive with /init, the libraries it needs, modules, /dev/console and /dev/null; the
 *        same input gives the same bytes. Blocks: on the disk.
 * Fails: with words for a library or a module that is not there.
 */
int initramfs_make(struct initramfs *in, struct arena *arena, struct err *err);

#endif
