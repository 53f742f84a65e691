/* For which machine an image is: the names and the preferences of the OCI image specification. */
#ifndef BERTH_IMAGES_PLATFORM_H
#define BERTH_IMAGES_PLATFORM_H

#include "supervisor/base/err.h"

enum { PLATFORM_WORD = 24 };

struct platform {
	char os[PLATFORM_WORD];
	char arch[PLATFORM_WORD];    /* Go's names: amd64, arm64, arm, … */
	char variant[PLATFORM_WORD]; /* v7, v8, …; "": none */
};

/* The machine that this runs on. */
void platform_host(struct platform *ret);

/*
 * platform_parse - "OS/ARCH[/VARIANT]" or the bare "ARCH"; names of uname(2) are taken too
 *
 * Fails: -EINVAL with words.
 */
int platform_parse(const char *text, struct platform *ret, struct err *err);

/*
 * platform_suits - how well an image runs on a machine: 0 not at all, and the more the better
 *
 * Lower variants of an architecture run on higher ones: v6 on an arm v7, v2 on an amd64 v3. A missing
 * variant is the lowest that is met: v1 for amd64, v8 for arm64, v7 for arm. Of equals, take the first.
 */
unsigned platform_suits(const struct platform *machine, const struct platform *image);

/* "linux/arm/v7" */
struct platform_text {
	char text[3 * PLATFORM_WORD];
};
struct platform_text platform_text(const struct platform *platform);

#endif
