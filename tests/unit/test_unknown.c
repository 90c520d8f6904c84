/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Which names that are not configured are told when. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ingress.h"
#include "unknown.h"

#define MINUTE_MS 60000u
#define PER_S	  5u
#define AT_ONCE	  10u

static struct gw_unknown *unknown;

static int
create(void **state)
{
	unknown = gw_unknown_create();
	return unknown != NULL ? 0 : -1;
}

static int
destroy(void **state)
{
	gw_unknown_destroy(unknown);
	return 0;
}

/* Whatever they have in common. */
static void
test_names_do_not_push_each_other_out(void **state)
{
	static const uint64_t keys[] = {0, 64, 256, UINT64_C(1) << 16, UINT64_C(1) << 32,
		UINT64_C(1) << 63, UINT64_C(3) << 40};
	uint32_t told[RTE_DIM(keys)] = {0};

	for (uint64_t now = 1000; now < 1000 + 2 * MINUTE_MS; now += 250) {
		for (uint32_t i = 0; i < RTE_DIM(keys); i++)
			told[i] += gw_unknown_is_due(unknown, keys[i], now);
	}
	for (uint32_t i = 0; i < RTE_DIM(keys); i++)
		assert_int_equal(told[i], 2);
}

static void
test_a_flood_of_names_is_told_at_a_bounded_rate(void **state)
{
	uint64_t now, key = 100;
	uint32_t told = 0;

	assert_true(gw_unknown_is_due(unknown, 1, 1000));
	for (now = 1000; now < 1000 + MINUTE_MS; now++) {
		for (uint32_t i = 0; i < 20; i++)
			told += gw_unknown_is_due(unknown, key++, now);
		/* Who was told before it is not told again. */
		assert_false(gw_unknown_is_due(unknown, 1, now));
	}
	assert_in_range(told, MINUTE_MS / 1000 * PER_S - 1, MINUTE_MS / 1000 * PER_S + AT_ONCE);
	/* It is over: who had no turn has it. */
	assert_true(gw_unknown_is_due(unknown, 1, now + 1000));
	assert_true(gw_unknown_is_due(unknown, key, now + 1000));
}

/* Threads' clocks are of their turns, a little apart. */
static void
test_time_that_goes_back_tells_nothing_twice(void **state)
{
	assert_true(gw_unknown_is_due(unknown, 1, 5000));
	assert_false(gw_unknown_is_due(unknown, 1, 4990));
	assert_true(gw_unknown_is_due(unknown, 2, 4990));
	assert_false(gw_unknown_is_due(unknown, 2, 5000 + MINUTE_MS - 1));
	assert_true(gw_unknown_is_due(unknown, 2, 5000 + MINUTE_MS));
}

/* A day of few and of many names, against a table that forgets nothing. */
static void
test_it_says_what_a_table_without_bounds_says(void **state)
{
	static uint64_t told_ms[4096];
	struct sl_gcra rate;
	uint64_t now = 1000;
	uint32_t seed = 20261121;

	print_message("# seed %u\n", seed);
	memset(told_ms, 0, sizeof(told_ms));
	sl_gcra_init(&rate, PER_S, AT_ONCE, 1000);
	for (uint32_t i = 0; i < 500000; i++) {
		uint32_t names = (i >> 12) % 2 == 0 ? 300 : RTE_DIM(told_ms), key;
		bool is_due;

		seed = seed * 1664525 + 1013904223;
		key = (seed >> 8) % names;
		now += (seed >> 24) * 2;
		is_due = (told_ms[key] == 0 || now - told_ms[key] >= MINUTE_MS) &&
			sl_gcra_conforms(&rate, now);
		/* Names whose keys have their last bits in common, eight at a time. */
		assert_int_equal(gw_unknown_is_due(unknown, (uint64_t)key << 5, now), is_due);
		if (!is_due)
			continue;
		sl_gcra_take(&rate, now);
		told_ms[key] = now;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names_do_not_push_each_other_out),
		TEST(test_a_flood_of_names_is_told_at_a_bounded_rate),
		TEST(test_time_that_goes_back_tells_nothing_twice),
		TEST(test_it_says_what_a_table_without_bounds_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
