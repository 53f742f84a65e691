/*
 * `berth image verify`: is what lies in the store what was imported? berth-worker reads all of it again;
 * what is not is told, and with --discard it goes, so that an import brings it anew: a layer that is
 * there is never unpacked a second time.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/work.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/image.h"
#include "supervisor/cmd/progress.h"
#include "supervisor/cmd/show.h"

struct verifying {
	struct store store;
	bool discard;
	json_t *seen;   /* {CHAIN: null, or what is wrong with it} */
	json_t *images; /* the result: [{id, broken: […]}] */
	size_t nbroken;
	struct progress progress;
	struct work_step step; /* over all */
	char digest[80];       /* "sha256:…" that the worker has found */
};

/* Its one line, "BYTES ENTRIES sha256:DIGEST", has the shape of a step. */
static void on_line(void *context, const struct work_step *step)
{
	struct verifying *v = context;

	(void)snprintf(v->digest, sizeof v->digest, "%s", step->what);
	v->step.done += step->done;
}

/* Is it what it was? NULL, or why not, in `text`. */
static const char *compare(struct verifying *v, const char *job, const char *path,
	const char *digest, char *text, size_t size)
{
	const struct work work = { .program = appliance_worker(),
		.words = { job, path },
		.in = -1,
		.step = on_line,
		.context = v };
	struct err err = { 0 };

	v->digest[0] = '\0';
	if (work_run(&work, &err) < 0)
		(void)snprintf(text, size, "it cannot be read: %s", err.text);
	else if (strcmp(v->digest, digest) != 0)
		(void)snprintf(text, size, "it is not what was imported");
	else
		return NULL;
	return text;
}

/* Under the lock. In use, it stays: whoever runs on it would lose it. */
static void discard(struct verifying *v, const char *room, const char *name)
{
	struct err err = { 0 };

	if (v->discard && store_discard(&v->store, room, name, &err) < 0)
		(void)cmd_fail(CMD_FAILED, "image verify: %s", err.text);
}

static void broken_add(struct verifying *v, json_t *list, const char *what, const char *why)
{
	json_t *text = json_sprintf("%s: %s", what, why);

	v->nbroken++;
	(void)json_array_append_new(list, text);
}

static void layer_verify(
	struct verifying *v, const struct store_layer *layer, size_t number, json_t *broken)
{
	json_t *known = json_object_get(v->seen, layer->chain);
	char path[STORE_PATH_SIZE + 64];
	char digest[80], text[600], what[80];
	const char *why;

	(void)snprintf(what, sizeof what, "layer %zu (%s)", number, layer->chain);
	if (known) {
		if (json_string_value(known))
			broken_add(v, broken, what, json_string_value(known));
		return;
	}
	progress_step(&v->progress, &v->step);
	(void)snprintf(path, sizeof path, "%s/layers/%s", v->store.path, layer->chain);
	(void)snprintf(digest, sizeof digest, "sha256:%s", layer->tree);
	why = compare(v, "verify-tree", path, digest, text, sizeof text);
	(void)json_object_set_new(v->seen, layer->chain, why ? json_string(why) : json_null());
	if (why) {
		broken_add(v, broken, what, why);
		discard(v, "layers", layer->chain);
	}
}

/* The file whose digest is the image's id. */
static void id_verify(
	struct verifying *v, const struct store_image *image, const char *file, json_t *broken)
{
	char path[STORE_PATH_SIZE + 100];
	char digest[80], text[600];
	const char *why;

	(void)snprintf(path, sizeof path, "%s/images/%s/%s", v->store.path, image->id, file);
	/* The tree of a directory has no configuration: its id is another digest. */
	if (image->nlayers && access(path, F_OK) < 0)
		return;
	(void)snprintf(digest, sizeof digest, "sha256:%s", image->id);
	why = compare(v, "verify-file", path, digest, text, sizeof text);
	if (why) {
		broken_add(v, broken, file, why);
		discard(v, "images", image->id);
	}
}

static void image_check(struct verifying *v, const char *id)
{
	struct store_image image = { 0 };
	struct err err = { 0 };
	json_t *broken = json_array();

	if (store_load(v->store.path, id, &image, &err) < 0) {
		broken_add(v, broken, "image", *err.text ? err.text : "it is not there");
		discard(v, "images", id);
	} else {
		id_verify(v, &image, image.nlayers ? "config.json" : "root.img", broken);
		for (size_t i = 0; i < image.nlayers; i++)
			layer_verify(v, &image.layers[i], i + 1, broken);
	}
	(void)json_array_append_new(v->images, json_pack("{s:s,s:o}", "id", id, "broken", broken));
	store_image_done(&image);
}

static int check_named(struct verifying *v, char **names, int n)
{
	char id[STORE_ID_SIZE];
	char ref[REFERENCE_SIZE];
	struct err err = { 0 };

	for (int i = 0; i < n; i++) {
		if (image_lookup(&v->store, names[i], id, ref, &err) < 0)
			return cmd_fail(CMD_FAILED, "image verify: %s", err.text);
		image_check(v, id);
	}
	return CMD_OK;
}

static int check_all(struct verifying *v)
{
	char(*ids)[STORE_ID_SIZE] = NULL;
	struct err err = { 0 };
	size_t n = 0;

	if (store_images_list(&v->store, &ids, &n, &err) < 0)
		return cmd_fail(CMD_FAILED, "image verify: %s", err.text);
	for (size_t i = 0; i < n; i++)
		image_check(v, ids[i]);
	free(ids);
	return CMD_OK;
}

static void tell(const struct verifying *v)
{
	json_t *image, *line;
	size_t i, k;

	json_array_foreach(v->images, i, image)
	{
		json_t *broken = json_object_get(image, "broken");

		if (json_array_size(broken) == 0)
			printf("%.12s: whole\n", show_text(image, "id"));
		json_array_foreach(broken, k, line)
		{
			printf("%.12s: %s\n", show_text(image, "id"), json_string_value(line));
		}
	}
	if (v->nbroken)
		puts(v->discard ? "what is broken was discarded: import those images again"
				: "berth image verify --discard, then import those images again");
}

int image_verify(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "discard", no_argument, NULL, 'd' }, { "json", no_argument, NULL, 'j' }, { 0 } };
	struct verifying v = { .store = STORE_NONE, .step = { .what = "reading" } };
	struct err err = { 0 };
	bool json = false;
	int c, r, code;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == 'd')
			v.discard = true;
		else if (c == 'j')
			json = true;
		else if (cmd_global(c, "image verify"))
			return CMD_USAGE;
	r = v.discard ? image_open(&v.store, &err) : image_open_read(&v.store, &err);
	if (r < 0)
		return cmd_fail(CMD_FAILED, "image verify: %s", err.text);
	v.seen = json_object();
	v.images = json_array();
	progress_begin(&v.progress, "image verify", json);
	code = optind < argc ? check_named(&v, argv + optind, argc - optind) : check_all(&v);
	progress_end(&v.progress);
	if (json)
		(void)json_dumpf(v.images, stdout, JSON_COMPACT);
	if (json)
		putchar('\n');
	else
		tell(&v);
	store_unlock(&v.store);
	if (v.discard)
		(void)store_trash_empty(&v.store, NULL);
	json_decref(v.seen);
	json_decref(v.images);
	return code == CMD_OK && v.nbroken ? CMD_FAILED : code;
}
