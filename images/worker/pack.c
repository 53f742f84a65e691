#include "images/worker/pack.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/bundle.h"
#include "images/worker/digest.h"
#include "images/worker/list.h"
#include "images/worker/progress.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

enum { BLOCK = 1 << 20 };

/* A file that becomes the output: what comes before it is added up, then room for it made in front. */
struct given {
	char *path; /* NULL: there is none, or it cannot be taken */
	uint64_t before;
	uint64_t length;
	uint8_t digest[BUNDLE_DIGEST_SIZE];
};

struct packing {
	int out;
	struct given given;
	uint64_t at; /* bytes written */
	struct bundle_entry *entries;
	size_t n;
	size_t names_size;
	uint8_t *index;
	struct progress progress;
};

static int kind_of(const char *name)
{
	for (int i = 0; i < BUNDLE_KIND_COUNT; i++)
		if (strcmp(bundle_kind_name((enum bundle_kind)i), name) == 0)
			return i;
	return -EINVAL;
}

static int put(struct packing *p, const void *data, size_t n, struct err *err)
{
	int r = write_full(p->out, data, n);

	if (r < 0)
		return err_sys(err, -r, "write");
	p->at += n;
	return 0;
}

static int pad(struct packing *p, struct err *err)
{
	static const char zeros[BUNDLE_ALIGN];
	size_t over = (size_t)(p->at % BUNDLE_ALIGN);

	return over ? put(p, zeros, BUNDLE_ALIGN - over, err) : 0;
}

/* `length` bytes of the file, or all of it; its digest in ret unless that is NULL. */
static int copy(struct packing *p, int from, uint64_t length, uint8_t *ret, struct err *err)
{
	static uint8_t block[BLOCK];
	struct sha256_ctx sha;

	sha256_init(&sha);
	while (length > 0) {
		ssize_t n = read_full(from, block, length < BLOCK ? (size_t)length : BLOCK);
		int r;

		if (n < 0)
			return err_sys(err, (int)-n, "read");
		if (n == 0)
			break;
		sha256_update(&sha, (size_t)n, block);
		r = put(p, block, (size_t)n, err);
		if (r < 0)
			return r;
		length -= (uint64_t)n;
		progress_tell(&p->progress, p->at);
	}
	if (ret)
		sha256_digest(&sha, SHA256_DIGEST_SIZE, ret);
	return 0;
}

/* How much of it is the program, without what an earlier packing has put behind it. */
static int stub_length(int from, uint64_t *ret, struct err *err)
{
	struct bundle old;
	struct stat st;
	int r = bundle_read(from, &old, err);

	if (r < 0 && r != -ENODATA)
		return r;
	if (r == 0) {
		*ret = old.program_length;
		bundle_done(&old);
		return 0;
	}
	if (fstat(from, &st) < 0)
		return err_sys(err, errno, "look at it");
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int put_stub(struct packing *p, int from, struct err *err)
{
	uint64_t length = 0;
	int r = stub_length(from, &length, err);

	return r < 0 ? r : copy(p, from, length, NULL, err);
}

/* The entry is in the file already. */
static int pass_given(struct packing *p, struct bundle_entry *entry, struct err *err)
{
	if (p->at != p->given.before)
		return err_set(err, EAGAIN, "a file before it changed while it was packed");
	memcpy(entry->digest, p->given.digest, sizeof entry->digest);
	p->at += p->given.length;
	if (lseek(p->out, (off_t)p->at, SEEK_SET) < 0)
		return err_sys(err, errno, "go behind it");
	return 0;
}

/* `from` is -1 for the file that was given. */
static int put_entry(struct packing *p, int kind, const char *name, int from, struct err *err)
{
	struct bundle_entry entry = { .kind = (enum bundle_kind)kind };
	struct bundle_entry *grown;
	int r = pad(p, err);

	entry.offset = p->at;
	entry.name = strdup(name);
	grown = entry.name ? reallocarray(p->entries, p->n + 1, sizeof *grown) : NULL;
	if (!grown) {
		free((char *)(uintptr_t)entry.name);
		return err_sys(err, ENOMEM, "pack");
	}
	p->entries = grown;
	if (r == 0)
		r = from < 0 ? pass_given(p, &entry, err)
			     : copy(p, from, UINT64_MAX, entry.digest, err);
	entry.length = p->at - entry.offset;
	grown[p->n++] = entry;
	p->names_size += strlen(name) + 1;
	return r;
}

/* ---- the index ------------------------------------------------------------------------------------ */

static void u32_put(uint8_t **to, uint32_t value)
{
	value = htole32(value);
	memcpy(*to, &value, sizeof value);
	*to += sizeof value;
}

static void u64_put(uint8_t **to, uint64_t value)
{
	value = htole64(value);
	memcpy(*to, &value, sizeof value);
	*to += sizeof value;
}

static void rows_put(const struct packing *p, uint8_t *to)
{
	uint8_t *names = to + BUNDLE_HEAD_SIZE + p->n * BUNDLE_ROW_SIZE;
	uint8_t *name = names;

	u32_put(&to, (uint32_t)p->n);
	u32_put(&to, (uint32_t)p->names_size);
	for (size_t i = 0; i < p->n; i++) {
		const struct bundle_entry *entry = &p->entries[i];
		size_t n = strlen(entry->name) + 1;

		u32_put(&to, (uint32_t)entry->kind);
		u32_put(&to, (uint32_t)(name - names));
		u64_put(&to, entry->offset);
		u64_put(&to, entry->length);
		memcpy(to, entry->digest, BUNDLE_DIGEST_SIZE);
		to += BUNDLE_DIGEST_SIZE;
		memcpy(name, entry->name, n);
		name += n;
	}
}

static int put_index(struct packing *p, struct err *err)
{
	size_t length = BUNDLE_HEAD_SIZE + p->n * BUNDLE_ROW_SIZE + p->names_size;
	uint8_t footer[BUNDLE_FOOTER_SIZE] = BUNDLE_MAGIC;
	uint8_t *to = footer + sizeof BUNDLE_MAGIC;
	struct sha256_ctx sha;
	int r = pad(p, err);

	if (r < 0)
		return r;
	p->index = malloc(length);
	if (!p->index)
		return err_sys(err, ENOMEM, "write the index");
	rows_put(p, p->index);
	u64_put(&to, p->at);
	u64_put(&to, length);
	sha256_init(&sha);
	sha256_update(&sha, length, p->index);
	sha256_digest(&sha, SHA256_DIGEST_SIZE, to);
	r = put(p, p->index, length, err);
	return r < 0 ? r : put(p, footer, sizeof footer, err);
}

/* ---- the list ------------------------------------------------------------------------------------- */

static int put_line(
	void *data, const char *kind, const char *name, const char *path, struct err *err)
{
	struct packing *p = data;
	bool given = p->given.path && strcmp(path, p->given.path) == 0;
	own_fd from = given ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (!given && from < 0)
		return err_sys(err, errno, "open");
	if (strcmp(kind, "stub") == 0)
		return p->at ? err_set(err, EINVAL, "a second program") : put_stub(p, from, err);
	r = kind_of(kind + (*kind == '+'));
	if (r < 0 || bundle_name_check(name) < 0)
		return err_set(err, EINVAL, "\"%.100s\" is no name for an entry", name);
	return put_entry(p, r, name, from, err);
}

static int count_line(
	void *data, const char *kind, const char *name, const char *path, struct err *err)
{
	struct packing *p = data;
	struct stat st;

	(void)kind;
	(void)name;
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "open");
	p->progress.total += (uint64_t)st.st_size;
	return 0;
}

