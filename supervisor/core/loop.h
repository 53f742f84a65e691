/*
 * The one place where the supervisor waits: epoll over descriptors, one signalfd, one timerfd on
 * CLOCK_MONOTONIC that serves a heap of deadlines.
 *
 * In one batch, exits of processes are handled before timers, timers before the rest, and control
 * requests last: a process that is gone is never signalled by a timer or a command that was queued
 * beside its death. A source is known by slot and generation, so an event that was queued for a
 * descriptor which a callback of the same batch closed is recognised and dropped. Nothing armed and
 * nothing readable: no wake-up.
 */
#ifndef BERTH_CORE_LOOP_H
#define BERTH_CORE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/base/err.h"

struct loop;

/* What is handled first in a batch. */
enum loop_class {
	LOOP_EXIT,    /* pidfds */
	LOOP_NOTICE,  /* reports, cgroup.events, notify sockets, probes */
	LOOP_CONTROL, /* requests of people */
	LOOP_CLASS_COUNT,
};

/* A descriptor that is watched: generation << 32 | slot + 1. 0: none. */
typedef uint64_t loop_id;

/* `events` as epoll(7) gives them: EPOLLIN, EPOLLHUP, … Level-triggered; a callback does a bounded
 * amount of work and is called again. It may remove any source, its own too. */
typedef void loop_fd_fn(struct loop *loop, uint32_t events, void *data);
typedef void loop_timer_fn(struct loop *loop, void *data);
/* `pid`: who sent it (0: the kernel). SIGCHLD is one hint for any number of deaths. */
typedef void loop_signal_fn(struct loop *loop, int signal, pid_t pid, void *data);
/* After each batch, before sleeping. True: there is more to do, poll without sleeping. */
typedef bool loop_turn_fn(struct loop *loop, void *data);

/* Lives in the struct it belongs to; the zero value is disarmed. fn and data are set by the owner.
 * Cancel it before its memory goes. */
struct loop_timer {
	loop_timer_fn *fn;
	void *data;
	uint64_t deadline; /* while armed */
	size_t place;      /* index in the heap + 1; 0: disarmed */
};

/*
 * loop_new - an idle loop; no signal is ignored and all are blocked from here on; they
 * arrive by loop_on_signal
 *
 * Children of ours must unblock them before exec (the runtime's child does).
 * Fails: -errno of epoll_create1, timerfd_create, signalfd.
 */
int loop_new(struct loop **ret, struct err *err);
/* Closes the loop's own descriptors, not those it watched. The signal mask stays. NULL is fine. */
void loop_free(struct loop *loop);
/* In a forked child that keeps the memory but must not touch the parent's epoll set. */
void loop_forget(struct loop *loop);

/* Watch a descriptor (it stays the caller's). *ret_id is what removes it. 0 or -errno. */
int loop_add(struct loop *loop, int fd, uint32_t events, enum loop_class class, loop_fd_fn *fn,
	void *data, loop_id *ret_id);
/* Change what is waited for. 0 or -errno; an id that is gone: -ENOENT. */
int loop_modify(struct loop *loop, loop_id id, uint32_t events);
/* Before the descriptor is closed. *id becomes 0; 0 is fine. */
void loop_remove(struct loop *loop, loop_id *id);

/* Arm, or move, to an absolute time of clock_monotonic(); NSEC_NEVER disarms. Cannot fail but for
 * lack of memory: then 0 becomes -ENOMEM and the timer is disarmed. */
int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

void loop_on_signal(struct loop *loop, loop_signal_fn *fn, void *data);
void loop_on_turn(struct loop *loop, loop_turn_fn *fn, void *data);

/* The time at the beginning of this batch, CLOCK_MONOTONIC in nanoseconds. */
uint64_t loop_now(const struct loop *loop);

/* Until loop_stop: gives its argument. Fails: -errno of epoll_wait, which never happens. */
int loop_run(struct loop *loop);
/* One batch; waits at most until the next deadline, not at all with `nowait`. For tests. */
int loop_turn(struct loop *loop, bool nowait);
void loop_stop(struct loop *loop, int result);

#endif
