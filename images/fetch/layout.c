#include "images/fetch/layout.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "images/fetch/manifest.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

static_assert(DIGEST_SIZE == SHA256_DIGEST_SIZE, "a digest is of SHA-256");

struct digest_text digest_text(const uint8_t digest[DIGEST_SIZE])
{
	struct digest_text ret = { .text = "sha256:" };

	for (size_t i = 0; i < DIGEST_SIZE; i++)
		(void)snprintf(ret.text + 7 + 2 * i, 3, "%02x", digest[i]);
	return ret;
}

struct digest_text digest_of(const void *data, size_t n)
{
	uint8_t digest[DIGEST_SIZE];
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, n, data);
	sha256_digest(&sha, sizeof digest, digest);
	return digest_text(digest);
}

static int dir_make(int at, const char *name, uid_t owner, struct err *err)
{
	own_fd fd = -1;

	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make %s", name);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", name);
	if (geteuid() == 0 && fchown(fd, owner, (gid_t)owner) < 0 && errno != EINVAL)
		return err_sys(err, errno, "give %s away", name);
	return fd_take(&fd);
}

/* One that was killed, with its caller, may need a moment to be gone. */
static int lock(int dir)
{
	enum { TRIES = 50 };
	const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };

	for (int i = 0; i < TRIES; i++) {
		if (flock(dir, LOCK_EX | LOCK_NB) == 0)
			return 0;
		(void)nanosleep(&moment, NULL);
	}
	return -EBUSY;
}

int layout_open(const char *path, uid_t owner, struct layout *ret, struct err *err)
{
	own_fd dir = dir_make(AT_FDCWD, path, owner, err);
	own_fd blobs = dir < 0 ? -1 : dir_make(dir, "blobs", owner, err);
	own_fd sha256 = blobs < 0 ? -1 : dir_make(blobs, "sha256", owner, err);

	ret->dir = ret->blobs = -1;
	if (sha256 < 0)
		return err_wrap(err, "%s", path);
	if (lock(dir) < 0)
		return err_set(err, EBUSY, "%s: another one fetches into it", path);
	ret->dir = fd_take(&dir);
	ret->blobs = fd_take(&sha256);
	return 0;
}

void layout_done(struct layout *layout)
{
	fd_close(&layout->dir);
	fd_close(&layout->blobs);
}

/* The name of a blob's file, and of its part's. */
struct names {
	char whole[65];
	char part[65 + sizeof ".part"];
};

static struct names names_of(const char *digest)
{
	struct names ret;

	(void)snprintf(ret.whole, sizeof ret.whole, "%s", digest + 7);
	(void)snprintf(ret.part, sizeof ret.part, "%s.part", ret.whole);
	return ret;
}

int layout_put(const struct layout *layout, const char *digest, const void *data, size_t n,
	struct err *err)
{
	int r = file_replace_at(layout->blobs, digest + 7, data, n, 0644, 0);

	return r < 0 ? err_sys(err, -r, "write %s", digest) : 0;
}

int layout_part(const struct layout *layout, const char *digest, struct err *err)
{
	struct names names = names_of(digest);
	int fd;

	/* A whole one from an earlier run is not believed either: the power may have been cut since. */
	if (renameat(layout->blobs, names.whole, layout->blobs, names.part) < 0 && errno != ENOENT)
		return err_sys(err, errno, "rename %s", digest);
	fd = openat(layout->blobs, names.part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? err_sys(err, errno, "make %s", digest) : fd;
}

uint64_t layout_kept(const struct layout *layout, const char *digest)
{
	struct names names = names_of(digest);
	struct stat st;

	if (fstatat(layout->blobs, names.whole, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
		fstatat(layout->blobs, names.part, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)st.st_size;
}

int layout_whole(const struct layout *layout, const char *digest, struct err *err)
{
	struct names names = names_of(digest);

	if (renameat(layout->blobs, names.part, layout->blobs, names.whole) < 0)
		return err_sys(err, errno, "rename %s", digest);
	return 0;
}

static int text_put(
	const struct layout *layout, const char *name, const char *text, struct err *err)
{
	int r = text ? file_replace_at(layout->dir, name, text, strlen(text), 0644, 0) : -ENOMEM;

	return r < 0 ? err_sys(err, -r, "write %s", name) : 0;
}

int layout_finish(const struct layout *layout, const struct manifest *manifest, const char *name,
	struct err *err)
{
	own_mem char *text = NULL;
	json_t *index = json_pack("{s:i, s:s, s:[{s:s, s:s, s:I, s:{s:s}}]}", "schemaVersion", 2,
		"mediaType", "application/vnd.oci.image.index.v1+json", "manifests", "mediaType",
		manifest->type, "digest", manifest->digest.text, "size",
		(json_int_t)manifest->body.n, "annotations", "org.opencontainers.image.ref.name",
		name);
	int r;

	text = index ? json_dumps(index, JSON_COMPACT) : NULL;
	json_decref(index);
	r = text_put(layout, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err);
	return r < 0 ? r : text_put(layout, "index.json", text, err);
}

int layout_same(const struct layout *layout, struct err *err)
{
	return text_put(layout, "same", "", err);
}
