#include "images/worker/unpack.h"

#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "images/worker/entries.h"
#include "images/worker/tree.h"

enum { READ_SIZE = 128 * 1024 };

/* Perhaps only now it is seen: the archive may be compressed. */
static bool is_image(int dir)
{
	static const char *const marks[] = { "oci-layout", "manifest.json" };
	struct stat st;

	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (fstatat(dir, marks[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			return true;
	return false;
}

static int archive_apply(struct archive *archive, struct apply *apply, struct err *err)
{
	int r = entries_apply(archive, apply, err);

	if (r == 0 && !apply->entries)
		r = err_set(err, EINVAL, "the archive is empty");
	if (r == 0 && is_image(apply->root))
		r = err_set(err, EINVAL,
			"it is no root file system, it has an image in it: name it by Image=, or "
			"berth image import");
	return r < 0 ? r : tree_settle(apply->root, err);
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
			r = entries_format_err(archive, err);
		else
			r = archive_apply(archive, &apply, err);
		apply_done(&apply);
	}
	(void)archive_read_free(archive);
	return r;
}
