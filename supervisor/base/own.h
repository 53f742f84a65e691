/* Owned resources: released at the end of the scope that declares them, unless taken. */
#ifndef BERTH_BASE_OWN_H
#define BERTH_BASE_OWN_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* close(2) once, never again on EINTR (its NOTES: the fd is gone either way); errno is kept. */
static inline void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void mem_free(void *ptr)
{
	void **p = ptr;

	free(*p);
	*p = NULL;
}

/* Hand an owned fd over: the variable forgets it. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void *ptr_take_(void **ptr)
{
	void *taken = *ptr;

	*ptr = NULL;
	return taken;
}

#define own_fd  __attribute__((cleanup(fd_close))) int
#define own_mem __attribute__((cleanup(mem_free)))
/* Hand an owned pointer over, with its type. */
#define ptr_take(ptr) ((__typeof__(*(ptr)))ptr_take_((void **)(ptr)))

#endif
