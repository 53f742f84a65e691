/* What containers keep and share: volumes, secrets, the small files of /etc. For the builder, which
 * may block and whose mount namespace is its own. */
#ifndef BERTH_RUNTIME_VOLUME_H
#define BERTH_RUNTIME_VOLUME_H

#include <stdbool.h>
#include <stddef.h>

#include "config/spec.h"
#include "supervisor/base/err.h"
#include "supervisor/runtime/users.h"

/*
 * volume_ensure - the directory of a named volume exists
 *
 * Gives: a new one made with the spec's mode and owner; with copy_up what the image has at the
 *        target is copied into it while it is new. A copy that was cut off by a power failure is
 *        removed and made again (it is built beside, then renamed). With chown: see volume_chown.
 */
int volume_ensure(
	const struct mount_spec *mount, int rootfd, const struct ids *ids, struct err *err);

/* volume_fill - what the image has at `target` is copied into the directory `dirfd`; with_mode: also
 * the mode and owner of the directory itself. An image that has nothing there leaves it empty. */
int volume_fill(int rootfd, const char *target, int dirfd, bool with_mode);

/* volume_chown - everything below `path` belongs to the container's user (:U); links not followed. */
int volume_chown(const char *path, const struct ids *ids, struct err *err);

/* volume_stage_file - a private copy (mode, uid, gid of the spec) of a host file, as a detached
 * mount; the copy lives in memory and dies with the container. Gives the mount's descriptor. */
int volume_stage_file(const char *run_dir, const struct mount_spec *mount, struct err *err);

/* volume_shared_text - RUN_DIR/etc/HASH with this content, made if it is not there yet. */
int volume_shared_text(
	const char *run_dir, const char *text, char *ret_path, size_t size, struct err *err);

#endif
