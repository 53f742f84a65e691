/* Makes a program of a bundle available as a file that can be run. */
#ifndef BERTH_IMAGES_PROGRAM_H
#define BERTH_IMAGES_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "images/program_spec.h"
#include "supervisor/base/err.h"

/*
 * program_prepare - the path of the program, with the other files of its bundle beside it
 *
 * One of the host that spec->host names comes first, then the bundle.
 *
 * A bundle of the running file is extracted by berth-worker (an exec, waited for), once for each
 * content, into STATE_DIR/bundles/NAME-TAG, mode 0500; into RUN_DIR/bundles where that cannot be
 * written or nothing can be executed. The first time after boot what lies there is compared with its
 * digests, and mended; RUN_DIR/bundles/NAME.compared says that it was. Older contents of the same bundle go,
 * but for those that a process runs from.
 *
 * Blocks: on the disk, and on another who extracts the same. Gives: the path in ret (size bytes).
 * Fails:  with the worker's words when the running file is damaged; a power cut or a kill at any
 *         instruction leaves nothing that would be taken for whole.
 */
int program_prepare(const struct program_spec *spec, const char *state_dir, const char *run_dir,
	const char *worker, char *ret, size_t size, struct err *err);

/* Removes what was extracted of bundles that nobody names any more, but for what a process runs from.
 * Blocks: on the disk. */
void program_forget(const char *state_dir, const char *run_dir,
	bool (*is_named)(const char *bundle, const void *data), const void *data);

#endif
