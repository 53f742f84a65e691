/* Paths below a root that somebody hostile may be changing. Every path is resolved once, by
 * openat2(2), and only the descriptor is used afterwards. */
#ifndef BERTH_BASE_PATH_H
#define BERTH_BASE_PATH_H

#include <sys/types.h>

struct err;

/*
 * path_open_in - open a path as if `rootfd` were "/"
 *
 * Symbolic links are followed but cannot leave the root (RESOLVE_IN_ROOT); magic links are
 * refused. EAGAIN (a rename raced us, openat2(2)) is tried again. Kernel 5.6.
 * Gives: a descriptor (close-on-exec is added to flags), or -errno, without words.
 */
int path_open_in(int rootfd, const char *path, int flags, mode_t mode);

/* path_open_on_mount - the same, and -EXDEV when the path leaves the mount that rootfd is on. */
int path_open_on_mount(int rootfd, const char *path, int flags);

/* path_open_beneath - the same for paths that must be plain: no links at all, no way up. */
int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode);

/* path_open_child - one name (without a slash) of a directory: a link is not followed (O_PATH opens it
 * itself), and -EXDEV when something is mounted there. */
int path_open_child(int dirfd, const char *name, int flags);

/*
 * path_mkdirs_in - the directory `path` below the root, made part by part where it is missing
 *
 * Gives: an O_PATH descriptor of the directory. "..", an existing part that is not a directory, and
 *        a dangling link fail (-ENOTDIR, -ENOENT, -EINVAL); a link that leads to a directory inside
 *        the root is followed. Nothing outside the root is ever created (CVE-2024-45310).
 */
int path_mkdirs_in(int rootfd, const char *path, mode_t mode, struct err *err);

/* path_touch_in - like path_mkdirs_in for a file: parents are made, then the file (0644, empty). */
int path_touch_in(int rootfd, const char *path, struct err *err);

/* path_mkdirs - mkdir -p on the host for trusted paths; 0 or -errno. */
int path_mkdirs(const char *path, mode_t mode);

/*
 * path_remove_tree - rm -rf of one name (without a slash) in a directory
 *
 * By descriptors, links are removed and not followed. 0, also when it is not there, or -errno
 * (-ELOOP: deeper than 512 directories). Needs: nothing is mounted below it.
 */
int path_remove_tree(int dirfd, const char *name);

/* fd_path - "/proc/self/fd/N" for calls that only take a path. */
struct fd_path {
	char text[32];
};
struct fd_path fd_path(int fd);

#endif
