/*
 * Images in files: an archive or a layout that a container names by its place, or that lies in
 * ImagePath=. Before the container starts, a unit of its own imports it into the store, which is `berth
 * image import`, and has the configuration read anew: so the loop never waits, and there is one way in
 * which an image comes into force.
 *
 * In the store it is localhost/archive/STEM:PATH-CONTENT, two hashes: what has this name is whole, and is
 * of that content, so a later start finds it without a look into the archive. While a newer content is
 * imported, what was imported of the same path before is what the container runs from.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/build.h"
#include "images/reference.h"
#include "images/store_find.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

/* ---- what is one -------------------------------------------------------------------------------- */

/* Those of podman's transports whose images lie in a file or a directory. */
static const char *const transports[] = { "docker-archive:", "oci-archive:", "oci:", "dir:" };

static const char *transport_rest(const char *image)
{
	for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++)
		if (str_starts(image, transports[i]))
			return image + strlen(transports[i]);
	return NULL;
}

bool archive_named(const char *image)
{
	return image[0] == '/' || str_starts(image, "./") || str_starts(image, "../") ||
	       transport_rest(image);
}

const char *archive_place(
	struct build *b, const char *dir, const char *image, const char **ret_which)
{
	const char *rest = transport_rest(image);
	const char *colon = rest ? strchr(rest, ':') : NULL;

	*ret_which = colon && colon[1] ? build_text(b, "%s", colon + 1) : NULL;
	return build_path(b, dir,
		!rest   ? image
		: colon ? build_ntext(b, rest, (size_t)(colon - rest))
			: rest);
}

enum { HEAD_SIZE = 1028, EROFS_AT = 1024, USTAR_AT = 257 };

static ssize_t head_read(const char *path, unsigned char head[static HEAD_SIZE])
{
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	memset(head, 0, HEAD_SIZE);
	return fd < 0 ? -errno : read_full(fd, head, HEAD_SIZE);
}

/* gzip, zstd (perhaps behind a frame that is skipped), xz */
static bool is_packed(const unsigned char head[static HEAD_SIZE])
{
	return memcmp(head, "\x1f\x8b", 2) == 0 || memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 ||
	       (memcmp(head + 1, "\x2a\x4d\x18", 3) == 0 && (head[0] & 0xf0) == 0x50) ||
	       memcmp(head, "\xfd\x37\x7aXZ", 6) == 0;
}

enum root_kind archive_look(const char *path)
{
	unsigned char head[HEAD_SIZE];

	if (head_read(path, head) <= 0)
		return ROOT_NONE;
	if (memcmp(head, "hsqs", 4) == 0 || memcmp(head + EROFS_AT, "\xe2\xe1\xf5\xe0", 4) == 0)
		return ROOT_FILE;
	return is_packed(head) || memcmp(head + USTAR_AT, "ustar", 5) == 0 ? ROOT_TAR : ROOT_NONE;
}

bool archive_packed(const char *path)
{
	unsigned char head[HEAD_SIZE];

	return head_read(path, head) > 0 && is_packed(head);
}

enum { TAR_BLOCK = 512, TAR_NAME = 100, TAR_SIZE_AT = 124, TAR_SIZE_DIGITS = 11, TAR_LOOK = 256 };

