#include "images/store_find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "images/reference.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

/* 500 lines of two digests, a chain and two numbers each. */
enum { LAYERS_TEXT_MAX = 160 * 1024, PATH_SIZE = 4096 };

/* ---- names ------------------------------------------------------------------------------------- */

int store_name_escape(const char *ref, char *ret, size_t size)
{
	size_t n = strlen(ref);

	if (n >= size)
		return -ENAMETOOLONG;
	for (size_t i = 0; i <= n; i++)
		ret[i] = ref[i];
	for (char *p = ret; (p = strchr(p, '/'));)
		*p = '+';
	return 0;
}

int store_name_unescape(const char *file, char *ret, size_t size)
{
	char full[REFERENCE_SIZE];
	size_t n = strlen(file);

	if (n >= size)
		return -ENAMETOOLONG;
	if (strchr(file, '/'))
		return -EINVAL;
	for (size_t i = 0; i <= n; i++)
		ret[i] = file[i] == '+' ? '/' : file[i];
	return reference_normalise(ret, full) < 0 || strcmp(full, ret) != 0 ? -EINVAL : 0;
}

/* "sha256:" and 64 digits: those, or NULL. */
static const char *digest_of(const char *word)
{
	if (!word || !str_starts(word, "sha256:") || !digest_valid(word + strlen("sha256:")))
		return NULL;
	return word + strlen("sha256:");
}

int store_name_parse(const char *text, struct store_name *ret)
{
	struct store_name name = { 0 };
	char copy[200];
	char *rest = copy;
	const char *id, *previous, *end;

	if (strlen(text) >= sizeof copy)
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	id = digest_of(strsep(&rest, "\n"));
	if (!id || !rest)
		return -EINVAL;
	memcpy(name.id, id, sizeof name.id);
	if (*rest) {
		previous = digest_of(strsep(&rest, "\n"));
		end = rest;
		if (!previous || !end || *end)
			return -EINVAL;
		memcpy(name.previous, previous, sizeof name.previous);
	}
	*ret = name;
	return 0;
}

int store_name_read(const char *store, const char *ref, struct store_name *ret, struct err *err)
{
	char file[REFERENCE_SIZE];
	char path[PATH_SIZE];
	char text[200];
	ssize_t n;

	if (store_name_escape(ref, file, sizeof file) < 0 ||
		(size_t)snprintf(path, sizeof path, "%s/names/%s", store, file) >= sizeof path)
		return err_sys(err, ENAMETOOLONG, "image %s", ref);
	n = file_read_at(AT_FDCWD, path, text, sizeof text);
	if (n == -ENOENT || n == -ENOTDIR)
		return -ENOENT;
	if (n < 0 && n != -EFBIG)
		return err_sys(err, (int)-n, "read %s", path);
	if (n < 0 || store_name_parse(text, ret) < 0)
		return err_set(
			err, EUCLEAN, "%s is broken: remove it, and import the image again", path);
	return 0;
}

/* ---- layers ------------------------------------------------------------------------------------ */

static bool chain_valid(const char *text)
{
	return strspn(text, "0123456789abcdef") == STORE_CHAIN_SIZE - 1 &&
	       !text[STORE_CHAIN_SIZE - 1];
}

/* "CHAIN sha256:DIFF BYTES ENTRIES sha256:TREE" */
static int layer_parse(char *line, struct store_layer *ret)
{
	const char *words[5];
	const char *diff, *tree;

	for (size_t i = 0; i < 5; i++) {
		words[i] = strsep(&line, " ");
		if (!words[i])
			return -EINVAL;
	}
	diff = digest_of(words[1]);
	tree = digest_of(words[4]);
	if (line || !diff || !tree || !chain_valid(words[0]) ||
		num_u64(words[2], &ret->bytes) < 0 || num_u64(words[3], &ret->entries) < 0)
		return -EINVAL;
	memcpy(ret->chain, words[0], sizeof ret->chain);
	memcpy(ret->diff, diff, sizeof ret->diff);
	memcpy(ret->tree, tree, sizeof ret->tree);
	return 0;
}

