/* A thread that follows a growing file with SHA-256, so that the network never waits for it. */
#ifndef BERTH_IMAGES_FETCH_HASHER_H
#define BERTH_IMAGES_FETCH_HASHER_H

#include <stdbool.h>
#include <stdint.h>

struct hasher;

/*
 * hasher_start - begin at the first byte of a file
 *
 * The descriptor stays the caller's, and open until hasher_end. `done` is called in the thread, with
 * `arg`, when it is through. Gives: NULL when there is no memory or no thread.
 */
struct hasher *hasher_start(int fd, void (*done)(void *arg), void *arg);

/* hasher_reach - the file is there up to `end`; `last`: and no more will come. */
void hasher_reach(struct hasher *hasher, uint64_t end, bool last);

/* hasher_through - is the last byte hashed (or was it impossible)? */
bool hasher_through(struct hasher *hasher);

/* hasher_end - stop it, and free it. Gives: 0 and the digest when it was through; or -errno. */
int hasher_end(struct hasher *hasher, uint8_t ret[32]);

#endif
