#include "images/worker/verify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "images/bundle.h"
#include "images/worker/digest.h"

struct comparing {
	int file;
	struct progress progress;
};

static int compare(struct comparing *c, uint64_t offset, uint64_t length, const uint8_t *wanted,
	const char *kind, const char *name, struct err *err)
{
	uint8_t found[SHA256_DIGEST_SIZE];
	int r;

	(void)snprintf(c->progress.what, sizeof c->progress.what, "%s %s", kind, name);
	r = digest_range_told(c->file, offset, length, &c->progress, found, err);
	c->progress.before += length;

	if (r < 0)
		return err_wrap(err, "%s %s", kind, name);
	if (memcmp(found, wanted, sizeof found) != 0)
		return err_set(err, EINVAL,
			"%s %s is not what was packed: the file was changed or is damaged; copy it "
			"anew",
			kind, name);
	return 0;
}

static bool is_asked(const char *kind, const char *name, const struct bundle_entry *entry)
{
	if (name && strcmp(name, entry->name) != 0)
		return false;
	if (!kind)
		return true;
	if (strcmp(kind, "files") == 0)
		return !bundle_stays(entry);
	return strcmp(kind, bundle_kind_name(entry->kind)) == 0;
}

int verify(int file, const char *kind, const char *name, struct err *err)
{
	struct comparing c = { .file = file };
	struct bundle bundle;
	bool found = !name;
	int r = bundle_read(file, &bundle, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < bundle.n; i++)
		if (is_asked(kind, name, &bundle.entries[i]))
			c.progress.total += bundle.entries[i].length;
	c.progress.total += bundle.index_length;
	r = compare(&c, bundle.index_offset, bundle.index_length, bundle.digest, "the payload's",
		"index", err);
	for (size_t i = 0; i < bundle.n && r == 0; i++) {
		const struct bundle_entry *entry = &bundle.entries[i];

		if (!is_asked(kind, name, entry))
			continue;
		found = true;
		r = compare(&c, entry->offset, entry->length, entry->digest,
			bundle_kind_name(entry->kind), entry->name, err);
	}
	if (r == 0 && !found)
		r = err_set(err, ENOENT, "%s %s is not in the payload", kind, name);
	bundle_done(&bundle);
	return r;
}
