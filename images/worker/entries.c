/*
 * From libarchive's entries to the applier's. libarchive reads what somebody else wrote; what it
 * gives is checked here and in apply.c before anything is made of it.
 */
#include "images/worker/entries.h"

#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_SHOWN = 120 };

int entries_err(struct archive *archive, struct err *err)
{
	const char *text = archive_error_string(archive);

	return err_set(err, EINVAL, "%s", text ? text : "not a tar archive");
}

int entries_format_err(struct archive *archive, struct err *err)
{
	(void)entries_err(archive, err);
	return err_wrap(err, "not a tar archive, plain or packed by gzip, xz or zstd");
}

/* The name for a message: whatever is in it, it stays one line. */
static int entry_err(struct err *err, const char *path)
{
	char shown[NAME_SHOWN + 1];
	size_t n = 0;

	for (; n < NAME_SHOWN && path[n]; n++)
		shown[n] = (unsigned char)path[n] < ' ' || path[n] == 0x7f ? '?' : path[n];
	shown[n] = '\0';
	return err_wrap(err, "entry %s", shown);
}

static int entry_read(struct archive_entry *from, struct apply_entry *ret, struct err *err)
{
	const char *hardlink = archive_entry_hardlink(from);
	la_int64_t uid = archive_entry_uid(from);
	la_int64_t gid = archive_entry_gid(from);

	/* (uid_t)-1 means "leave it" to chown(2); larger ones would wrap round to root. */
	if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return err_set(err, EINVAL, "an owner that is no user id");
	*ret = (struct apply_entry){
		.path = archive_entry_pathname(from),
		.link = hardlink ? hardlink : archive_entry_symlink(from),
		.hardlink = hardlink != NULL,
		.type = archive_entry_filetype(from),
		.mode = archive_entry_perm(from),
		.uid = (uid_t)uid,
		.gid = (gid_t)gid,
		.mtime = { .tv_sec = archive_entry_mtime(from),
			.tv_nsec = archive_entry_mtime_nsec(from) },
		.size = archive_entry_size(from),
	};
	return 0;
}

/* *ret_last: the archive ended before the padding of this file, which is whole. */
static int data_copy(struct archive *archive, struct apply *apply, bool *ret_last, struct err *err)
{
	const void *data;
	la_int64_t offset;
	int64_t end = 0;
	size_t n;

	for (;;) {
		int r = archive_read_data_block(archive, &data, &n, &offset);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN) {
			*ret_last = apply->vouched && end && end == apply->now.size;
			return *ret_last ? 0 : entries_err(archive, err);
		}
		r = apply_data(apply, data, n, offset, err);
		if (r < 0)
			return r;
		end = offset + (int64_t)n;
	}
}

static int xattrs_copy(struct archive_entry *from, struct apply *apply, struct err *err)
{
	const char *name;
	const void *value;
	size_t n;

	(void)archive_entry_xattr_reset(from);
	while (archive_entry_xattr_next(from, &name, &value, &n) == ARCHIVE_OK) {
		int r = name ? apply_xattr(apply, name, value, n, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* Gives 1 to go on, 0 when that was the last entry. */
static int entry_copy(
	struct archive *archive, struct archive_entry *from, struct apply *apply, struct err *err)
{
	struct apply_entry entry;
	bool last = false;
	int r = entry_read(from, &entry, err);

	if (r == 0)
		r = apply_begin(apply, &entry, err);
	if (r == 1)
		r = data_copy(archive, apply, &last, err);
	if (r == 0)
		r = xattrs_copy(from, apply, err);
	if (r == 0)
		r = apply_end(apply, err);
	return r < 0 ? r : !last;
}

/* ---- whiteouts ---------------------------------------------------------------------------------- */

#define WHITEOUT ".wh."

static const char *last_part(const char *path, size_t *ret_length)
{
	size_t n = strlen(path);
	size_t from;

	while (n && path[n - 1] == '/')
		n--;
	from = n;
	while (from && path[from - 1] != '/')
		from--;
	*ret_length = n - from;
	return path + from;
}

static bool is_part(const char *part, size_t n, const char *name)
{
	return n == strlen(name) && memcmp(part, name, n) == 0;
}

/* Old tools left files and directories with such names in layers: they are no content. */
static bool is_leftover(const char *path)
{
	const char *found = path;

	while ((found = strstr(found, WHITEOUT WHITEOUT))) {
		if (found == path || found[-1] == '/')
			return true;
		found++;
	}
	return false;
}

/*
 * Gives 1 for an entry that is content. Whatever type an entry with such a name has, it is a mark:
 * there are images whose whiteouts are hard links.
 */
static int whiteout(struct apply *apply, const char *path, struct err *err)
{
	char hidden[APPLY_PATH_SIZE];
	size_t n;
	const char *part = last_part(path, &n);
	size_t before = (size_t)(part - path);

	if (is_part(part, n, WHITEOUT WHITEOUT ".opq"))
		return apply_opaque(apply, path, err);
	if (is_leftover(path))
		return apply_skip(apply, path, err);
	if (n < sizeof WHITEOUT - 1 || memcmp(part, WHITEOUT, sizeof WHITEOUT - 1) != 0)
		return 1;
	part += sizeof WHITEOUT - 1;
	n -= sizeof WHITEOUT - 1;
	if (n == 0 || is_part(part, n, ".") || is_part(part, n, ".."))
		return err_set(err, EINVAL, "a whiteout of nothing");
	if (before + n >= sizeof hidden)
		return err_set(err, EINVAL, "its name is too long");
	memcpy(hidden, path, before);
	memcpy(hidden + before, part, n);
	hidden[before + n] = '\0';
	return apply_hide(apply, hidden, err);
}

/* ---- all of them -------------------------------------------------------------------------------- */

int entries_apply(struct archive *archive, struct apply *apply, struct err *err)
{
	bool first = true;

	for (;; first = false) {
		struct archive_entry *from;
		const char *path;
		int r = archive_read_next_header(archive, &from);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return first ? entries_format_err(archive, err) : entries_err(archive, err);
		path = archive_entry_pathname(from);
		if (!path)
			return err_set(err, EINVAL, "entry %u: its name cannot be read",
				apply->entries + 1);
		r = apply->whiteouts ? whiteout(apply, path, err) : 1;
		if (r == 1 && (r = entry_copy(archive, from, apply, err)) == 0)
			return 0;
		if (r < 0)
			return entry_err(err, path);
	}
}
