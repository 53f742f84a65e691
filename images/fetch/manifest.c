#include "images/fetch/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/fetch/reference.h"
#include "supervisor/base/str.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker.distribution.manifest."

static const char *const index_types[] = { OCI "index.v1+json", DOCKER "list.v2+json" };
static const char *const image_types[] = { OCI "manifest.v1+json", DOCKER "v2+json" };
static const char *const config_types[] = { OCI "config.v1+json",
	"application/vnd.docker.container.image.v1+json" };

static bool one_of(const char *text, const char *const types[2])
{
	return strcmp(text, types[0]) == 0 || strcmp(text, types[1]) == 0;
}

/* What is text there; "" for anything else. */
static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The configuration of what is no image, a chart for example, is of a type of its own. */
static int image_check(const json_t *top, struct err *err)
{
	const char *config = text_of(json_object_get(top, "config"), "mediaType");

	if (*text_of(top, "artifactType") || (*config && !one_of(config, config_types)))
		return err_set(err, EINVAL, "it is no image of a container, but %.100s",
			*text_of(top, "artifactType") ? text_of(top, "artifactType") : config);
	return 0;
}

static int kind_read(struct manifest *m, struct err *err)
{
	const char *type = text_of(m->json, "mediaType");
	bool layers = json_is_array(json_object_get(m->json, "layers"));

	m->index = json_is_array(json_object_get(m->json, "manifests"));
	if (json_integer_value(json_object_get(m->json, "schemaVersion")) == 1)
		return err_set(err, EINVAL,
			"its manifest is of docker's schema 1, which nothing makes any more: push "
			"it anew");
	if (m->index && layers)
		return err_set(err, EINVAL,
			"its manifest has \"layers\" and \"manifests\": it may be taken for one or "
			"the other");
	if (!m->index && !layers)
		return err_set(err, EINVAL, "its manifest has neither layers nor manifests");
	if (*type && !one_of(type, m->index ? index_types : image_types))
		return err_set(err, EINVAL,
			"its manifest says that it is %.100s, and does not look so", type);
	m->type = *type ? type : m->index ? index_types[0] : image_types[0];
	return m->index ? 0 : image_check(m->json, err);
}

int manifest_read(struct body body, struct manifest *ret, struct err *err)
{
	struct manifest m = { .body = body, .digest = digest_of(body.text, body.n) };
	json_error_t where;
	int r;

	m.json = json_loadb(body.text, body.n, JSON_REJECT_DUPLICATES, &where);
	if (json_is_object(m.json))
		r = kind_read(&m, err);
	else
		r = err_set(err, EINVAL, "its manifest is not JSON: line %d: %s", where.line,
			m.json ? "not an object" : where.text);
	if (r < 0)
		manifest_done(&m);
	else
		*ret = m;
	return r;
}

void manifest_done(struct manifest *manifest)
{
	json_decref(manifest->json);
	free(manifest->body.text);
	*manifest = (struct manifest){ 0 };
}

static int descriptor_read(const json_t *json, struct descriptor *ret, struct err *err)
{
	const char *digest = text_of(json, "digest");
	const json_t *size = json_object_get(json, "size");

	if (!digest_text_valid(digest))
		return err_set(err, EINVAL, "\"%.80s\" is no digest of SHA-256", digest);
	if (!json_is_integer(size) || json_integer_value(size) < 0 ||
		json_integer_value(size) > (json_int_t)1 << 50)
		return err_set(err, EINVAL, "%s has no size that can be", digest);
	ret->digest = digest;
	ret->size = (uint64_t)json_integer_value(size);
	return 0;
}

/* How well an entry of an index suits; 0: not at all, or it is no image. */
static unsigned entry_suits(
	const json_t *entry, const struct platform *machine, struct strbuf *seen)
{
	const json_t *platform = json_object_get(entry, "platform");
	const char *type = text_of(entry, "mediaType");
	struct platform is = { 0 };

	if (*text_of(entry, "artifactType") ||
		(*type && !one_of(type, image_types) && !one_of(type, index_types)))
		return 0;
	/* An index in the index, or an image that tells it elsewhere. */
	if (!json_is_object(platform))
		return 1;
	(void)snprintf(is.os, sizeof is.os, "%s", text_of(platform, "os"));
	(void)snprintf(is.arch, sizeof is.arch, "%s", text_of(platform, "architecture"));
	(void)snprintf(is.variant, sizeof is.variant, "%s", text_of(platform, "variant"));
	if (strcmp(is.os, "unknown") != 0)
		strbuf_add(seen, "%s%s", seen->used ? ", " : "", platform_text(&is).text);
	return platform_suits(machine, &is) * 2;
}

int manifest_choose(const struct manifest *index, const struct platform *machine,
	struct descriptor *ret, struct err *err)
{
	const json_t *best = NULL;
	unsigned suits = 0;
	char text[200] = "";
	struct strbuf seen = STRBUF(text);
	const json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(index->json, "manifests"), i, entry)
	{
		unsigned its = entry_suits(entry, machine, &seen);

		if (its > suits) {
			suits = its;
			best = entry;
		}
	}
	if (!best)
		return err_set(err, ENOENT, "there is none for %s%s%s; choose with --platform",
			platform_text(machine).text, seen.used ? "; there is " : "", text);
	return descriptor_read(best, ret, err);
}

int manifest_blobs(const struct manifest *image, struct descriptor *ret, struct err *err)
{
	const json_t *layer;
	size_t i;
	int n = 1;
	int r = descriptor_read(json_object_get(image->json, "config"), ret, err);

	if (r < 0)
		return err_wrap(err, "its configuration");
	json_array_foreach(json_object_get(image->json, "layers"), i, layer)
	{
		bool known = false;

		if (n == MANIFEST_BLOBS_MAX)
			return err_set(err, EINVAL, "more than %d layers", MANIFEST_BLOBS_MAX - 1);
		r = descriptor_read(layer, &ret[n], err);
		if (r < 0)
			return err_wrap(err, "its layer %zu", i + 1);
		for (int k = 0; k < n && !known; k++) {
			known = strcmp(ret[k].digest, ret[n].digest) == 0;
			if (known && ret[k].size != ret[n].size)
				return err_set(err, EINVAL, "%s has two sizes", ret[n].digest);
		}
		n += !known;
	}
	return n;
}
