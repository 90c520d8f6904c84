/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "sl_dedup.h"
#include "test_rand.h"

#define SEED UINT64_C(0x5eed)

/*
 * The promise, as plainly as it can be said: of every key, when it was last accepted and as which
 * one; of every accepted one, its time. Keys are numbers here.
 */
struct model {
	uint32_t capacity;
	uint32_t window_ms;
	uint64_t nb_accepted;
	uint64_t evicted_early;
	uint32_t nb_keys;
	uint64_t *accepted_as;	 /* By key: 1 + number of its last acceptance, 0: never. */
	uint64_t *accepted_at;	 /* By key: its time. */
	uint64_t *time_of;	 /* By number of acceptance. */
	uint64_t time_of_length; /* Of which so many have room. */
};

struct rig {
	struct model model;
	struct sl_dedup *dedup;
	uint64_t now_ms;
};

static void
rig_init(struct rig *rig, uint32_t capacity, uint32_t window_ms, uint32_t nb_keys)
{
	const struct sl_dedup_params params = {
		.capacity = capacity, .window_ms = window_ms, .seed = SEED};
	size_t size = sl_dedup_memory_size(&params);
	void *mem = aligned_alloc(64, (size + 63) & ~(size_t)63);

	assert_non_null(mem);
	memset(mem, 0, size);
	memset(rig, 0, sizeof(*rig));
	rig->dedup = sl_dedup_init(mem, &params);
	assert_non_null(rig->dedup);
	rig->model.capacity = capacity;
	rig->model.window_ms = window_ms;
	rig->model.nb_keys = nb_keys;
	rig->model.accepted_as = calloc(nb_keys, sizeof(uint64_t));
	rig->model.accepted_at = calloc(nb_keys, sizeof(uint64_t));
	assert_non_null(rig->model.accepted_as);
	assert_non_null(rig->model.accepted_at);
}

static void
rig_free(struct rig *rig)
{
	free(rig->dedup);
	free(rig->model.accepted_as);
	free(rig->model.accepted_at);
	free(rig->model.time_of);
}

/* Neighbouring numbers differ in one field only, and in every one of them. */
static struct sl_wire_key
key_of(uint32_t number)
{
	return (struct sl_wire_key){
		.destination = number & 3,
		.source = (uint64_t)(number >> 2 & 3) << 60,
		.id_high = number >> 4 & 3,
		.id_low = (uint64_t)(number >> 6) << 20,
	};
}

static bool
model_is_duplicate(const struct model *m, uint32_t key, uint64_t now_ms)
{
	return m->accepted_as[key] != 0 && now_ms - m->accepted_at[key] < m->window_ms &&
		m->nb_accepted - (m->accepted_as[key] - 1) <= m->capacity;
}

static void
model_accept(struct model *m, uint32_t key, uint64_t now_ms)
{
	if (m->nb_accepted == m->time_of_length) {
		m->time_of_length = m->time_of_length == 0 ? 1024 : 2 * m->time_of_length;
		m->time_of = realloc(m->time_of, m->time_of_length * sizeof(uint64_t));
		assert_non_null(m->time_of);
	}
	if (m->nb_accepted >= m->capacity &&
		now_ms - m->time_of[m->nb_accepted - m->capacity] < m->window_ms)
		m->evicted_early++;
	m->time_of[m->nb_accepted++] = now_ms;
	m->accepted_as[key] = m->nb_accepted;
	m->accepted_at[key] = now_ms;
}

/* How many of the last `capacity` accepted are younger than the window. */
static uint32_t
model_entries(const struct model *m, uint64_t now_ms)
{
	uint32_t n = 0;

	while (n < m->capacity && n < m->nb_accepted &&
		now_ms - m->time_of[m->nb_accepted - 1 - n] < m->window_ms)
		n++;
	return n;
}

static void
check_stats(const struct rig *rig)
{
	struct sl_dedup_stats stats;

	sl_dedup_get_stats(rig->dedup, &stats);
	assert_int_equal(stats.evicted_early, rig->model.evicted_early);
	assert_in_range(
		stats.entries, model_entries(&rig->model, rig->now_ms), rig->model.capacity);
}

static void
check(struct rig *rig, const uint32_t *keys, uint32_t n)
{
	struct sl_wire_key wire[SL_DEDUP_BULK_MAX];
	uint64_t got, want = 0;

	for (uint32_t i = 0; i < n; i++) {
		wire[i] = key_of(keys[i]);
		if (model_is_duplicate(&rig->model, keys[i], rig->now_ms))
			want |= UINT64_C(1) << i;
		else
			model_accept(&rig->model, keys[i], rig->now_ms);
	}
	got = sl_dedup_check_bulk(rig->dedup, wire, n, rig->now_ms);
	if (got != want)
		fail_msg("at %llu ms: duplicates %#llx, not %#llx, of %u keys from %u",
			(unsigned long long)rig->now_ms, (unsigned long long)got,
			(unsigned long long)want, n, keys[0]);
}

