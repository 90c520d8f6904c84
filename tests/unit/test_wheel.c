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

#include "test_rand.h"
#include "wheel.h"

#define NB_ENTRIES 500
#define HZ	   UINT64_C(2600000000)

/* What is known of each entry, and of the clock. */
struct rig {
	struct wheel wheel;
	uint64_t slot; /* Ticks. */
	uint64_t now;
	uint64_t popped_at; /* When the wheel was last asked. */
	uint32_t nb_parked;
	struct {
		bool is_parked;
		uint64_t at;
		uint64_t parked_at;
		uint32_t next;
	} entries[NB_ENTRIES];
};

static void
rig_init(struct rig *rig, uint64_t ticks_per_s, uint64_t now)
{
	memset(rig, 0, sizeof(*rig));
	wheel_init(&rig->wheel, ticks_per_s, now);
	rig->slot = UINT64_C(1) << rig->wheel.shift;
	rig->now = now;
	rig->popped_at = now;
}

static void
park(struct rig *rig, uint32_t entry, uint64_t at)
{
	assert_false(rig->entries[entry].is_parked);
	rig->entries[entry].is_parked = true;
	rig->entries[entry].at = at;
	rig->entries[entry].parked_at = rig->popped_at;
	rig->entries[entry].next = wheel_park(&rig->wheel, entry, at);
	rig->nb_parked++;
}

/* The last moment an entry may sleep to, and the first at which it may wake. */
static uint64_t
latest(const struct rig *rig, uint32_t entry)
{
	uint64_t base = rig->entries[entry].parked_at, at = rig->entries[entry].at;
	uint64_t horizon = base + WHEEL_SLOTS * rig->slot;

	if (at > horizon)
		return horizon;
	return (at > base ? at : base) + rig->slot;
}

static uint64_t
earliest(const struct rig *rig, uint32_t entry)
{
	uint64_t horizon = rig->entries[entry].parked_at + (WHEEL_SLOTS - 2) * rig->slot;

	return rig->entries[entry].at < horizon ? rig->entries[entry].at : horizon;
}

/* Wake all that are due. Returns how many. */
static uint32_t
pop(struct rig *rig)
{
	uint32_t entry, n = 0;

	while ((entry = wheel_pop_due(&rig->wheel, rig->now)) != WHEEL_NIL) {
		for (; entry != WHEEL_NIL; entry = rig->entries[entry].next) {
			assert_true(entry < NB_ENTRIES);
			assert_true(rig->entries[entry].is_parked);
			assert_true(rig->now >= earliest(rig, entry));
			rig->entries[entry].is_parked = false;
			rig->wheel.nb_parked--;
			n++;
		}
	}
	rig->popped_at = rig->now;
	rig->nb_parked -= n;
	assert_int_equal(rig->wheel.nb_parked, rig->nb_parked);
	for (uint32_t i = 0; i < NB_ENTRIES; i++) {
		if (rig->entries[i].is_parked)
			assert_true(rig->now < latest(rig, i));
	}
	return n;
}

static uint64_t
random_step(struct test_rand *r, uint64_t slot)
{
	switch (test_rand_below(r, 20)) {
	case 0:
		return test_rand_below(r, 4 * WHEEL_SLOTS * slot);
	case 1:
		return (WHEEL_SLOTS - 1 + test_rand_below(r, 3)) * slot;
	case 2:
		return test_rand_below(r, 1000) == 0 ? UINT64_C(1) << 45 : 0;
	case 3 ... 6:
		return test_rand_below(r, 20 * slot);
	case 7:
		return slot;
	default:
		return test_rand_below(r, slot);
	}
}

/* Times to park until: past, now, within the horizon, at it and far beyond it. */
static uint64_t
random_at(struct test_rand *r, uint64_t now, uint64_t slot)
{
	switch (test_rand_below(r, 8)) {
	case 0:
		return test_rand_below(r, now);
	case 1:
		return now;
	case 2:
		return now + test_rand_below(r, slot);
	case 3:
		return now + (WHEEL_SLOTS - 2 + test_rand_below(r, 4)) * slot;
	case 4:
		return test_rand_below(r, 2) == 0 ? UINT64_MAX : now + (UINT64_C(1) << 50);
	case 5:
		return (now / slot + test_rand_below(r, 10)) * slot;
	default:
		return now + test_rand_below(r, WHEEL_SLOTS * slot);
	}
}

