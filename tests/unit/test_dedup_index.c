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
#include <unistd.h>

/*
 * The index from inside: with keys chosen, by the known seed, to meet in a few buckets, its
 * invariants must hold after every step. No entry is lost, no slot and no spill count left behind.
 */
#include "dedup.c"
#include "test_rand.h"

#define SEED	  UINT64_C(0x5eed)
#define NB_KEYS	  512
#define WINDOW_MS 100

static struct sl_dedup *
new_window(uint32_t capacity)
{
	const struct sl_dedup_params params = {
		.capacity = capacity, .window_ms = WINDOW_MS, .seed = SEED};
	size_t size = sl_dedup_memory_size(&params);
	void *mem = aligned_alloc(64, (size + 63) & ~(size_t)63);

	assert_non_null(mem);
	memset(mem, 0, size);
	return sl_dedup_init(mem, &params);
}

static bool
is_duplicate(struct sl_dedup *d, const struct sl_wire_key *key, uint64_t now_ms)
{
	return sl_dedup_check_bulk(d, key, 1, now_ms) == 1;
}

/* Keys whose home is one of `nb` buckets from `first`, wherever in the index that is. */
static void
aim(struct test_rand *r, const struct sl_dedup *d, uint32_t first, uint32_t nb,
	struct sl_wire_key *keys, uint32_t n)
{
	struct sl_wire_key key;
	uint32_t distance;

	while (n > 0) {
		test_rand_fill(r, &key, sizeof(key));
		distance = home_of(d, hash_key(d, &key)) + d->nb_buckets - first;
		if (distance % d->nb_buckets < nb)
			keys[--n] = key;
	}
}

/* Every taken slot leads to a live entry along full buckets only, and the counts say just that. */
static void
check_index(const struct sl_dedup *d)
{
	uint32_t *spilled = calloc(d->nb_buckets, sizeof(*spilled));

	assert_non_null(spilled);
	for (uint32_t at = 0; at < d->nb_buckets; at++) {
		const struct bucket *b = &d->buckets[at];

		for (unsigned int i = 0; i < SLOTS; i++) {
			uint32_t index = b->slots[i] & INDEX_MASK, hash, age;

			if (b->tags[i] == 0)
				continue;
			assert_true(index < d->capacity);
			age = index >= d->oldest ? index - d->oldest
						 : index + d->capacity - d->oldest;
			assert_true(age < d->count);
			hash = d->entries[index].hash;
			assert_int_equal(b->tags[i], tag_of(hash));
			assert_int_equal(b->slots[i], slot_of(hash, index));
			for (uint32_t p = home_of(d, hash); p != at; p = next_bucket(d, p))
				spilled[p]++;
		}
	}
	for (uint32_t at = 0; at < d->nb_buckets; at++)
		assert_int_equal(d->buckets[at].spilled, spilled[at]);
	free(spilled);
}

/* All entries found by their keys, unless a newer one of the same key took over. */
static void
check_entries(struct sl_dedup *d)
{
	for (uint32_t i = 0; i < d->count; i++) {
		uint32_t index = (uint32_t)(((uint64_t)d->oldest + i) % d->capacity);
		const struct entry *e = &d->entries[index];
		const uint32_t *slot = find(d, &e->key, e->hash);

		assert_non_null(slot);
		if ((*slot & INDEX_MASK) != index)
			assert_true(e->time_ms != d->entries[*slot & INDEX_MASK].time_ms);
	}
}

static void
check_is_empty(const struct sl_dedup *d)
{
	assert_int_equal(d->count, 0);
	for (uint32_t at = 0; at < d->nb_buckets; at++) {
		assert_int_equal(d->buckets[at].spilled, 0);
		for (unsigned int i = 0; i < SLOTS; i++)
			assert_int_equal(d->buckets[at].tags[i], 0);
	}
}

/*
 * Long chains of spills over one, two or three homes, at the start, in the middle and over the end
 * of the index; come and go by time and, because the keys are more than the capacity, by room.
 */
