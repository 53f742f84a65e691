/* Checks a detached signature as minisign makes it, by libsodium. */
#ifndef BERTH_IMAGES_WORKER_SIGNATURE_H
#define BERTH_IMAGES_WORKER_SIGNATURE_H

#include <stddef.h>

#include "supervisor/base/err.h"

/*
 * signature_check - is the whole file signed by one of these keys?
 *
 * Needs: `signature`: the text of FILE.minisig; `keys`: public keys as minisign prints them, 56
 *        characters each; `file` at any position, read from its beginning to its end.
 * The form is minisign's prehashed one, its default since 0.10: Ed25519 over BLAKE2b-512 of the file,
 * and over signature and trusted comment, which is checked too.
 * Fails: -EINVAL for what is no such signature, or a wrong one; -EPERM for another key's, each with
 *        words.
 */
int signature_check(
	int file, const char *signature, char *const *keys, size_t nkeys, struct err *err);

#endif
