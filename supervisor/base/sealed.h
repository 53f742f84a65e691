/* A program as a file in memory that nobody can change. */
#ifndef BERTH_BASE_SEALED_H
#define BERTH_BASE_SEALED_H

struct err;

/* An empty one, to be written: a descriptor. Fails: -EACCES where vm.memfd_noexec=2 forbids it. */
int sealed_new(const char *name, struct err *err);

/* Once it is written: a close-on-exec descriptor for execveat(fd, "", …, AT_EMPTY_PATH). `writer` stays
 * the caller's, and must be closed before the exec. */
int sealed_open(int writer, const char *name, struct err *err);

/*
 * sealed_copy - a program of a file system that is mounted noexec (as Debian mounts /run)
 *
 * Gives: *ret, a descriptor as of sealed_open; -1: it can be run by its path.
 * Fails: it cannot be read, or as sealed_new.
 */
int sealed_copy(const char *path, int *ret, struct err *err);

#endif
