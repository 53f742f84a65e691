#include "images/worker/oci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

/* Indexes in indexes, and documents that are looked at before a choice is made. */
enum { INDEX_DEPTH = 8, DOCUMENTS_MAX = 1000, LAYERS_MAX = 500 };

#define NAME_OCI        "org.opencontainers.image.ref.name"
#define NAME_CONTAINERD "io.containerd.image.name"

enum kind { KIND_OTHER, KIND_INDEX, KIND_MANIFEST, KIND_CONFIG, KIND_LAYER };

static const struct {
	const char *media_type;
	enum kind kind;
} kinds[] = {
	{ "application/vnd.oci.image.index.v1+json", KIND_INDEX },
	{ "application/vnd.docker.distribution.manifest.list.v2+json", KIND_INDEX },
	{ "application/vnd.oci.image.manifest.v1+json", KIND_MANIFEST },
	{ "application/vnd.docker.distribution.manifest.v2+json", KIND_MANIFEST },
	{ "application/vnd.oci.image.config.v1+json", KIND_CONFIG },
	{ "application/vnd.docker.container.image.v1+json", KIND_CONFIG },
	{ "application/vnd.oci.image.layer.v1.tar", KIND_LAYER },
	{ "application/vnd.oci.image.layer.v1.tar+gzip", KIND_LAYER },
	{ "application/vnd.oci.image.layer.v1.tar+zstd", KIND_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar", KIND_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", KIND_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", KIND_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar", KIND_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar.gzip", KIND_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar.zstd", KIND_LAYER },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", KIND_LAYER },
};

static enum kind kind_of(const char *media_type)
{
	for (size_t i = 0; media_type && i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kinds[i].media_type, media_type) == 0)
			return kinds[i].kind;
	return KIND_OTHER;
}

/* ---- descriptors and what they describe --------------------------------------------------------- */

struct descriptor {
	const char *media_type;
	uint8_t digest[SHA256_DIGEST_SIZE];
	uint64_t size;
	char path[sizeof "blobs/sha256/" + DIGEST_HEX];
};

static int descriptor_read(const json_t *json, struct descriptor *ret, struct err *err)
{
	const char *digest = json_text(json, "digest");
	char hex[DIGEST_HEX + 1];

	if (!digest || json_size(json, "size", &ret->size) < 0)
		return err_set(err, EINVAL, "an entry without digest or size");
	if (digest_parse(digest, ret->digest) < 0)
		return err_set(err, EINVAL, "%.90s is no sha256 digest", digest);
	ret->media_type = json_text(json, "mediaType");
	digest_hex(ret->digest, hex);
	(void)snprintf(ret->path, sizeof ret->path, "blobs/sha256/%s", hex);
	return 0;
}

static int size_check(const struct descriptor *from, uint64_t size, struct err *err)
{
	if (size == from->size)
		return 0;
	return err_set(err, EINVAL, "%s has %llu bytes, and should have %llu", from->path,
		(unsigned long long)size, (unsigned long long)from->size);
}

/* The blob, whose size is as the descriptor says. */
static int blob_find(const struct source *source, const struct descriptor *from, struct blob *ret,
	struct err *err)
{
	int r = source_find(source, from->path, ret, err);

	if (r < 0)
		return r;
	r = size_check(from, ret->size, err);
	if (r < 0)
		fd_close(&ret->fd);
	return r;
}

/* The blob's bytes, whose digest is as the descriptor says. */
static int text_load(
	const struct source *source, const struct descriptor *from, char **ret, struct err *err)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	own_mem char *text = NULL;
	struct sha256_ctx sha;
	uint64_t size;
	int r = source_load(source, from->path, &text, &size, err);

	if (r == 0)
		r = size_check(from, size, err);
	if (r < 0)
		return r;
	sha256_init(&sha);
	sha256_update(&sha, from->size, (const uint8_t *)text);
	sha256_digest(&sha, sizeof digest, digest);
	if (memcmp(digest, from->digest, sizeof digest) != 0)
		return err_set(
			err, EINVAL, "%s is not what its digest says: it is damaged", from->path);
	*ret = ptr_take(&text);
	return 0;
}

