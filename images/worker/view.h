/* What layers look like together, without a mount: the rules of overlayfs, in user space. */
#ifndef BERTH_IMAGES_WORKER_VIEW_H
#define BERTH_IMAGES_WORKER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "supervisor/base/err.h"

#define VIEW_OPAQUE "trusted.overlay.opaque"

/* As many lower layers as overlayfs mounts; and, on the way to one directory, links gone through and
 * directories. */
enum { VIEW_LAYERS_MAX = 500, VIEW_LINKS_MAX = 40, VIEW_DEPTH_MAX = 255, VIEW_PATH_SIZE = 4096 };

/* The directories of layers in overlay form, the lowest first. Not ours to close. */
struct view {
	int layers[VIEW_LAYERS_MAX];
	size_t n;
};

/* One directory of the view: what it is in each layer that has a part in it, the topmost first. */
struct view_dir {
	int parts[VIEW_LAYERS_MAX];
	size_t n;
	bool top; /* the first of them is in the view's topmost layer */
};

/* What a name is in a directory of the view. */
struct view_found {
	int dir; /* the part that has it; belongs to the view_dir */
	bool top;
	struct stat st;
};

/* view_add - one more layer, on top of the others; -E2BIG when there are too many. */
int view_add(struct view *view, int layer, struct err *err);

/* The directory at the top of all. Give it back with view_dir_done, as all of them. */
int view_root(const struct view *view, struct view_dir *ret);
/* From a directory to one in it: 0, or -errno (-ENOENT, -ENOTDIR), and then it is done with. */
int view_enter(struct view_dir *dir, const char *name);
/* The directory `path`, which has no links in it. */
int view_open(const struct view *view, const char *path, struct view_dir *ret);
void view_dir_done(struct view_dir *dir);

/* view_look - what `name` is here: 0, or -ENOENT, also where it is hidden. */
int view_look(const struct view_dir *dir, const char *name, struct view_found *ret);
/* The same without the topmost layer: what that one would hide. */
int view_look_below(const struct view_dir *dir, const char *name, struct view_found *ret);

/*
 * view_resolve - the path without links
 *
 * Links are followed as if the view were "/": an absolute target begins there, ".." ends there.
 * What is missing, or lies below something that is no directory, stays as it is written.
 * Fails: -ELOOP after VIEW_LINKS_MAX links, -ENAMETOOLONG.
 */
int view_resolve(const struct view *view, const char *path, char ret[static VIEW_PATH_SIZE]);

/* A character device 0:0: the name is hidden from here on down. */
bool view_is_whiteout(const struct stat *st);

#endif
