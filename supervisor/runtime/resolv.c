#include "supervisor/runtime/resolv.h"

#include <stdio.h>
#include <stdlib.h>

#include "supervisor/base/resolvconf.h"

char *resolv_text(const char *run_dir, const struct container_spec *spec)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		return NULL;
	if (spec->resolv_host != RESOLV_NONE)
		resolvconf_host(run_dir, spec->resolv_host == RESOLV_ALL, out);
	(void)fputs(spec->resolv_conf, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
