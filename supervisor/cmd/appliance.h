/* The payload of the program file that we are: its configuration and its images. */
#ifndef BERTH_CMD_APPLIANCE_H
#define BERTH_CMD_APPLIANCE_H

#include "supervisor/base/err.h"

/* Where a payload's files are put, below a directory named by their content. It is not RunDir=, which
 * the payload itself may set. */
#define APPLIANCE_DIR "/run/berth-appliance"

/*
 * appliance_config - the directory of units to use
 *
 * Gives: --config; else, where our program file is an appliance, the directory with its files, which
 *        is made when it is not there: digests compared, then renamed into its place as a whole (who
 *        may not write to /run gets a directory of his own, removed at exit); else NULL, the search
 *        path.
 * Needs: /proc. Blocks: on the disk, and on berth-worker where the directory is made.
 * Fails: with words for a payload that is broken.
 */
int appliance_config(const char **ret, struct err *err);

/* The worker beside our program file, or below ../libexec, or of the payload. */
const char *appliance_worker(void);

/* berth-fetch, the same; NULL: there is none. Both are ours until the next of these calls. */
const char *appliance_fetch(void);

#endif
