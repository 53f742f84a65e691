/* Where a container's root is, and what its image says of itself: an OCI image configuration in a
 * file beside it, ROOTFS.image.json. Images come from the payload of the appliance file, from who
 * packs one, and from ImagePath=. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/build.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/signals.h"

enum { IMAGE_CONFIG_MAX = 256 * 1024 };

static const char *const tar_names[] = { ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz",
	".tar.bz2" };

static const char *const fs_names[] = { ".erofs", ".squashfs", ".sqfs" };

static bool ends_in(const char *path, const char *const *endings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_ends(path, endings[i]))
			return true;
	return false;
}

#define ENDS_IN(path, endings) ends_in(path, endings, sizeof(endings) / sizeof(endings)[0])

/* Gives ROOT_NONE when there is nothing that can be a root. */
static enum root_kind root_look(const char *path, int *ret_errno)
{
	struct stat st;

	*ret_errno = 0;
	if (stat(path, &st) < 0) {
		*ret_errno = errno;
		return ROOT_NONE;
	}
	if (S_ISDIR(st.st_mode))
		return ROOT_DIR;
	if (!S_ISREG(st.st_mode))
		return ROOT_NONE;
	if (ENDS_IN(path, fs_names))
		return ROOT_FILE;
	return ENDS_IN(path, tar_names) ? ROOT_TAR : ROOT_NONE;
}

/* ---- references --------------------------------------------------------------------------------- */

/* "web" is localhost/web:latest; a tag or a digest that is there stays. */
static const char *reference_normalise(struct build *b, const char *text)
{
	const char *slash = strrchr(text, '/');
	const char *last = slash ? slash + 1 : text;
	bool tagged = strpbrk(last, ":@") != NULL;

	return build_text(b, "%s%s%s", slash ? "" : "localhost/", text, tagged ? "" : ":latest");
}

/* The names under which a reference may lie in a directory of ImagePath=, the fullest first. */
static void reference_names(struct build *b, const char *ref, struct strv *ret)
{
	bool local = str_starts(ref, "localhost/");
	bool latest = str_ends(ref, ":latest");
	int bare = (int)(strlen(ref) - (latest ? strlen(":latest") : 0));

	build_add(b, ret, ref);
	if (latest)
		build_add(b, ret, build_text(b, "%.*s", bare, ref));
	if (local) {
		ref += strlen("localhost/");
		bare -= (int)strlen("localhost/");
		build_add(b, ret, ref);
		if (latest)
			build_add(b, ret, build_text(b, "%.*s", bare, ref));
	}
}

static bool reference_valid(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.:@/-";

	return *text && *text != '/' && *text != '.' && strspn(text, allowed) == strlen(text) &&
	       !strstr(text, "//") && !strstr(text, "..") && text[strlen(text) - 1] != '/';
}

/*
 * An image of the appliance file that this configuration came out of: beside the units, in .payload/,
 * a file of the image's name says where in the program file it lies: OFFSET LENGTH TAG.
 */
static bool image_in_payload(
	struct build *b, const char *ref, struct root_spec *root, const char **ret_place)
{
	const char *place;
	char text[128];
	char *words[3];
	char *rest = text;

	if (!b->config_dir)
		return false;
	place = build_text(b, "%s/.payload/%s", b->config_dir, ref);
	if (file_read_at(AT_FDCWD, place, text, sizeof text) < 0)
		return false;
	for (int i = 0; i < 3; i++) {
		words[i] = strsep(&rest, " \n");
		if (!words[i])
			return false;
	}
	if (num_u64(words[0], &root->offset) < 0 || num_u64(words[1], &root->length) < 0)
		return false;
	root->kind = ROOT_FILE;
	root->path = "/proc/self/exe";
	root->tag = build_text(b, "%s", words[2]);
	*ret_place = place;
	return true;
}

/* Looks for the image in one directory under each of its names. */
static bool image_in_dir(
	struct build *b, const char *dir, const struct strv *names, struct root_spec *root)
{
	static const char *const endings[] = { "", ".tar", ".erofs", ".squashfs" };
	enum { NENDINGS = sizeof endings / sizeof endings[0] };
	int error;

	for (size_t i = 0; i < NENDINGS * names->n; i++) {
		const char *path = build_text(
			b, "%s/%s%s", dir, names->v[i / NENDINGS], endings[i % NENDINGS]);
		enum root_kind kind = root_look(path, &error);

		if (kind == ROOT_NONE)
			continue;
		root->kind = kind;
		root->path = path;
		return true;
	}
	return false;
}

