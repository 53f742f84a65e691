/* Writes an appliance file: images/bundle.h has its shape. */
#ifndef BERTH_IMAGES_WORKER_PACK_H
#define BERTH_IMAGES_WORKER_PACK_H

#include <stdio.h>

#include "supervisor/base/err.h"

/*
 * pack - put a program and a payload into one new file
 *
 * `list` has three lines for each entry: the kind's name, the entry's name, the file to take; the
 * first entry's kind is "stub", the program, from which a payload of its own is left away. A kind with
 * a "+" before it gives the file away: where the file system can insert room in front, the first such
 * file becomes the output, and nothing of it is copied.
 * Gives: the file written and on the disk. Same files, same order: same bytes.
 * Fails: with words; what was written stays, to be removed by the caller.
 */
int pack(FILE *list, const char *out, struct err *err);

#endif
