/* What is mounted anywhere: in the mount table of any process. */
#ifndef BERTH_IMAGES_INUSE_H
#define BERTH_IMAGES_INUSE_H

#include <stdbool.h>
#include <stddef.h>

/* The zero value says that everything is in use. */
struct inuse {
	char *text; /* the mount tables, one for each mount namespace */
	size_t size;
};

/* Reads all of /proc/PID/mountinfo. What cannot be read leaves the zero value. */
void inuse_read(struct inuse *ret);
/* Does this word, a name that nothing else has, stand in one of them? */
bool inuse_has(const struct inuse *inuse, const char *word);
void inuse_done(struct inuse *inuse);

#endif
