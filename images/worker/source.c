#include "images/worker/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "images/worker/apply.h"
#include "images/worker/digest.h"
#include "images/worker/stream.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

/* ---- files by name ------------------------------------------------------------------------------ */

static int find_in_dir(int dir, const char *name, struct blob *ret, struct err *err)
{
	own_fd fd = path_open_beneath(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd == -ENOENT)
		return err_set(err, ENOENT, "%s is not in it", name);
	if (fd < 0)
		return err_sys(err, -fd, "open %s", name);
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s is no file", name);
	*ret = (struct blob){ .size = (uint64_t)st.st_size };
	ret->fd = fd_take(&fd);
	return 0;
}

/* Blobs are called by their digests alone, all manifests but the top one with an ending. */
static int find_in_flat(
	const struct source *source, const char *name, struct blob *ret, struct err *err)
{
	static const char blobs[] = "blobs/sha256/";
	const char *digest = name + sizeof blobs - 1;
	char manifest[DIGEST_HEX + sizeof ".manifest.json"];
	int r;

	if (!str_starts(name, blobs))
		return find_in_dir(source->dir, name, ret, err);
	if (strcmp(digest, source->top) == 0)
		return find_in_dir(source->dir, "manifest.json", ret, err);
	(void)snprintf(manifest, sizeof manifest, "%.*s.manifest.json", DIGEST_HEX, digest);
	r = find_in_dir(source->dir, manifest, ret, NULL);
	return r == -ENOENT ? find_in_dir(source->dir, digest, ret, err) : r;
}

