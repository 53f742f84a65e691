/* Assembles a container's root file system. Called by the builder, in a mount namespace of its own. */
#ifndef BERTH_IMAGES_ROOTFS_H
#define BERTH_IMAGES_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>

#include "images/root_spec.h"
#include "supervisor/base/err.h"

/*
 * rootfs_prepare - the lower directory of a root, made available
 *
 * ROOT_DIR: checked to be a directory. ROOT_LAYERS: the store's layers/, as it is. ROOT_FILE: mounted
 * at IMG_DIR/HASH, in the caller's mount namespace, after its digest was compared (by berth-worker,
 * where the spec says so), or unpacked at IMG_DIR/HASH.made where the kernel has no way to mount it;
 * another content of the same name is unmounted, which its users do not notice. ROOT_TAR: unpacked by
 * berth-worker (an exec, waited for) into IMG_DIR/HASH (hash of device, inode, size, mtime and path),
 * once; a half-made one is never used (tmp name + rename) and a stale one is removed, unless it is
 * still some container's root or was handed out in the last minute. img_dir is made, 0700. The worker
 * is killed when the caller dies. PERSIST_BOOT: a tmpfs of upper_size is mounted at upper_dir, unless
 * there is one.
 * Blocks: for as long as unpacking takes, here or in another builder. Gives: the path in ret (size
 *         bytes).
 * Fails:  -EINVAL with the worker's words for a bad archive; nothing half-made is left.
 */
int rootfs_prepare(const struct root_spec *spec, const char *img_dir, const char *worker, char *ret,
	size_t size, struct err *err);

/*
 * rootfs_ready - need nothing be prepared?
 *
 * Gives: true and the path, for a directory, for layers of the store, and for an image of an appliance
 *        or the store that is mounted already and not to be verified each time; with PERSIST_BOOT once
 *        its tmpfs is there. Blocks: no longer than a look at a local mount.
 */
bool rootfs_ready(const struct root_spec *spec, const char *img_dir, char *ret, size_t size);

/*
 * rootfs_mount - mount the root at `where`, an existing directory
 *
 * Needs: a private mount namespace (mounts must not propagate).
 * Gives: overlay(lower layers, upper), or, when spec->readonly, a recursive read-only bind or an
 *        overlay of the layers alone; never the lower itself writable, always nodev. The upper layer is
 *        a tmpfs of upper_size, on which the overlay stands and which a pivot into it leaves behind, or
 *        lies in upper_dir, which is made. Unmounting is by leaving the namespace.
 * Fails: with nothing mounted. Needs /proc.
 */
int rootfs_mount(
	const struct root_spec *spec, const char *lower, const char *where, struct err *err);

/* The tmpfs of an upper layer, mounted at `where`: for rootfs_prepare. */
int rootfs_upper_mount(uint64_t size, const char *where, struct err *err);

#endif
