/*
 * What an image says of itself. The first byte says what the rest is:
 *
 *	m	a manifest, a zero, a configuration: in a layout whose index and digests are right
 *	d	manifest.json of `docker save`, a zero, the configuration it may name as "c"
 *	else	all of it is a file that is imported
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "images/worker/docker.h"
#include "images/worker/oci.h"
#include "images/worker/view.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct image_wanted wanted = { .platform = { .os = "linux", .arch = "amd64" } };

static void look(const struct source *source)
{
	struct image image = { 0 };
	int r = -1;

	if (source->kind == SOURCE_OCI)
		r = oci_open(source, &wanted, &image, NULL);
	else if (source->kind == SOURCE_DOCKER)
		r = docker_open(source, &wanted, &image, NULL);
	else if (source->kind == SOURCE_DOCKER_OLD)
		r = docker_open_old(source, &wanted, &image, NULL);
	if (r >= 0 && (!image.n || image.n > VIEW_LAYERS_MAX || (!image.config && !image.old)))
		__builtin_trap();
	image_done(&image);
}

static void blob_put(const void *data, size_t n, char ret[static DIGEST_HEX + 1])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	char path[sizeof "blobs/sha256/" + DIGEST_HEX];
	struct sha256_ctx sum;

	sha256_init(&sum);
	sha256_update(&sum, n, data);
	sha256_digest(&sum, sizeof digest, digest);
	digest_hex(digest, ret);
	ret[DIGEST_HEX] = '\0';
	(void)snprintf(path, sizeof path, "blobs/sha256/%s", ret);
	scratch_put(path, data, n);
}

/* "@" in the manifest is the configuration's digest, "#" its length: the fuzzer cannot guess them. */
static void look_at_manifest(const char *text, size_t n, const char *config, size_t config_size)
{
	const struct source source = { .kind = SOURCE_OCI, .dir = scratch(), .file = -1 };
	char digest[DIGEST_HEX + 1];
	char length[24];
	char index[400];
	char *manifest = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&manifest, &size);

	if (!out)
		abort();
	(void)path_remove_tree(scratch(), "blobs");
	if (mkdirat(scratch(), "blobs", 0700) < 0 || mkdirat(scratch(), "blobs/sha256", 0700) < 0)
		abort();
	blob_put(config, config_size, digest);
	(void)snprintf(length, sizeof length, "%zu", config_size);
	for (size_t i = 0; i < n; i++)
		if (text[i] == '@')
			(void)fputs(digest, out);
		else if (text[i] == '#')
			(void)fputs(length, out);
		else
			(void)fputc(text[i], out);
	(void)fclose(out);
	blob_put(manifest, size, digest);
	(void)snprintf(index, sizeof index,
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
		"vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu}]}",
		digest, size);
	scratch_put("index.json", index, strlen(index));
	look(&source);
	free(manifest);
}

static void look_at_file(const uint8_t *data, size_t n)
{
	struct source source;
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || write_full(fd, data, n) < 0)
		abort();
	if (source_open(fd, scratch(), 8 << 20, &source, NULL) >= 0)
		look(&source);
	source_done(&source);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct source docker = { .kind = SOURCE_DOCKER, .dir = scratch(), .file = -1 };
	const uint8_t *zero = n ? memchr(data, '\0', n) : NULL;
	const uint8_t *rest = zero ? zero + 1 : data + n;
	size_t first = n ? (size_t)((zero ? zero : data + n) - data) - 1 : 0;

	if (n && *data == 'm' && first + 1 <= n) {
		look_at_manifest((const char *)data + 1, first, (const char *)rest,
			n - (size_t)(rest - data));
	} else if (n && *data == 'd') {
		scratch_put("manifest.json", data + 1, first);
		scratch_put("c", rest, n - (size_t)(rest - data));
		scratch_put("l", "", 0);
		look(&docker);
	} else {
		look_at_file(data, n);
	}
	return 0;
}
