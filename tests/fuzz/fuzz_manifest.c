/* A manifest or an index of a registry: what is chosen, and which blobs are fetched under which names. */
#include <stdlib.h>
#include <string.h>

#include "images/fetch/manifest.h"
#include "images/fetch/reference.h"
#include "supervisor/base/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* It becomes the name of a file. */
static void is_name(const struct descriptor *blob)
{
	if (!digest_text_valid(blob->digest) || blob->size > 1ULL << 50)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct descriptor blobs[MANIFEST_BLOBS_MAX];
	static const struct platform machine = { .os = "linux", .arch = "arm64", .variant = "v8" };
	struct body body = { malloc(n + 1), n };
	struct manifest manifest;
	struct err err = { 0 };
	int got;

	if (!body.text)
		return 0;
	memcpy(body.text, data, n);
	body.text[n] = '\0';
	if (manifest_read(body, &manifest, &err) < 0)
		return 0;
	if (manifest.index && manifest_choose(&manifest, &machine, blobs, &err) == 0)
		is_name(blobs);
	got = manifest.index ? 0 : manifest_blobs(&manifest, blobs, &err);
	for (int i = 0; i < got; i++)
		is_name(&blobs[i]);
	manifest_done(&manifest);
	return 0;
}
