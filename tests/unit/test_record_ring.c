/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The ring between a worker and the journal's thread. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sl_record_ring.h"
#include "test_rand.h"

#define MIB (UINT64_C(1) << 20)

static void
sizes_are_checked(void **state)
{
	struct sl_record_ring ring;

	assert_int_equal(sl_record_ring_init(&ring, 0, 1, 0, MIB - 4096, MIB), -EINVAL);
	assert_int_equal(sl_record_ring_init(&ring, 0, 1, 0, MIB / 2, MIB), -EINVAL);
	assert_int_equal(sl_record_ring_init(&ring, 0, 1, 0, MIB, 3 * MIB), -EINVAL);
	assert_int_equal(sl_record_ring_init(&ring, 0, 1, 8, MIB, MIB), -EINVAL);
	assert_int_equal(sl_record_ring_init(&ring, 7, 3, 4096, MIB, MIB), 0);
	assert_int_equal(ring.put, 4096);
	sl_record_ring_free(&ring);
	sl_record_ring_free(&ring);
}

static void
memory_is_there_twice(void **state)
{
	static const uint64_t sizes[] = {MIB, 4 * MIB};
	struct sl_record_ring ring;

	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		assert_int_equal(sl_record_ring_init(&ring, 0, 1, 0, sizes[i], MIB), 0);
		assert_int_equal((uintptr_t)ring.bytes % 4096, 0);
		for (uint64_t at = 0; at < sizes[i]; at += 4096 + 16)
			ring.bytes[at] = (uint8_t)(at >> 12 | 1);
		assert_memory_equal(ring.bytes, ring.bytes + sizes[i], sizes[i]);
		sl_record_ring_free(&ring);
	}
}

static void
a_full_ring_refuses_and_keeps_what_is_written_again(void **state)
{
	struct sl_record_ring ring;
	uint64_t n = 0, room;
	uint8_t *bytes;

	assert_int_equal(sl_record_ring_init(&ring, 0, 1, 0, MIB, 2 * MIB), 0);
	while (sl_record_ring_put(&ring, SL_RECORD_CLOSE, 1008, 1) != NULL)
		n++;
	assert_int_equal(n, (MIB - SL_RECORD_RING_SLACK) / 1008);
	room = sl_record_ring_room(&ring);
	assert_true(room < 1008);
	assert_int_equal(sl_record_ring_peek(&ring, 0, &bytes), 0);
	sl_record_ring_publish(&ring);
	assert_int_equal(sl_record_ring_peek(&ring, 0, &bytes), n * 1008);

	sl_record_ring_set_durable(&ring, 5 * 1008);
	assert_null(sl_record_ring_put(&ring, SL_RECORD_CLOSE, 1008, 1));
	sl_record_ring_refresh(&ring);
	assert_int_equal(sl_record_ring_room(&ring), room + UINT64_C(5) * 1008);
	for (n = 0; sl_record_ring_put(&ring, SL_RECORD_CLOSE, 1008, 1) != NULL; n++)
		;
	assert_true(ring.put - 5 * 1008 + SL_RECORD_RING_SLACK <= MIB);
	assert_in_range(n, 5, 6);
	sl_record_ring_free(&ring);
}

static void
no_record_crosses_the_end_of_a_segment(void **state)
{
	struct sl_record_ring ring;
	struct sl_record *record;

	/* 16 bytes are left: nothing says so but the position. */
	assert_int_equal(sl_record_ring_init(&ring, 0, 1, MIB - 48, MIB, MIB), 0);
	record = sl_record_ring_put(&ring, SL_RECORD_CLOSE, 32, 1);
	assert_int_equal(record->position, MIB - 48);
	record = sl_record_ring_put(&ring, SL_RECORD_CLOSE, 32, 1);
	assert_int_equal(record->position, MIB);
	sl_record_ring_free(&ring);

	assert_int_equal(sl_record_ring_init(&ring, 0, 1, MIB - 64, MIB, MIB), 0);
	record = sl_record_ring_put(&ring, SL_RECORD_CLOSE, 80, 9);
	assert_int_equal(record->position, MIB);
	assert_int_equal(record->incarnation, 1);
	record = (struct sl_record *)(ring.bytes + MIB - 64);
	assert_int_equal(record->type, SL_RECORD_PAD);
	assert_int_equal(record->len, 64);
	assert_int_equal(record->position, MIB - 64);
	assert_int_equal(record->time_ns, 9);
	assert_int_equal(ring.put, MIB + 80);
	sl_record_ring_free(&ring);
}