/* The members of an archive that is not compressed, as far as their headers are plain. */
static bool tar_has(const char *path, const char *const *names, size_t n)
{
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char header[TAR_BLOCK];
	off_t at = 0;

	for (int i = 0; fd >= 0 && i < TAR_LOOK; i++) {
		char name[TAR_NAME + 1] = "";
		char digits[TAR_SIZE_DIGITS + 1] = "";

		if (pread(fd, header, sizeof header, at) != (ssize_t)sizeof header || !*header)
			break;
		memcpy(name, header, TAR_NAME);
		memcpy(digits, header + TAR_SIZE_AT, TAR_SIZE_DIGITS);
		for (size_t k = 0; k < n; k++)
			if (strcmp(str_starts(name, "./") ? name + 2 : name, names[k]) == 0)
				return true;
		at += TAR_BLOCK +
		      (off_t)((strtoull(digits, NULL, 8) + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK);
	}
	return false;
}

bool archive_carries(struct build *b, const char *path, enum root_kind kind)
{
	static const char *const marks[] = { "oci-layout", "manifest.json", "repositories" };

	if (kind == ROOT_TAR)
		return tar_has(path, marks, sizeof marks / sizeof marks[0]);
	return kind == ROOT_DIR &&
	       (access(build_text(b, "%s/oci-layout", path), F_OK) == 0 ||
		       (access(build_text(b, "%s/version", path), F_OK) == 0 &&
			       access(build_text(b, "%s/manifest.json", path), F_OK) == 0));
}

/* ---- its name in the store ---------------------------------------------------------------------- */

/*
 * What tells one content from another: of a layout its index, which has the digests of all else. Of a
 * file its inode, size and times, and its first and last bytes, where an archive has digests or
 * checksums: for two read-only systems that are exchanged can have the same numbers.
 */
static int content_of(struct build *b, const char *path, const char *which, unsigned long long *ret)
{
	enum { PROBE = 64 * 1024 };
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	unsigned long long probes[2];
	unsigned char probe[PROBE];
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		int index = openat(fd, "index.json", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (index < 0) /* the form dir: */
			index = openat(fd, "manifest.json", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		fd_close(&fd);
		fd = index;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		off_t at = i && st.st_size > PROBE ? st.st_size - PROBE : 0;
		ssize_t n = pread(fd, probe, sizeof probe, at);

		if (n < 0)
			return -errno;
		probes[i] = mem_hash(probe, (size_t)n);
	}
	*ret = str_hash(build_text(b, "%ju:%jd:%jd.%09ld:%jd.%09ld:%llx:%llx:%s",
		(uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
		st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, probes[0],
		probes[1], which ? which : ""));
	return 0;
}

/* "site" of "/srv/site.tar.gz", of letters that a name may have. */
static const char *stem_of(struct build *b, const char *path)
{
	enum { STEM_MAX = 40 };
	const char *slash = strrchr(path, '/');
	char *stem = (char *)(size_t)build_text(b, "%.*s", STEM_MAX, slash ? slash + 1 : path);
	char *dot = strchr(stem, '.');

	if (dot && dot > stem)
		*dot = '\0';
	for (char *p = stem; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *p))
			*p = p == stem ? 'x' : '-';
	return *stem ? stem : "x";
}

/* Its name in the store; `start`: of that path, whatever the content. NULL: a mistake that was told. */
static const char *name_of(struct build *b, const char *key, const struct draft_str *asked,
	const char *path, const char *which, char *start)
{
	unsigned long long content = 0;
	int r;

	if (b->image_dirs) {
		ERROR_AT(b, asked->at,
			"%s: %s: an appliance file has images by their names: berth image import "
			"--name NAME %s, and write Image=NAME",
			key, path, path);
		return NULL;
	}
	r = content_of(b, path, which, &content);
	if (r < 0) {
		ERROR_AT(b, asked->at, "%s: %s: %s: put the image there, or correct the path", key,
			path, strerror(-r));
		return NULL;
	}
	store_archive_name(stem_of(b, path),
		str_hash(build_text(b, "%s:%s", path, which ? which : "")), start);
	return build_text(b, "%s%016llx", start, content);
}

/* ---- the unit that imports it ------------------------------------------------------------------- */

static void command(struct build *b, uint32_t unit, const char *path, const char *which,
	const char *name, const char *tag)
{
	struct strv *argv = image_command(b, unit, "import");
	const char *const options[][2] = { { "--policy", "missing" }, { "--name", name },
		{ "--tag", tag }, { "--ref", which } };

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (options[i][1]) {
			build_add(b, argv, options[i][0]);
			build_add(b, argv, options[i][1]);
		}
	build_add(b, argv, path);
	/* Who removes names that nobody asks for looks at it. */
	b->parts[unit].spec->root.archive = name;
}

void archive_unit(struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	const char *tag = DRAFT_SET(draft->image_tag) ? draft->image_tag.v : NULL;
	char start[REFERENCE_SIZE];
	const char *which;
	const char *path = archive_place(b, draft->dir, draft->image.v, &which);
	const char *name;

	if (!which)
		which = tag;
	if (tag && !reference_valid(tag))
		ERROR_AT(b, draft->image_tag.at,
			"ImageTag: \"%s\" is not the name of an image: write NAME[:TAG]", tag);
	name = name_of(b, "Image", &draft->image, path, which, start);
	if (name)
		command(b, unit, path, which, name, tag);
}

void archive_root(struct build *b, uint32_t unit, const struct draft_str *asked, const char *path,
	const char *which, const char **ret_config)
{
	struct part *part = &b->parts[unit];
	struct root_spec *root = &part->spec->root;
	const char *key = DRAFT_SET(part->draft->image) ? "Image" : "Rootfs";
	char start[REFERENCE_SIZE], before[REFERENCE_SIZE];

	root->archive = name_of(b, key, asked, path, which, start);
	if (!root->archive)
		return;
	if (!root->image)
		root->image = asked->v;
	part->puller =
		image_helper(b, unit, asked, PULL_MISSING, build_text(b, "imports %s", path));
	if (part->puller != UNIT_NONE)
		command(b, part->puller, path, which, root->archive, NULL);
	if (image_stored(b, root->archive, root, ret_config))
		return;
	part->waits = true;
	if (store_tagged(b->set->conf.store_dir, start, before) &&
		image_stored(b, before, root, ret_config))
		root->archive = build_text(b, "%s", before);
}