bool source_has(const struct source *source, const char *name)
{
	struct stat st;

	if (source->dir < 0)
		return members_find(&source->members, name) != NULL;
	return fstatat(source->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

int source_find(const struct source *source, const char *name, struct blob *ret, struct err *err)
{
	const struct member *member;

	if (source->kind == SOURCE_FLAT)
		return find_in_flat(source, name, ret, err);
	if (source->dir >= 0)
		return find_in_dir(source->dir, name, ret, err);
	member = members_find(&source->members, name);
	if (!member)
		return err_set(err, ENOENT, "%.200s is not in it", name);
	*ret = (struct blob){ .offset = member->offset, .size = member->size };
	ret->fd = fcntl(source->file, F_DUPFD_CLOEXEC, 0);
	return ret->fd < 0 ? err_sys(err, errno, "open it") : 0;
}

static int blob_load(const struct blob *blob, char **ret, struct err *err)
{
	own_mem char *text = NULL;
	size_t used = 0;

	if (blob->size > JSON_SIZE_MAX)
		return err_set(err, EFBIG, "larger than %d MiB", JSON_SIZE_MAX >> 20);
	text = malloc(blob->size + 1);
	if (!text)
		return err_sys(err, ENOMEM, "read it");
	while (used < blob->size) {
		ssize_t n = pread(
			blob->fd, text + used, blob->size - used, (off_t)(blob->offset + used));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read it");
		if (n == 0)
			return err_set(err, EINVAL, "the file ends too early");
		used += (size_t)n;
	}
	text[used] = '\0';
	*ret = ptr_take(&text);
	return 0;
}

int source_load(const struct source *source, const char *name, char **ret, uint64_t *ret_size,
	struct err *err)
{
	struct blob blob = { .fd = -1 };
	int r = source_find(source, name, &blob, err);

	if (r < 0)
		return r;
	r = blob_load(&blob, ret, err);
	fd_close(&blob.fd);
	if (r < 0)
		return err_wrap(err, "%.200s", name);
	*ret_size = blob.size;
	return 0;
}

int source_json(const struct source *source, const char *name, json_t **ret, struct err *err)
{
	char *text = NULL;
	uint64_t size = 0;
	int r = source_load(source, name, &text, &size, err);

	if (r < 0)
		return r;
	r = json_read(text, size, ret, err);
	free(text);
	return r < 0 ? err_wrap(err, "%.200s", name) : 0;
}

/* ---- copies ------------------------------------------------------------------------------------- */

enum { BLOCK = 128 * 1024 };

/* Without a name, so that it goes with us. */
static int spool_make(int dir, struct err *err)
{
	static const char name[] = ".spool";
	int fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || unlinkat(dir, name, 0) < 0)
		return err_sys(err, errno, "make a file for a copy");
	return fd;
}

/* Leaves room for the layers that come out of the copy. */
static uint64_t spool_limit(int dir)
{
	struct statvfs fs;

	if (fstatvfs(dir, &fs) < 0 || !fs.f_blocks)
		return UINT64_MAX;
	return (uint64_t)fs.f_bavail * fs.f_frsize / 10 * 9;
}

static int spool_put(int fd, const void *data, size_t n, uint64_t *left, struct err *err)
{
	int r;

	if (n > *left)
		return err_set(err, ENOSPC, "a copy of it does not fit into the free space");
	*left -= n;
	r = write_full(fd, data, n);
	return r < 0 ? err_sys(err, -r, "copy it") : 0;
}

static int spool_pipe(int from, int spool, struct err *err)
{
	static char block[BLOCK];
	own_fd to = spool_make(spool, err);
	uint64_t left = spool_limit(spool);
	ssize_t n = 1;
	int r = to < 0 ? to : 0;

	while (r == 0 && n > 0) {
		n = read_full(from, block, sizeof block);
		r = n < 0 ? err_sys(err, (int)-n, "read it")
			  : spool_put(to, block, (size_t)n, &left, err);
	}
	return r < 0 ? r : fd_take(&to);
}

static int spool_unpacked(const struct blob *blob, int spool, uint64_t window, struct err *err)
{
	own_fd to = spool_make(spool, err);
	uint64_t left = spool_limit(spool);
	uint8_t packed[SHA256_DIGEST_SIZE], plain[SHA256_DIGEST_SIZE];
	struct stream stream = { .window = window };
	const void *data;
	ssize_t n;
	int r = to < 0 ? to : stream_open(&stream, blob, left, err);

	if (r < 0)
		return r;
	while (r == 0 && (n = stream_read(&stream, &data)) > 0)
		r = spool_put(to, data, (size_t)n, &left, err);
	if (r < 0)
		stream_drop(&stream, NULL);
	else
		r = stream_finish(&stream, packed, plain, err);
	return r < 0 ? r : fd_take(&to);
}

/* ---- what it is --------------------------------------------------------------------------------- */

enum { HEAD_SIZE = 2048, EROFS_AT = 1024 };

static bool is_filesystem(const uint8_t head[static HEAD_SIZE])
{
	return memcmp(head, "hsqs", 4) == 0 || memcmp(head + EROFS_AT, "\xe2\xe1\xf5\xe0", 4) == 0;
}

static bool is_packed(const uint8_t head[static HEAD_SIZE])
{
	return memcmp(head, "\x1f\x8b", 2) == 0 || memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 ||
	       (memcmp(head + 1, "\x2a\x4d\x18", 3) == 0 && (head[0] & 0xf0) == 0x50) ||
	       memcmp(head, "\xfd\x37\x7aXZ", 6) == 0;
}

static bool is_hex(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	return true;
}

/* Could a tar archive that begins with this name hold an image? Trees begin with other names. */
static bool is_image_member(const char *name)
{
	static const char *const names[] = { "blobs", "oci-layout", "index.json", "manifest.json",
		"repositories" };
	size_t n = strcspn(name, "/");

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (n == strlen(names[i]) && memcmp(name, names[i], n) == 0)
			return true;
	return n >= DIGEST_HEX && is_hex(name, DIGEST_HEX);
}

static la_ssize_t on_plain(struct archive *archive, void *arg, const void **ret)
{
	ssize_t n = stream_read(arg, ret);

	if (n < 0)
		archive_set_error(archive, EIO, "it cannot be unpacked");
	return n < 0 ? -1 : n;
}

/*
 * Looks at the first name in a packed archive. What is wrong with the archive is not said here, but by
 * who reads all of it.
 */
static int first_name(const struct blob *blob, uint64_t window, bool *ret_image, struct err *err)
{
	struct archive *archive = archive_read_new();
	struct stream stream = { .window = window };
	char name[APPLY_PATH_SIZE] = "";
	struct archive_entry *entry;
	int r;

	if (!archive)
		return err_sys(err, ENOMEM, "libarchive");
	r = stream_open(&stream, blob, UINT64_MAX, err);
	if (r == 0) {
		(void)archive_read_support_format_tar(archive);
		(void)archive_read_open(archive, &stream, NULL, on_plain, NULL);
		while (!*name && archive_read_next_header(archive, &entry) == ARCHIVE_OK)
			if (!archive_entry_pathname(entry) ||
				apply_path(archive_entry_pathname(entry), name, sizeof name) < 0)
				break;
		*ret_image = is_image_member(name);
		stream_drop(&stream, NULL);
	}
	(void)archive_read_free(archive);
	return r;
}

static void kind_of_archive(struct source *source)
{
	source->kind = SOURCE_TAR;
	if (source->members.more)
		return;
	if (source_has(source, "oci-layout") && source_has(source, "index.json"))
		source->kind = SOURCE_OCI;
	else if (source_has(source, "manifest.json"))
		source->kind = SOURCE_DOCKER;
	else if (source_has(source, "repositories"))
		source->kind = SOURCE_DOCKER_OLD;
}

static int packed_open(struct source *source, int spool, struct err *err)
{
	struct blob blob = { .fd = source->file };
	bool image = false;
	struct stat st;
	int r;

	source->kind = SOURCE_TAR;
	if (fstat(source->file, &st) < 0)
		return err_sys(err, errno, "look at it");
	blob.size = (uint64_t)st.st_size;
	r = first_name(&blob, source->window, &image, err);
	if (r < 0 || !image)
		return r;
	r = spool_unpacked(&blob, spool, source->window, err);
	if (r < 0)
		return r;
	fd_close(&source->file);
	source->file = r;
	r = members_read(source->file, &source->members, err);
	if (r == 0)
		kind_of_archive(source);
	return r;
}

static int file_open(struct source *source, int spool, struct err *err)
{
	uint8_t head[HEAD_SIZE] = { 0 };
	ssize_t n = pread(source->file, head, sizeof head, 0);
	int r;

	if (n < 0)
		return err_sys(err, errno, "read it");
	if (n == 0)
		return err_set(err, EINVAL, "the file is empty");
	if (is_filesystem(head)) {
		source->kind = SOURCE_FILE;
		return 0;
	}
	if (is_packed(head))
		return packed_open(source, spool, err);
	r = members_read(source->file, &source->members, err);
	if (r < 0)
		return err_wrap(err,
			"it is none of the images that are known: OCI layout or archive, "
			"docker-archive, tar, squashfs, erofs, directory");
	kind_of_archive(source);
	return 0;
}

static bool is_flat(const struct source *source)
{
	static const char mark[] = "Directory Transport Version: ";
	char text[sizeof mark] = "";
	own_fd fd = path_open_beneath(source->dir, "version", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	return fd >= 0 && read_full(fd, text, sizeof mark - 1) > 0 && strcmp(text, mark) == 0 &&
	       source_has(source, "manifest.json");
}

static int directory_open(struct source *source, struct err *err)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct blob blob = { .fd = -1 };
	int r;

	source->kind = source_has(source, "oci-layout") ? SOURCE_OCI
		       : is_flat(source)                ? SOURCE_FLAT
							: SOURCE_TREE;
	if (source->kind != SOURCE_FLAT)
		return 0;
	r = source_find(source, "manifest.json", &blob, err);
	if (r == 0)
		r = digest_range(blob.fd, 0, blob.size, digest, err);
	fd_close(&blob.fd);
	if (r == 0)
		digest_hex(digest, source->top);
	return r;
}

int source_open(int fd, int spool, uint64_t window, struct source *ret, struct err *err)
{
	struct stat st;
	int own;

	*ret = (struct source){ .dir = -1, .file = -1, .window = window };
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at it");
	own = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode)
		      ? spool_pipe(fd, spool, err)
		      : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return err && err->code ? own : err_sys(err, errno, "open it");
	if (!S_ISDIR(st.st_mode)) {
		ret->file = own;
		return file_open(ret, spool, err);
	}
	ret->dir = own;
	return directory_open(ret, err);
}

void source_done(struct source *source)
{
	members_done(&source->members);
	fd_close(&source->dir);
	fd_close(&source->file);
}
