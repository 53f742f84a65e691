/* Who uses a volume: asked of the kernel, so that whoever started it does not matter. */
#ifndef BERTH_RUNTIME_VOLUME_USE_H
#define BERTH_RUNTIME_VOLUME_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

struct volume_use {
	const char *path; /* given: the volume's directory */
	bool mounted;     /* a file system is mounted there, by a .volume with Device= */
	bool starting;    /* a container is being made of it at this moment */
	pid_t pid;        /* of a process that has it mounted elsewhere; 0: none */
	char name[64];    /* of its container, or its command */
};

/*
 * volume_uses - look at the mounts of every process, once for each mount namespace
 *
 * Gives: all fields but `path`. A volume that does not exist is used by nobody.
 * Needs: root, /proc. Blocks: on /proc. Fails: /proc cannot be read.
 */
int volume_uses(struct volume_use *uses, size_t n, struct err *err);

#endif
