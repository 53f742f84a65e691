/*
 * The layer that is being written, the topmost of a view: what it takes from the layers below it,
 * and what it hides of them, in the form that overlayfs mounts.
 */
#ifndef BERTH_IMAGES_WORKER_UPPER_H
#define BERTH_IMAGES_WORKER_UPPER_H

#include "images/worker/view.h"

/*
 * upper_mkdirs - the directory `path`, which has no links in it, part by part
 *
 * What is missing here is made with the owner, mode, attributes and times that it has below, else
 * as 0755 of root. A part that is no directory makes room: then *ret_replaced, if it is not NULL,
 * becomes true.
 * Gives: an O_PATH descriptor. Fails: -errno with words.
 */
int upper_mkdirs(const struct view *view, const char *path, bool *ret_replaced, struct err *err);

/* upper_root - the top directory looks as it does below, where there is anything below. */
int upper_root(const struct view *view, struct err *err);

/*
 * upper_copy - what is not here but below, and is no directory, with all that belongs to it
 *
 * `dir` is the descriptor of the directory here, `from` what was found below.
 */
int upper_copy(int dir, const char *name, const struct view_found *from, struct err *err);

/*
 * upper_hide - what is below under `name` is not to be seen
 *
 * Needs: the directory, which is here too (dir->top). Gives: a whiteout; where a directory is here,
 *        an opaque one; nothing where nothing is below or what is here hides it already.
 */
int upper_hide(const struct view_dir *dir, const char *name, struct err *err);

/*
 * upper_opaque - nothing of the directory's content below is to be seen
 *
 * Where nothing is below, nothing is done. `root`: it is the layer's top directory, which overlayfs
 * merges whatever it says: each name is hidden instead.
 */
int upper_opaque(const struct view_dir *dir, bool root, struct err *err);

/* Which extended attributes of an image are kept: security.capability and user.*. */
bool upper_xattr_kept(const char *name);

#endif
