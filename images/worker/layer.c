#include "images/worker/layer.h"

#include <archive.h>
#include <errno.h>
#include <string.h>

#include "images/worker/entries.h"
#include "images/worker/stream.h"
#include "images/worker/upper.h"

struct reader {
	struct stream *stream;
	struct progress *progress;
};

static la_ssize_t on_plain(struct archive *archive, void *arg, const void **ret)
{
	const struct reader *reader = arg;
	ssize_t n = stream_read(reader->stream, ret);

	if (n == -ENOSPC)
		archive_set_error(archive, ENOSPC, "it unpacks to more than there is room for");
	else if (n < 0)
		archive_set_error(archive, EIO, "it cannot be unpacked");
	progress_tell(reader->progress, reader->stream->taken);
	return n < 0 ? -1 : n;
}

static int archive_apply(struct reader *reader, struct apply *apply, struct err *err)
{
	struct archive *archive = archive_read_new();
	int r;

	if (!archive)
		return err_sys(err, ENOMEM, "libarchive");
	(void)archive_read_support_format_tar(archive);
	if (archive_read_open(archive, reader, NULL, on_plain, NULL) != ARCHIVE_OK)
		r = entries_format_err(archive, err);
	else
		r = entries_apply(archive, apply, err);
	(void)archive_read_free(archive);
	return r;
}

/* A layer may be much smaller than its content, but not without measure: 1 GiB is any layer's right. */
static uint64_t limit_of(const struct blob *blob, uint64_t budget)
{
	const uint64_t slack = 64ULL << 20; /* headers, padding */
	uint64_t limit = (1ULL << 30) + 4096 * blob->size;

	return budget < UINT64_MAX - slack && budget + slack < limit ? budget + slack : limit;
}

static int digests_check(const struct image_layer *layer, bool whiteouts, const uint8_t *packed,
	const uint8_t *plain, struct err *err)
{
	if (layer->digested && memcmp(packed, layer->digest, SHA256_DIGEST_SIZE) != 0)
		return err_set(err, EINVAL, "it is not what its digest says: it is damaged");
	if (whiteouts && memcmp(plain, layer->diff_id, SHA256_DIGEST_SIZE) != 0)
		return err_set(
			err, EINVAL, "its content is not what the configuration's diff_id says");
	return 0;
}

static int stream_apply(const struct image_layer *layer, struct apply *apply,
	struct progress *progress, uint8_t plain[SHA256_DIGEST_SIZE], struct err *err)
{
	struct stream stream = { .unpacked = 0 };
	struct reader reader = { .stream = &stream, .progress = progress };
	uint8_t packed[SHA256_DIGEST_SIZE];
	int r = stream_open(&stream, &layer->blob, limit_of(&layer->blob, apply->budget), err);

	if (r < 0)
		return r;
	r = archive_apply(&reader, apply, err);
	if (r < 0) {
		stream_drop(&stream, err);
		return r;
	}
	r = stream_finish(&stream, packed, plain, err);
	return r < 0 ? r : digests_check(layer, apply->whiteouts, packed, plain, err);
}

int layer_apply(const struct image_layer *layer, const struct view *view, bool whiteouts,
	struct progress *progress, struct tree_count *ret, uint8_t *ret_plain, struct err *err)
{
	const int dir = view->layers[view->n - 1];
	uint8_t plain[SHA256_DIGEST_SIZE];
	struct tree_sums sums = { .n = 0 };
	struct apply apply;
	int r = apply_init(&apply, dir, err);

	if (r < 0)
		return r;
	apply.view = view;
	apply.whiteouts = whiteouts;
	apply.sums = &sums;
	r = upper_root(view, err);
	if (r == 0)
		r = stream_apply(layer, &apply, progress, plain, err);
	apply_done(&apply);
	if (r == 0)
		r = tree_digest(dir, &sums, true, ret, err);
	tree_sums_done(&sums);
	if (r == 0 && ret_plain)
		memcpy(ret_plain, plain, sizeof plain);
	return r;
}