static bool
is_duplicate(struct rig *rig, uint32_t key, uint64_t now_ms)
{
	struct sl_wire_key wire = key_of(key);

	rig->now_ms = now_ms;
	return sl_dedup_check_bulk(rig->dedup, &wire, 1, now_ms) == 1;
}

/* Let everything go, and see that nothing is left. */
static void
check_empties(struct rig *rig)
{
	struct sl_dedup_stats stats;

	sl_dedup_expire(rig->dedup, rig->now_ms, UINT32_MAX);
	sl_dedup_get_stats(rig->dedup, &stats);
	assert_int_equal(stats.entries, model_entries(&rig->model, rig->now_ms));
	rig->now_ms += rig->model.window_ms;
	sl_dedup_expire(rig->dedup, rig->now_ms, UINT32_MAX);
	sl_dedup_get_stats(rig->dedup, &stats);
	assert_int_equal(stats.entries, 0);
	for (uint32_t key = 0; key < rig->model.nb_keys; key += 7)
		check(rig, &key, 1);
	check_stats(rig);
}

struct stream {
	uint32_t capacity;
	uint32_t window_ms;
	uint32_t nb_keys;
	uint32_t nb_bulks;
	uint64_t start_ms;
};

/* A pause: mostly none or a little, sometimes around or beyond the window. */
static uint64_t
random_pause(struct test_rand *r, uint32_t window_ms)
{
	switch (test_rand_below(r, 64)) {
	case 0:
		return window_ms - 1 + test_rand_below(r, 3);
	case 1:
		return test_rand_below(r, 3 * (uint64_t)window_ms);
	case 2 ... 15:
		return test_rand_below(r, window_ms / 16 + 2);
	case 16 ... 31:
		return 1;
	default:
		return 0;
	}
}

/* Keys: some of a few hot ones, some just seen, the others anything. */
static void
random_bulk(struct test_rand *r, const struct stream *stream, uint32_t *keys, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t kind = test_rand_below(r, 16);

		if (kind < 2)
			keys[i] = (uint32_t)test_rand_below(r, RTE_MIN(stream->nb_keys, 8u));
		else if (kind < 4 && i > 0)
			keys[i] = keys[test_rand_below(r, i)];
		else
			keys[i] = (uint32_t)test_rand_below(r, stream->nb_keys);
	}
}

static void
run_stream(struct test_rand *r, const struct stream *stream)
{
	uint32_t keys[SL_DEDUP_BULK_MAX], n;
	struct rig rig;

	rig_init(&rig, stream->capacity, stream->window_ms, stream->nb_keys);
	rig.now_ms = stream->start_ms;
	for (uint32_t i = 0; i < stream->nb_bulks; i++) {
		rig.now_ms += random_pause(r, stream->window_ms);
		n = 1 + (uint32_t)test_rand_below(r, SL_DEDUP_BULK_MAX);
		random_bulk(r, stream, keys, n);
		check(&rig, keys, n);
		if (test_rand_below(r, 8) == 0)
			sl_dedup_expire(rig.dedup, rig.now_ms, (uint32_t)test_rand_below(r, 100));
		check_stats(&rig);
	}
	check_empties(&rig);
	rig_free(&rig);
}

static void
test_random_streams_agree_with_the_model(void **state)
{
	static const uint32_t capacities[] = {
		1, 2, 6, 7, 8, 13, 14, 20, 63, 64, 65, 100, 1000, 4096};
	static const uint32_t windows_ms[] = {1, 2, 50, 1000};
	struct test_rand r;

	(void)state;
	test_rand_init(&r, "dedup streams");
	for (size_t c = 0; c < RTE_DIM(capacities); c++) {
		for (size_t w = 0; w < RTE_DIM(windows_ms); w++) {
			struct stream stream = {
				.capacity = capacities[c],
				.window_ms = windows_ms[w],
				.nb_bulks = 400,
			};

			stream.start_ms = test_rand_u64(&r) >> 1;
			stream.nb_keys = 1 + (uint32_t)test_rand_below(&r, 4);
			run_stream(&r, &stream);
			stream.nb_keys = 1 + (uint32_t)test_rand_below(&r, 3 * capacities[c]);
			run_stream(&r, &stream);
			stream.nb_keys = 1 << 18;
			run_stream(&r, &stream);
		}
	}
}

static void
test_the_clock_wraps_at_32_bits(void **state)
{
	struct stream stream = {
		.capacity = 500, .window_ms = 1000, .nb_keys = 400, .nb_bulks = 2000};
	struct test_rand r;

	(void)state;
	test_rand_init(&r, "dedup wrap");
	for (uint64_t wraps = 1; wraps < 5; wraps++) {
		stream.start_ms = (wraps << 32) - 1 - test_rand_below(&r, 4000);
		run_stream(&r, &stream);
	}
}

