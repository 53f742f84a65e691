/* The shape of a program of a bundle that is asked for. A bundle is a directory of programs that belong
 * together, in an appliance file or in a directory. Plain data. */
#ifndef BERTH_IMAGES_PROGRAM_SPEC_H
#define BERTH_IMAGES_PROGRAM_SPEC_H

#include <stdbool.h>

#include "supervisor/base/str.h"

struct program_spec {
	const char *bundle; /* its name; NULL: no bundle, and nothing of this counts */
	const char *file;   /* the program in it */
	const char *dir;    /* where its files lie already; NULL: in the running file */
	const char *tag;    /* in the running file: 16 digits that stand for all of its files */
	bool verify_always; /* before each start, not only before the first one after boot */
	struct strv host;   /* programs of the host; the first one that is there is taken instead */
};

#endif
