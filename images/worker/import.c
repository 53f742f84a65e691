#include "images/worker/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/worker/docker.h"
#include "images/worker/filecopy.h"
#include "images/worker/layer.h"
#include "images/worker/oci.h"
#include "images/worker/record.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

/* ---- what is written beside the layers ---------------------------------------------------------- */

static int file_put(int dir, const char *name, const char *text, size_t n, struct err *err)
{
	own_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : write_full(fd, text, n);

	return r < 0 ? err_sys(err, -r, "write %s", name) : 0;
}

static int dir_make(int dir, const char *name, struct err *err)
{
	int fd;

	if (mkdirat(dir, name, 0755) < 0)
		return err_sys(err, errno, "make the directory %s", name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", name) : fd;
}

static int id_put(int dir, const struct image *image, struct err *err)
{
	char text[sizeof "sha256:\n" + DIGEST_HEX] = "sha256:";
	const char *names = image->names ? image->names : "";
	int r;

	digest_hex(image->id, text + sizeof "sha256:" - 1);
	text[sizeof text - 2] = '\n';
	r = file_put(dir, "id", text, sizeof text - 1, err);
	return r < 0 ? r : file_put(dir, "names", names, strlen(names), err);
}

/* ---- layers ------------------------------------------------------------------------------------- */

struct importing {
	const struct import *import;
	const struct source *source;
	struct image *image;
	int layers; /* dir/layers */
	struct record *records;
	int *fds; /* of the layers' directories, ... */
	size_t n; /* ... of which so many are set */
	struct view view;
	struct progress progress;
};

/* Its name hangs on its content, which may not be known before it was unpacked. */
static const char new_name[] = "new";

static int layer_name(struct importing *it, size_t i, struct err *err)
{
	struct record *record = &it->records[i];
	struct tree_count tree = record->tree;
	own_fd known = -1;
	int r;

	record_init(record, i ? &it->records[i - 1] : NULL, it->image->layers[i].diff_id);
	record->tree = tree;
	known = openat(
		it->import->layers, record->chain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (known >= 0) {
		/* The view goes on with the one that stays. */
		r = dup3(known, it->fds[i], O_CLOEXEC) < 0 ? -errno : 0;
		if (r == 0)
			r = path_remove_tree(it->layers, new_name);
		return r < 0 ? err_sys(err, -r, "remove what is there already") : 0;
	}
	if (renameat(it->layers, new_name, it->layers, record->chain) < 0)
		return err_sys(err, errno, "give it its name");
	return 0;
}

static int layer_new(struct importing *it, size_t i, struct err *err)
{
	struct image_layer *layer = &it->image->layers[i];
	struct tree_count *tree = &it->records[i].tree;
	const struct source *source = it->source;
	const struct layer_job job = {
		.view = &it->view,
		.whiteouts = !it->image->tree,
		.window = it->import->window,
		.progress = &it->progress,
	};
	int r = dir_make(it->layers, new_name, err);

	if (r < 0)
		return r;
	it->fds[i] = r;
	r = view_add(&it->view, it->fds[i], err);
	if (r < 0)
		return r;
	r = source->kind == SOURCE_TREE
		    ? layer_copy(&job, layer, source->dir, it->import->dir, tree, err)
		    : layer_apply(&job, layer, tree, err);
	return r < 0 ? r : layer_name(it, i, err);
}

/* The store has it: it was verified when it came, and its record says the rest. */
static int layer_known(struct importing *it, size_t i, struct err *err)
{
	struct record *record = &it->records[i];
	int r = view_add(&it->view, it->fds[i], err);

	if (r < 0 || record_find(it->import->images, record) == 0)
		return r;
	return tree_digest(it->fds[i], NULL, false, &record->tree, err);
}

static int layer_take(struct importing *it, size_t i, struct err *err)
{
	struct image_layer *layer = &it->image->layers[i];
	struct record *record = &it->records[i];
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int r;

	(void)snprintf(it->progress.what, sizeof it->progress.what, "layer %zu of %zu", i + 1,
		it->image->n);
	if (layer->told) {
		record_init(record, i ? &it->records[i - 1] : NULL, layer->diff_id);
		it->fds[i] = openat(it->import->layers, record->chain, flags);
	}
	r = it->fds[i] < 0 ? layer_new(it, i, err) : layer_known(it, i, err);
	it->progress.before += layer->blob.size;
	progress_tell(&it->progress, 0);
	return r < 0 ? err_wrap(err, "layer %zu of %zu", i + 1, it->image->n) : 0;
}

static int layers_take(struct importing *it, struct err *err)
{
	const size_t n = it->image->n;
	int r = 0;

	/* One more: an image has a layer at least, but the allocator cannot know it. */
	it->fds = malloc((n + 1) * sizeof *it->fds);
	for (; it->fds && it->n < n; it->n++) {
		it->fds[it->n] = -1;
		it->progress.total += it->image->layers[it->n].blob.size;
	}
	it->records = calloc(n + 1, sizeof *it->records);
	if (!it->records || !it->fds)
		return err_sys(err, ENOMEM, "remember the layers");
	for (size_t i = 0; i < n && r == 0; i++)
		r = layer_take(it, i, err);
	return r;
}

static int image_put(struct importing *it, int dir, struct err *err)
{
	own_mem char *text = malloc(it->image->n * RECORD_TEXT);
	size_t used = 0;
	int r;

	if (!text)
		return err_sys(err, ENOMEM, "write down the layers");
	for (size_t i = 0; i < it->image->n; i++)
		used += record_text(&it->records[i], text + used);
	r = file_put(dir, "layers", text, used, err);
	if (r < 0 || !it->image->config)
		return r;
	return file_put(dir, "config.json", it->image->config, it->image->config_size, err);
}

/* An image that nobody describes is known by the only layer that it has. */
static int image_name(struct image *image, struct err *err)
{
	if (image->old)
		return image_config_old(image, err);
	if (!image->config && image->layers)
		memcpy(image->id, image->layers[0].diff_id, sizeof image->id);
	return 0;
}

static int image_import(const struct import *import, const struct source *source,
	struct image *image, struct err *err)
{
	struct importing it = { .import = import, .source = source, .image = image };
	own_fd layers = dir_make(import->dir, "layers", err);
	own_fd dir = layers < 0 ? -1 : dir_make(import->dir, "image", err);
	int r = dir < 0 ? -EIO : 0;

	it.layers = layers;
	if (r == 0)
		r = layers_take(&it, err);
	if (r == 0)
		r = image_name(image, err);
	if (r == 0)
		r = image_put(&it, dir, err);
	for (size_t i = 0; i < it.n; i++)
		fd_close(&it.fds[i]);
	free(it.fds);
	free(it.records);
	return r;
}

/* ---- all kinds of sources ----------------------------------------------------------------------- */

/* A tree of its own: the image is its one layer. */
static int tree_open(const struct source *source, struct image *ret, struct err *err)
{
	struct stat st = { .st_size = 0 };

	ret->layers = calloc(1, sizeof *ret->layers);
	if (!ret->layers)
		return err_sys(err, ENOMEM, "remember the layer");
	ret->n = 1;
	ret->tree = true;
	ret->layers[0].blob.fd = -1;
	if (source->kind == SOURCE_TREE)
		return 0;
	if (fstat(source->file, &st) < 0)
		return err_sys(err, errno, "look at it");
	ret->layers[0].blob.size = (uint64_t)st.st_size;
	ret->layers[0].blob.fd = fcntl(source->file, F_DUPFD_CLOEXEC, 0);
	return ret->layers[0].blob.fd < 0 ? err_sys(err, errno, "open it") : 0;
}

static int image_open(const struct source *source, const struct image_wanted *wanted,
	struct image *ret, struct err *err)
{
	switch (source->kind) {
	case SOURCE_OCI:
	case SOURCE_FLAT:
		return oci_open(source, wanted, ret, err);
	case SOURCE_DOCKER:
		return docker_open(source, wanted, ret, err);
	case SOURCE_DOCKER_OLD:
		return docker_open_old(source, wanted, ret, err);
	case SOURCE_TAR:
	case SOURCE_TREE:
	case SOURCE_FILE:
		break;
	}
	if (wanted->ref)
		return err_set(
			err, EINVAL, "there are no names in it: %s cannot be chosen", wanted->ref);
	return tree_open(source, ret, err);
}

/* The file as it is; it is mounted, not unpacked. */
static int file_import(const struct import *import, const struct source *source,
	struct image *image, struct err *err)
{
	struct progress progress = { .what = "copy" };
	own_fd dir = dir_make(import->dir, "image", err);
	int r = dir < 0 ? dir : 0;
	own_fd to = -1;

	if (r < 0)
		return r;
	to = openat(dir, "root.img", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (to < 0)
		return err_sys(err, errno, "make root.img");
	return filecopy(source->file, to, &progress, image->id, err);
}

static int source_import(const struct import *import, const struct source *source,
	struct image *image, struct err *err)
{
	int r;

	if (source->kind == SOURCE_FILE && !import->wanted.ref) {
		r = file_import(import, source, image, err);
	} else {
		r = image_open(source, &import->wanted, image, err);
		if (r == 0)
			r = image_import(import, source, image, err);
	}
	return r < 0 ? r : id_put(import->dir, image, err);
}

int import_run(const struct import *import, struct err *err)
{
	struct image image = { .n = 0 };
	struct source source;
	int r = source_open(import->source, import->dir, import->window, &source, err);

	if (r == 0)
		r = source_import(import, &source, &image, err);
	image_done(&image);
	source_done(&source);
	return r;
}
