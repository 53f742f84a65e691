/* For which machine an image is: the names of Go, which images use. */
#ifndef BERTH_IMAGES_WORKER_PLATFORM_H
#define BERTH_IMAGES_WORKER_PLATFORM_H

enum { PLATFORM_PART = 32 };

struct platform {
	char os[PLATFORM_PART];
	char arch[PLATFORM_PART];
	char variant[PLATFORM_PART]; /* "" when none is said */
};

/* platform_parse - "OS/ARCH[/VARIANT]": 0 or -EINVAL. */
int platform_parse(const char *text, struct platform *ret);

/* The machine that we run on. */
void platform_host(struct platform *ret);

/*
 * platform_rank - how well something for this platform runs on what is wanted
 *
 * Gives: 0 not at all; else the larger, the better: a machine for arm v7 runs v6 and v5 too. Any of
 *        the texts may be NULL.
 */
int platform_rank(
	const struct platform *wanted, const char *os, const char *arch, const char *variant);

#endif
