/* Where a container's root is, and what its image says of itself: an OCI image configuration, of the
 * store or in a file beside it, ROOTFS.image.json. Images come from the payload of the appliance file,
 * from who packs one, from the store, and from ImagePath=. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/build.h"
#include "images/reference.h"
#include "images/store_find.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"

/* ROOT_TAG: digits that name a content where there is not much room. */
enum { ROOT_TAG = 16 };

static const char *const tar_names[] = { ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz" };

static const char *const fs_names[] = { ".erofs", ".squashfs", ".sqfs" };

static bool ends_in(const char *path, const char *const *endings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_ends(path, endings[i]))
			return true;
	return false;
}

#define ENDS_IN(path, endings) ends_in(path, endings, sizeof(endings) / sizeof(endings)[0])

/* Told by the name, else by the content. Gives ROOT_NONE when there is nothing that can be a root. */
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
	return ENDS_IN(path, tar_names) ? ROOT_TAR : archive_look(path);
}

/* ---- references --------------------------------------------------------------------------------- */

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
	static const char *const endings[] = { "", ".tar", ".tar.gz", ".tar.zst", ".tar.xz",
		".erofs", ".squashfs" };
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

/* A row of names for rootfs: the store's own are digests. */
static void root_from_store(struct build *b, const struct store_image *image,
	struct root_spec *root, const char **ret_config)
{
	const char *store = b->set->conf.store_dir;

	root->id = build_text(b, "%s", image->id);
	root->tag = build_ntext(b, image->id, ROOT_TAG);
	root->verify = VERIFY_NEVER; /* that was done when it was put in */
	root->kind = image->nlayers ? ROOT_LAYERS : ROOT_FILE;
	root->path = image->nlayers ? build_text(b, "%s/layers", store)
				    : build_text(b, "%s/images/%s/root.img", store, image->id);
	for (size_t i = 0; i < image->nlayers; i++)
		build_add(b, &root->layers, build_text(b, "%s", image->layers[i].chain));
	*ret_config = build_text(b, "%s/images/%s/config.json", store, image->id);
}

bool image_stored(struct build *b, const char *ref, struct root_spec *root, const char **ret_config)
{
	struct store_image image = { 0 };
	bool found = store_find(b->set->conf.store_dir, ref, &image, NULL) == 0;

	if (found)
		root_from_store(b, &image, root, ret_config);
	store_image_done(&image);
	return found;
}

/* True: it was found, or it is there and broken, which has been said then. */
static bool image_in_store(struct build *b, const struct draft_str *asked, const char *ref,
	struct root_spec *root, const char **ret_config)
{
	struct store_image image = { 0 };
	struct err err = { 0 };
	int r = store_find(b->set->conf.store_dir, ref, &image, &err);

	if (r == -ENOENT)
		return false;
	if (r < 0)
		ERROR_AT(b, asked->at, "Image: %s", err.text);
	else
		root_from_store(b, &image, root, ret_config);
	store_image_done(&image);
	return true;
}

/* Looks in a list of directories; those without it are listed for the message. */
static bool image_in_dirs(struct build *b, const struct strv *dirs, const struct strv *names,
	struct root_spec *root, struct strbuf *tried)
{
	for (size_t i = 0; dirs && i < dirs->n; i++) {
		if (image_in_dir(b, dirs->v[i], names, root))
			return true;
		strbuf_add(tried, ", %s/%s[.tar|.erofs|.squashfs]", dirs->v[i],
			names->n ? names->v[names->n - 1] : "");
	}
	return false;
}

/* What was searched, what is there of nearly that name, and what to do. */
static void image_missing(
	struct build *b, const struct draft_str *image, const char *ref, const char *tried)
{
	const char *store = b->set->conf.store_dir;
	char near[REFERENCE_SIZE];

