/* `berth version`: what this is, and under which terms. */
#include <stdio.h>

#include "supervisor/cmd/cmd.h"

static const char *const license[] = {
	"MIT License",
	"",
	"Copyright (c) 2026 The berth authors",
	"",
	"Permission is hereby granted, free of charge, to any person obtaining a copy",
	"of this software and associated documentation files (the \"Software\"), to deal",
	"in the Software without restriction, including without limitation the rights",
	"to use, copy, modify, merge, publish, distribute, sublicense, and/or sell",
	"copies of the Software, and to permit persons to whom the Software is",
	"furnished to do so, subject to the following conditions:",
	"",
	"The above copyright notice and this permission notice shall be included in all",
	"copies or substantial portions of the Software.",
	"",
	"THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR",
	"IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,",
	"FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE",
	"AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER",
	"LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,",
	"OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE",
	"SOFTWARE.",
};

static const struct {
	const char *name, *use, *terms;
} libraries[] = {
#define LIBRARY(word, name, use, terms) { name, use, terms },
#include "supervisor/cmd/libraries.def"
#undef LIBRARY
};

int cmd_version(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "licenses", no_argument, NULL, 'l' }, { 0 } };
	int licenses = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l')
			licenses = 1;
		else if (cmd_global(c, "version"))
			return CMD_USAGE;
	}
	puts("berth " BERTH_VERSION);
	if (!licenses)
		return CMD_OK;
	puts("");
	for (size_t i = 0; i < sizeof license / sizeof license[0]; i++)
		puts(license[i]);
	puts("\nlinked libraries, each under its own terms:");
	for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
		printf("  %-24s%-30s%s\n", libraries[i].name, libraries[i].use, libraries[i].terms);
	return CMD_OK;
}
