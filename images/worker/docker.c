#include "images/worker/docker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { LAYERS_MAX = 500 };

static int layer_add(
	const struct source *source, const char *name, struct image *image, struct err *err)
{
	struct image_layer *grown;

	if (image->n == LAYERS_MAX)
		return err_set(err, E2BIG, "more than %d layers", LAYERS_MAX);
	grown = realloc(image->layers, (image->n + 1) * sizeof *grown);
	if (!grown)
		return err_sys(err, ENOMEM, "remember the layers");
	image->layers = grown;
	grown += image->n;
	*grown = (struct image_layer){ .digested = false };
	if (source_find(source, name, &grown->blob, err) < 0)
		return err_wrap(err, "layer %zu", image->n + 1);
	image->n++;
	return 0;
}

/* ---- manifest.json ------------------------------------------------------------------------------ */

static bool has_tag(const json_t *entry, const char *ref)
{
	const json_t *tags = json_member(entry, "RepoTags");

	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		if (tag && strcmp(tag, ref) == 0)
			return true;
	}
	return false;
}

static int entry_choose(const json_t *entries, const char *ref, const json_t **ret, struct err *err)
{
	char text[300];
	struct strbuf names = STRBUF(text);

	*ret = NULL;
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);
		const char *tag =
			json_string_value(json_array_get(json_member(entry, "RepoTags"), 0));

		strbuf_add(&names, "%s%.80s", names.used ? ", " : "", tag ? tag : "(no name)");
		if (!*ret && (!ref || has_tag(entry, ref)))
			*ret = entry;
	}
	if (!ref && json_array_size(entries) > 1)
		return err_set(err, EINVAL, "it holds several images, name one of them: %s", text);
	if (!*ret)
		return err_set(err, ENOENT, "there is no image %s in it", ref ? ref : "at all");
	return 0;
}

/* "DIGEST.json", or "blobs/sha256/DIGEST": a name that says what its content must be. */
static int name_check(const char *name, const struct image *image, struct err *err)
{
	const char *slash = strrchr(name, '/');
	const char *leaf = slash ? slash + 1 : name;
	char text[sizeof "sha256:" + DIGEST_HEX];
	uint8_t digest[SHA256_DIGEST_SIZE];

	(void)snprintf(text, sizeof text, "sha256:%.*s", DIGEST_HEX, leaf);
	if (digest_parse(text, digest) == 0 && memcmp(digest, image->id, sizeof digest) != 0)
		return err_set(
			err, EINVAL, "%.200s is not what its name says: it is damaged", name);
	return 0;
}

static int platform_check(const json_t *config, const struct platform *wanted, struct err *err)
{
	struct platform is;

	if (!json_platform(config, &is) || platform_suits(wanted, &is))
		return 0;
	return err_set(err, ENOENT, "there is no image for %s in it, only for %s",
		platform_text(wanted).text, platform_text(&is).text);
}

static int config_take(const struct source *source, const char *name, const struct platform *wanted,
	struct image *image, struct err *err)
{
	json_t *config = NULL;
	char *text = NULL;
	uint64_t size;
	int r = source_load(source, name, &text, &size, err);

	if (r == 0)
		r = image_config(image, text, size, err);
	if (r == 0)
		r = name_check(name, image, err);
	if (r == 0)
		r = json_read(image->config, image->config_size, &config, err);
	if (r < 0)
		return r;
	r = platform_check(config, wanted, err);
	json_decref(config);
	return r;
}

static int entry_open(const struct source *source, const json_t *entry,
	const struct platform *wanted, struct image *image, struct err *err)
{
	const char *config = json_text(entry, "Config");
	const json_t *layers = json_member(entry, "Layers");
	const json_t *tags = json_member(entry, "RepoTags");
	int r = 0;

	if (!config || !json_array_size(layers))
		return err_set(err, EINVAL, "manifest.json: an image without Config or Layers");
	for (size_t i = 0; i < json_array_size(layers) && r == 0; i++) {
		const char *name = json_string_value(json_array_get(layers, i));

		r = name ? layer_add(source, name, image, err)
			 : err_set(err, EINVAL, "manifest.json: a layer without a name");
	}
	for (size_t i = 0; i < json_array_size(tags) && r == 0; i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		r = tag ? image_name_add(image, tag, err) : 0;
	}
	return r < 0 ? r : config_take(source, config, wanted, image, err);
}

