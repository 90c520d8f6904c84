/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger.h"

#define NB_NUMBERS 20000
#define NB_STREAMS 7

/* The ledger as one would write it without a thought for memory. */
struct naive {
	bool delivered[NB_NUMBERS];
	int64_t last[NB_STREAMS]; /* highest delivered, -1: none */
	uint64_t top;		  /* highest of all + 1 */
	uint64_t base;		  /* of the window; as the contract has it: moves by whole words */
	uint64_t window;
	uint64_t nb[4]; /* by verdict */
};

static enum ledger_verdict
naive_deliver(struct naive *n, uint64_t number, uint64_t stream, bool is_order_known)
{
	enum ledger_verdict v = LEDGER_FIRST;

	if (number < n->base) {
		v = LEDGER_LATE;
	} else if (n->delivered[number]) {
		v = LEDGER_DUPLICATED;
	} else {
		n->delivered[number] = true;
		if (number >= n->base + n->window)
			n->base = number / 64 * 64 + 64 - n->window;
		if ((int64_t)number < n->last[stream])
			v = is_order_known ? LEDGER_REORDERED : LEDGER_FIRST;
		else
			n->last[stream] = (int64_t)number;
		if (number >= n->top)
			n->top = number + 1;
	}
	n->nb[v]++;
	return v;
}

static uint64_t
random64(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* The numbers go up, with repetitions, steps back and leaps over whole windows. */
static void
run_against_naive(uint64_t seed, uint64_t window)
{
	struct naive *n = calloc(1, sizeof(*n));
	uint64_t rng = seed, front = 0, number, pick;
	struct ledger l;
	bool is_order_known;

	assert_non_null(n);
	assert_int_equal(ledger_init(&l, window, NB_STREAMS), 0);
	memset(n->last, 0xff, sizeof(n->last));
	n->window = l.mask + 1;
	assert_true(n->window >= window && n->window < 2 * window + LEDGER_WINDOW_MIN);
	while (front < NB_NUMBERS - 1000) {
		pick = random64(&rng) % 1000;
		number = front;
		if (pick < 900)
			front += random64(&rng) % 3;
		else if (pick < 990)
			number -= random64(&rng) % 200 % (front + 1);
		else if (pick < 998)
			number -= random64(&rng) % (front + 1);
		else
			front += random64(&rng) % 900;
		is_order_known = random64(&rng) % 10 != 0;
		assert_int_equal(ledger_deliver(&l, number, number % NB_STREAMS, is_order_known),
			naive_deliver(n, number, number % NB_STREAMS, is_order_known));
	}
	assert_int_equal(l.nb_delivered, n->nb[LEDGER_FIRST] + n->nb[LEDGER_REORDERED]);
	assert_int_equal(l.nb_duplicated, n->nb[LEDGER_DUPLICATED]);
	assert_int_equal(l.nb_reordered, n->nb[LEDGER_REORDERED]);
	assert_int_equal(l.nb_late, n->nb[LEDGER_LATE]);
	assert_int_equal(l.top, n->top);
	/* The run must have had some of each. */
	assert_true(l.nb_duplicated > 0 && l.nb_reordered > 0);
	assert_int_equal(l.nb_late > 0, window < NB_NUMBERS);
	ledger_fini(&l);
	free(n);
}

static void
test_agrees_with_the_naive_one(void **state)
{
	static const uint64_t windows[] = {1, 64, 65, 200, 1024, NB_NUMBERS};

	for (uint64_t seed = 1; seed <= 50; seed++) {
		for (unsigned int i = 0; i < RTE_DIM(windows); i++)
			run_against_naive(seed, windows[i]);
	}
}

static void
test_order_is_per_stream(void **state)
{
	struct ledger l;

	assert_int_equal(ledger_init(&l, 1000, 2), 0);
	assert_int_equal(ledger_deliver(&l, 10, 0, true), LEDGER_FIRST);
	assert_int_equal(ledger_deliver(&l, 5, 1, true), LEDGER_FIRST);
	assert_int_equal(ledger_deliver(&l, 4, 1, true), LEDGER_REORDERED);
	assert_int_equal(ledger_deliver(&l, 9, 0, true), LEDGER_REORDERED);
	assert_int_equal(ledger_deliver(&l, 8, 0, false), LEDGER_FIRST);
	assert_int_equal(ledger_deliver(&l, 11, 0, true), LEDGER_FIRST);
	/* A repetition is not out of order as well. */
	assert_int_equal(ledger_deliver(&l, 9, 0, true), LEDGER_DUPLICATED);
	assert_int_equal(l.nb_delivered, 6);
	assert_int_equal(l.nb_reordered, 2);
	assert_int_equal(l.nb_duplicated, 1);
	ledger_fini(&l);
}

static void
test_a_leap_over_many_windows(void **state)
{
	struct ledger l;

	assert_int_equal(ledger_init(&l, 64, 1), 0);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(ledger_deliver(&l, i, 0, true), LEDGER_FIRST);
	assert_int_equal(ledger_deliver(&l, UINT64_C(1) << 40, 0, true), LEDGER_FIRST);
	assert_int_equal(ledger_deliver(&l, 63, 0, true), LEDGER_LATE);
	/* Same place in the ring as one that was delivered before the leap. */
	assert_int_equal(ledger_deliver(&l, (UINT64_C(1) << 40) + 1, 0, true), LEDGER_FIRST);
	assert_int_equal(ledger_deliver(&l, UINT64_C(1) << 40, 0, true), LEDGER_DUPLICATED);
	ledger_fini(&l);
}

static void
test_refuses_too_many_streams(void **state)
{
	struct ledger l;

	assert_int_equal(ledger_init(&l, 64, 0), -EINVAL);
	assert_int_equal(ledger_init(&l, 64, LEDGER_STREAMS_MAX + 1), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_with_the_naive_one),
		cmocka_unit_test(test_order_is_per_stream),
		cmocka_unit_test(test_a_leap_over_many_windows),
		cmocka_unit_test(test_refuses_too_many_streams),
	};

	return cmocka_run_group_tests_name("gen_ledger", tests, NULL, NULL);
}
