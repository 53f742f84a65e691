/* Giving away all that a download does not need. */
#ifndef BERTH_IMAGES_FETCH_CONFINE_H
#define BERTH_IMAGES_FETCH_CONFINE_H

#include <sys/types.h>

#include "supervisor/base/err.h"

/* Who we are afterwards, when we were root: the kernel's overflow user, who owns nothing. */
enum { CONFINE_UID = 65534 };

/*
 * confine - no user of this machine, no capability, no new privilege, no core dump, limits to memory and
 *           to the size of a file, no system calls but those of a client
 *
 * Where the kernel has Landlock, files are made and changed only below `dir`, and none is executed.
 * What is open stays open; nothing is loaded any more. Needs: no other thread. Fails: with words, never
 * without effect.
 */
int confine(int dir, struct err *err);

#endif
