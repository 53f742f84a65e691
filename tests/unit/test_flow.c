/* The proxy's table of udp conversations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "supervisor/init/flow.h"

static struct flow_table table;

static struct flow_key key(uint32_t n)
{
	struct flow_key ret = { .door = n % 3 };

	memcpy(ret.peer.bytes, &n, sizeof n);
	ret.peer.port = (uint16_t)n;
	return ret;
}

static int begin(void **state)
{
	(void)state;
	memset(&table, 0, sizeof table);
	return 0;
}

static void test_find(void **state)
{
	struct flow_key one = key(1);
	struct flow_key other = one;
	uint16_t at;

	(void)state;
	assert_int_equal(flow_find(&table, &one), FLOW_NONE);
	assert_int_equal(flow_oldest(&table), FLOW_NONE);
	at = flow_add(&table, &one, 7, 100);
	assert_int_equal(flow_find(&table, &one), at);
	assert_int_equal(table.flows[at].fd, 7);
	/* The same caller who asks another address of ours, or another port, is another one. */
	other.local.bytes[3] = 1;
	assert_int_equal(flow_find(&table, &other), FLOW_NONE);
	other = one;
	other.door = 2;
	assert_int_equal(flow_find(&table, &other), FLOW_NONE);
	flow_remove(&table, at);
	assert_int_equal(flow_find(&table, &one), FLOW_NONE);
	assert_int_equal(table.flows[at].fd, -1);
	assert_int_equal(flow_oldest(&table), FLOW_NONE);
}

static void test_order(void **state)
{
	uint16_t at[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct flow_key k = key(i);

		at[i] = flow_add(&table, &k, (int)i, i);
	}
	assert_int_equal(flow_oldest(&table), at[0]);
	flow_touch(&table, at[0], 10);
	assert_int_equal(flow_oldest(&table), at[1]);
	assert_int_equal(table.flows[at[0]].last, 10);
	/* Out of the middle, then the newest, then the last. */
	flow_touch(&table, at[1], 11);
	flow_remove(&table, at[0]);
	assert_int_equal(flow_oldest(&table), at[2]);
	flow_remove(&table, at[1]);
	assert_int_equal(flow_oldest(&table), at[2]);
	flow_remove(&table, at[2]);
	assert_int_equal(flow_oldest(&table), FLOW_NONE);
}

/* Full, and for long: each that comes takes the place of the oldest, and all the others are found. */
static void test_full(void **state)
{
	uint32_t first = 0;

	(void)state;
	for (uint32_t i = 0; i < 5 * FLOW_MAX; i++) {
		struct flow_key k = key(i);

		if (flow_is_full(&table)) {
			struct flow_key gone = key(first++);

			assert_int_equal(flow_oldest(&table), flow_find(&table, &gone));
			flow_remove(&table, flow_oldest(&table));
			assert_int_equal(flow_find(&table, &gone), FLOW_NONE);
		}
		assert_int_not_equal(flow_add(&table, &k, (int)i, i), FLOW_NONE);
	}
	assert_int_equal(first, 4 * FLOW_MAX);
	for (uint32_t i = first; i < 5 * FLOW_MAX; i++) {
		struct flow_key k = key(i);
		uint16_t at = flow_find(&table, &k);

		assert_int_not_equal(at, FLOW_NONE);
		assert_int_equal(table.flows[at].fd, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_find, begin),
		cmocka_unit_test_setup(test_order, begin),
		cmocka_unit_test_setup(test_full, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