static void
test_random_parking_wakes_in_time(void **state)
{
	static const uint64_t clocks_hz[] = {UINT64_C(1) << 20, HZ, UINT64_C(5000000000)};
	static struct rig rig;
	struct test_rand r;
	uint64_t woken;

	(void)state;
	test_rand_init(&r, "wheel");
	for (size_t c = 0; c < 3; c++) {
		rig_init(&rig, clocks_hz[c], test_rand_below(&r, UINT64_C(1) << 58));
		woken = 0;
		for (uint32_t step = 0; step < 40000; step++) {
			uint32_t entry = (uint32_t)test_rand_below(&r, NB_ENTRIES);

			if (!rig.entries[entry].is_parked)
				park(&rig, entry, random_at(&r, rig.now, rig.slot));
			rig.now += random_step(&r, rig.slot);
			/* Now and then the owner is busy elsewhere and does not ask. */
			if (test_rand_below(&r, 4) != 0)
				woken += pop(&rig);
		}
		assert_true(woken > 10000);
		rig.now += (WHEEL_SLOTS + 1) * rig.slot;
		pop(&rig);
		assert_int_equal(rig.nb_parked, 0);
	}
}

static void
test_slots_are_2_to_4_microseconds(void **state)
{
	static struct rig rig;

	(void)state;
	for (uint64_t hz = 1 << 20; hz < UINT64_C(10000000000); hz = hz * 5 / 4) {
		rig_init(&rig, hz, 0);
		/* Whole ticks: 4 of the slowest clock are 3.8 us. */
		assert_in_range(rig.slot * UINT64_C(1000000000) / hz, 1900, 3900);
	}
}

/* Distances of all lengths in slots, from every phase within a slot, on and around the boundaries.
 */
static void
test_every_entry_wakes_in_its_slot(void **state)
{
	static struct rig rig;

	(void)state;
	for (uint64_t distance = 0; distance < WHEEL_SLOTS - 2; distance += 1 + distance / 64) {
		for (uint64_t phase = 0; phase < 5; phase++) {
			uint64_t at;

			rig_init(&rig, HZ, UINT64_C(1) << 40);
			at = rig.now + distance * rig.slot + phase * (rig.slot / 4);
			at -= phase == 4; /* The last tick of the slot. */
			park(&rig, 0, at);
			rig.now = at - 1;
			if (at > rig.popped_at)
				assert_int_equal(pop(&rig), 0);
			rig.now = (at > rig.popped_at ? at : rig.popped_at) + rig.slot;
			assert_int_equal(pop(&rig), 1);
		}
	}
}

static void
test_an_entry_beyond_the_horizon_wakes_at_the_horizon(void **state)
{
	static struct rig rig;

	(void)state;
	rig_init(&rig, HZ, 0);
	park(&rig, 3, UINT64_MAX);
	rig.now = (WHEEL_SLOTS - 2) * rig.slot;
	assert_int_equal(pop(&rig), 0);
	rig.now = (WHEEL_SLOTS - 1) * rig.slot;
	assert_int_equal(pop(&rig), 1);
}

static void
test_a_long_jump_wakes_all(void **state)
{
	static struct rig rig;

	(void)state;
	for (uint64_t jump = WHEEL_SLOTS - 1; jump < 10 * WHEEL_SLOTS; jump += 13) {
		rig_init(&rig, HZ, 1);
		for (uint32_t i = 0; i < NB_ENTRIES; i++)
			park(&rig, i, i * 2 * rig.slot);
		rig.now = jump * rig.slot + 1;
		assert_int_equal(pop(&rig), NB_ENTRIES);
		/* And goes on as before. */
		park(&rig, 7, rig.now + 5 * rig.slot);
		rig.now += 4 * rig.slot;
		assert_int_equal(pop(&rig), 0);
		rig.now += 2 * rig.slot;
		assert_int_equal(pop(&rig), 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_parking_wakes_in_time),
		cmocka_unit_test(test_slots_are_2_to_4_microseconds),
		cmocka_unit_test(test_every_entry_wakes_in_its_slot),
		cmocka_unit_test(test_an_entry_beyond_the_horizon_wakes_at_the_horizon),
		cmocka_unit_test(test_a_long_jump_wakes_all),
	};

	return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