/* ---- the file that becomes the output ------------------------------------------------------------- */

/* Where the first file that is given will lie. */
static int measure_line(
	void *data, const char *kind, const char *name, const char *path, struct err *err)
{
	struct given *given = data;
	uint64_t over = given->before % BUNDLE_ALIGN;
	uint64_t length = 0;
	own_fd file = -1;
	struct stat st;

	(void)name;
	if (given->path)
		return 0;
	given->before += over ? BUNDLE_ALIGN - over : 0;
	if (*kind == '+') {
		given->path = strdup(path);
		return given->path ? 0 : err_sys(err, ENOMEM, "pack");
	}
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &st) < 0)
		return err_sys(err, errno, "open");
	length = (uint64_t)st.st_size;
	if (strcmp(kind, "stub") == 0 && stub_length(file, &length, err) < 0)
		return -err->code;
	given->before += length;
	return 0;
}

/*
 * Its pages are hot: they are hashed while the disk begins to write them, for to insert room waits for
 * that and drops them. Gives: the file as the output, or -1 where it cannot be done.
 */
static int take_given(struct given *given, const char *out, struct err *err)
{
	own_fd file = open(given->path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (file < 0 || fstat(file, &st) < 0)
		return -1;
	/* Nobody can insert one byte; who cannot insert at all says another thing. */
	if (fallocate(file, FALLOC_FL_INSERT_RANGE, 0, 1) < 0 && errno != EINVAL)
		return -1;
	(void)sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE);
	given->length = (uint64_t)st.st_size;
	if (digest_range(file, 0, given->length, given->digest, err) < 0 ||
		fallocate(file, FALLOC_FL_INSERT_RANGE, 0, (off_t)given->before) < 0 ||
		rename(given->path, out) < 0)
		return -1;
	return fd_take(&file);
}

static int out_open(struct packing *p, FILE *list, const char *out, struct err *err)
{
	int r;

	/* More than once through the list: not by a pipe. */
	if (fseek(list, 0, SEEK_CUR) == 0) {
		r = list_each(list, count_line, p, err);
		rewind(list);
		if (r == 0)
			r = list_each(list, measure_line, &p->given, err);
		rewind(list);
		if (r < 0)
			return r;
	}
	p->out = p->given.path ? take_given(&p->given, out, err) : -1;
	if (p->out >= 0)
		return 0;
	free(p->given.path);
	p->given.path = NULL;
	p->out = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return p->out < 0 ? err_sys(err, errno, "make it") : 0;
}

int pack(FILE *list, const char *out, struct err *err)
{
	struct packing p = { .out = -1, .progress.what = "writing" };
	int r = out_open(&p, list, out, err);

	if (r == 0)
		r = list_each(list, put_line, &p, err);
	if (r == 0 && p.at == 0)
		r = err_set(err, EINVAL, "there is no program in the list");
	if (r == 0)
		r = put_index(&p, err);
	if (r == 0 && (fchmod(p.out, 0755) < 0 || fsync(p.out) < 0))
		r = err_sys(err, errno, "write it out");
	for (size_t i = 0; i < p.n; i++)
		free((char *)(uintptr_t)p.entries[i].name);
	free(p.entries);
	free(p.index);
	free(p.given.path);
	fd_close(&p.out);
	return r;
}
