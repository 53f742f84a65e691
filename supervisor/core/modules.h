/* Kernel modules, loaded by ourselves: a bare host has no modprobe. */
#ifndef BERTH_CORE_MODULES_H
#define BERTH_CORE_MODULES_H

#include <stdio.h>

#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"
#include "supervisor/base/str.h"

/*
 * modules_load - a module and, before it, all that it depends on
 *
 * Reads /lib/modules/RELEASE/modules.dep, as depmod(8) writes it. Names may have - or _. Compressed
 * files are handed to the kernel as they are (finit_module with MODULE_INIT_COMPRESSED_FILE, 5.17).
 * Gives:  0 also when it is there already or built in. -ENOENT: there is no such module here, which
 *         may mean that it is built in. Blocks: on the disk.
 */
int modules_load(const char *name, struct err *err);

/* What berth's containers and networks need, then what files of this directory name, as
 * modules-load.d(5) has it; each that is missing is the answer of `doctor`. */
#define MODULES_LOAD_DIR "/etc/modules-load.d"
void modules_load_all(void);

/*
 * modules_closure - the module files that modules_load_all wants of a kernel, and `more`, by name
 *
 * Needs: `dir`: lib/modules/RELEASE of that kernel, with modules.dep.
 * Gives: paths below `dir`, each once, in the order of the alphabet; they live in the arena. What berth
 *        wants and the kernel has not is left away, for it may be built in.
 * Fails: -ENOENT for one of `more` that is not there, and for no modules.dep. Blocks: on the disk.
 */
int modules_closure(const char *dir, const struct strv *more, struct arena *arena, struct strv *ret,
	struct err *err);

/* modules_write_dep - modules.dep for these files alone, their names without a compression's ending. */
int modules_write_dep(const char *dir, const struct strv *files, FILE *out, struct err *err);

#endif