	if (store_near(store, ref, near))
		ERROR_AT(b, image->at,
			"Image: %s was not found; searched the store %s%s: it has %s: write that, "
			"or: berth image tag %s %s",
			ref, store, tried, near, near, ref);
	else if (str_starts(ref, "localhost/")) /* no registry has it */
		ERROR_AT(b, image->at,
			"Image: %s was not found; searched the store %s%s: put it there: berth "
			"image import --name %s FILE",
			ref, store, tried, ref);
	else
		ERROR_AT(b, image->at,
			"Image: %s was not found; searched the store %s%s: put it there: berth "
			"image pull %s, or berth image import --name %s FILE",
			ref, store, tried, ref, ref);
}

/* The name in full, as the store has it; false: it is none, which has been said then. */
static bool image_name(struct build *b, uint32_t unit, const struct draft_str *image, char *ret)
{
	const struct part *part = &b->parts[unit];
	const char *ref;
	int r;

	if (str_ends(image->v, ".build")) {
		ERROR_AT(b, image->at,
			"Image: %s is a file of quadlet that berth does not serve: "
			"write the image's name, or Rootfs=PATH",
			image->v);
		return false;
	}
	if (str_ends(image->v, ".image")) {
		ref = part->puller == UNIT_NONE ? NULL : image_unit_ref(b, part->puller);
		if (ref)
			memcpy(ret, ref, strlen(ref) + 1);
		return ref;
	}
	r = image_pulls(part->draft) ? reference_pull(image->v, ret)
				     : reference_normalise(image->v, ret);
	if (r < 0)
		ERROR_AT(b, image->at,
			"Image: \"%s\" is not the name of an image: write NAME[:TAG], or the path "
			"of one, or Rootfs=PATH",
			image->v);
	return r == 0;
}

static void root_from_image(struct build *b, uint32_t unit, const struct draft_str *image,
	const char **ret_place, const char **ret_config)
{
	struct part *part = &b->parts[unit];
	struct root_spec *root = &part->spec->root;
	char text[900] = "";
	char full[REFERENCE_SIZE];
	struct strbuf tried = STRBUF(text);
	struct strv names = { 0 };
	const char *ref;
	bool known;

	part->puller = image_unit(b, image);
	part->waits = part->puller != UNIT_NONE;
	if (!image_name(b, unit, image, full))
		return;
	root->image = ref = build_text(b, "%s", full);
	reference_names(b, ref, &names);
	if (image_in_payload(b, ref, root, ret_place)) {
		part->waits = false; /* what is in the file starts without a network */
		return;
	}
	if (image_in_dirs(b, b->image_dirs, &names, root, &tried)) {
		*ret_place = root->path;
		return;
	}
	known = image_in_store(b, image, ref, root, ret_config);
	if (!known && image_in_dirs(b, &b->set->conf.image_path, &names, root, &tried))
		*ret_place = root->path;
	if (image_pulls(part->draft))
		image_puller(b, unit, root->kind != ROOT_NONE);
	if (known || root->kind != ROOT_NONE)
		return;
	/* Not yet there: who pulls it has the configuration read anew then. */
	if (part->puller == UNIT_NONE || !image_unit_pulls(b, part->puller))
		image_missing(b, image, ref, text);
	else if (!b->pulls)
		ERROR_AT(b, image->at,
			"Image: %s was not found, to be packed; searched the store %s%s: give it "
			"by --image, or leave it to the box to pull it, by --fetch",
			ref, b->set->conf.store_dir, text);
}

static void root_from_path(
	struct build *b, const char *key, const struct draft_str *asked, struct root_spec *root)
{
	const char *path = root->path;
	int error;

	root->kind = root_look(path, &error);
	if (root->kind != ROOT_NONE)
		return;
	if (error)
		ERROR_AT(b, asked->at,
			"%s: %s: %s: unpack a root file system there, or correct the path", key,
			path, strerror(error));
	else
		ERROR_AT(b, asked->at,
			"%s: %s is neither a directory nor a .tar archive nor a .erofs or "
			".squashfs image",
			key, path);
}