int docker_open(const struct source *source, const struct image_wanted *wanted, struct image *ret,
	struct err *err)
{
	const json_t *entry = NULL;
	json_t *manifest = NULL;
	int r = source_json(source, "manifest.json", &manifest, err);

	*ret = (struct image){ .n = 0 };
	if (r < 0)
		return r;
	r = entry_choose(manifest, wanted->ref, &entry, err);
	if (r == 0)
		r = entry_open(source, entry, &wanted->platform, ret, err);
	json_decref(manifest);
	return r;
}

/* ---- before manifest.json ----------------------------------------------------------------------- */

/* `repositories`: { NAME: { TAG: LAYER } }. */
static int repository_choose(json_t *repositories, const char *ref, struct image *image,
	const char **ret, struct err *err)
{
	char text[300];
	struct strbuf names = STRBUF(text);
	const char *name, *tag;
	json_t *tags, *id;

	*ret = NULL;
	json_object_foreach(repositories, name, tags)
	{
		json_object_foreach(tags, tag, id)
		{
			const char *layer = json_string_value(id);
			char full[300];

			(void)snprintf(full, sizeof full, "%.150s:%.120s", name, tag);
			strbuf_add(&names, "%s%.80s", names.used ? ", " : "", full);
			if (!layer || (ref && strcmp(ref, full) != 0))
				continue;
			if (*ret && strcmp(*ret, layer) != 0)
				return err_set(err, EINVAL,
					"it holds several images, name one of them: %s", text);
			*ret = layer;
			if (image_name_add(image, full, err) < 0)
				return -ENOMEM;
		}
	}
	if (!*ret)
		return err_set(err, ENOENT, "there is no image %s in it%s%s", ref ? ref : "at all",
			names.used ? ", only " : "", text);
	return 0;
}

/* The layers from the topmost down; each with its directory's name checked, for it is a path. */
static int chain_follow(
	const struct source *source, const char *top, struct image *image, struct err *err)
{
	char id[DIGEST_HEX + 1];
	int r = 0;

	(void)snprintf(id, sizeof id, "%s", top);
	while (r == 0) {
		char name[DIGEST_HEX + sizeof "/layer.tar"];
		json_t *json = NULL;
		const char *parent;

		if (strspn(id, "0123456789abcdef") != DIGEST_HEX)
			return err_set(err, EINVAL, "%s is no name of a layer", id);
		(void)snprintf(name, sizeof name, "%s/layer.tar", id);
		r = layer_add(source, name, image, err);
		(void)snprintf(name, sizeof name, "%s/json", id);
		if (r == 0)
			r = source_json(source, name, &json, err);
		if (r < 0)
			return r;
		parent = json_text(json, "parent");
		if (image->n == 1)
			image->old = json_incref(json);
		if (parent)
			(void)snprintf(id, sizeof id, "%s", parent);
		json_decref(json);
		if (!parent)
			break;
	}
	for (size_t i = 0; i < image->n / 2; i++) {
		struct image_layer swap = image->layers[i];

		image->layers[i] = image->layers[image->n - 1 - i];
		image->layers[image->n - 1 - i] = swap;
	}
	return r;
}

int docker_open_old(const struct source *source, const struct image_wanted *wanted,
	struct image *ret, struct err *err)
{
	json_t *repositories = NULL;
	const char *top = NULL;
	int r = source_json(source, "repositories", &repositories, err);

	*ret = (struct image){ .n = 0 };
	if (r < 0)
		return r;
	r = repository_choose(repositories, wanted->ref, ret, &top, err);
	if (r == 0)
		r = chain_follow(source, top, ret, err);
	if (r == 0)
		r = platform_check(ret->old, &wanted->platform, err);
	json_decref(repositories);
	return r;
}