#define NB_RECORDS 200000u

static struct sl_record_ring shared;
static uint64_t seed;

/* The contents of record number n follow from n and the seed. */
static uint32_t
len_of(uint64_t n, struct test_rand *r)
{
	r->state = seed + n * UINT64_C(0x632be59bd9b4e019);
	return (uint32_t)(sizeof(struct sl_record) +
		(test_rand_below(r, 1000) == 0 ? test_rand_below(r, 100000)
					       : test_rand_below(r, 400)));
}

static void *
produce(void *arg)
{
	struct test_rand content, r = {.state = ~seed};
	struct sl_record *record;

	for (uint64_t n = 0; n < NB_RECORDS;) {
		uint32_t len = len_of(n, &content);

		record = sl_record_ring_put(&shared, SL_RECORD_NAME, len, n);
		if (record != NULL) {
			memset(record + 1, (int)test_rand_u64(&content), len - sizeof(*record));
			n++;
		}
		if (record == NULL || test_rand_below(&r, 8) == 0) {
			sl_record_ring_publish(&shared);
			sl_record_ring_refresh(&shared);
		}
		if (record == NULL)
			sched_yield();
	}
	sl_record_ring_publish(&shared);
	return NULL;
}

/* Compare the published record at `at` with number `*n`. Returns how far to go on. */
static uint64_t
consume_one(uint64_t at, uint64_t *n)
{
	uint64_t left = shared.segment_bytes - (at & (shared.segment_bytes - 1));
	struct test_rand content;
	struct sl_record *record;
	uint8_t *bytes;
	uint32_t len;

	if (left < sizeof(*record))
		return left;
	assert_true(sl_record_ring_peek(&shared, at, &bytes) >= sizeof(*record));
	record = (struct sl_record *)bytes;
	assert_int_equal(record->position, at);
	if (record->type == SL_RECORD_PAD) {
		assert_int_equal(record->len, left);
		return left;
	}
	len = len_of(*n, &content);
	assert_int_equal(record->len, len);
	assert_int_equal(record->time_ns, *n);
	assert_true(sl_record_stride(len) <= left);
	if (len > sizeof(*record)) {
		uint8_t *fill = (uint8_t *)(record + 1);

		assert_int_equal(fill[0], (uint8_t)test_rand_u64(&content));
		assert_int_equal(memcmp(fill, fill + 1, len - sizeof(*record) - 1), 0);
	}
	(*n)++;
	return sl_record_stride(len);
}

/* Two threads, random sizes, many times around: everything arrives, in order, whole. */
static void
everything_arrives_in_order(void **state)
{
	uint64_t start = 5 * MIB + 4096, at = start, n = 0;
	struct test_rand r;
	pthread_t producer;
	uint8_t *bytes;

	test_rand_init(&r, "ring");
	seed = r.state;
	assert_int_equal(sl_record_ring_init(&shared, 0, 1, start, MIB, 2 * MIB), 0);
	assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
	while (n < NB_RECORDS) {
		uint64_t end = at + sl_record_ring_peek(&shared, at, &bytes);

		if (at == end)
			sched_yield();
		while (at < end)
			at += consume_one(at, &n);
		assert_int_equal(at, end);
		sl_record_ring_set_durable(&shared, at);
	}
	assert_int_equal(pthread_join(producer, NULL), 0);
	assert_int_equal(shared.put, at);
	assert_true(at - start > 20 * MIB);
	sl_record_ring_free(&shared);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(memory_is_there_twice),
		cmocka_unit_test(a_full_ring_refuses_and_keeps_what_is_written_again),
		cmocka_unit_test(no_record_crosses_the_end_of_a_segment),
		cmocka_unit_test(everything_arrives_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