/* A key comes back a millisecond before its window ends, when it ends, and after. */
static void
test_the_end_of_the_window_is_exact(void **state)
{
	static const uint32_t windows_ms[] = {1, 2, 60000, 3600000, UINT32_C(1) << 31};
	static const uint64_t starts_ms[] = {0, 1, UINT32_MAX, UINT64_C(1) << 40};

	(void)state;
	for (size_t w = 0; w < RTE_DIM(windows_ms); w++) {
		for (size_t s = 0; s < RTE_DIM(starts_ms); s++) {
			uint64_t start = starts_ms[s], window = windows_ms[w];
			struct rig rig;

			rig_init(&rig, 10, windows_ms[w], 1);
			assert_false(is_duplicate(&rig, 0, start));
			assert_true(is_duplicate(&rig, 0, start + window - 1));
			/* A duplicate does not renew the window. */
			assert_false(is_duplicate(&rig, 0, start + window));
			assert_true(is_duplicate(&rig, 0, start + window));
			assert_true(is_duplicate(&rig, 0, start + 2 * window - 1));
			assert_false(is_duplicate(&rig, 0, start + 2 * window));
			rig_free(&rig);
		}
	}
}

/* Hot keys that come back around the window's end, among as much other traffic as fits. */
static void
test_hot_keys_around_the_end_of_the_window(void **state)
{
	uint32_t keys[SL_DEDUP_BULK_MAX], other = 100;
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "dedup hot keys");
	rig_init(&rig, 700, 100, 1 << 20);
	for (uint32_t round = 0; round < 3000; round++) {
		for (uint32_t i = 0; i < 64; i++)
			keys[i] = i % 8 < 2 ? i : other++ & ((1 << 20) - 1);
		check(&rig, keys, 64);
		rig.now_ms += 99;
		check(&rig, keys, (uint32_t)test_rand_below(&r, 9));
		rig.now_ms += test_rand_below(&r, 3);
	}
	check_stats(&rig);
	check_empties(&rig);
	rig_free(&rig);
}

static void
test_a_full_window_forgets_the_oldest_and_counts_it(void **state)
{
	struct sl_dedup_stats stats;
	struct rig rig;

	(void)state;
	rig_init(&rig, 100, 1000, 301);
	for (uint32_t key = 0; key < 300; key++)
		assert_false(is_duplicate(&rig, key, key));
	sl_dedup_get_stats(rig.dedup, &stats);
	assert_int_equal(stats.entries, 100);
	assert_int_equal(stats.evicted_early, 200);
	for (uint32_t key = 200; key < 300; key++)
		assert_true(is_duplicate(&rig, key, 999));
	assert_false(is_duplicate(&rig, 199, 999));
	/* Making room by what is too old anyway is no early loss. */
	for (uint32_t key = 0; key < 100; key++)
		assert_false(is_duplicate(&rig, key, 5000));
	sl_dedup_get_stats(rig.dedup, &stats);
	assert_int_equal(stats.evicted_early, 201);
	rig_free(&rig);
}

static void
test_expire_takes_no_more_than_it_may(void **state)
{
	struct sl_dedup_stats stats;
	struct rig rig;

	(void)state;
	rig_init(&rig, 1000, 10, 1000);
	for (uint32_t key = 0; key < 1000; key++)
		assert_false(is_duplicate(&rig, key, key < 500 ? 0 : 5));
	sl_dedup_expire(rig.dedup, 9, UINT32_MAX);
	sl_dedup_get_stats(rig.dedup, &stats);
	assert_int_equal(stats.entries, 1000);
	sl_dedup_expire(rig.dedup, 10, 0);
	sl_dedup_expire(rig.dedup, 10, 123);
	sl_dedup_get_stats(rig.dedup, &stats);
	assert_int_equal(stats.entries, 877);
	sl_dedup_expire(rig.dedup, 14, UINT32_MAX);
	sl_dedup_get_stats(rig.dedup, &stats);
	assert_int_equal(stats.entries, 500);
	assert_int_equal(stats.evicted_early, 0);
	rig_free(&rig);
}

static void
test_memory_is_about_fifty_bytes_an_entry(void **state)
{
	struct sl_dedup_params params = {.window_ms = 1};

	(void)state;
	for (params.capacity = 1024; params.capacity <= SL_DEDUP_CAPACITY_MAX; params.capacity *= 2)
		assert_in_range(sl_dedup_memory_size(&params) / params.capacity, 40, 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_streams_agree_with_the_model),
		cmocka_unit_test(test_the_clock_wraps_at_32_bits),
		cmocka_unit_test(test_the_end_of_the_window_is_exact),
		cmocka_unit_test(test_hot_keys_around_the_end_of_the_window),
		cmocka_unit_test(test_a_full_window_forgets_the_oldest_and_counts_it),
		cmocka_unit_test(test_expire_takes_no_more_than_it_may),
		cmocka_unit_test(test_memory_is_about_fifty_bytes_an_entry),
	};

	return cmocka_run_group_tests_name("dedup", tests, NULL, NULL);
}
