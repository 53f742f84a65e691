#include "images/bundle.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INDEX_SIZE_MAX = 4 << 20, NAME_LENGTH_MAX = 512 };

static const char *const kind_names[BUNDLE_KIND_COUNT] = {
	[BUNDLE_CONFIG] = "config",
	[BUNDLE_IMAGE] = "image",
	[BUNDLE_IMAGE_CONFIG] = "image-config",
	[BUNDLE_PROGRAM] = "program",
};

static uint32_t u32_at(const char *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof value);
	return le32toh(value);
}

static uint64_t u64_at(const char *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof value);
	return le64toh(value);
}

static int read_at(int fd, char *buf, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t got = pread(fd, buf, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EINVAL;
		buf += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

int bundle_name_check(const char *name)
{
	size_t length = strlen(name);
	const char *part = name;

	if (length == 0 || length > NAME_LENGTH_MAX)
		return -EINVAL;
	while (part) {
		size_t n = strcspn(part, "/");

		if (n == 0 || n > 255 || (n == 1 && part[0] == '.') ||
			(n == 2 && part[0] == '.' && part[1] == '.'))
			return -EINVAL;
		part = part[n] ? part + n + 1 : NULL;
	}
	for (; *name; name++)
		if ((unsigned char)*name <= ' ' || *name == 0x7f)
			return -EINVAL;
	return 0;
}

static int broken(struct err *err, const char *what)
{
	return err_set(err, EINVAL,
		"the payload of this file is broken: %s: it was cut short or changed; "
		"copy it anew",
		what);
}

static int row_read(struct bundle *bundle, size_t i, uint32_t names_size, struct err *err)
{
	const char *row = bundle->bytes + BUNDLE_HEAD_SIZE + i * BUNDLE_ROW_SIZE;
	const char *names = bundle->bytes + BUNDLE_HEAD_SIZE + bundle->n * BUNDLE_ROW_SIZE;
	const struct bundle before = { .entries = bundle->entries, .n = i };
	struct bundle_entry *entry = &bundle->entries[i];
	uint32_t kind = u32_at(row);
	uint32_t name = u32_at(row + 4);

	if (kind >= BUNDLE_KIND_COUNT)
		return broken(err, "an entry of a kind that is not known");
	if (name >= names_size || !memchr(names + name, '\0', names_size - name) ||
		bundle_name_check(names + name) < 0)
		return broken(err, "an entry's name");
	entry->kind = (enum bundle_kind)kind;
	entry->name = names + name;
	entry->offset = u64_at(row + 8);
	entry->length = u64_at(row + 16);
	memcpy(entry->digest, row + 24, BUNDLE_DIGEST_SIZE);
	if (entry->offset % BUNDLE_ALIGN != 0 || entry->offset > bundle->index_offset ||
		entry->length > bundle->index_offset - entry->offset)
		return broken(err, "an entry that is not in the file");
	if (entry->offset < bundle->program_length)
		bundle->program_length = entry->offset;
	if (bundle_find(&before, entry->kind, entry->name))
		return broken(err, "two entries of one name");
	return 0;
}

static int rows_read(struct bundle *bundle, struct err *err)
{
	uint64_t names_size = u32_at(bundle->bytes + 4);

	bundle->n = u32_at(bundle->bytes);
	if (bundle->n > BUNDLE_ENTRIES_MAX ||
		BUNDLE_HEAD_SIZE + bundle->n * BUNDLE_ROW_SIZE + names_size != bundle->index_length)
		return broken(err, "the index");
	bundle->entries = reallocarray(NULL, bundle->n + 1, sizeof *bundle->entries);
	if (!bundle->entries)
		return err_sys(err, ENOMEM, "read the payload");
	for (size_t i = 0; i < bundle->n; i++) {
		int r = row_read(bundle, i, (uint32_t)names_size, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int footer_read(int fd, struct bundle *bundle, struct err *err)
{
	char footer[BUNDLE_FOOTER_SIZE];
	struct stat st;
	uint64_t size;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at the file");
	size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || size < sizeof footer)
		return err_set(err, ENODATA, "the file has no payload");
	r = read_at(fd, footer, sizeof footer, size - sizeof footer);
	if (r < 0)
		return err_sys(err, -r, "read the file");
	if (memcmp(footer, BUNDLE_MAGIC, sizeof BUNDLE_MAGIC) != 0)
		return err_set(err, ENODATA, "the file has no payload");
	bundle->index_offset = bundle->program_length = u64_at(footer + 8);
	bundle->index_length = u64_at(footer + 16);
	memcpy(bundle->digest, footer + 24, BUNDLE_DIGEST_SIZE);
	if (u64_at(footer + 56) != 0)
		return broken(err, "the footer");
	if (bundle->index_length < BUNDLE_HEAD_SIZE || bundle->index_length > INDEX_SIZE_MAX ||
		bundle->index_length > size - sizeof footer ||
		bundle->index_offset != size - sizeof footer - bundle->index_length)
		return broken(err, "the footer");
	return 0;
}

int bundle_read(int fd, struct bundle *ret, struct err *err)
{
	struct bundle bundle = { 0 };
	int r = footer_read(fd, &bundle, err);

	if (r < 0)
		return r;
	bundle.bytes = malloc(bundle.index_length + 1);
	if (!bundle.bytes)
		return err_sys(err, ENOMEM, "read the payload");
	r = read_at(fd, bundle.bytes, bundle.index_length, bundle.index_offset);
	r = r < 0 ? err_sys(err, -r, "read the payload") : rows_read(&bundle, err);
	if (r < 0) {
		bundle_done(&bundle);
		return r;
	}
	*ret = bundle;
	return 0;
}

void bundle_done(struct bundle *bundle)
{
	free(bundle->entries);
	free(bundle->bytes);
	*bundle = (struct bundle){ 0 };
}

const struct bundle_entry *bundle_find(
	const struct bundle *bundle, enum bundle_kind kind, const char *name)
{
	for (size_t i = 0; i < bundle->n; i++)
		if (bundle->entries[i].kind == kind && strcmp(bundle->entries[i].name, name) == 0)
			return &bundle->entries[i];
	return NULL;
}

bool bundle_stays(const struct bundle_entry *entry)
{
	return entry->kind == BUNDLE_IMAGE ||
	       (entry->kind == BUNDLE_PROGRAM && strchr(entry->name, '/'));
}

const char *bundle_kind_name(enum bundle_kind kind)
{
	return kind_names[kind];
}

struct bundle_tag bundle_tag(const uint8_t *digest)
{
	struct bundle_tag tag;

	for (int i = 0; i < 8; i++)
		(void)snprintf(tag.text + 2 * i, 3, "%02x", digest[i]);
	return tag;
}
