#include "supervisor/core/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"
#include "supervisor/base/signals.h"

enum {
	BATCH_EVENTS = 256,
	BATCH_TIMERS = 256,
	BATCH_SIGNALS = 16,
};

/* What epoll gives back for our own two descriptors. No source has these ids: slots start at 1. */
#define ID_SIGNAL ((uint64_t)0)
#define ID_TIMER  ((uint64_t)UINT32_MAX << 32)

struct source {
	int fd; /* -1: free */
	uint32_t generation;
	enum loop_class class;
	loop_fd_fn *fn;
	void *data;
	uint32_t next_free;
};

struct loop {
	int epoll_fd, signal_fd, timer_fd;
	struct source *sources;
	uint32_t nsources, cap;
	uint32_t free_head; /* slot + 1; 0: none */

	struct loop_timer **heap; /* smallest deadline first */
	size_t nheap, heap_cap;
	uint64_t armed; /* what timer_fd is set to */
	uint64_t now;

	loop_signal_fn *on_signal;
	void *signal_data;
	loop_turn_fn *on_turn;
	void *turn_data;
	bool more, stopped;
	int result;
};

static int watch_own(struct loop *loop, int fd, uint64_t id)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = id };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int loop_open(struct loop *loop, struct err *err)
{
	sigset_t all;

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return err_sys(err, errno, "make an epoll descriptor");
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer_fd < 0)
		return err_sys(err, errno, "make a timer descriptor");
	/* What is ignored comes to no descriptor, and would be ignored in every container. */
	signals_default();
	/* Faults of our own stay deadly: blocked, they would be a silent kill. */
	(void)sigfillset(&all);
	for (const int *s = (const int[]){ SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, 0 };
		*s; s++)
		(void)sigdelset(&all, *s);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return err_sys(err, errno, "block signals");
	loop->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signal_fd < 0)
		return err_sys(err, errno, "make a signal descriptor");
	if (watch_own(loop, loop->signal_fd, ID_SIGNAL) < 0 ||
		watch_own(loop, loop->timer_fd, ID_TIMER) < 0)
		return err_sys(err, errno, "watch the loop's own descriptors");
	return 0;
}

int loop_new(struct loop **ret, struct err *err)
{
	struct loop *loop = calloc(1, sizeof *loop);
	int r;

	if (!loop)
		return err_sys(err, ENOMEM, "make the loop");
	loop->epoll_fd = loop->signal_fd = loop->timer_fd = -1;
	loop->armed = NSEC_NEVER;
	loop->now = clock_monotonic();
	r = loop_open(loop, err);
	if (r < 0) {
		loop_free(loop);
		return r;
	}
	*ret = loop;
	return 0;
}

void loop_forget(struct loop *loop)
{
	fd_close(&loop->epoll_fd);
	fd_close(&loop->signal_fd);
	fd_close(&loop->timer_fd);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_forget(loop);
	free(loop->sources);
	free(loop->heap);
	free(loop);
}

/* ---- sources -------------------------------------------------------------------------------- */

static struct source *source_of(struct loop *loop, loop_id id)
{
	uint32_t slot = (uint32_t)id;
	struct source *source;

	if (slot == 0 || slot > loop->nsources)
		return NULL;
	source = &loop->sources[slot - 1];
	return source->fd >= 0 && source->generation == id >> 32 ? source : NULL;
}

static int slot_take(struct loop *loop, uint32_t *ret)
{
	if (loop->free_head) {
		*ret = loop->free_head;
		loop->free_head = loop->sources[*ret - 1].next_free;
		return 0;
	}
	if (loop->nsources == loop->cap) {
		uint32_t cap = loop->cap ? loop->cap * 2 : 64;
		struct source *grown = realloc(loop->sources, cap * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		loop->sources = grown;
		loop->cap = cap;
	}
	loop->sources[loop->nsources++] = (struct source){ .fd = -1 };
	*ret = loop->nsources;
	return 0;
}

static void slot_give(struct loop *loop, uint32_t slot)
{
	struct source *source = &loop->sources[slot - 1];

	source->fd = -1;
	/* UINT32_MAX is the timer's mark. */
	source->generation = source->generation + 1 == UINT32_MAX ? 0 : source->generation + 1;
	source->next_free = loop->free_head;
	loop->free_head = slot;
}

int loop_add(struct loop *loop, int fd, uint32_t events, enum loop_class class, loop_fd_fn *fn,
	void *data, loop_id *ret_id)
{
	struct epoll_event event = { .events = events };
	struct source *source;
	uint32_t slot;
	int r = slot_take(loop, &slot);

	if (r < 0)
		return r;
	source = &loop->sources[slot - 1];
	event.data.u64 = (uint64_t)source->generation << 32 | slot;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		r = -errno;
		slot_give(loop, slot);
		return r;
	}
	source->fd = fd;
	source->class = class;
	source->fn = fn;
	source->data = data;
	*ret_id = event.data.u64;
	return 0;
}

int loop_modify(struct loop *loop, loop_id id, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = id };
	const struct source *source = source_of(loop, id);

	if (!source)
		return -ENOENT;
	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0 ? -errno : 0;
}

