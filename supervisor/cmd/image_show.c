/* `berth image ls`, `inspect` and `df`: what is in the store. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/image.h"
#include "supervisor/cmd/show.h"

/* What is read once for all rows. */
struct view {
	struct store store;
	struct store_names names;
	struct store_pins pins;
	char (*ids)[STORE_ID_SIZE];
	size_t nids;
	bool none; /* there is no store yet */
};

static int view_open(struct view *v, struct err *err)
{
	int r = image_open_read(&v->store, err);

	v->none = r == -ENOENT;
	if (v->none)
		return 0;
	if (r == 0)
		r = store_names_read(&v->store, &v->names, err);
	if (r == 0)
		r = store_images_list(&v->store, &v->ids, &v->nids, err);
	return r < 0 ? r : store_pins_read(client_run_dir(), &v->pins, err);
}

static void view_close(struct view *v)
{
	store_names_done(&v->names);
	store_pins_done(&v->pins);
	free(v->ids);
	store_close(&v->store);
}

/* Its configuration, or NULL: a file system has none. */
static json_t *config_load(const struct view *v, const char *id)
{
	char path[STORE_PATH_SIZE + 100];

	(void)snprintf(path, sizeof path, "%s/images/%s/config.json", v->store.path, id);
	return json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *units_of(const struct view *v, const char *id)
{
	json_t *units = json_array();

	for (size_t i = 0; i < v->pins.n; i++)
		if (strcmp(v->pins.v[i].id, id) == 0)
			(void)json_array_append_new(units, json_string(v->pins.v[i].unit));
	return units;
}

/* ---- ls ------------------------------------------------------------------------------------------ */

static json_t *row_json(const struct view *v, const char *ref, const char *id, const char *previous)
{
	struct store_image image = { 0 };
	struct err err = { 0 };
	json_t *config = config_load(v, id);
	const char *created = show_text(config, "created");
	json_t *row = json_pack("{s:s?,s:s,s:s?,s:s?,s:o}", "name", ref, "id", id, "previous",
		*previous ? previous : NULL, "created", *created ? created : NULL, "used_by",
		units_of(v, id));
	int r = store_load(v->store.path, id, &image, &err);

	if (r == 0) {
		(void)json_object_set_new(row, "size",
			json_integer((json_int_t)store_image_bytes(&v->store, &image)));
		(void)json_object_set_new(row, "layers", json_integer((json_int_t)image.nlayers));
	} else {
		(void)json_object_set_new(row, "broken",
			json_string(*err.text ? err.text : "the image is not there"));
	}
	store_image_done(&image);
	json_decref(config);
	return row;
}

static bool is_named(const struct view *v, const char *id)
{
	for (size_t i = 0; i < v->names.n; i++)
		if (strcmp(v->names.v[i].name.id, id) == 0)
			return true;
	return false;
}

static json_t *rows_json(const struct view *v, bool all)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < v->names.n; i++) {
		const struct store_entry *entry = &v->names.v[i];

		(void)json_array_append_new(
			rows, row_json(v, entry->ref, entry->name.id, entry->name.previous));
	}
	for (size_t i = 0; all && i < v->nids; i++)
		if (!is_named(v, v->ids[i]))
			(void)json_array_append_new(rows, row_json(v, NULL, v->ids[i], ""));
	return rows;
}

static void rows_print(const json_t *rows)
{
	static const char none[] = "(no name)";
	size_t widest = strlen("NAME");
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		size_t n = strlen(*show_text(row, "name") ? show_text(row, "name") : none);

		widest = n > widest ? n : widest;
	}
	printf("%-*s  %-12s  %-12s  %8s  %-12s  %s\n", (int)widest, "NAME", "ID", "BEFORE", "SIZE",
		"CREATED", "USED BY");
	json_array_foreach(rows, i, row)
	{
		const char *name = show_text(row, "name");
		const char *previous = show_text(row, "previous");
		json_t *units = json_object_get(row, "used_by");
		bool broken = json_object_get(row, "broken");

		printf("%-*s  %.12s  %-12.12s  %8s  %-12.10s  %s\n", (int)widest,
			*name ? name : none, show_text(row, "id"), *previous ? previous : "-",
			broken ? "broken" : show_bytes((uint64_t)show_int(row, "size")).text,
			*show_text(row, "created") ? show_text(row, "created") : "-",
			show_list(units).text);
	}
}

int image_ls(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "all", no_argument, NULL, 'a' }, { "json", no_argument, NULL, 'j' }, { 0 } };
	struct view v = { .store = STORE_NONE };
	struct err err = { 0 };
	bool all = false, json = false;
	json_t *rows;
	int c;

	while ((c = getopt_long(argc, argv, "a", options, NULL)) != -1)
		if (c == 'a')
			all = true;
		else if (c == 'j')
			json = true;
		else if (cmd_global(c, "image ls"))
			return CMD_USAGE;
	if (optind < argc)
		return cmd_usage("image ls", "it takes no name; see inspect");
	if (view_open(&v, &err) < 0)
		return cmd_fail(CMD_FAILED, "image ls: %s", err.text);
	rows = rows_json(&v, all);
	if (json)
		show_json(rows);
	else if (v.none)
		(void)cmd_fail(CMD_OK, "image ls: %s", err.text);
	else
		rows_print(rows);
	json_decref(rows);
	view_close(&v);
	return CMD_OK;
}

/* ---- inspect ------------------------------------------------------------------------------------- */

