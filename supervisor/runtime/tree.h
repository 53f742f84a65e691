/* Trees of files by descriptors: what somebody hostile may be changing meanwhile. No link is ever
 * followed, no mount point crossed. For processes that may block. */
#ifndef BERTH_RUNTIME_TREE_H
#define BERTH_RUNTIME_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct stat;

/*
 * tree_copy - what is in the directory `from` is made anew in the directory `to`
 *
 * Files, directories and links, with owner, mode, times and extended attributes (user.*, ACLs,
 * capabilities); devices, sockets and FIFOs are left out. `to` itself is not changed but for its
 * content. Needs: both opened for reading; nothing of these names in `to`.
 * Fails: -errno of the first call that failed, -ELOOP deeper than 256 directories; what was made stays.
 */
int tree_copy(int from, int to);

/* tree_copy_owner - owner, mode and extended attributes of one directory. */
int tree_copy_owner(int from, int to);

/*
 * tree_chown - the directory `fd` and everything below it belongs to uid and gid
 *
 * What belongs to them already is not touched. What is mounted below is left alone.
 * Needs: fd opened for reading. Fails: as tree_copy.
 */
int tree_chown(int fd, uint32_t uid, uint32_t gid);

/* tree_is_empty - 1 when nothing is in the directory but names for which `ignored` says so (it may
 * be NULL); 0; or -errno. */
typedef bool tree_ignored_fn(const char *name);
int tree_is_empty(int fd, tree_ignored_fn *ignored);

#endif
