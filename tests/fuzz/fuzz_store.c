/* The small texts of the store of images: a name, what it means, the list of an image's layers. A disk
 * may make anything of them. */
#include <stdlib.h>
#include <string.h>

#include "images/reference.h"
#include "images/store_find.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1);
	struct store_image image = { 0 };
	struct store_name name;
	char ref[REFERENCE_SIZE];
	char file[REFERENCE_SIZE];

	if (!text)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	if (store_name_parse(text, &name) == 0 &&
		(!digest_valid(name.id) || (*name.previous && !digest_valid(name.previous))))
		__builtin_trap();
	if (reference_normalise(text, ref) == 0 &&
		(store_name_escape(ref, file, sizeof file) < 0 || strchr(file, '/') ||
			*file == '.' || store_name_unescape(file, ref, sizeof ref) < 0))
		__builtin_trap();
	(void)store_name_unescape(text, ref, sizeof ref);
	if (store_layers_parse(text, &image, NULL) == 0)
		for (size_t i = 0; i < image.nlayers; i++)
			if (strspn(image.layers[i].chain, "0123456789abcdef") !=
				STORE_CHAIN_SIZE - 1)
				__builtin_trap();
	store_image_done(&image);
	free(text);
	return 0;
}