/*
 * An index or a manifest. One that could be read as either is refused (CVE-2021-41190), also when it
 * says of itself another kind than the one it was found by.
 */
static int document_check(const json_t *json, const char *media_type, struct err *err)
{
	const char *own = json_text(json, "mediaType");
	uint64_t version;

	if (json_object_get(json, "manifests") && json_object_get(json, "layers"))
		return err_set(err, EINVAL, "it has both manifests and layers");
	if (json_size(json, "schemaVersion", &version) < 0 || version != 2)
		return err_set(err, EINVAL, "its schemaVersion is not 2");
	if (own && media_type && strcmp(own, media_type) != 0)
		return err_set(
			err, EINVAL, "it is a %.80s, and should be a %.80s", own, media_type);
	return 0;
}

static int document_load(
	const struct source *source, const struct descriptor *from, json_t **ret, struct err *err)
{
	own_mem char *text = NULL;
	int r = text_load(source, from, &text, err);

	if (r < 0)
		return r;
	r = json_read(text, from->size, ret, err);
	if (r == 0) {
		r = document_check(*ret, from->media_type, err);
		if (r < 0)
			json_decref(*ret);
	}
	return r < 0 ? err_wrap(err, "%s", from->path) : 0;
}

/* ---- the choice --------------------------------------------------------------------------------- */

struct search {
	const struct source *source;
	const struct image_wanted *wanted;
	unsigned best; /* how well it suits what was chosen; 0: nothing yet */
	struct descriptor chosen;
	size_t top, chosen_top; /* which entry of index.json is being followed, and was chosen */
	unsigned documents;
	char seen_text[200]; /* the platforms that there are */
	struct strbuf seen;
};

static int platform_take(struct search *search, const struct descriptor *from, const json_t *it)
{
	struct platform is;
	unsigned suits;

	if (!json_platform(it, &is))
		return 0;
	suits = platform_suits(&search->wanted->platform, &is);
	if (strcmp(is.os, "unknown") != 0)
		strbuf_add(&search->seen, "%s%s", search->seen.used ? ", " : "",
			platform_text(&is).text);
	if (suits <= search->best)
		return 0;
	search->best = suits;
	search->chosen = *from;
	search->chosen.media_type = NULL;
	search->chosen_top = search->top;
	return 0;
}

/* No platform is told: it is the configuration that says. */
static int platform_from_config(
	struct search *search, const struct descriptor *from, struct err *err)
{
	struct descriptor its_config = { .size = 0 };
	own_mem char *text = NULL;
	json_t *manifest = NULL;
	json_t *config = NULL;
	int r = document_load(search->source, from, &manifest, err);

	if (r < 0)
		return r;
	r = descriptor_read(json_member(manifest, "config"), &its_config, err);
	if (r == 0 && kind_of(its_config.media_type) == KIND_CONFIG) {
		r = text_load(search->source, &its_config, &text, err);
		if (r == 0)
			r = json_read(text, its_config.size, &config, err);
		if (r == 0)
			r = platform_take(search, from, config);
		json_decref(config);
	}
	json_decref(manifest);
	return r < 0 ? err_wrap(err, "%s", from->path) : 0;
}

static int index_search(struct search *search, const json_t *index, int depth, struct err *err);

static int entry_search(struct search *search, const json_t *json, int depth, struct err *err)
{
	const json_t *platform = json_member(json, "platform");
	enum kind kind = kind_of(json_text(json, "mediaType"));
	struct descriptor entry = { .size = 0 };
	json_t *index = NULL;
	int r;

	if ((kind != KIND_INDEX && kind != KIND_MANIFEST) || json_text(json, "artifactType"))
		return 0;
	r = descriptor_read(json, &entry, err);
	if (r < 0)
		return r;
	if (++search->documents > DOCUMENTS_MAX)
		return err_set(err, E2BIG, "more than %d manifests", DOCUMENTS_MAX);
	if (kind == KIND_MANIFEST)
		return platform ? platform_take(search, &entry, platform)
				: platform_from_config(search, &entry, err);
	if (depth == INDEX_DEPTH)
		return err_set(err, ELOOP, "indexes more than %d deep", INDEX_DEPTH);
	r = document_load(search->source, &entry, &index, err);
	if (r < 0)
		return r;
	r = index_search(search, index, depth + 1, err);
	json_decref(index);
	return r;
}

