#include "images/fetch/hasher.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* A block is also what the thread is woken for: a wake-up for each write would cost more than the hash. */
enum { BLOCK = 256 * 1024, STACK = 64 * 1024 };

struct hasher {
	pthread_t thread;
	pthread_mutex_t lock; /* for all below it, but `sha` and `block`, which are the thread's */
	pthread_cond_t more;
	uint64_t end;
	uint64_t wanted; /* how far it must reach for the thread to go on */
	bool last, stop, through;
	int error;
	int fd;
	void (*done)(void *arg);
	void *arg;
	struct sha256_ctx sha;
	uint8_t block[BLOCK];
};

/* Waits for a block beyond `at`, or the last bytes. Gives: where they end; `at` when no more will come. */
static uint64_t wait_beyond(struct hasher *hasher, uint64_t at)
{
	uint64_t end;

	pthread_mutex_lock(&hasher->lock);
	hasher->wanted = at + BLOCK;
	while (hasher->end < hasher->wanted && !hasher->last && !hasher->stop)
		pthread_cond_wait(&hasher->more, &hasher->lock);
	end = hasher->stop || hasher->end < at ? at : hasher->end;
	pthread_mutex_unlock(&hasher->lock);
	return end;
}

static void *follow(void *arg)
{
	struct hasher *hasher = arg;
	uint64_t at = 0;
	uint64_t end;
	int error = 0;

	while (!error && (end = wait_beyond(hasher, at)) > at) {
		size_t want = end - at < BLOCK ? (size_t)(end - at) : BLOCK;
		ssize_t n = pread(hasher->fd, hasher->block, want, (off_t)at);

		if (n > 0) {
			sha256_update(&hasher->sha, (size_t)n, hasher->block);
			at += (uint64_t)n;
		} else if (n == 0 || errno != EINTR) {
			error = n == 0 ? EIO : errno;
		}
	}
	pthread_mutex_lock(&hasher->lock);
	hasher->error = error;
	hasher->through = true;
	pthread_mutex_unlock(&hasher->lock);
	hasher->done(hasher->arg);
	return NULL;
}

struct hasher *hasher_start(int fd, void (*done)(void *arg), void *arg)
{
	struct hasher *hasher = calloc(1, sizeof *hasher);
	pthread_attr_t attr;
	int r;

	if (!hasher)
		return NULL;
	hasher->fd = fd;
	hasher->done = done;
	hasher->arg = arg;
	sha256_init(&hasher->sha);
	(void)pthread_mutex_init(&hasher->lock, NULL);
	(void)pthread_cond_init(&hasher->more, NULL);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&hasher->thread, &attr, follow, hasher);
	(void)pthread_attr_destroy(&attr);
	if (r != 0) {
		free(hasher);
		return NULL;
	}
	return hasher;
}

void hasher_reach(struct hasher *hasher, uint64_t end, bool last)
{
	pthread_mutex_lock(&hasher->lock);
	hasher->end = end;
	hasher->last = last;
	if (last || end >= hasher->wanted)
		pthread_cond_signal(&hasher->more);
	pthread_mutex_unlock(&hasher->lock);
}

bool hasher_through(struct hasher *hasher)
{
	bool through;

	pthread_mutex_lock(&hasher->lock);
	through = hasher->through;
	pthread_mutex_unlock(&hasher->lock);
	return through;
}

int hasher_end(struct hasher *hasher, uint8_t ret[32])
{
	bool through;
	int error;

	pthread_mutex_lock(&hasher->lock);
	through = hasher->through;
	hasher->stop = true;
	pthread_cond_signal(&hasher->more);
	pthread_mutex_unlock(&hasher->lock);
	(void)pthread_join(hasher->thread, NULL);
	error = through ? hasher->error : EINTR;
	if (!error)
		sha256_digest(&hasher->sha, SHA256_DIGEST_SIZE, ret);
	(void)pthread_cond_destroy(&hasher->more);
	(void)pthread_mutex_destroy(&hasher->lock);
	free(hasher);
	return -error;
}
