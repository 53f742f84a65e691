/* What a job gives away before it looks at the first byte that somebody else wrote. */
#ifndef BERTH_IMAGES_WORKER_CONFINE_H
#define BERTH_IMAGES_WORKER_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"

enum { CONFINE_READS = 3 };

struct confinement {
	uint64_t memory; /* bytes that the job may allocate */
	bool files;      /* it gets at no files but those that are open and the following */
	int write;       /* the directory that it writes below; -1: none */
	int reads[CONFINE_READS]; /* directories that it reads below, the first first; -1: none */
	bool opaque;     /* it marks directories for overlayfs: trusted.* takes CAP_SYS_ADMIN */
	bool background; /* its processor time and disk time are what others leave */
};

/*
 * confine - for good
 *
 * Always: no new privileges, no core files, the memory. With `files`: of capabilities those are left
 * for owners, modes and file capabilities, if it writes, and to read what it reads; Landlock, where the
 * kernel has it (2 and later: 1 forbids hard links between directories, which archives have); and a
 * list of the system calls that are left: none that opens a socket, runs a program, makes anything
 * executable, mounts or begins a process. In a build with sanitizers only the capabilities go.
 */
int confine(const struct confinement *how, struct err *err);

#endif
