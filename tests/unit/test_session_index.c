/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sl_session_index.h"
#include "test_rand.h"

#define KEYS 512

/* Keys come and go at random; after each step the index says of some what an array says. */
static void
says_what_an_array_says(void **state)
{
	const uint64_t seeds[2] = {UINT64_C(0x9e3779b97f4a7c15), 42};
	uint32_t values[KEYS + 1] = {0}, nb = 0, *found;
	struct sl_session_index index;
	bool is_in[KEYS + 1] = {0};
	struct test_rand rand;

	(void)state;
	test_rand_init(&rand, __func__);
	assert_int_equal(sl_session_index_init(&index, KEYS / 2, seeds), 0);
	for (uint32_t step = 0; step < 200000; step++) {
		uint64_t key = 1 + test_rand_below(&rand, KEYS);

		if (is_in[key]) {
			sl_session_index_remove(&index, key);
			is_in[key] = false;
			nb--;
		} else {
			values[key] = step;
			is_in[key] = sl_session_index_add(&index, key, step);
			assert_int_equal(is_in[key], nb < KEYS / 2);
			nb += is_in[key];
		}
		key = 1 + test_rand_below(&rand, KEYS);
		found = sl_session_index_find(&index, key);
		assert_int_equal(found != NULL, is_in[key]);
		if (found != NULL)
			assert_int_equal(*found, values[key]);
	}
	sl_session_index_remove(&index, KEYS + 1);
	assert_int_equal(index.nb, nb);
	sl_session_index_free(&index);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_an_array_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
