/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Limits, classes and destinations that change while messages wait. */

#include "test_sched.h"

#define MS (TICKS_PER_S / 1000)

/* A smaller queue pushes nothing out by itself, and lets nothing in until there is room again. */
static void
test_a_smaller_capacity_pushes_nothing_out(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 1, .nb_classes = 1, .capacity = 100};
	struct rig rig;

	(void)state;
	rig_init(&rig, &params);
	for (uint32_t i = 0; i < 50; i++)
		rig_enqueue(&rig, 0, 0, 100);
	rig_set_dest(&rig, 0, 10, 0, 1);
	rig_enqueue(&rig, 0, 0, 100);
	assert_int_equal(rig.count, 50);
	assert_int_equal(rig.nb_dropped, 1);
	assert_int_equal(rig_dequeue(&rig, 41), 41);
	rig_enqueue(&rig, 0, 0, 100);
	assert_int_equal(rig.nb_dropped, 1);
	rig_free(&rig);
}

/* An empty bucket stays empty when its rate changes, and fills up at the new one. */
static void
test_a_new_rate_goes_on_with_the_bucket(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 1, .nb_classes = 1, .capacity = 1000};
	struct rig rig;

	(void)state;
	rig_init(&rig, &params);
	rig_set_dest(&rig, 0, 1000, 10, 20);
	for (uint32_t i = 0; i < 500; i++)
		rig_enqueue(&rig, 0, 0, 100);
	assert_int_equal(rig_dequeue(&rig, 200), 20);
	for (uint32_t i = 0; i < 100; i++) {
		/* The same again, or ten times as much: no token is won by that. */
		rig_set_dest(&rig, 0, 1000, i % 2 == 0 ? 10 : 100, 20);
		assert_int_equal(rig_dequeue(&rig, 200), 0);
	}
	rig_set_dest(&rig, 0, 1000, 100, 20);
	rig.now += 1000 * MS;
	assert_int_equal(rig_dequeue(&rig, 200), 20);
	/* Without a limit it goes at once, although it was to wait. */
	assert_int_equal(rig_dequeue(&rig, 200), 0);
	rig_set_dest(&rig, 0, 1000, 0, 20);
	assert_int_equal(rig_dequeue(&rig, 200), 200);
	rig_free(&rig);
}

/* Woken before its time and parked again, it is woken once more, and its place on the wheel is one.
 */
static void
test_woken_and_parked_again(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 2, .nb_classes = 2, .capacity = 100};
	struct rig rig;
	uint64_t end;

	(void)state;
	rig_init(&rig, &params);
	rig_set_dest(&rig, 0, 100, 1, 1);
	rig_enqueue(&rig, 0, 0, 100);
	rig_enqueue(&rig, 0, 1, 100);
	assert_int_equal(rig_dequeue(&rig, 10), 1);
	for (uint32_t i = 0; i < 10; i++) {
		rig_set_dest(&rig, 0, 100, 1000, 1);
		assert_int_equal(rig_dequeue(&rig, 10), 0);
		assert_int_equal(sl_sched_parked_count(rig.sched), 1);
	}
	for (end = rig.now + 300 * MS; rig.now < end && rig.count > 0; rig.now += MS)
		rig_dequeue(&rig, 10);
	assert_int_equal(rig.count, 0);
	assert_int_equal(sl_sched_parked_count(rig.sched), 0);
	rig_free(&rig);
}

/* One destination is emptied, parked or not, and begins anew; its neighbours notice nothing. */
static void
test_one_destination_is_flushed(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 3, .nb_classes = 3, .capacity = 1000};
	struct rig rig;

	(void)state;
	for (uint32_t parked = 0; parked < 2; parked++) {
		rig_init(&rig, &params);
		rig_set_dest(&rig, 1, 1000, 1, 1);
		for (uint32_t i = 0; i < 90; i++)
			rig_enqueue(&rig, i % 3, i / 30, 100);
		if (parked)
			rig_dequeue(&rig, 10);
		rig_flush_dest(&rig, 1, 7);
		rig_set_dest(&rig, 1, 1000, 0, 1);
		rig_enqueue(&rig, 1, 2, 100);
		for (uint32_t i = 0; i < 20; i++)
			rig_dequeue(&rig, 10);
		assert_int_equal(rig.count, 0);
		assert_int_equal(rig_flow(&rig, 1, 2)->sent, 1);
		rig_free(&rig);
	}
}

/* The share of a class follows at once, and so does what it may wait. */
static void
test_classes_change(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 1, .nb_classes = 2, .capacity = 10000};
	struct rig rig;

	(void)state;
	rig_init(&rig, &params);
	for (uint32_t i = 0; i < 4000; i++)
		rig_enqueue(&rig, 0, i % 2, 100);
	assert_int_equal(rig_dequeue(&rig, 200), 200);
	assert_int_equal(rig_flow(&rig, 0, 1)->sent, 0);
	rig_set_class(&rig, 1, 20, 0);
	for (uint32_t i = 0; i < 5; i++)
		rig_dequeue(&rig, 200);
	assert_in_range(rig_flow(&rig, 0, 1)->sent, 198, 202);
	rig_set_class(&rig, 1, 0, MS);
	rig.now += 2 * MS;
	for (uint32_t i = 0; i < 100 && rig.count > 0; i++) {
		rig_dequeue(&rig, 200);
		rig.now += MS / 50;
	}
	assert_int_equal(rig_flow(&rig, 0, 0)->sent, 2000);
	assert_in_range(rig_flow(&rig, 0, 1)->dropped[SL_SCHED_MAX_WAIT], 1798, 1802);
	rig_free(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_smaller_capacity_pushes_nothing_out),
		cmocka_unit_test(test_a_new_rate_goes_on_with_the_bucket),
		cmocka_unit_test(test_woken_and_parked_again),
		cmocka_unit_test(test_one_destination_is_flushed),
		cmocka_unit_test(test_classes_change),
	};

	return cmocka_run_group_tests_name("sched_live", tests, NULL, NULL);
}