static size_t lines_count(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

int store_layers_parse(char *text, struct store_image *ret, struct err *err)
{
	size_t lines = lines_count(text);
	char *rest = text;

	if (lines == 0 || lines > STORE_LAYERS_MAX)
		return err_set(
			err, EINVAL, "%zu layers; an image has 1 to %d", lines, STORE_LAYERS_MAX);
	if (text[strlen(text) - 1] != '\n')
		return err_set(err, EINVAL, "it is cut: its last line has no end");
	ret->layers = calloc(lines, sizeof *ret->layers);
	if (!ret->layers)
		return err_sys(err, ENOMEM, "read it");
	for (ret->nlayers = 0; ret->nlayers < lines; ret->nlayers++)
		if (layer_parse(strsep(&rest, "\n"), &ret->layers[ret->nlayers]) < 0) {
			int r = err_set(
				err, EINVAL, "line %zu is not that of a layer", ret->nlayers + 1);

			store_image_done(ret);
			return r;
		}
	return 0;
}

/* ---- images ------------------------------------------------------------------------------------ */

int store_image_read(const char *dir, struct store_image *ret, struct err *err)
{
	own_mem char *text = malloc(LAYERS_TEXT_MAX);
	char path[PATH_SIZE + 16];
	struct stat st;
	ssize_t n;

	if (!text)
		return err_sys(err, ENOMEM, "read the image %s", dir);
	(void)snprintf(path, sizeof path, "%s/layers", dir);
	n = file_read_at(AT_FDCWD, path, text, LAYERS_TEXT_MAX);
	if (n >= 0 && store_layers_parse(text, ret, err) < 0)
		return err_set(err, EUCLEAN, "%s is broken: import the image again", path);
	if (n >= 0)
		return 0;
	if (n != -ENOENT)
		return err_sys(err, (int)-n, "read %s", path);
	(void)snprintf(path, sizeof path, "%s/root.img", dir);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, EUCLEAN,
			"the image %s has neither layers nor a file system: import it again", dir);
	return 0;
}

int store_load(const char *store, const char *id, struct store_image *ret, struct err *err)
{
	struct store_image image = { 0 };
	char dir[PATH_SIZE];
	struct stat st;
	int r;

	if (!digest_valid(id))
		return -ENOENT;
	if ((size_t)snprintf(dir, sizeof dir, "%s/images/%s", store, id) >= sizeof dir)
		return err_sys(err, ENAMETOOLONG, "%s", store);
	if (stat(dir, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT
							   : err_sys(err, errno, "look at %s", dir);
	memcpy(image.id, id, sizeof image.id);
	r = store_image_read(dir, &image, err);
	if (r == 0)
		*ret = image;
	return r;
}

int store_find(const char *store, const char *ref, struct store_image *ret, struct err *err)
{
	const char *digest = reference_digest(ref);
	struct store_name name;
	int r = store_name_read(store, ref, &name, err);

	if (r == -ENOENT && digest)
		return store_load(store, digest, ret, err);
	if (r < 0)
		return r;
	r = store_load(store, name.id, ret, err);
	if (r == -ENOENT)
		return err_set(err, EUCLEAN,
			"the image that %s names is not in %s any more: import it again", ref,
			store);
	return r;
}

/* "nginx:1" */
static const char *last_part(const char *ref)
{
	const char *slash = strrchr(ref, '/');

	return slash ? slash + 1 : ref;
}

/* The name that `fits`, of all the one that comes first in the alphabet. */
static bool name_search(const char *store, bool (*fits)(const char *name, const char *with),
	const char *with, char *ret)
{
	char path[PATH_SIZE];
	char name[REFERENCE_SIZE];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/names", store);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (store_name_unescape(entry->d_name, name, sizeof name) < 0 ||
			!fits(name, with) || (found && strcmp(name, ret) > 0))
			continue;
		memcpy(ret, name, sizeof name);
		found = true;
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

static bool same_last_part(const char *name, const char *with)
{
	return strcmp(last_part(name), last_part(with)) == 0;
}

bool store_near(const char *store, const char *ref, char *ret)
{
	return name_search(store, same_last_part, ref, ret);
}

bool store_tagged(const char *store, const char *start, char *ret)
{
	return name_search(store, str_starts, start, ret);
}

#define ARCHIVES "localhost/archive/"
enum { HASH_DIGITS = 16 };

void store_archive_name(const char *stem, unsigned long long path, char *ret)
{
	(void)snprintf(ret, REFERENCE_SIZE, ARCHIVES "%.40s:%016llx-", stem, path);
}

bool store_of_archive(const char *ref)
{
	static const char digits[] = "0123456789abcdef";
	const char *colon = strrchr(ref, ':');

	return str_starts(ref, ARCHIVES) && colon && strspn(colon + 1, digits) == HASH_DIGITS &&
	       colon[1 + HASH_DIGITS] == '-' &&
	       strspn(colon + 2 + HASH_DIGITS, digits) == HASH_DIGITS &&
	       !colon[2 + 2 * HASH_DIGITS];
}

void store_image_done(struct store_image *image)
{
	free(image->layers);
	*image = (struct store_image){ 0 };
}
