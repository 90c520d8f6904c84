/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "test_sched.h"
#include "test_rand.h"

/*
 * Anything in any order: schedulers of random shape under random load, refusals, limits and pauses.
 * The rig checks every message and every drop; here is what must hold over time.
 */
#define NB_RUNS	     150
#define NB_STEPS     1500
#define DESTS_MAX    24
#define WHEEL_SLOT   (TICKS_PER_S / 65536)
#define WHEEL_TICKS  (1024 * WHEEL_SLOT)
#define DRAIN_ROUNDS 100000

static void
random_params(struct test_rand *r, struct sl_sched_params *params)
{
	uint32_t left = 100, share;

	memset(params, 0, sizeof(*params));
	params->nb_destinations = 1 + (uint32_t)test_rand_below(r, DESTS_MAX);
	params->nb_classes = 1 + (uint32_t)test_rand_below(r, SL_SCHED_CLASSES_MAX);
	params->capacity = 1 + (uint32_t)test_rand_below(r, 1u << (1 + test_rand_below(r, 11)));
	params->now = test_rand_below(r, UINT64_C(1) << 58);
	for (uint32_t c = 0; c < params->nb_classes; c++) {
		share = test_rand_below(r, 2) == 0 ? (uint32_t)test_rand_below(r, left + 1) / 2 : 0;
		params->classes[c].min_share_percent = share;
		left -= share;
		if (test_rand_below(r, 3) == 0)
			params->classes[c].max_wait = 1 + test_rand_below(r, 20 * WHEEL_TICKS);
	}
}

static void
random_destination(struct test_rand *r, struct rig *rig, uint32_t d)
{
	uint64_t rate = test_rand_below(r, 3) != 0
		? 0
		: 1 + test_rand_below(r, 1u << (1 + test_rand_below(r, 17)));

	rig_set_dest(rig, d, 1 + (uint32_t)test_rand_below(r, 2 * rig->params.capacity), rate,
		1 + (uint32_t)test_rand_below(r, 50));
}

static void
random_destinations(struct test_rand *r, struct rig *rig)
{
	for (uint32_t d = 0; d < rig->params.nb_destinations; d++)
		random_destination(r, rig, d);
}

/* Other limits for one destination, now and then, or an end of it and a new beginning. */
static void
random_change(struct test_rand *r, struct rig *rig)
{
	uint32_t d = (uint32_t)test_rand_below(r, rig->params.nb_destinations);
	uint32_t c = (uint32_t)test_rand_below(r, rig->params.nb_classes);
	const struct sl_sched_class *class = &rig->params.classes[c];

	switch (test_rand_below(r, 8)) {
	case 0:
		rig_flush_dest(rig, d, 1 + (uint32_t)test_rand_below(r, 100));
		random_destination(r, rig, d);
		break;
	case 1:
		rig_set_class(rig, c, (uint32_t)test_rand_below(r, class->min_share_percent + 1),
			class->max_wait == 0 ? 0 : 1 + test_rand_below(r, 20 * WHEEL_TICKS));
		break;
	default:
		random_destination(r, rig, d);
	}
}

static uint64_t
random_pause(struct test_rand *r)
{
	switch (test_rand_below(r, 16)) {
	case 0:
		return test_rand_below(r, 3 * WHEEL_TICKS);
	case 1 ... 4:
		return test_rand_below(r, 100 * WHEEL_SLOT);
	case 5 ... 10:
		return test_rand_below(r, WHEEL_SLOT);
	default:
		return 0;
	}
}

/*
 * "Nothing more to send" has a reason at each destination with messages: its limit, its backends,
 * or that it was told to wait and the wheel has not come around yet. Where neither a limit nor a
 * refusal nor an old message ever was, nothing may wait.
 */
static void
check_idle(struct rig *rig)
{
	for (uint32_t d = 0; d < rig->params.nb_destinations; d++) {
		const struct model_dest *dest = &rig->dests[d];
		bool may_expire = false;

		for (uint32_t c = 0; c < rig->params.nb_classes; c++)
			may_expire |= rig->params.classes[c].max_wait != 0;
		if (dest->limits.rate_msgs_per_s == 0 && dest->refusals == 0 && !may_expire)
			assert_int_equal(dest->count, 0);
	}
}

static void
random_step(struct test_rand *r, struct rig *rig)
{
	uint32_t nb = rig->params.nb_destinations, d = (uint32_t)test_rand_below(r, nb), max, n;

	for (uint64_t i = test_rand_below(r, 40); i > 0; i--) {
		if (test_rand_below(r, 3) != 0) /* In trains, often. */
			d = (uint32_t)test_rand_below(r, nb);
		rig_enqueue_at(rig, d, (uint32_t)test_rand_below(r, rig->params.nb_classes),
			(uint32_t)test_rand_below(r, QUANTUM + 1),
			rig->now - test_rand_below(r, 2) * test_rand_below(r, 1000));
	}
	if (test_rand_below(r, 10) == 0)
		rig->dests[d].is_refusing ^= true;
	if (test_rand_below(r, 20) == 0)
		random_change(r, rig);
	rig->retry_after = test_rand_below(r, 2 * WHEEL_TICKS);
	rig->now += random_pause(r);
	max = (uint32_t)test_rand_below(r, 1u << test_rand_below(r, 9));
	n = rig_dequeue(rig, max);
	if (n < max && max > nb)
		check_idle(rig);
	if (test_rand_below(r, 500) == 0) {
		sl_sched_flush(rig->sched, rig_drop_at_flush, rig);
		assert_int_equal(rig->count, 0);
	}
	if (test_rand_below(r, 32) == 0)
		rig_check_counts(rig);
}

/* With willing backends and time, everything that waits goes. */
static void
drain(struct rig *rig)
{
	for (uint32_t d = 0; d < rig->params.nb_destinations; d++) {
		rig->dests[d].is_refusing = false;
		rig_set_dest(rig, d, rig->dests[d].limits.capacity, 0, 1);
	}
	/* Who was parked until long from now is asked again at the horizon. */
	rig->now += WHEEL_TICKS;
	for (uint32_t round = 0; round < DRAIN_ROUNDS && rig->count > 0; round++) {
		rig_dequeue(rig, 64);
		rig->now += WHEEL_SLOT;
	}
	assert_int_equal(rig->count, 0);
}

static void
test_anything_in_any_order(void **state)
{
	struct sl_sched_params params;
	struct test_rand r;
	uint64_t sent = 0, dropped = 0;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "sched random");
	for (uint32_t run = 0; run < NB_RUNS; run++) {
		random_params(&r, &params);
		rig_init(&rig, &params);
		random_destinations(&r, &rig);
		for (uint32_t step = 0; step < NB_STEPS; step++)
			random_step(&r, &rig);
		drain(&rig);
		sent += rig.nb_sent;
		dropped += rig.nb_dropped;
		rig_free(&rig);
	}
	/* Neither is rare, or this would be no test. */
	assert_true(sent > 10000 && dropped > 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anything_in_any_order),
	};

	return cmocka_run_group_tests_name("sched random", tests, NULL, NULL);
}
