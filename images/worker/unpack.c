#include "images/worker/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "images/worker/apply.h"

enum { READ_SIZE = 128 * 1024, NAME_SHOWN = 120 };

static int archive_err(struct err *err, struct archive *archive)
{
	const char *text = archive_error_string(archive);

	return err_set(err, EINVAL, "%s", text ? text : "not a tar archive");
}

/* Before the first entry: it is something else altogether. */
static int format_err(struct err *err, struct archive *archive)
{
	(void)archive_err(err, archive);
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

static int data_copy(struct archive *archive, struct apply *apply, struct err *err)
{
	const void *data;
	la_int64_t offset;
	size_t n;

	for (;;) {
		int r = archive_read_data_block(archive, &data, &n, &offset);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return archive_err(err, archive);
		r = apply_data(apply, data, n, offset, err);
		if (r < 0)
			return r;
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

static int entry_copy(
	struct archive *archive, struct archive_entry *from, struct apply *apply, struct err *err)
{
	struct apply_entry entry;
	int r = entry_read(from, &entry, err);

	if (r == 0)
		r = apply_begin(apply, &entry, err);
	if (r == 1)
		r = data_copy(archive, apply, err);
	if (r == 0)
		r = xattrs_copy(from, apply, err);
	return r < 0 ? r : apply_end(apply, err);
}

static int entries_copy(struct archive *archive, struct apply *apply, struct err *err)
{
	for (;;) {
		struct archive_entry *from;
		const char *path;
		int r = archive_read_next_header(archive, &from);

		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return apply->entries ? archive_err(err, archive)
					      : format_err(err, archive);
		path = archive_entry_pathname(from);
		if (!path)
			return err_set(err, EINVAL, "entry %u: its name cannot be read",
				apply->entries + 1);
		if (entry_copy(archive, from, apply, err) < 0)
			return entry_err(err, path);
	}
	if (!apply->entries)
		return err_set(err, EINVAL, "the archive is empty");
	apply_finish(apply);
	return 0;
}

int unpack(int archive_fd, int dir, struct err *err)
{
	struct archive *archive = archive_read_new();
	struct apply apply;
	int r;

	if (!archive)
		return err_sys(err, ENOMEM, "libarchive");
	(void)archive_read_support_filter_gzip(archive);
	(void)archive_read_support_filter_xz(archive);
	(void)archive_read_support_filter_zstd(archive);
	(void)archive_read_support_format_tar(archive);
	r = apply_init(&apply, dir, err);
	if (r == 0) {
		if (archive_read_open_fd(archive, archive_fd, READ_SIZE) != ARCHIVE_OK)
			r = format_err(err, archive);
		else
			r = entries_copy(archive, &apply, err);
		apply_done(&apply);
	}
	(void)archive_read_free(archive);
	return r;
}
