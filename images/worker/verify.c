#include "images/worker/verify.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "images/bundle.h"
#include "images/worker/digest.h"

static int compare(int file, uint64_t offset, uint64_t length, const uint8_t *wanted,
	const char *kind, const char *name, struct err *err)
{
	uint8_t found[SHA256_DIGEST_SIZE];
	int r = digest_range(file, offset, length, found, err);

	if (r < 0)
		return err_wrap(err, "%s %s", kind, name);
	if (memcmp(found, wanted, sizeof found) != 0)
		return err_set(err, EINVAL,
			"%s %s is not what was packed: the file was changed or is damaged; copy it "
			"anew",
			kind, name);
	return 0;
}

static bool is_asked(const char *kind, const struct bundle_entry *entry)
{
	if (!kind)
		return true;
	if (strcmp(kind, "files") == 0)
		return !bundle_stays(entry);
	return strcmp(kind, bundle_kind_name(entry->kind)) == 0;
}

int verify(int file, const char *kind, const char *name, struct err *err)
{
	struct bundle bundle;
	bool found = !name;
	int r = bundle_read(file, &bundle, err);

	if (r < 0)
		return r;
	r = compare(file, bundle.index_offset, bundle.index_length, bundle.digest, "the payload's",
		"index", err);
	for (size_t i = 0; i < bundle.n && r == 0; i++) {
		const struct bundle_entry *entry = &bundle.entries[i];
		const char *its_kind = bundle_kind_name(entry->kind);

		if (!is_asked(kind, entry) || (name && strcmp(name, entry->name) != 0))
			continue;
		found = true;
		r = compare(file, entry->offset, entry->length, entry->digest, its_kind,
			entry->name, err);
	}
	if (r == 0 && !found)
		r = err_set(err, ENOENT, "%s %s is not in the payload", kind, name);
	bundle_done(&bundle);
	return r;
}
