/* The program that RunInit= and HoldOpen= put into a container: carried inside berth, so that it is
 * there whatever the image has. */
#ifndef BERTH_RUNTIME_INITBLOB_H
#define BERTH_RUNTIME_INITBLOB_H

#include <stddef.h>

struct err;

/*
 * initblob_open - berth-init as a sealed file in memory
 *
 * Gives: a close-on-exec descriptor, opened for reading, for execveat(fd, "", …, AT_EMPTY_PATH). It
 *        is no script, so close-on-exec does not hinder it. Nobody can change it: keep one for all.
 *        Arguments of the program: argv[1…] is what it runs; none: it holds until SIGTERM.
 */
int initblob_open(struct err *err);

/* Its size in bytes. */
size_t initblob_size(void);

#endif
