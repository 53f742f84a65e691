/* A program as a file in memory that nobody can change. */
#ifndef BERTH_BASE_SEALED_H
#define BERTH_BASE_SEALED_H

#include <stddef.h>

struct err;

/*
 * sealed_bytes - a program that we have in us
 *
 * Gives: a close-on-exec descriptor for execveat(fd, "", …, AT_EMPTY_PATH).
 * Fails: with words; -EACCES where vm.memfd_noexec=2 forbids it and we may not mount.
 */
int sealed_bytes(const char *name, const void *bytes, size_t n, struct err *err);

/*
 * sealed_copy - a program of a file system that is mounted noexec (as Debian mounts /run)
 *
 * Gives: *ret, a descriptor as of sealed_bytes; -1: it can be run by its path.
 * Fails: it cannot be read, or as sealed_bytes.
 */
int sealed_copy(const char *path, int *ret, struct err *err);

#endif
