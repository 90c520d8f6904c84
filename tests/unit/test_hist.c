/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sl_hist.h"
#include "test_rand.h"

#define NB_VALUES 20000

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Values of all magnitudes: as many below 10 as between 2^30 and 2^31. */
static uint64_t
any_magnitude(struct test_rand *r)
{
	return test_rand_u64(r) >> (64 - SL_HIST_MAX_BITS + test_rand_below(r, SL_HIST_MAX_BITS));
}

static uint64_t
uniform(struct test_rand *r)
{
	return 50000 + test_rand_below(r, 100000);
}

static uint64_t
few_and_small(struct test_rand *r)
{
	return test_rand_below(r, 3);
}

static void
check_quantiles(const struct sl_hist *hist, uint64_t *values, size_t nb)
{
	static const double quantiles[] = {0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
	uint64_t exact, got;
	size_t rank;

	qsort(values, nb, sizeof(*values), compare);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		rank = (size_t)ceil(quantiles[i] * (double)nb);
		exact = values[rank == 0 ? 0 : rank - 1];
		got = sl_hist_quantile(hist, quantiles[i]);
		if (got < exact || got > exact + exact / 32 || got > values[nb - 1])
			fail_msg("quantile %g of %zu values: %llu, but is %llu", quantiles[i], nb,
				(unsigned long long)got, (unsigned long long)exact);
	}
}

static void
test_quantiles_are_within_one_step(void **state)
{
	static uint64_t (*const kinds[])(struct test_rand *) = {
		any_magnitude, uniform, few_and_small};
	static uint64_t values[NB_VALUES];
	static struct sl_hist hist;
	struct test_rand r;
	double sum;

	(void)state;
	test_rand_init(&r, "hist quantiles");
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
		for (size_t nb = 1; nb <= NB_VALUES; nb = nb * 7 + 1) {
			memset(&hist, 0, sizeof(hist));
			sum = 0;
			for (size_t i = 0; i < nb; i++) {
				values[i] = kinds[kind](&r);
				sum += (double)values[i];
				sl_hist_add(&hist, values[i]);
			}
			check_quantiles(&hist, values, nb);
			assert_int_equal(hist.count, nb);
			assert_int_equal(hist.max, values[nb - 1]);
			assert_true(fabs(sl_hist_mean(&hist) - sum / (double)nb) <=
				1e-9 * (1 + sum / (double)nb));
		}
	}
}

static void
test_buckets_are_ordered_and_narrow(void **state)
{
	unsigned int bucket, before = 0;
	uint64_t lowest = 0;

	(void)state;
	/* Both sides of every step of 1/64, so that each bucket's edge is passed. */
	for (uint64_t v = 0; v < UINT64_C(1) << SL_HIST_MAX_BITS; v += 1 + (v >> 6)) {
		bucket = sl_hist_bucket(v);
		assert_in_range(bucket, before, before + 1);
		if (bucket != before)
			lowest = v;
		assert_true(v - lowest <= lowest / 32);
		before = bucket;
	}
	assert_int_equal(before, SL_HIST_BUCKETS - 1);
	/* Small values are exact. */
	for (uint64_t v = 1; v < 64; v++)
		assert_int_equal(sl_hist_bucket(v), sl_hist_bucket(v - 1) + 1);
}

static void
test_values_too_large_count_in_the_last_step(void **state)
{
	static const uint64_t large[] = {
		UINT64_C(1) << SL_HIST_MAX_BITS, UINT64_C(1) << 63, UINT64_MAX};
	static struct sl_hist hist;

	(void)state;
	memset(&hist, 0, sizeof(hist));
	for (size_t i = 0; i < 3; i++)
		sl_hist_add(&hist, large[i]);
	assert_int_equal(hist.buckets[SL_HIST_BUCKETS - 1], 3);
	assert_int_equal(hist.count, 3);
	assert_int_equal(hist.max, UINT64_MAX);
	assert_int_equal(sl_hist_quantile(&hist, 0.5), (UINT64_C(1) << SL_HIST_MAX_BITS) - 1);
}

static void
test_empty(void **state)
{
	static struct sl_hist hist;

	(void)state;
	memset(&hist, 0, sizeof(hist));
	assert_int_equal(sl_hist_quantile(&hist, 0), 0);
	assert_int_equal(sl_hist_quantile(&hist, 0.99), 0);
	assert_true(sl_hist_mean(&hist) == 0);
}

static void
test_a_quantile_is_never_above_the_maximum(void **state)
{
	static struct sl_hist hist;

	(void)state;
	memset(&hist, 0, sizeof(hist));
	sl_hist_add(&hist, 1000000);
	assert_int_equal(sl_hist_quantile(&hist, 0), 1000000);
	assert_int_equal(sl_hist_quantile(&hist, 0.5), 1000000);
	assert_int_equal(sl_hist_quantile(&hist, 1), 1000000);
}

static void
test_merge_is_as_if_counted_in_one(void **state)
{
	static struct sl_hist one, parts[3], merged;
	struct test_rand r;
	uint64_t value;

	(void)state;
	test_rand_init(&r, "hist merge");
	memset(&one, 0, sizeof(one));
	memset(parts, 0, sizeof(parts));
	memset(&merged, 0, sizeof(merged));
	for (size_t i = 0; i < NB_VALUES; i++) {
		value = any_magnitude(&r);
		sl_hist_add(&one, value);
		sl_hist_add(&parts[test_rand_below(&r, 2)], value); /* the third stays empty */
	}
	for (size_t i = 0; i < 3; i++)
		sl_hist_merge(&merged, &parts[i]);
	assert_memory_equal(&merged, &one, sizeof(one));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles_are_within_one_step),
		cmocka_unit_test(test_buckets_are_ordered_and_narrow),
		cmocka_unit_test(test_values_too_large_count_in_the_last_step),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_a_quantile_is_never_above_the_maximum),
		cmocka_unit_test(test_merge_is_as_if_counted_in_one),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
