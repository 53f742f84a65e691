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
#include "images/worker/list.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

enum { BLOCK = 1 << 20 };

struct packing {
	int out;
	uint64_t at; /* bytes written */
	struct bundle_entry *entries;
	size_t n;
	size_t names_size;
	uint8_t *index;
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
	}
	if (ret)
		sha256_digest(&sha, SHA256_DIGEST_SIZE, ret);
	return 0;
}

/* The program without what an earlier packing has put behind it. */
static int put_stub(struct packing *p, int from, struct err *err)
{
	uint64_t length = UINT64_MAX;
	struct bundle old;
	int r = bundle_read(from, &old, err);

	if (r < 0 && r != -ENODATA)
		return r;
	if (r == 0) {
		length = old.program_length;
		bundle_done(&old);
	}
	return copy(p, from, length, NULL, err);
}

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
		r = copy(p, from, UINT64_MAX, entry.digest, err);
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
	own_fd from = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (from < 0)
		return err_sys(err, errno, "open");
	if (strcmp(kind, "stub") == 0)
		return p->at ? err_set(err, EINVAL, "a second program") : put_stub(p, from, err);
	r = kind_of(kind);
	if (r < 0 || bundle_name_check(name) < 0)
		return err_set(err, EINVAL, "\"%.100s\" is no name for an entry", name);
	return put_entry(p, r, name, from, err);
}

int pack(FILE *list, int out, struct err *err)
{
	struct packing p = { .out = out };
	int r = list_each(list, put_line, &p, err);

	if (r == 0 && p.at == 0)
		r = err_set(err, EINVAL, "there is no program in the list");
	if (r == 0)
		r = put_index(&p, err);
	if (r == 0 && (fchmod(out, 0755) < 0 || fsync(out) < 0))
		r = err_sys(err, errno, "write it out");
	for (size_t i = 0; i < p.n; i++)
		free((char *)(uintptr_t)p.entries[i].name);
	free(p.entries);
	free(p.index);
	return r;
}