static json_t *layers_json(const struct store_image *image)
{
	json_t *layers = json_array();
	char diff[80], tree[80];

	for (size_t i = 0; i < image->nlayers; i++) {
		const struct store_layer *layer = &image->layers[i];

		(void)snprintf(diff, sizeof diff, "sha256:%s", layer->diff);
		(void)snprintf(tree, sizeof tree, "sha256:%s", layer->tree);
		(void)json_array_append_new(
			layers, json_pack("{s:s,s:s,s:I,s:I,s:s}", "directory", layer->chain,
					"diff_id", diff, "bytes", (json_int_t)layer->bytes,
					"entries", (json_int_t)layer->entries, "content", tree));
	}
	return layers;
}

static json_t *names_json(const struct view *v, const char *id)
{
	json_t *names = json_array();

	for (size_t i = 0; i < v->names.n; i++)
		if (strcmp(v->names.v[i].name.id, id) == 0)
			(void)json_array_append_new(names, json_string(v->names.v[i].ref));
	return names;
}

static int inspect_one(const struct view *v, const char *text, json_t *to, struct err *err)
{
	struct store_image image = { 0 };
	char id[STORE_ID_SIZE];
	char ref[REFERENCE_SIZE];
	char digest[80];
	json_t *config;
	int r = image_lookup(&v->store, text, id, ref, err);

	if (r == 0)
		r = store_load(v->store.path, id, &image, err);
	if (r < 0)
		return r;
	config = config_load(v, id);
	(void)snprintf(digest, sizeof digest, "sha256:%s", id);
	(void)json_array_append_new(to,
		json_pack("{s:s,s:o,s:I,s:o,s:o,s:o*}", "id", digest, "names", names_json(v, id),
			"size", (json_int_t)store_image_bytes(&v->store, &image), "layers",
			layers_json(&image), "used_by", units_of(v, id), "config", config));
	store_image_done(&image);
	return 0;
}

int image_inspect(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	struct view v = { .store = STORE_NONE };
	struct err err = { 0 };
	json_t *all = json_array();
	int code = CMD_OK;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c != 'j' && cmd_global(c, "image inspect"))
			return CMD_USAGE;
	if (optind == argc)
		return cmd_usage("image inspect", "a name is expected");
	if (view_open(&v, &err) < 0 || v.none)
		return cmd_fail(CMD_FAILED, "image inspect: %s", err.text);
	for (int i = optind; i < argc; i++)
		if (inspect_one(&v, argv[i], all, &err) < 0)
			code = cmd_fail(CMD_FAILED, "image inspect: %s", err.text);
	show_json(all);
	json_decref(all);
	view_close(&v);
	return code;
}

/* ---- df ------------------------------------------------------------------------------------------ */

struct usage {
	size_t images, layers;
	uint64_t bytes;
	struct store_freed freeable;
	struct store_space space;
};

/* Each layer once, however many images have it. */
static int usage_count(const struct view *v, struct usage *ret, struct err *err)
{
	json_t *seen = json_object();
	int r = 0;

	for (size_t i = 0; i < v->nids; i++) {
		struct store_image image = { 0 };

		if (store_load(v->store.path, v->ids[i], &image, err) < 0)
			continue; /* gc and verify tell of it */
		ret->images++;
		if (!image.nlayers)
			ret->bytes += store_image_bytes(&v->store, &image);
		for (size_t k = 0; k < image.nlayers; k++) {
			if (json_object_get(seen, image.layers[k].chain))
				continue;
			(void)json_object_set_new(seen, image.layers[k].chain, json_true());
			ret->layers++;
			ret->bytes += image.layers[k].bytes;
		}
		store_image_done(&image);
	}
	json_decref(seen);
	r = store_gc(&v->store, &v->pins, true, &ret->freeable, err);
	return r < 0 ? r : store_space(&v->store, &ret->space, err);
}

static void usage_print(const struct usage *u, const char *store)
{
	printf("%s: %zu image%s, %zu layer%s: %s\n", store, u->images, u->images == 1 ? "" : "s",
		u->layers, u->layers == 1 ? "" : "s", show_bytes(u->bytes).text);
	printf("berth image gc would remove %zu image%s and %zu layer%s: %s\n", u->freeable.images,
		u->freeable.images == 1 ? "" : "s", u->freeable.layers,
		u->freeable.layers == 1 ? "" : "s", show_bytes(u->freeable.bytes).text);
	printf("free: %s of %s; images leave %s of it to berth's own state\n",
		show_bytes(u->space.available).text, show_bytes(u->space.size).text,
		show_bytes(u->space.reserve).text);
}

static void usage_json(const struct usage *u, const char *store)
{
	json_t *o = json_pack("{s:s,s:I,s:I,s:I,s:{s:I,s:I,s:I},s:I,s:I,s:I}", "store", store,
		"images", (json_int_t)u->images, "layers", (json_int_t)u->layers, "bytes",
		(json_int_t)u->bytes, "reclaimable", "images", (json_int_t)u->freeable.images,
		"layers", (json_int_t)u->freeable.layers, "bytes", (json_int_t)u->freeable.bytes,
		"size", (json_int_t)u->space.size, "available", (json_int_t)u->space.available,
		"reserve", (json_int_t)u->space.reserve);

	show_json(o);
	json_decref(o);
}

int image_df(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	struct view v = { .store = STORE_NONE };
	struct usage usage = { 0 };
	struct err err = { 0 };
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == 'j')
			json = true;
		else if (cmd_global(c, "image df"))
			return CMD_USAGE;
	if (optind < argc)
		return cmd_usage("image df", "it takes no name");
	if (view_open(&v, &err) < 0 || v.none || usage_count(&v, &usage, &err) < 0)
		return cmd_fail(CMD_FAILED, "image df: %s", err.text);
	if (json)
		usage_json(&usage, v.store.path);
	else
		usage_print(&usage, v.store.path);
	view_close(&v);
	return CMD_OK;
}
