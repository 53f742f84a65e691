/* What berth-worker and berth-fetch give away alike, before they look at what somebody else wrote. */
#ifndef BERTH_IMAGES_JAIL_H
#define BERTH_IMAGES_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"

#if defined(__SANITIZE_ADDRESS__)
enum {
	SANITIZED = 1
}; /* of a build with ASan: its shadow needs the address space, its leak check /proc */
#else
enum { SANITIZED = 0 };
#endif

/* The system calls that are left. */
struct jail_calls {
	const int *any; /* with any arguments */
	size_t nany;
	const uint32_t *families; /* AF_* of sockets that may be made; NULL: none */
	size_t nfamilies;
	bool common; /* and those that both programs need: for files, memory, threads and clocks */
};

/*
 * jail_calls - for good, and for every thread to come
 *
 * Beside those of the list threads may be begun, but no process, and memory be mapped that is not
 * executable. Everything else fails with EPERM.
 * Needs: no_new_privs; at most 200 calls. Fails: with words; a kernel without seccomp filters is no
 *        failure.
 */
int jail_calls(const struct jail_calls *left, struct err *err);

/* One file is at most as large as what is free in the file system of `dir`; -1: no limit. */
void jail_file_size(int dir);

#endif