static int index_search(struct search *search, const json_t *index, int depth, struct err *err)
{
	const json_t *entries = json_member(index, "manifests");
	int r = 0;

	for (size_t i = 0; i < json_array_size(entries) && r == 0; i++)
		r = entry_search(search, json_array_get(entries, i), depth, err);
	return r;
}

/* ---- names -------------------------------------------------------------------------------------- */

static const char *name_of(const json_t *entry)
{
	const json_t *annotations = json_member(entry, "annotations");
	const char *name = json_text(annotations, NAME_CONTAINERD);

	return name ? name : json_text(annotations, NAME_OCI);
}

static bool is_wanted(const json_t *entry, const char *ref)
{
	const json_t *annotations = json_member(entry, "annotations");
	const char *names[] = {
		json_text(annotations, NAME_CONTAINERD),
		json_text(annotations, NAME_OCI),
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (ref && names[i] && strcmp(names[i], ref) == 0)
			return true;
	return !ref;
}

static bool same_digest(const json_t *a, const json_t *b)
{
	const char *x = json_text(a, "digest");
	const char *y = json_text(b, "digest");

	return x && y && strcmp(x, y) == 0;
}

/* Several names of one thing are no choice; names of several things are one that is not ours. */
static int names_check(const json_t *entries, struct err *err)
{
	const json_t *first = NULL;
	char text[300];
	struct strbuf names = STRBUF(text);
	bool several = false;

	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);
		const char *name = name_of(entry);

		if (!name)
			continue;
		if (!first)
			first = entry;
		else if (!same_digest(first, entry) && strcmp(name, name_of(first)) != 0)
			several = true;
		strbuf_add(&names, "%s%.80s", names.used ? ", " : "", name);
	}
	return several ? err_set(err, EINVAL, "it holds several images, name one of them: %s", text)
		       : 0;
}

static int names_take(
	const struct search *search, const json_t *entries, struct image *image, struct err *err)
{
	const json_t *chosen = json_array_get(entries, search->chosen_top);
	int r = 0;

	for (size_t i = 0; i < json_array_size(entries) && r == 0; i++) {
		const json_t *entry = json_array_get(entries, i);
		const char *name = name_of(entry);

		if (name && (i == search->chosen_top || same_digest(entry, chosen)))
			r = image_name_add(image, name, err);
	}
	return r;
}

static int top_search(struct search *search, const json_t *entries, struct err *err)
{
	int r = search->wanted->ref ? 0 : names_check(entries, err);
	bool found = false;

	for (size_t i = 0; i < json_array_size(entries) && r == 0; i++) {
		const json_t *entry = json_array_get(entries, i);

		if (!is_wanted(entry, search->wanted->ref))
			continue;
		found = true;
		search->top = i;
		r = entry_search(search, entry, 0, err);
	}
	if (r == 0 && !found && search->wanted->ref)
		return err_set(err, ENOENT, "there is no image %s in it", search->wanted->ref);
	if (r == 0 && !search->best)
		return err_set(err, ENOENT, "there is no image for %s in it%s%s",
			platform_text(&search->wanted->platform).text,
			search->seen.used ? ", only for " : "", search->seen_text);
	return r;
}

/* ---- the image ---------------------------------------------------------------------------------- */

static int layer_open(
	const struct source *source, const json_t *json, struct image *image, struct err *err)
{
	struct image_layer *layer = &image->layers[image->n];
	struct descriptor from = { .size = 0 };
	int r = descriptor_read(json, &from, err);

	if (r < 0)
		return r;
	if (from.media_type && str_ends(from.media_type, "+encrypted"))
		return err_set(err, EINVAL, "it is encrypted");
	if (kind_of(from.media_type) != KIND_LAYER)
		return err_set(err, EINVAL, "a layer of the kind %.80s is not known",
			from.media_type ? from.media_type : "(none)");
	r = blob_find(source, &from, &layer->blob, err);
	if (r < 0)
		return r;
	layer->digested = true;
	memcpy(layer->digest, from.digest, sizeof layer->digest);
	image->n++;
	return 0;
}

