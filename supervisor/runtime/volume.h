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
 * volume_ensure - the directory of a named volume exists, and is filled
 *
 * Gives: its descriptor, with a shared flock: while somebody holds that, the volume is not removed. A
 *        new volume is made with the spec's mode and owner; with copy_up what the image has at the
 *        target is copied into one that is new or empty. What was cut off, by SIGKILL or a power
 *        failure, is thrown away or finished: no container sees half of it. Several at a time may ask
 *        for the same volume. With chown: everything in it belongs to the user.
 */
int volume_ensure(
	const struct mount_spec *mount, int rootfd, const struct ids *ids, struct err *err);

/* volume_make - a new volume, empty or with copy_up filled, or nothing when it is there already: built
 * under another name beside it, synced, renamed. rootfd may be -1 without copy_up. */
int volume_make(const struct mount_spec *mount, int rootfd, struct err *err);

/*
 * volume_remove - a volume and all that is in it goes
 *
 * Renamed first, so that at every instruction it is there wholly or not at all; what is left of a
 * removal that was cut off is not a volume, and volume_sweep takes it.
 * Fails: -EBUSY when a container is being made of it; -ENOENT; with words.
 */
int volume_remove(const char *path, struct err *err);

/* volume_sweep - what builders and removals that were cut off have left in the directory of the volumes
 * is removed; what somebody is still at is left alone. 0, also when there is no such directory. */
int volume_sweep(const char *volumes, struct err *err);

/* volume_fill - what the image has at `target` is copied into the directory `dirfd`; with_owner: also
 * the mode and owner of the directory itself. An image that has nothing there leaves it empty, and so
 * does one where a link there leads to its root. */
int volume_fill(int rootfd, const char *target, int dirfd, bool with_owner);

/* volume_chown - everything below `path` belongs to the container's user (:U): see tree_chown. */
int volume_chown(const char *path, const struct ids *ids, struct err *err);

/* volume_stage_file - a private copy (mode, uid, gid of the spec) of a host file, as a detached
 * mount; the copy lives in memory and dies with the container. Gives the mount's descriptor. */
int volume_stage_file(const char *run_dir, const struct mount_spec *mount, struct err *err);

/* volume_shared_text - RUN_DIR/etc/NAME with this content, for all who share it
 *
 * A name that is NULL is chosen by the content. One that is given may have had another content: it is
 * changed in place, so all who have it mounted see that. */
int volume_shared_text(const char *run_dir, const char *name, const char *text, char *ret_path,
	size_t size, struct err *err);
/* The same of one that may not be there: then nothing is made. 0 or -errno. */
int volume_text_refresh(const char *run_dir, const char *name, const char *text);

#endif
