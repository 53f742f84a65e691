#include "images/worker/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/bundle.h"
#include "images/worker/digest.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

enum { BLOCK = 128 * 1024 };

#define TMP ".tmp" /* no program is called so: see name_in */

/* vfat has modes of its own: one who may run it, and nobody else who may write it, is enough. */
static bool is_same(int dir, const char *name, const struct bundle_entry *entry)
{
	own_fd there = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t digest[BUNDLE_DIGEST_SIZE];
	struct stat st;

	return there >= 0 && fstat(there, &st) == 0 && (uint64_t)st.st_size == entry->length &&
	       (st.st_mode & 0122) == 0100 &&
	       digest_range(there, 0, entry->length, digest, NULL) == 0 &&
	       memcmp(digest, entry->digest, sizeof digest) == 0;
}

/* The bytes that are hashed are those that are written. */
static int copy(int file, const struct bundle_entry *entry, int out, struct err *err)
{
	static uint8_t block[BLOCK];
	uint8_t digest[BUNDLE_DIGEST_SIZE];
	uint64_t done = 0;
	struct sha256_ctx sha;

	sha256_init(&sha);
	while (done < entry->length) {
		size_t want = entry->length - done < BLOCK ? (size_t)(entry->length - done) : BLOCK;
		ssize_t n = pread(file, block, want, (off_t)(entry->offset + done));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, n < 0 ? errno : EIO, "read");
		sha256_update(&sha, (size_t)n, block);
		r = write_full(out, block, (size_t)n);
		/* A job's file is at most as large as what was free: see confine.c. */
		if (r < 0)
			return err_sys(err, r == -EFBIG ? ENOSPC : -r, "write");
		done += (uint64_t)n;
	}
	sha256_digest(&sha, sizeof digest, digest);
	if (memcmp(digest, entry->digest, sizeof digest) != 0)
		return err_set(err, EINVAL,
			"it is not what was packed: the file was changed or is damaged; copy it "
			"anew");
	return 0;
}

static int write_one(
	int file, const struct bundle_entry *entry, int dir, const char *name, struct err *err)
{
	own_fd out = -1;
	int r;

	if (unlinkat(dir, TMP, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove " TMP);
	out = openat(dir, TMP, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0500);
	if (out < 0)
		return err_sys(err, errno, "make " TMP);
	r = copy(file, entry, out, err);
	if (r == 0 && fsync(out) < 0)
		r = err_sys(err, errno, "write it out");
	if (r == 0 && renameat(dir, TMP, dir, name) < 0)
		r = err_sys(err, errno, "rename");
	if (r < 0)
		(void)unlinkat(dir, TMP, 0);
	return r;
}

/* What the entry is called in its bundle; NULL: it is of another one. */
static const char *name_in(const struct bundle_entry *entry, const char *bundle)
{
	size_t n = strlen(bundle);
	const char *name;

	if (entry->kind != BUNDLE_PROGRAM || strncmp(entry->name, bundle, n) != 0 ||
		entry->name[n] != '/')
		return NULL;
	name = entry->name + n + 1;
	return *name == '.' || strchr(name, '/') ? NULL : name;
}

int extract(int file, const char *bundle, int dir, struct err *err)
{
	struct bundle index;
	bool found = false;
	int r = bundle_read(file, &index, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < index.n && r == 0; i++) {
		const struct bundle_entry *entry = &index.entries[i];
		const char *name = name_in(entry, bundle);

		if (!name)
			continue;
		found = true;
		if (!is_same(dir, name, entry))
			r = write_one(file, entry, dir, name, err);
		if (r < 0)
			r = err_wrap(err, "program %s", entry->name);
	}
	if (r == 0 && !found)
		r = err_set(err, ENOENT, "it is not in the payload");
	if (r == 0 && fsync(dir) < 0)
		r = err_sys(err, errno, "write the directory out");
	bundle_done(&index);
	return r;
}
