#include "images/worker/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/worker/layer.h"
#include "images/worker/oci.h"
#include "images/worker/record.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

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

	digest_hex(image->id, text + strlen(text));
	(void)strcat(text, "\n");
	r = file_put(dir, "id", text, strlen(text), err);
	return r < 0 ? r : file_put(dir, "names", names, strlen(names), err);
}

/* ---- layers ------------------------------------------------------------------------------------- */

struct importing {
	const struct import *import;
	struct image *image;
	int layers; /* dir/layers */
	struct record *records;
	int *fds; /* of the layers' directories */
	struct view view;
	struct progress progress;
};

static int layer_new(struct importing *it, size_t i, struct err *err)
{
	struct record *record = &it->records[i];
	int r = dir_make(it->layers, record->chain, err);

	if (r < 0)
		return r;
	it->fds[i] = r;
	r = view_add(&it->view, it->fds[i], err);
	return r < 0 ? r
		     : layer_apply(&it->image->layers[i], &it->view, true, &it->progress,
			       &record->tree, NULL, err);
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
	struct record *record = &it->records[i];
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int r;

	record_init(record, i ? &it->records[i - 1] : NULL, it->image->layers[i].diff_id);
	(void)snprintf(it->progress.what, sizeof it->progress.what, "layer %zu of %zu", i + 1,
		it->image->n);
	it->fds[i] = openat(it->import->layers, record->chain, flags);
	r = it->fds[i] < 0 ? layer_new(it, i, err) : layer_known(it, i, err);
	it->progress.before += it->image->layers[i].blob.size;
	progress_tell(&it->progress, 0);
	return r < 0 ? err_wrap(err, "layer %zu of %zu", i + 1, it->image->n) : 0;
}

static int layers_take(struct importing *it, struct err *err)
{
	const size_t n = it->image->n;
	int r = 0;

	it->records = calloc(n, sizeof *it->records);
	it->fds = malloc(n * sizeof *it->fds);
	if (!it->records || !it->fds)
		return err_sys(err, ENOMEM, "remember the layers");
	for (size_t i = 0; i < n; i++) {
		it->fds[i] = -1;
		it->progress.total += it->image->layers[i].blob.size;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = layer_take(it, i, err);
	return r;
}

static int image_put(struct importing *it, struct err *err)
{
	own_fd dir = dir_make(it->import->dir, "image", err);
	own_mem char *text = NULL;
	size_t used = 0;
	int r;

	if (dir < 0)
		return dir;
	text = malloc(it->image->n * RECORD_TEXT);
	if (!text)
		return err_sys(err, ENOMEM, "write down the layers");
	for (size_t i = 0; i < it->image->n; i++)
		used += record_text(&it->records[i], text + used);
	r = file_put(dir, "layers", text, used, err);
	return r < 0 ? r
		     : file_put(dir, "config.json", it->image->config, it->image->config_size, err);
}

static int image_import(const struct import *import, struct image *image, struct err *err)
{
	struct importing it = { .import = import, .image = image };
	own_fd layers = dir_make(import->dir, "layers", err);
	int r = layers < 0 ? layers : 0;

	it.layers = layers;
	if (r == 0)
		r = layers_take(&it, err);
	if (r == 0)
		r = image_put(&it, err);
	if (r == 0)
		r = id_put(import->dir, image, err);
	for (size_t i = 0; it.fds && i < image->n; i++)
		fd_close(&it.fds[i]);
	free(it.fds);
	free(it.records);
	return r;
}

int import_run(const struct import *import, struct err *err)
{
	const struct source source = { .dir = import->source };
	struct image image = { .n = 0 };
	int r;

	if (!source_has(&source, "oci-layout"))
		return err_set(err, EINVAL, "it is no image that is known");
	r = oci_open(&source, &import->wanted, &image, err);
	if (r == 0)
		r = image_import(import, &image, err);
	image_done(&image);
	return r;
}
