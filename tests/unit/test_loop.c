/* The loop on real pipes and timers: order in a batch, stale events, the heap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"
#include "supervisor/core/loop.h"

struct world {
	struct loop *loop;
	int fds[4][2];
	loop_id ids[4];
	struct loop_timer timers[64];
	char seen[256];
	loop_id *victim; /* removed by the next callback */
	sigset_t mask;
};

/* Each source knows the world and its letter. */
struct mark {
	struct world *world;
	char letter;
	int fd;
};

static void put(struct world *w, char c)
{
	size_t n = strlen(w->seen);

	assert_true(n + 1 < sizeof w->seen);
	w->seen[n] = c;
	w->seen[n + 1] = '\0';
}

static void on_fd(struct loop *loop, uint32_t events, void *data)
{
	struct mark *mark = data;
	char c;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(mark->fd, &c, 1), 1);
	put(mark->world, mark->letter);
	if (mark->world->victim)
		loop_remove(loop, mark->world->victim);
}

static void on_timer(struct loop *loop, void *data)
{
	struct mark *mark = data;

	(void)loop;
	put(mark->world, mark->letter);
}

static void on_signal(struct loop *loop, int signal, pid_t pid, void *data)
{
	(void)loop;
	(void)pid;
	put(data, signal == SIGUSR1 ? 'S' : '?');
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct err err = { 0 };

	assert_non_null(w);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &w->mask), 0);
	assert_int_equal(loop_new(&w->loop, &err), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pipe(w->fds[i]), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	loop_free(w->loop);
	for (size_t i = 0; i < 4; i++) {
		fd_close(&w->fds[i][0]);
		fd_close(&w->fds[i][1]);
	}
	(void)sigprocmask(SIG_SETMASK, &w->mask, NULL);
	free(w);
	return 0;
}

static void add(struct world *w, size_t i, enum loop_class class, struct mark *mark, char letter)
{
	*mark = (struct mark){ w, letter, w->fds[i][0] };
	assert_int_equal(
		loop_add(w->loop, w->fds[i][0], EPOLLIN, class, on_fd, mark, &w->ids[i]), 0);
	assert_int_equal(write(w->fds[i][1], "x", 1), 1);
}

static void test_order(void **state)
{
	struct world *w = *state;
	struct mark marks[3], timer = { w, 'T', -1 };

	w->timers[0] = (struct loop_timer){ .fn = on_timer, .data = &timer };
	loop_on_signal(w->loop, on_signal, w);
	add(w, 0, LOOP_CONTROL, &marks[0], 'C');
	add(w, 1, LOOP_NOTICE, &marks[1], 'N');
	add(w, 2, LOOP_EXIT, &marks[2], 'E');
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_int_equal(loop_timer_set(w->loop, &w->timers[0], 1), 0);
	assert_true(loop_turn(w->loop, false) >= 4);
	assert_string_equal(w->seen, "ETNSC");
	/* Nothing is left, and a turn that may not wait finds nothing. */
	assert_int_equal(loop_turn(w->loop, true), 0);
}

/* A callback removes a source whose event is in the same batch; the slot is given anew. */
static void test_stale(void **state)
{
	struct world *w = *state;
	struct mark marks[3];
	loop_id old;

	add(w, 0, LOOP_EXIT, &marks[0], 'A');
	add(w, 1, LOOP_CONTROL, &marks[1], 'B');
	old = w->ids[1];
	w->victim = &w->ids[1];
	assert_true(loop_turn(w->loop, false) >= 2);
	assert_string_equal(w->seen, "A");
	assert_true(w->ids[1] == 0);
	w->victim = NULL;
	add(w, 2, LOOP_NOTICE, &marks[2], 'D');
	assert_int_equal((uint32_t)w->ids[2], (uint32_t)old); /* the same slot */
	assert_true(w->ids[2] != old);
	assert_int_equal(loop_modify(w->loop, old, EPOLLIN), -2 /* ENOENT */);
	loop_remove(w->loop, &old);
	assert_true(loop_turn(w->loop, false) >= 1);
	assert_string_equal(w->seen, "AD");
}

static void test_timers(void **state)
{
	struct world *w = *state;
	struct mark marks[64];
	uint64_t base = clock_monotonic();

	/* 0 … 63 in a scrambled order of setting; every third is cancelled, one is moved. */
	for (size_t i = 0; i < 64; i++) {
		size_t k = i * 37 % 64;

		marks[k] = (struct mark){ w, (char)(' ' + 1 + k), -1 };
		w->timers[k] = (struct loop_timer){ .fn = on_timer, .data = &marks[k] };
		assert_int_equal(loop_timer_set(w->loop, &w->timers[k], base + k * 1000), 0);
	}
	for (size_t k = 0; k < 64; k += 3)
		loop_timer_cancel(w->loop, &w->timers[k]);
	assert_int_equal(loop_timer_set(w->loop, &w->timers[1], base + 20 * NSEC_PER_MSEC), 0);
	while (!strchr(w->seen, ' ' + 1 + 1))
		assert_true(loop_turn(w->loop, false) >= 0);
	assert_true(clock_monotonic() >= base + 20 * NSEC_PER_MSEC);
	assert_int_equal(strlen(w->seen), 42);
	for (size_t i = 0; i + 2 < strlen(w->seen); i++)
		assert_true(w->seen[i] < w->seen[i + 1]);
	assert_int_equal(w->seen[41], ' ' + 1 + 1);
	assert_int_equal(loop_timer_set(w->loop, &w->timers[0], NSEC_NEVER), 0);
	assert_true(w->timers[0].place == 0);
}

static bool stop_at_once(struct loop *loop, void *data)
{
	put(data, '.');
	loop_stop(loop, 7);
	return true;
}

static void test_run(void **state)
{
	struct world *w = *state;
	struct mark mark;

	add(w, 0, LOOP_NOTICE, &mark, 'N');
	loop_on_turn(w->loop, stop_at_once, w);
	assert_int_equal(loop_run(w->loop), 7);
	assert_string_equal(w->seen, "N.");
}

/* Many sources at once: slots grow while callbacks are under way. */
static void test_many(void **state)
{
	enum { N = 300 };
	static struct mark marks[N];
	static loop_id ids[N];
	struct world *w = *state;

	for (size_t i = 0; i < N; i++) {
		marks[i] = (struct mark){ w, 'x', dup(w->fds[0][0]) };
		assert_true(marks[i].fd >= 0);
		assert_int_equal(loop_add(w->loop, marks[i].fd, EPOLLIN, LOOP_NOTICE, on_fd,
					 &marks[i], &ids[i]),
			0);
	}
	assert_int_equal(write(w->fds[1][1], "y", 1), 1);
	assert_int_equal(loop_turn(w->loop, true), 0);
	for (size_t i = 0; i < N; i++) {
		loop_remove(w->loop, &ids[i]);
		fd_close(&marks[i].fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