static void
test_spill_chains_come_and_go(void **state)
{
	static const uint32_t capacities[] = {50, 300, 5000};
	struct sl_wire_key keys[NB_KEYS];
	struct test_rand r;
	uint64_t now_ms = 0;

	(void)state;
	test_rand_init(&r, "dedup spill chains");
	for (uint32_t i = 0; i < 27; i++) {
		struct sl_dedup *d = new_window(capacities[i % 3]);
		uint32_t firsts[] = {0, d->nb_buckets / 2, d->nb_buckets - 1};

		aim(&r, d, firsts[i / 3 % 3], 1 + i / 9, keys, NB_KEYS);
		for (uint32_t step = 0; step < 1000; step++) {
			uint32_t n = 1 + (uint32_t)test_rand_below(&r, SL_DEDUP_BULK_MAX);

			sl_dedup_check_bulk(d, &keys[test_rand_below(&r, NB_KEYS - n)], n, now_ms);
			now_ms += test_rand_below(&r, 4) == 0 ? test_rand_below(&r, WINDOW_MS) : 0;
			if (step % 16 == 0)
				sl_dedup_expire(d, now_ms, (uint32_t)test_rand_below(&r, 64));
			check_index(d);
			check_entries(d);
		}
		now_ms += WINDOW_MS;
		sl_dedup_expire(d, now_ms, UINT32_MAX);
		check_is_empty(d);
		for (uint32_t k = 0; k < NB_KEYS; k++)
			assert_false(is_duplicate(d, &keys[k], now_ms));
		check_index(d);
		free(d);
	}
}

/* The first entries of a chain leave before those that spilled over them. */
static void
test_what_spilled_is_found_when_its_home_is_empty_again(void **state)
{
	struct sl_wire_key keys[100];
	struct sl_dedup *d = new_window(1000);
	struct test_rand r;

	(void)state;
	test_rand_init(&r, "dedup home empties");
	aim(&r, d, 5, 1, keys, 100);
	for (uint64_t i = 0; i < 100; i++)
		assert_false(is_duplicate(d, &keys[i], i));
	for (uint32_t i = 1; i < 100; i++) {
		sl_dedup_expire(d, WINDOW_MS + i - 1, UINT32_MAX);
		assert_int_equal(d->count, 100 - i);
		check_index(d);
		check_entries(d);
		assert_true(is_duplicate(d, &keys[i], WINDOW_MS + i - 1));
		assert_true(is_duplicate(d, &keys[99], WINDOW_MS + i - 1));
	}
	sl_dedup_expire(d, WINDOW_MS + 99, UINT32_MAX);
	check_is_empty(d);
	free(d);
}

/*
 * A small index where every bucket was spilled from: two buckets, each holding an entry of the
 * other's. A search for a new key must end all the same.
 */
static void
test_a_search_ends_when_every_bucket_spilled(void **state)
{
	struct sl_wire_key of_first[20], of_second[20];
	struct sl_dedup *d = new_window(13);
	struct test_rand r;

	(void)state;
	test_rand_init(&r, "dedup ring of spills");
	assert_int_equal(d->nb_buckets, 2);
	aim(&r, d, 0, 1, of_first, 20);
	aim(&r, d, 1, 1, of_second, 20);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_false(is_duplicate(d, &of_first[i], 0));
	assert_false(is_duplicate(d, &of_first[SLOTS], 50));
	assert_int_equal(d->buckets[0].spilled, 1);
	sl_dedup_expire(d, WINDOW_MS, UINT32_MAX);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_false(is_duplicate(d, &of_second[i], WINDOW_MS));
	assert_int_equal(d->buckets[0].spilled, 1);
	assert_int_equal(d->buckets[1].spilled, 1);
	check_index(d);
	alarm(20);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_true(is_duplicate(d, &of_second[i], WINDOW_MS));
	assert_false(is_duplicate(d, &of_second[SLOTS], WINDOW_MS + 1));
	assert_false(is_duplicate(d, &of_first[SLOTS + 1], WINDOW_MS + 1));
	alarm(0);
	check_index(d);
	sl_dedup_expire(d, 3 * WINDOW_MS, UINT32_MAX);
	check_is_empty(d);
	free(d);
}

/* Two keys with one hash, so one bucket, tag and slot: only the whole key tells them apart. */
static void
test_equal_hashes_are_different_keys(void **state)
{
	struct sl_dedup *d = new_window(100);
	struct sl_wire_key a = {1, 2, 3, 4}, b = {1, 2, 3, 5};
	uint32_t hash = hash_key(d, &a);

	(void)state;
	assert_false(check_one(d, &a, hash, 0));
	assert_false(check_one(d, &b, hash, 0));
	assert_true(check_one(d, &a, hash, 0));
	assert_true(check_one(d, &b, hash, WINDOW_MS - 1));
	check_index(d);
	sl_dedup_expire(d, WINDOW_MS, 1);
	assert_null(find(d, &a, hash));
	assert_non_null(find(d, &b, hash));
	free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spill_chains_come_and_go),
		cmocka_unit_test(test_what_spilled_is_found_when_its_home_is_empty_again),
		cmocka_unit_test(test_a_search_ends_when_every_bucket_spilled),
		cmocka_unit_test(test_equal_hashes_are_different_keys),
	};

	return cmocka_run_group_tests_name("dedup index", tests, NULL, NULL);
}
