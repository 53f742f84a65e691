/* Detached mounts, and putting them in their place by descriptor: no path is resolved twice. */
#ifndef BERTH_RUNTIME_MOUNTS_H
#define BERTH_RUNTIME_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* A parameter of fsconfig(2): value NULL is a flag. */
struct mount_option {
	const char *key;
	const char *value;
};

/*
 * mount_new - a new file system, mounted nowhere yet (fsopen, fsconfig, fsmount: Linux 5.2)
 *
 * `attributes`: MOUNT_ATTR_*. Gives: a mount descriptor. Fails with the kernel's own words where the
 * context's log has some. -ENODEV: this kernel has no such file system.
 */
int mount_new(const char *type, const struct mount_option *options, size_t n, uint64_t attributes,
	struct err *err);

/* mount_new_sloppy - the same, without the options that the type does not know. */
int mount_new_sloppy(const char *type, const struct mount_option *options, size_t n,
	uint64_t attributes, struct err *err);

/* mount_clone - a detached bind of what `fd` shows (open_tree); -errno without words. */
int mount_clone(int fd, bool recursive);

/* mount_set - MOUNT_ATTR_* and, when not 0, MS_PRIVATE|MS_SLAVE|MS_SHARED (mount_setattr: 5.12). */
int mount_set(int mount_fd, uint64_t attributes, uint64_t propagation, bool recursive);

/* mount_attach - mount it over what `target_fd` (O_PATH) shows (move_mount). */
int mount_attach(int mount_fd, int target_fd);

#endif