static int layers_open(
	const struct source *source, const json_t *manifest, struct image *image, struct err *err)
{
	const json_t *layers = json_member(manifest, "layers");
	size_t n = json_array_size(layers);
	int r = 0;

	if (n == 0 || n > LAYERS_MAX)
		return err_set(err, EINVAL, "%zu layers: 1 to %d are possible", n, LAYERS_MAX);
	image->layers = calloc(n, sizeof *image->layers);
	if (!image->layers)
		return err_sys(err, ENOMEM, "remember the layers");
	for (size_t i = 0; i < n && r == 0; i++) {
		r = layer_open(source, json_array_get(layers, i), image, err);
		if (r < 0)
			(void)err_wrap(err, "layer %zu", i + 1);
	}
	return r;
}

static int manifest_open(const struct source *source, const struct descriptor *chosen,
	struct image *image, struct err *err)
{
	struct descriptor config = { .size = 0 };
	char *text = NULL;
	json_t *manifest = NULL;
	int r = document_load(source, chosen, &manifest, err);

	if (r < 0)
		return r;
	r = descriptor_read(json_member(manifest, "config"), &config, err);
	if (r == 0 && kind_of(config.media_type) != KIND_CONFIG)
		r = err_set(err, EINVAL, "its configuration is of the kind %.80s: it is no image",
			config.media_type ? config.media_type : "(none)");
	if (r == 0)
		r = layers_open(source, manifest, image, err);
	if (r == 0)
		r = text_load(source, &config, &text, err);
	if (r == 0)
		r = image_config(image, text, config.size, err);
	json_decref(manifest);
	return r < 0 ? err_wrap(err, "%s", chosen->path) : 0;
}

/* Of one image that lies alone: the index that it would have. */
static int index_make(const struct source *source, json_t **ret, struct err *err)
{
	own_mem char *text = NULL;
	json_t *top = NULL;
	const char *type;
	char digest[sizeof "sha256:" + DIGEST_HEX];
	uint64_t size;
	int r = source_load(source, "manifest.json", &text, &size, err);

	if (r == 0)
		r = json_read(text, size, &top, err);
	if (r < 0)
		return r;
	type = json_text(top, "mediaType");
	if (!type)
		type = kinds[json_object_get(top, "manifests") ? 0 : 2].media_type;
	(void)snprintf(digest, sizeof digest, "sha256:%s", source->top);
	*ret = json_pack("{s:i,s:[{s:s,s:s,s:I}]}", "schemaVersion", 2, "manifests", "mediaType",
		type, "digest", digest, "size", (json_int_t)size);
	json_decref(top);
	return *ret ? 0 : err_sys(err, ENOMEM, "read manifest.json");
}

static int index_load(const struct source *source, json_t **ret, struct err *err)
{
	int r = source->kind == SOURCE_FLAT ? index_make(source, ret, err)
					    : source_json(source, "index.json", ret, err);

	if (r < 0)
		return r;
	r = document_check(*ret, NULL, err);
	if (r < 0)
		json_decref(*ret);
	return r < 0 ? err_wrap(err, "index.json") : 0;
}

int oci_open(const struct source *source, const struct image_wanted *wanted, struct image *ret,
	struct err *err)
{
	struct search search = { .source = source, .wanted = wanted };
	const json_t *entries;
	json_t *index = NULL;
	int r = index_load(source, &index, err);

	*ret = (struct image){ .n = 0 };
	if (r < 0)
		return r;
	search.seen = STRBUF(search.seen_text);
	entries = json_member(index, "manifests");
	r = top_search(&search, entries, err);
	if (r == 0)
		r = names_take(&search, entries, ret, err);
	if (r == 0)
		r = manifest_open(source, &search.chosen, ret, err);
	json_decref(index);
	return r;
}