/* Looks for the image in every place; the places tried are listed for the message. */
static bool image_find(struct build *b, const char *ref, struct root_spec *root,
	const char **ret_place, struct strbuf *tried)
{
	const struct strv *lists[] = { b->image_dirs, &b->set->conf.image_path };
	struct strv names = { 0 };

	if (image_in_payload(b, ref, root, ret_place))
		return true;
	reference_names(b, ref, &names);
	for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
		for (size_t d = 0; lists[k] && d < lists[k]->n; d++) {
			const char *dir = lists[k]->v[d];

			if (image_in_dir(b, dir, &names, root)) {
				*ret_place = root->path;
				return true;
			}
			strbuf_add(tried, "%s%s/%s[.tar|.erofs|.squashfs]", tried->used ? ", " : "",
				dir, names.n ? names.v[names.n - 1] : "");
		}
	}
	return false;
}

static void root_from_image(struct build *b, const struct draft_str *image, struct root_spec *root,
	const char **ret_place)
{
	char text[900] = "";
	struct strbuf tried = STRBUF(text);
	const char *ref;

	if (str_ends(image->v, ".image") || str_ends(image->v, ".build")) {
		ERROR_AT(b, image->at,
			"Image: %s is a file of quadlet that berth does not serve: "
			"write the image's name, or Rootfs=PATH",
			image->v);
		return;
	}
	if (!reference_valid(image->v)) {
		ERROR_AT(b, image->at,
			"Image: \"%s\" is not the name of an image: write NAME[:TAG], or "
			"Rootfs=PATH",
			image->v);
		return;
	}
	ref = reference_normalise(b, image->v);
	root->image = ref;
	if (image_find(b, ref, root, ret_place, &tried))
		return;
	if (tried.used)
		ERROR_AT(b, image->at, "Image: %s was not found; searched %s: put it there", ref,
			text);
	else
		ERROR_AT(b, image->at,
			"Image: %s was not found: no directory is searched: set ImagePath= in "
			"berth.conf, or write Rootfs=PATH",
			ref);
}

static void root_from_path(struct build *b, const struct unit_draft *draft, struct root_spec *root,
	const char **ret_place)
{
	const struct draft_str *rootfs = &draft->rootfs;
	const char *text = rootfs->v;
	const char *path;
	int error;

	/* podman's :O asks for what berth always does: an upper layer that is thrown away. */
	if (str_ends(text, ":O"))
		text = build_ntext(b, text, strlen(text) - 2);
	if (strstr(text, ":idmap")) {
		ERROR_AT(b, rootfs->at, "Rootfs: :idmap is not served: remove it");
		return;
	}
	path = build_path(b, draft->dir, text);
	root->kind = root_look(path, &error);
	root->path = *ret_place = path;
	if (root->kind != ROOT_NONE)
		return;
	if (error)
		ERROR_AT(b, rootfs->at,
			"Rootfs: %s: %s: unpack a root file system there, or correct the path",
			path, strerror(error));
	else
		ERROR_AT(b, rootfs->at,
			"Rootfs: %s is neither a directory nor a .tar archive nor a .erofs or "
			".squashfs image",
			path);
}

/* ---- the image's configuration ------------------------------------------------------------------ */

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
	return health_read(b, json_object_get(config, "Healthcheck"), image) ? NULL : "Healthcheck";
}

/* Reads one candidate; false: it is not there. */
static bool image_config_read(struct build *b, const char *path, struct image_config *ret)
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

void pass_image(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	struct root_spec *root = &part->spec->root;
	const char *place = ""; /* what the image's configuration lies beside */
	const char *path;

	root->readonly = draft->read_only.v;
	root->upper_size = draft->root_size.v == UINT64_MAX ? 0 : draft->root_size.v;
	if (part->spec->native)
		return;
	if (DRAFT_SET(draft->image) && DRAFT_SET(draft->rootfs)) {
		ERROR_AT(b, draft->rootfs.at,
			"Rootfs: Image= is set too (%s:%u): remove one of them",
			draft->image.at.file, draft->image.at.line);
		return;
	}
	if (DRAFT_SET(draft->rootfs))
		root_from_path(b, draft, root, &place);
	else if (DRAFT_SET(draft->image))
		root_from_image(b, &draft->image, root, &place);
	else
		ERROR_AT(b, build_unit_at(b, unit),
			"[Container] has neither Image= nor Rootfs=: add one of them");
	if (root->kind == ROOT_NONE)
		return;
	root->verify = b->set->conf.verify;
	path = build_text(b, "%s.image.json", place);
	if (!image_config_read(b, path, &part->image) && str_ends(place, ".tar")) {
		path = build_text(b, "%.*s.image.json", (int)(strlen(place) - 4), place);
		(void)image_config_read(b, path, &part->image);
	}
	root->config = part->image.file;
}
