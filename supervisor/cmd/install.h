/* `berth bundle install`: another appliance takes the place of the running one's file. */
#ifndef BERTH_CMD_INSTALL_H
#define BERTH_CMD_INSTALL_H

#include <stdbool.h>

/*
 * bundle_install - check an appliance file, then let it replace our own program file
 *
 * `signature`: a file of minisign's; NULL: FILE.minisig, where there is one. What is checked is a copy
 * beside our file, which nobody else may write: the signature by the keys of our own configuration
 * (UpdateKey=), then the digests, the architecture, and that it runs here, by its own `check`. Then it
 * is on the disk, and takes the name.
 * Gives: an exit code. Fails: with words, our file as it was and the copy removed.
 */
int bundle_install(const char *file, const char *signature, bool json);

#endif
