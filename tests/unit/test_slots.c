/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "sl_slots.h"
#include "test_rand.h"

#define NB_MAX 300

/* The longest run of free ones. */
static uint32_t
longest(const bool *used, uint32_t nb)
{
	uint32_t run = 0, best = 0;

	for (uint32_t i = 0; i < nb; i++) {
		run = used[i] ? 0 : run + 1;
		best = run > best ? run : best;
	}
	return best;
}

/* What is taken was free and in a row; a run that fits somewhere is always found. */
static void
test_like_the_plainest_model(void **state)
{
	struct {
		uint32_t first, n;
	} held[NB_MAX];
	bool used[NB_MAX];
	struct sl_slots slots;
	struct test_rand r;
	uint32_t nb, nb_held, nb_used, n, first, k;

	(void)state;
	test_rand_init(&r, "slots");
	for (uint32_t round = 0; round < 200; round++) {
		nb = 1 + (uint32_t)test_rand_below(&r, NB_MAX);
		assert_int_equal(sl_slots_init(&slots, nb), 0);
		memset(used, 0, sizeof(used));
		nb_held = nb_used = 0;
		for (uint32_t step = 0; step < 2000; step++) {
			if (nb_held > 0 && test_rand_below(&r, 2) == 0) {
				k = (uint32_t)test_rand_below(&r, nb_held);
				sl_slots_give(&slots, held[k].first, held[k].n);
				memset(&used[held[k].first], 0, held[k].n);
				nb_used -= held[k].n;
				held[k] = held[--nb_held];
			}
			n = 1 + (uint32_t)test_rand_below(&r, test_rand_below(&r, 4) ? 3 : 70);
			first = sl_slots_take(&slots, n);
			if (first == SL_SLOTS_NONE) {
				assert_true(longest(used, nb) < n);
			} else {
				assert_true(first + n <= nb);
				for (uint32_t i = first; i < first + n; i++) {
					assert_false(used[i]);
					used[i] = true;
				}
				held[nb_held].first = first;
				held[nb_held++].n = n;
				nb_used += n;
			}
			assert_int_equal(slots.nb_free, nb - nb_used);
		}
		sl_slots_free(&slots);
	}
}

/* What was given back is not taken again while others are free. */
static void
test_reused_as_late_as_possible(void **state)
{
	struct sl_slots slots;

	(void)state;
	assert_int_equal(sl_slots_init(&slots, 100), 0);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(sl_slots_take(&slots, 1), i);
		sl_slots_give(&slots, i, 1);
	}
	assert_int_equal(sl_slots_take(&slots, 100), 0);
	assert_int_equal(sl_slots_take(&slots, 1), SL_SLOTS_NONE);
	sl_slots_free(&slots);
	assert_int_equal(sl_slots_init(&slots, 0), 0);
	assert_int_equal(sl_slots_take(&slots, 1), SL_SLOTS_NONE);
	sl_slots_free(&slots);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_the_plainest_model),
		cmocka_unit_test(test_reused_as_late_as_possible),
	};

	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
