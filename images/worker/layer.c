#include "images/worker/layer.h"

#include <archive.h>
#include <errno.h>
#include <string.h>

#include "images/worker/copytree.h"
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

static int digests_check(
	struct image_layer *layer, const uint8_t *packed, const uint8_t *plain, struct err *err)
{
	if (layer->digested && memcmp(packed, layer->digest, SHA256_DIGEST_SIZE) != 0)
		return err_set(err, EINVAL, "it is not what its digest says: it is damaged");
	if (layer->told && memcmp(plain, layer->diff_id, SHA256_DIGEST_SIZE) != 0)
		return err_set(
			err, EINVAL, "its content is not what the configuration's diff_id says");
	memcpy(layer->diff_id, plain, SHA256_DIGEST_SIZE);
	return 0;
}

static int stream_apply(const struct layer_job *job, struct image_layer *layer, struct apply *apply,
	struct err *err)
{
	struct stream stream = { .window = job->window };
	struct reader reader = { .stream = &stream, .progress = job->progress };
	uint8_t packed[SHA256_DIGEST_SIZE], plain[SHA256_DIGEST_SIZE];
	int r = stream_open(&stream, &layer->blob, limit_of(&layer->blob, apply->budget), err);

	if (r < 0)
		return r;
	apply->vouched = layer->digested || layer->told;
	r = archive_apply(&reader, apply, err);
	if (r < 0) {
		stream_drop(&stream, err);
		return r;
	}
	r = stream_finish(&stream, packed, plain, err);
	/* A layer may well be empty: some tools write one for each line of a recipe. */
	if (r == 0 && !job->whiteouts && !apply->entries)
		r = err_set(err, EINVAL, "the archive is empty");
	return r < 0 ? r : digests_check(layer, packed, plain, err);
}

static int apply_open(
	const struct layer_job *job, struct apply *apply, struct tree_sums *sums, struct err *err)
{
	int r = apply_init(apply, job->view->layers[job->view->n - 1], err);

	if (r < 0)
		return r;
	apply->view = job->view;
	apply->whiteouts = job->whiteouts;
	apply->sums = sums;
	return upper_root(job->view, err);
}

int layer_apply(const struct layer_job *job, struct image_layer *layer, struct tree_count *ret,
	struct err *err)
{
	struct tree_sums sums = { .n = 0 };
	struct apply apply;
	int r = apply_open(job, &apply, &sums, err);

	if (r == 0) {
		r = stream_apply(job, layer, &apply, err);
		apply_done(&apply);
	}
	if (r == 0)
		r = tree_digest(apply.root, &sums, true, ret, err);
	tree_sums_done(&sums);
	return r;
}

int layer_copy(const struct layer_job *job, struct image_layer *layer, int from, int avoid,
	struct tree_count *ret, struct err *err)
{
	struct tree_sums sums = { .n = 0 };
	struct apply apply;
	int r = apply_open(job, &apply, &sums, err);

	if (r == 0) {
		r = copytree(from, avoid, &apply, job->progress, err);
		if (r == 0 && apply.entries < 2)
			r = err_set(err, EINVAL, "the directory is empty");
		apply_done(&apply);
	}
	if (r == 0)
		r = tree_digest(apply.root, &sums, true, ret, err);
	tree_sums_done(&sums);
	if (r == 0)
		memcpy(layer->diff_id, ret->digest, sizeof layer->diff_id);
	return r;
}