/* Gives the path of Rootfs=; NULL: it is none, which has been said then. */
static const char *rootfs_path(struct build *b, const struct unit_draft *draft)
{
	const struct draft_str *rootfs = &draft->rootfs;
	const char *text = rootfs->v;

	/* podman's :O asks for what berth always does: an upper layer that is thrown away. */
	if (str_ends(text, ":O"))
		text = build_ntext(b, text, strlen(text) - 2);
	if (strstr(text, ":idmap")) {
		ERROR_AT(b, rootfs->at, "Rootfs: :idmap is not served: remove it");
		return NULL;
	}
	return build_path(b, draft->dir, text);
}

/* What is kept needs a place, and what is limited a limit that can be enforced. */
static void root_persist(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	const struct supervisor_conf *conf = &b->set->conf;
	struct root_spec *root = &part->spec->root;

	root->persist = (enum root_persist)draft->persist.v;
	if (root->persist == PERSIST_NO)
		return;
	root->upper_dir = build_text(b, "%s/upper/%s",
		root->persist == PERSIST_BOOT ? conf->run_dir : conf->state_dir, part->spec->name);
	if (root->readonly)
		ERROR_AT(b, draft->persist.at,
			"Persist: with ReadOnly=yes nothing is written: remove one of them");
	else if (root->persist == PERSIST_PERMANENT && DRAFT_SET(draft->root_size))
		ERROR_AT(b, draft->root_size.at,
			"RootSize: the size of a directory on the disk cannot be limited: remove "
			"it, or write Persist=boot");
}

/* What a start can use at once, or what is imported before it. */
static void root_find(
	struct build *b, uint32_t unit, const char **ret_place, const char **ret_config)
{
	struct part *part = &b->parts[unit];
	struct root_spec *root = &part->spec->root;
	const struct unit_draft *draft = part->draft;
	bool is_image = DRAFT_SET(draft->image);
	const struct draft_str *asked = is_image ? &draft->image : &draft->rootfs;
	const char *which = NULL;

	if (is_image && !archive_named(asked->v)) {
		root_from_image(b, unit, asked, ret_place, ret_config);
	} else {
		root->path = is_image ? archive_place(b, draft->dir, asked->v, &which)
				      : rootfs_path(b, draft);
		if (!root->path)
			return;
		*ret_place = root->path;
		root_from_path(b, is_image ? "Image" : "Rootfs", asked, root);
	}
	if (root->id || root->kind == ROOT_NONE || root->tag)
		return;
	/* A packed tree that Rootfs= names, or that is packed into an appliance, is unpacked as it is. */
	if (!archive_carries(b, root->path, root->kind) &&
		!(is_image && !b->image_dirs && root->kind == ROOT_TAR &&
			archive_packed(root->path)))
		return;
	root->kind = ROOT_NONE;
	archive_root(b, unit, asked, ptr_take(&root->path), which, ret_config);
	/* What somebody wrote beside it comes first. */
	if (root->kind != ROOT_NONE &&
		access(build_text(b, "%s.image.json", *ret_place), F_OK) == 0)
		*ret_config = NULL;
}

void pass_image(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	struct root_spec *root = &part->spec->root;
	const char *place = "";    /* what the image's configuration lies beside */
	const char *config = NULL; /* or where it is */

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
	if (!DRAFT_SET(draft->image) && !DRAFT_SET(draft->rootfs)) {
		ERROR_AT(b, build_unit_at(b, unit),
			"[Container] has neither Image= nor Rootfs=: add one of them");
		return;
	}
	root_find(b, unit, &place, &config);
	if (root->kind == ROOT_NONE)
		return;
	if (!root->id)
		root->verify = b->set->conf.verify;
	root_persist(b, part);
	if (!config)
		config = build_text(b, "%s.image.json", place);
	if (!image_config_read(b, config, &part->image) && str_ends(place, ".tar")) {
		config = build_text(b, "%.*s.image.json", (int)(strlen(place) - 4), place);
		(void)image_config_read(b, config, &part->image);
	}
	root->config = part->image.file;
	part->spec->image_labels = part->image.labels;
	part->spec->image_exposed = part->image.exposed;
}
