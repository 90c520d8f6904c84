/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sl_gcra.h"
#include "test_rand.h"

#define HZ_TYPICAL UINT64_C(2600000000)
#define YEAR_S	   UINT64_C(31557600)

/* Send as soon as one may, n times from `now`; returns when the last went. */
static uint64_t
send_greedily(struct sl_gcra *gcra, uint64_t now, uint64_t n)
{
	uint64_t due;

	while (n-- > 0) {
		due = sl_gcra_due(gcra);
		if (due > now) {
			/* The first conforming tick: not one before. */
			assert_false(sl_gcra_conforms(gcra, due - 1));
			now = due;
		}
		assert_true(sl_gcra_conforms(gcra, now));
		sl_gcra_take(gcra, now);
	}
	return now;
}

static void
test_a_greedy_sender_gets_the_rate(void **state)
{
	static const uint64_t rates[] = {1, 3, 1000, 1000000, 9999991, 10000000};
	static const uint64_t clocks_hz[] = {
		UINT64_C(1) << 20, 999999937, HZ_TYPICAL, UINT64_C(5000000001)};
	static const uint32_t bursts[] = {1, 2, 32, 100000};
	const uint64_t n = 200000;
	struct sl_gcra gcra;

	(void)state;
	for (size_t r = 0; r < 6; r++) {
		for (size_t c = 0; c < 4; c++) {
			for (size_t b = 0; b < 4; b++) {
				uint64_t hz = clocks_hz[c], start = 12345, elapsed, ideal, late;

				if (rates[r] > hz)
					continue;
				sl_gcra_init(&gcra, rates[r], bursts[b], hz);
				elapsed = send_greedily(&gcra, start, n) - start;
				ideal = (uint64_t)((unsigned __int128)(n - bursts[b]) * hz /
					rates[r]);
				/*
				 * Less than a sixteenth of a tick early a message. Late only
				 * without a burst, which makes up for the rounding to whole ticks.
				 */
				late = bursts[b] == 1 ? n : 1;
				assert_in_range(
					elapsed + n / 16 + 1, ideal, ideal + n / 16 + 1 + late);
			}
		}
	}
}

/* The error of the rate is as small as promised, by the clock of a usual machine. */
static void
test_rates_of_millions_are_exact_to_a_few_parts_in_100000(void **state)
{
	struct sl_gcra gcra;

	(void)state;
	for (uint64_t rate = 1000; rate <= 4000000; rate += 997) {
		sl_gcra_init(&gcra, rate, 1, HZ_TYPICAL);
		/* increment is within 10^-4 of 16 * HZ / rate */
		assert_in_range(gcra.increment * rate, (HZ_TYPICAL << SL_GCRA_SHIFT) / 10000 * 9999,
			HZ_TYPICAL << SL_GCRA_SHIFT);
	}
}

static void
test_the_burst_is_a_burst_and_comes_back_at_the_rate(void **state)
{
	static const uint32_t bursts[] = {1, 2, 7, 1000};
	const uint64_t rate = 1000, interval = HZ_TYPICAL / rate;
	struct sl_gcra gcra;
	uint64_t now = 1;

	(void)state;
	for (size_t b = 0; b < 4; b++) {
		sl_gcra_init(&gcra, rate, bursts[b], HZ_TYPICAL);
		now += 10 * bursts[b] * interval;
		for (uint32_t i = 0; i < bursts[b]; i++) {
			assert_true(sl_gcra_conforms(&gcra, now));
			assert_true(sl_gcra_due(&gcra) <= now);
			sl_gcra_take(&gcra, now);
		}
		assert_false(sl_gcra_conforms(&gcra, now));
		/* After k intervals, k more (no more than the depth). */
		for (uint32_t k = 1; k <= bursts[b]; k *= 3) {
			now += k * interval;
			for (uint32_t i = 0; i < k; i++) {
				assert_true(sl_gcra_conforms(&gcra, now));
				sl_gcra_take(&gcra, now);
			}
			assert_false(sl_gcra_conforms(&gcra, now));
			assert_false(sl_gcra_conforms(&gcra, now + interval - 1));
			assert_true(sl_gcra_conforms(&gcra, now + interval));
		}
	}
}

static void
test_conforming_changes_nothing(void **state)
{
	struct sl_gcra gcra, before;

	(void)state;
	sl_gcra_init(&gcra, 1000, 3, HZ_TYPICAL);
	send_greedily(&gcra, 77, 10);
	before = gcra;
	for (uint64_t now = 0; now < HZ_TYPICAL; now += 999983)
		sl_gcra_conforms(&gcra, now);
	assert_memory_equal(&gcra, &before, sizeof(gcra));
}

static void
test_without_a_rate_there_is_no_limit(void **state)
{
	struct sl_gcra gcra;

	(void)state;
	sl_gcra_init(&gcra, 0, 1, HZ_TYPICAL);
	for (uint32_t i = 0; i < 100000; i++) {
		assert_true(sl_gcra_conforms(&gcra, 5));
		assert_true(sl_gcra_due(&gcra) <= 5);
		sl_gcra_take(&gcra, 5);
	}
}

/*
 * A leaky bucket in exact arithmetic, one message being `hz` drops: where a rate divides the ticks,
 * the two must agree on every single message.
 */
struct bucket {
	uint64_t level;
	uint64_t depth;
	uint64_t rate;
	uint64_t hz;
	uint64_t last;
};

