/* What an image says of itself: its OCI image configuration, in a file. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/signals.h"

enum { IMAGE_CONFIG_MAX = 4 << 20 };

static const char *json_text(struct build *b, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? build_text(b, "%s", text) : NULL;
}

/* Gives false when it is there and is no list of strings. */
static bool json_list(struct build *b, const json_t *object, const char *key, struct strv *ret)
{
	const json_t *list = json_object_get(object, key);
	const json_t *item;
	size_t i;

	if (!list || json_is_null(list))
		return true;
	if (!json_is_array(list))
		return false;
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item))
			return false;
		build_add(b, ret, build_text(b, "%s", json_string_value(item)));
	}
	return true;
}

static uint64_t json_number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

/* ["NONE"], ["CMD", ARG…] or ["CMD-SHELL", TEXT]. */
static bool health_read(struct build *b, const json_t *health, struct image_config *image)
{
	struct strv test = { 0 };
	uint64_t retries = json_number(health, "Retries");

	if (!json_list(b, health, "Test", &test))
		return false;
	image->health_interval = json_number(health, "Interval");
	image->health_timeout = json_number(health, "Timeout");
	image->health_start_period = json_number(health, "StartPeriod");
	image->health_retries = retries > UINT32_MAX ? UINT32_MAX : (uint32_t)retries;
	if (test.n == 0)
		return true;
	if (strcmp(test.v[0], "NONE") == 0) {
		image->health_none = true;
	} else if (strcmp(test.v[0], "CMD-SHELL") == 0 && test.n == 2) {
		build_add(b, &image->health, "/bin/sh");
		build_add(b, &image->health, "-c");
		build_add(b, &image->health, test.v[1]);
	} else if (strcmp(test.v[0], "CMD") == 0) {
		for (size_t i = 1; i < test.n; i++)
			build_add(b, &image->health, test.v[i]);
	} else {
		return false;
	}
	return true;
}

/* The keys of an object, which is how OCI writes a set: {"80/tcp":{}}. */
static bool json_set(struct build *b, const json_t *object, const char *key, struct strv *ret)
{
	json_t *set = json_object_get(object, key);
	const char *name;
	json_t *value;

	if (!set || json_is_null(set))
		return true;
	if (!json_is_object(set))
		return false;
	json_object_foreach(set, name, value)
	{
		build_add(b, ret, build_text(b, "%s", name));
	}
	return true;
}

static bool json_labels(struct build *b, const json_t *object, struct strv *ret)
{
	json_t *labels = json_object_get(object, "Labels");
	const char *name;
	json_t *value;

	if (!labels || json_is_null(labels))
		return true;
	if (!json_is_object(labels))
		return false;
	json_object_foreach(labels, name, value)
	{
		if (!json_is_string(value))
			return false;
		build_add(b, ret, build_text(b, "%s=%s", name, json_string_value(value)));
	}
	return true;
}

/* "80" is "80/tcp". */
static bool exposed_read(struct build *b, const json_t *config, struct strv *ret)
{
	struct strv ports = { 0 };

	if (!json_set(b, config, "ExposedPorts", &ports))
		return false;
	for (size_t i = 0; i < ports.n; i++)
		build_add(b, ret,
			build_text(b, "%s%s", ports.v[i], strchr(ports.v[i], '/') ? "" : "/tcp"));
	return true;
}

/* Gives the key that is not what it should be, or NULL. */
static const char *config_read(struct build *b, const json_t *top, struct image_config *image)
{
	const json_t *config = json_object_get(top, "config");
	const char *signal;

	if (!json_is_object(config))
		config = top;
	if (!json_list(b, config, "Entrypoint", &image->entrypoint))
		return "Entrypoint";
	if (!json_list(b, config, "Cmd", &image->cmd))
		return "Cmd";
	if (!json_list(b, config, "Env", &image->env))
		return "Env";
	for (size_t i = 0; i < image->env.n; i++)
		if (!strchr(image->env.v[i], '=') || image->env.v[i][0] == '=')
			return "Env";
	image->user = json_text(b, config, "User");
	image->cwd = json_text(b, config, "WorkingDir");
	if (image->cwd && image->cwd[0] != '/')
		return "WorkingDir";
	signal = json_text(b, config, "StopSignal");
	image->stop_signal = signal ? signal_from_name(signal) : 0;
	if (image->stop_signal < 0)
		return "StopSignal";
	if (!json_set(b, config, "Volumes", &image->volumes))
		return "Volumes";
	if (!exposed_read(b, config, &image->exposed))
		return "ExposedPorts";
	if (!json_labels(b, config, &image->labels))
		return "Labels";
	return health_read(b, json_object_get(config, "Healthcheck"), image) ? NULL : "Healthcheck";
}

bool image_config_read(struct build *b, const char *path, struct image_config *ret)
{
	own_mem char *text = malloc(IMAGE_CONFIG_MAX);
	struct image_config image = { .file = path };
	json_error_t where;
	const char *bad;
	json_t *top;
	ssize_t n;

	if (!text) {
		b->nomem = true;
		return true;
	}
	n = file_read_at(AT_FDCWD, path, text, IMAGE_CONFIG_MAX);
	if (n == -ENOENT || n == -ENOTDIR)
		return false;
	if (n < 0) {
		ERROR_AT(b, ((struct origin){ path, 0 }), "image configuration: cannot be read: %s",
			strerror((int)-n));
		return true;
	}
	top = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(top)) {
		ERROR_AT(b, ((struct origin){ path, top ? 1 : (unsigned)where.line }),
			"image configuration: %s", top ? "not a JSON object" : where.text);
	} else {
		bad = config_read(b, top, &image);
		if (bad)
			ERROR_AT(b, ((struct origin){ path, 0 }),
				"%s: not what an OCI image configuration has there: correct or "
				"remove it",
				bad);
		else
			*ret = image;
	}
	json_decref(top);
	return true;
}
