#include "images/worker/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/own.h"

void image_done(struct image *image)
{
	for (size_t i = 0; i < image->n; i++)
		fd_close(&image->layers[i].blob.fd);
	free(image->layers);
	free(image->config);
	json_decref(image->old);
	free(image->names);
	*image = (struct image){ .n = 0 };
}

int image_name_add(struct image *image, const char *name, struct err *err)
{
	size_t used = image->names ? strlen(image->names) : 0;
	size_t n = strlen(name);
	char *grown;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
			return 0;
	if (n == 0 || n > 512 || used > 64 * 1024)
		return 0;
	grown = realloc(image->names, used + n + 2);
	if (!grown)
		return err_sys(err, ENOMEM, "remember a name");
	memcpy(grown + used, name, n + 1);
	grown[used + n] = '\n';
	grown[used + n + 1] = '\0';
	image->names = grown;
	return 0;
}

static int diff_ids_take(struct image *image, const json_t *config, struct err *err)
{
	const json_t *rootfs = json_member(config, "rootfs");
	const json_t *ids = json_member(rootfs, "diff_ids");
	const char *type = json_text(rootfs, "type");

	if (!type || strcmp(type, "layers") != 0)
		return err_set(err, EINVAL, "the configuration: its rootfs is not of layers");
	if (json_array_size(ids) != image->n)
		return err_set(err, EINVAL,
			"the configuration: it names %zu layers, and the manifest has %zu",
			json_array_size(ids), image->n);
	for (size_t i = 0; i < image->n; i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		if (!id || digest_parse(id, image->layers[i].diff_id) < 0)
			return err_set(err, EINVAL,
				"the configuration: diff_ids: entry %zu is no sha256 digest",
				i + 1);
		image->layers[i].told = true;
	}
	return 0;
}

static void config_set(struct image *image, char *text, size_t n)
{
	struct sha256_ctx sha;

	free(image->config);
	image->config = text;
	image->config_size = n;
	sha256_init(&sha);
	sha256_update(&sha, n, (const uint8_t *)text);
	sha256_digest(&sha, sizeof image->id, image->id);
}

int image_config(struct image *image, char *text, size_t n, struct err *err)
{
	json_t *config = NULL;
	int r;

	config_set(image, text, n);
	r = json_read(text, n, &config, err);
	if (r < 0)
		return err_wrap(err, "the configuration");
	r = diff_ids_take(image, config, err);
	json_decref(config);
	return r;
}

int image_config_old(struct image *image, struct err *err)
{
	static const char *const taken[] = { "architecture", "os", "created", "config" };
	json_t *ids = json_array();
	json_t *config = json_object();
	char *text;

	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		if (json_object_get(image->old, taken[i]))
			(void)json_object_set(
				config, taken[i], json_object_get(image->old, taken[i]));
	for (size_t i = 0; i < image->n; i++) {
		char hex[DIGEST_HEX + 1];

		digest_hex(image->layers[i].diff_id, hex);
		(void)json_array_append_new(ids, json_sprintf("sha256:%s", hex));
	}
	(void)json_object_set_new(
		config, "rootfs", json_pack("{s:s, s:o}", "type", "layers", "diff_ids", ids));
	text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(config);
	if (!text)
		return err_sys(err, ENOMEM, "make the configuration");
	config_set(image, text, strlen(text));
	return 0;
}