void loop_remove(struct loop *loop, loop_id *id)
{
	const struct source *source = source_of(loop, *id);

	if (source) {
		(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
		slot_give(loop, (uint32_t)*id);
	}
	*id = 0;
}

/* ---- timers: a binary heap; place = index + 1 ----------------------------------------------- */

static void heap_put(struct loop *loop, size_t i, struct loop_timer *timer)
{
	loop->heap[i] = timer;
	timer->place = i + 1;
}

static void heap_settle(struct loop *loop, size_t i)
{
	struct loop_timer *timer = loop->heap[i];

	while (i > 0 && loop->heap[(i - 1) / 2]->deadline > timer->deadline) {
		heap_put(loop, i, loop->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= loop->nheap)
			break;
		if (child + 1 < loop->nheap &&
			loop->heap[child + 1]->deadline < loop->heap[child]->deadline)
			child++;
		if (loop->heap[child]->deadline >= timer->deadline)
			break;
		heap_put(loop, i, loop->heap[child]);
		i = child;
	}
	heap_put(loop, i, timer);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	size_t i = timer->place;
	struct loop_timer *last;

	if (!i--)
		return;
	timer->place = 0;
	last = loop->heap[--loop->nheap];
	if (i < loop->nheap) {
		loop->heap[i] = last;
		heap_settle(loop, i);
	}
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline)
{
	if (deadline == NSEC_NEVER) {
		loop_timer_cancel(loop, timer);
		return 0;
	}
	if (!timer->place) {
		if (loop->nheap == loop->heap_cap) {
			size_t cap = loop->heap_cap ? loop->heap_cap * 2 : 64;
			struct loop_timer **grown =
				realloc(loop->heap, cap * sizeof(struct loop_timer *));

			if (!grown)
				return -ENOMEM;
			loop->heap = grown;
			loop->heap_cap = cap;
		}
		heap_put(loop, loop->nheap++, timer);
	}
	timer->deadline = deadline;
	heap_settle(loop, timer->place - 1);
	return 0;
}

static void timers_run(struct loop *loop)
{
	for (int n = 0; n < BATCH_TIMERS && loop->nheap; n++) {
		struct loop_timer *timer = loop->heap[0];

		if (timer->deadline > loop->now)
			return;
		loop_timer_cancel(loop, timer);
		timer->fn(loop, timer->data);
	}
}

/* The timerfd always says exactly the next deadline, so that no stale one wakes us. */
static void timers_arm(struct loop *loop)
{
	uint64_t next = loop->nheap ? loop->heap[0]->deadline : NSEC_NEVER;
	struct itimerspec spec = { 0 };

	if (next == loop->armed)
		return;
	if (next != NSEC_NEVER) {
		/* 0 would disarm it; a deadline in the past fires at once. */
		spec.it_value.tv_sec = (time_t)(next / NSEC_PER_SEC);
		spec.it_value.tv_nsec = (long)(next % NSEC_PER_SEC) | (next ? 0 : 1);
	}
	if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
		loop->armed = next;
}

/* ---- turning -------------------------------------------------------------------------------- */

void loop_on_signal(struct loop *loop, loop_signal_fn *fn, void *data)
{
	loop->on_signal = fn;
	loop->signal_data = data;
}

void loop_on_turn(struct loop *loop, loop_turn_fn *fn, void *data)
{
	loop->on_turn = fn;
	loop->turn_data = data;
}

uint64_t loop_now(const struct loop *loop)
{
	return loop->now;
}

static void signals_run(struct loop *loop)
{
	struct signalfd_siginfo info[BATCH_SIGNALS];
	ssize_t n = read(loop->signal_fd, info, sizeof info);

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof info[0]; i++)
		if (loop->on_signal)
			loop->on_signal(loop, (int)info[i].ssi_signo, (pid_t)info[i].ssi_pid,
				loop->signal_data);
}

static void sources_run(
	struct loop *loop, const struct epoll_event *events, int n, enum loop_class class)
{
	for (int i = 0; i < n; i++) {
		const struct source *source = source_of(loop, events[i].data.u64);

		/* Removed, perhaps its slot given anew, by a callback before this one. */
		if (!source || source->class != class)
			continue;
		source->fn(loop, events[i].events, source->data);
	}
}

int loop_turn(struct loop *loop, bool nowait)
{
	struct epoll_event events[BATCH_EVENTS];
	bool signals = false, timers = false;
	int n;

	timers_arm(loop);
	do
		n = epoll_wait(loop->epoll_fd, events, BATCH_EVENTS, nowait || loop->more ? 0 : -1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	loop->now = clock_monotonic();
	loop->more = false;
	for (int i = 0; i < n; i++) {
		signals |= events[i].data.u64 == ID_SIGNAL;
		timers |= events[i].data.u64 == ID_TIMER;
	}
	if (timers) {
		uint64_t expirations;

		if (read(loop->timer_fd, &expirations, sizeof expirations) > 0)
			loop->armed = NSEC_NEVER;
	}
	sources_run(loop, events, n, LOOP_EXIT);
	timers_run(loop);
	sources_run(loop, events, n, LOOP_NOTICE);
	if (signals)
		signals_run(loop);
	sources_run(loop, events, n, LOOP_CONTROL);
	if (loop->on_turn)
		loop->more = loop->on_turn(loop, loop->turn_data);
	return n;
}

int loop_run(struct loop *loop)
{
	while (!loop->stopped) {
		int r = loop_turn(loop, false);

		if (r < 0)
			return r;
	}
	loop->stopped = false;
	return loop->result;
}

void loop_stop(struct loop *loop, int result)
{
	loop->stopped = true;
	loop->result = result;
}
