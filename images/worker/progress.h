/* How far a job is, for who started it: lines "DONE TOTAL WHAT" on standard output. */
#ifndef BERTH_IMAGES_WORKER_PROGRESS_H
#define BERTH_IMAGES_WORKER_PROGRESS_H

#include <stdint.h>

struct progress {
	uint64_t before; /* bytes of what is done with */
	uint64_t total;  /* bytes; 0: not known */
	char what[40];   /* few words */
	uint64_t told;   /* when, monotonic */
};

/* progress_tell - `done` bytes beyond `before`; at most ten lines a second. Nobody needs to listen. */
void progress_tell(struct progress *progress, uint64_t done);

#endif
