/* A note in /run that a part of an appliance file was found to be what was packed. */
#ifndef BERTH_IMAGES_STAMP_H
#define BERTH_IMAGES_STAMP_H

#include <stdbool.h>

#include "supervisor/base/err.h"

/*
 * The note is about the very file: its device, inode, size and time of change, the digest of its index,
 * and this boot. Whoever writes a byte of it changes the time; whoever copies it has another inode.
 * Missing or unreadable is not noted, never an error: then it is read once more.
 */
bool stamp_holds(int dir, const char *name, int file);
void stamp_set(int dir, const char *name, int file);

#endif
