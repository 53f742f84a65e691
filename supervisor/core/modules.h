/* Kernel modules, loaded by ourselves: a bare host has no modprobe. */
#ifndef BERTH_CORE_MODULES_H
#define BERTH_CORE_MODULES_H

#include "supervisor/base/err.h"

/*
 * modules_load - a module and, before it, all that it depends on
 *
 * Reads /lib/modules/RELEASE/modules.dep, as depmod(8) writes it. Names may have - or _. Compressed
 * files are handed to the kernel as they are (finit_module with MODULE_INIT_COMPRESSED_FILE, 5.17).
 * Gives:  0 also when it is there already or built in. -ENOENT: there is no such module here, which
 *         may mean that it is built in. Blocks: on the disk.
 */
int modules_load(const char *name, struct err *err);

/* What berth's containers and networks need; each that is missing is the answer of `doctor`. */
void modules_load_all(void);

#endif
