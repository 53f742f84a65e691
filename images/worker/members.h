/* What lies where in a tar archive that is not compressed. */
#ifndef BERTH_IMAGES_WORKER_MEMBERS_H
#define BERTH_IMAGES_WORKER_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"

/* More than an archive with an image in it has: 500 layers of three files each. */
enum { MEMBERS_MAX = 8192 };

struct member {
	char *name; /* without "./" and "//" */
	char *link; /* what it is a link to, seen from the top of the archive; else NULL */
	uint64_t offset, size;
};

struct members {
	struct member *v;
	size_t n, room;
	bool more; /* there are more than MEMBERS_MAX, or names that no image has: it is a tree */
};

/* members_read - all files and links of the archive; -EINVAL when it is none, or damaged. */
int members_read(int file, struct members *ret, struct err *err);
void members_done(struct members *members);

/* members_find - the file of that name, by way of links; the last one of several. NULL: none. */
const struct member *members_find(const struct members *members, const char *name);

#endif