static bool
bucket_conforms(struct bucket *b, uint64_t now)
{
	unsigned __int128 level = b->level + (unsigned __int128)(now - b->last) * b->rate;

	b->level = level > b->depth ? b->depth : (uint64_t)level;
	b->last = now;
	return b->level >= b->hz;
}

static void
compare_with_bucket(struct test_rand *r, uint64_t rate, uint64_t hz, uint32_t burst, uint64_t now)
{
	struct bucket bucket = {
		.level = burst * hz, .depth = burst * hz, .rate = rate, .hz = hz, .last = now};
	struct sl_gcra gcra;
	uint64_t sent = 0;

	sl_gcra_init(&gcra, rate, burst, hz);
	for (uint32_t i = 0; i < 20000; i++) {
		bool conforms = bucket_conforms(&bucket, now);

		assert_int_equal(sl_gcra_conforms(&gcra, now), conforms);
		assert_int_equal(sl_gcra_due(&gcra) <= now, conforms);
		if (conforms) {
			sl_gcra_take(&gcra, now);
			bucket.level -= hz;
			sent++;
		}
		now += test_rand_below(r, 16) == 0 ? test_rand_below(r, burst * hz / rate + 2)
						   : test_rand_below(r, hz / rate + 2);
	}
	assert_true(sent > 1000);
}

static void
test_random_arrivals_agree_with_an_exact_bucket(void **state)
{
	static const uint64_t rates[] = {1, 1000, 1000000, 10000000};
	static const uint32_t bursts[] = {1, 2, 33, 1000};
	struct test_rand r;

	(void)state;
	test_rand_init(&r, "gcra bucket");
	for (size_t i = 0; i < 4; i++) {
		for (size_t b = 0; b < 4; b++) {
			compare_with_bucket(&r, rates[i], HZ_TYPICAL - HZ_TYPICAL % 10000000,
				bursts[b], 1 + test_rand_below(&r, HZ_TYPICAL));
			compare_with_bucket(
				&r, rates[i], 4000000000, bursts[b], 4 * YEAR_S * 4000000000);
		}
	}
}

/* Ten years of uptime, with the slowest rate and the deepest bucket a configuration can ask for. */
static void
test_years_do_not_overflow(void **state)
{
	const uint64_t now = 10 * YEAR_S * HZ_TYPICAL;
	const uint32_t burst = 1 << 24;
	struct sl_gcra gcra;

	(void)state;
	sl_gcra_init(&gcra, 1, burst, HZ_TYPICAL);
	for (uint32_t i = 0; i < burst; i++) {
		assert_true(sl_gcra_conforms(&gcra, now));
		sl_gcra_take(&gcra, now);
	}
	assert_false(sl_gcra_conforms(&gcra, now));
	assert_int_equal(sl_gcra_due(&gcra), now + HZ_TYPICAL);
	assert_false(sl_gcra_conforms(&gcra, now + HZ_TYPICAL - 1));
	assert_true(sl_gcra_conforms(&gcra, now + HZ_TYPICAL));
}

/* As many messages short as before, at the new rate, and never more than the bucket holds. */
static void
test_another_rate_goes_on_where_the_last_was(void **state)
{
	const uint64_t hz = 1000000000, now = 5 * hz;
	struct sl_gcra old, gcra;

	(void)state;
	sl_gcra_init(&old, 10, 20, hz);
	for (uint32_t i = 0; i < 15; i++)
		sl_gcra_take(&old, now);
	for (uint64_t rate = 1; rate <= 1000000; rate *= 10) {
		sl_gcra_init(&gcra, rate, 20, hz);
		sl_gcra_carry(&gcra, &old, now);
		for (uint32_t i = 0; i < 5; i++) {
			assert_true(sl_gcra_conforms(&gcra, now));
			sl_gcra_take(&gcra, now);
		}
		assert_false(sl_gcra_conforms(&gcra, now));
		assert_in_range(sl_gcra_due(&gcra), now + hz / rate - 2, now + hz / rate + 2);
	}
	/* A smaller one is empty. */
	sl_gcra_init(&gcra, 10, 3, hz);
	sl_gcra_carry(&gcra, &old, now);
	assert_in_range(sl_gcra_due(&gcra), now + hz / 10 - 2, now + hz / 10 + 2);
	/* From no limit, and to none. */
	sl_gcra_init(&old, 0, 1, hz);
	sl_gcra_init(&gcra, 10, 3, hz);
	sl_gcra_carry(&gcra, &old, now);
	assert_true(sl_gcra_conforms(&gcra, now));
	sl_gcra_carry(&old, &gcra, now);
	assert_true(sl_gcra_conforms(&old, now));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_greedy_sender_gets_the_rate),
		cmocka_unit_test(test_rates_of_millions_are_exact_to_a_few_parts_in_100000),
		cmocka_unit_test(test_the_burst_is_a_burst_and_comes_back_at_the_rate),
		cmocka_unit_test(test_conforming_changes_nothing),
		cmocka_unit_test(test_without_a_rate_there_is_no_limit),
		cmocka_unit_test(test_random_arrivals_agree_with_an_exact_bucket),
		cmocka_unit_test(test_years_do_not_overflow),
		cmocka_unit_test(test_another_rate_goes_on_where_the_last_was),
	};

	return cmocka_run_group_tests_name("gcra", tests, NULL, NULL);
}
