/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "test_sched.h"
#include "test_rand.h"

#define MS (TICKS_PER_S / 1000)

/* Keep `depth` messages waiting in each class of a destination. */
static void
saturate(struct rig *rig, uint32_t dest, uint32_t depth, uint32_t len)
{
	for (uint32_t c = 0; c < rig->params.nb_classes; c++) {
		while (rig_flow(rig, dest, c)->count < depth)
			rig_enqueue(rig, dest, c, len);
	}
}

static uint64_t
sent_of_class(struct rig *rig, uint32_t c)
{
	uint64_t n = 0;

	for (uint32_t d = 0; d < rig->params.nb_destinations; d++)
		n += rig_flow(rig, d, c)->sent;
	return n;
}

static uint64_t
dropped_of_class(struct rig *rig, uint32_t c, enum sl_sched_drop reason)
{
	uint64_t n = 0;

	for (uint32_t d = 0; d < rig->params.nb_destinations; d++)
		n += rig_flow(rig, d, c)->dropped[reason];
	return n;
}

static void
test_one_message_goes_through(void **state)
{
	const struct sl_sched_params params = {
		.nb_destinations = 1, .nb_classes = 1, .capacity = 1};
	struct rig rig;

	(void)state;
	rig_init(&rig, &params);
	assert_int_equal(rig_dequeue(&rig, 10), 0);
	rig_enqueue(&rig, 0, 0, 100);
	rig_check_counts(&rig);
	assert_int_equal(rig_dequeue(&rig, 0), 0);
	assert_int_equal(rig_dequeue(&rig, 10), 1);
	assert_int_equal(rig_dequeue(&rig, 10), 0);
	rig_free(&rig);
}

static void
test_memory_is_as_promised(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 100000};
	size_t none, size;

	(void)state;
	for (params.nb_classes = 1; params.nb_classes <= SL_SCHED_CLASSES_MAX;
		params.nb_classes++) {
		params.nb_destinations = 0;
		none = sl_sched_memory_size(&params);
		params.nb_destinations = 100000;
		size = sl_sched_memory_size(&params) - none;
		assert_in_range(size, 1, 100000 * (64 + 32 * (size_t)params.nb_classes));
	}
}

/* Every message that goes is of the best class that waits anywhere. */
static void
is_of_the_best_class(struct rig *rig, const struct sl_sched_msg *msg)
{
	for (uint32_t c = 0; c < msg->class_index; c++)
		assert_int_equal(rig->class_count[c], 0);
}

static void
test_priority_is_strict_without_guarantees(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 20, .capacity = 5000};
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "sched strict");
	for (params.nb_classes = 1; params.nb_classes <= SL_SCHED_CLASSES_MAX;
		params.nb_classes++) {
		rig_init(&rig, &params);
		for (uint32_t step = 0; step < 2000; step++) {
			for (uint64_t n = test_rand_below(&r, 40); n > 0; n--)
				rig_enqueue(&rig, (uint32_t)test_rand_below(&r, 20),
					(uint32_t)test_rand_below(&r, params.nb_classes),
					1 + (uint32_t)test_rand_below(&r, QUANTUM));
			rig_dequeue_with(
				&rig, (uint32_t)test_rand_below(&r, 40), is_of_the_best_class);
		}
		rig_free(&rig);
	}
}

/* What each class is to have of `total`: its guarantee, and the rest is the best one's. */
static void
check_shares(struct rig *rig, uint64_t total, uint64_t slack)
{
	uint64_t rest = total, sent, want;

	for (uint32_t c = rig->params.nb_classes; c-- > 0;) {
		want = c == 0 ? rest : total * rig->params.classes[c].min_share_percent / 100;
		rest -= want;
		sent = sent_of_class(rig, c);
		if (sent + slack < want || sent > want + slack)
			fail_msg("class %u had %llu of %llu messages, not %llu", c,
				(unsigned long long)sent, (unsigned long long)total,
				(unsigned long long)want);
	}
}

static const uint8_t share_cases[][SL_SCHED_CLASSES_MAX] = {
	{0, 0, 5},
	{0, 10, 5},
	{0, 50, 0, 1},
	{20, 30, 50},
	{0, 1, 1, 1, 1, 1, 1, 1},
	{12, 12, 12, 12, 13, 13, 13, 13},
	{0, 0, 0, 0, 0, 0, 0, 100},
	{0, 0, 0, 0, 0, 0, 0, 99},
};

static uint32_t
set_shares(struct sl_sched_params *params, const uint8_t *shares)
{
	params->nb_classes = 1;
	for (uint32_t c = 0; c < SL_SCHED_CLASSES_MAX; c++) {
		params->classes[c].min_share_percent = shares[c];
		if (shares[c] != 0)
			params->nb_classes = c + 1;
	}
	return params->nb_classes;
}

/* The worker is the bottleneck: all classes always wait, at one or many destinations. */
static void
test_minimum_shares_of_the_worker(void **state)
{
	static const uint32_t lens[] = {64, 128, 1500, 2048};
	struct sl_sched_params params = {.capacity = 100000};
	const uint64_t total = 20000;
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "sched shares");
	for (size_t i = 0; i < sizeof(share_cases) / sizeof(share_cases[0]); i++) {
		for (uint32_t l = 0; l < 4; l++) {
			set_shares(&params, share_cases[i]);
			params.nb_destinations = l % 2 == 0 ? 1 : 10;
			rig_init(&rig, &params);
			while (rig.nb_sent < total) {
				for (uint32_t d = 0; d < params.nb_destinations; d++)
					saturate(&rig, d, 64, lens[l]);
				rig_dequeue(&rig, 1 + (uint32_t)test_rand_below(&r, 64));
			}
			check_shares(&rig, rig.nb_sent, 20);
			rig_free(&rig);
		}
	}
}

/* A rate is the bottleneck, at each destination; the worker has time enough. */
static void
test_minimum_shares_within_a_limited_destination(void **state)
{
	struct sl_sched_params params = {.capacity = 100000, .nb_destinations = 5};
	struct rig rig;

	(void)state;
	for (size_t i = 0; i < sizeof(share_cases) / sizeof(share_cases[0]); i++) {
		set_shares(&params, share_cases[i]);
		rig_init(&rig, &params);
		for (uint32_t d = 0; d < 5; d++)
			rig_set_dest(&rig, d, 10000, 1000 << d, 10 << d);
		for (uint32_t ms = 0; ms < 1000; ms++) {
			for (uint32_t d = 0; d < 5; d++)
				saturate(&rig, d, 64, 128);
			rig.now += MS;
			while (rig_dequeue(&rig, 200) > 0)
				;
		}
		assert_in_range(rig.nb_sent, 31000, 31000 + 310);
		/* Two guarantees at work, the worker's and each destination's: within 1 %. */
		check_shares(&rig, rig.nb_sent, rig.nb_sent / 100);
		rig_free(&rig);
	}
}

/* A limited destination beside others that want all of the worker: both bottlenecks at once. */
static void
test_minimum_shares_at_both_bottlenecks(void **state)
{
	static const uint8_t shares[SL_SCHED_CLASSES_MAX] = {0, 10, 5};
	struct sl_sched_params params = {.capacity = 100000, .nb_destinations = 4};
	uint64_t limited;
	struct rig rig;

	(void)state;
	set_shares(&params, shares);
	rig_init(&rig, &params);
	rig_set_dest(&rig, 0, 10000, 5000, 50);
	for (uint32_t step = 0; step < 10000; step++) {
		for (uint32_t d = 0; d < 4; d++)
			saturate(&rig, d, 64, 128);
		rig.now += MS / 5;
		rig_dequeue(&rig, 32);
	}
	limited = rig_flow(&rig, 0, 0)->sent + rig_flow(&rig, 0, 1)->sent +
		rig_flow(&rig, 0, 2)->sent;
	assert_in_range(limited, 9900, 10100);
	assert_true(rig_flow(&rig, 0, 1)->sent + 20 >= limited / 10);
	assert_true(rig_flow(&rig, 0, 2)->sent + 20 >= limited / 20);
	assert_true(sent_of_class(&rig, 1) + 20 >= rig.nb_sent / 10);
	assert_true(sent_of_class(&rig, 2) + 20 >= rig.nb_sent / 20);
	assert_true(sent_of_class(&rig, 0) + 20 >= rig.nb_sent * 80 / 100);
	rig_free(&rig);
}

/* A class that was idle for long comes back with a right to its share, not to what it missed. */
static void
test_an_idle_class_saves_nothing_up(void **state)
{
	static const uint8_t shares[SL_SCHED_CLASSES_MAX] = {0, 10};
	struct sl_sched_params params = {.capacity = 100000, .nb_destinations = 1};
	struct rig rig;

	(void)state;
	set_shares(&params, shares);
	rig_init(&rig, &params);
	for (uint32_t i = 0; i < 50000; i++) {
		rig_enqueue(&rig, 0, 0, 100);
		if (i % 2 == 0)
			rig_enqueue(&rig, 0, 0, 100);
		rig_dequeue(&rig, 1);
	}
	for (uint32_t i = 0; i < 1000; i++)
		rig_enqueue(&rig, 0, 1, 100);
	while (rig_flow(&rig, 0, 1)->sent + rig_flow(&rig, 0, 0)->sent < 51000)
		rig_dequeue(&rig, 7);
	assert_in_range(rig_flow(&rig, 0, 1)->sent, 95, 105);
	rig_free(&rig);
}

/* Bytes served of any two destinations that always wait differ by less than two turns each. */
static void
check_bytes(struct rig *rig, uint32_t first, uint32_t nb, const uint64_t *since)
{
	uint64_t least = UINT64_MAX, most = 0, bytes;

	for (uint32_t d = first; d < first + nb; d++) {
		bytes = rig_flow(rig, d, 0)->sent_bytes - since[d];
		least = bytes < least ? bytes : least;
		most = bytes > most ? bytes : most;
	}
	if (most - least > 2 * QUANTUM)
		fail_msg("%llu bytes of one destination, %llu of another", (unsigned long long)most,
			(unsigned long long)least);
}

static void
keep_waiting(struct rig *rig, const uint32_t *lens, uint32_t nb)
{
	for (uint32_t d = 0; d < nb; d++) {
		while (rig_flow(rig, d, 0)->count < 80)
			rig_enqueue(rig, d, 0, lens[d]);
	}
}

static void
test_destinations_share_a_class_by_bytes(void **state)
{
	static const struct sl_sched_params params = {
		.nb_destinations = 8, .nb_classes = 1, .capacity = 10000};
	uint32_t lens[8] = {1, 64, 65, 500, 1024, 1025, 1500, 2048};
	const uint64_t since[8] = {0};
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "sched bytes");
	lens[0] = 32;
	rig_init(&rig, &params);
	for (uint32_t step = 0; step < 20000; step++) {
		keep_waiting(&rig, lens, 8);
		rig_dequeue(&rig, (uint32_t)test_rand_below(&r, 64));
		check_bytes(&rig, 0, 8, since);
	}
	rig_free(&rig);
}

/* The same with turns interrupted by room for one message, and with pushing out in the meantime. */
static void
test_interrupted_turns_stay_fair(void **state)
{
	static const struct sl_sched_params params = {
		.nb_destinations = 4, .nb_classes = 2, .capacity = 100};
	static const uint32_t lens[] = {60, 400, 1300, 2048};
	const uint64_t since[4] = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, &params);
	for (uint32_t d = 0; d < 4; d++) {
		for (uint32_t i = 0; i < 25; i++)
			rig_enqueue(&rig, d, 1, 1);
	}
	for (uint32_t step = 0; step < 40000; step++) {
		/* The lower class gives way, one destination after the other. */
		for (uint32_t d = 0; d < 4; d++) {
			if (rig_flow(&rig, d, 0)->count < 20)
				rig_enqueue(&rig, d, 0, lens[d]);
		}
		rig_dequeue(&rig, 1);
		if (step % 3 == 0)
			rig_enqueue(&rig, step % 4, 1, 1);
		if (step > 1000 && step % 500 == 0)
			check_bytes(&rig, 0, 4, since);
	}
	rig_free(&rig);
}

/* Backends that were away for long: their destinations wait for their turn like the others. */
static void
test_what_was_refused_is_not_saved_up(void **state)
{
	static const struct sl_sched_params params = {
		.nb_destinations = 4, .nb_classes = 1, .capacity = 20000};
	static const uint32_t lens[] = {100, 1000, 300, 2000};
	uint64_t since[4];
	struct rig rig;

	(void)state;
	rig_init(&rig, &params);
	rig.dests[1].is_refusing = true;
	rig.dests[2].is_refusing = true;
	for (uint32_t i = 0; i < 2000; i++) {
		rig_enqueue(&rig, 1, 0, lens[1]);
		rig_enqueue(&rig, 2, 0, lens[2]);
	}
	for (uint32_t ms = 0; ms < 3000; ms++) {
		keep_waiting(&rig, lens, 4);
		rig_dequeue(&rig, 32);
		rig.now += MS;
	}
	assert_true(rig.dests[1].refusals > 1000);
	assert_int_equal(rig_flow(&rig, 1, 0)->sent, 0);
	rig.dests[1].is_refusing = rig.dests[2].is_refusing = false;
	rig.now += 2 * MS;
	for (uint32_t d = 0; d < 4; d++)
		since[d] = rig_flow(&rig, d, 0)->sent_bytes;
	for (uint32_t step = 0; step < 500; step++) {
		keep_waiting(&rig, lens, 4);
		rig_dequeue(&rig, 16);
		check_bytes(&rig, 0, 4, since);
	}
	rig_free(&rig);
}

/* 1000 destinations, each with a rate of its own, have it to the message over two seconds. */
static void
test_rates_are_exact(void **state)
{
	static const struct sl_sched_params params = {
		.nb_destinations = 1000, .nb_classes = 2, .capacity = 100000, .now = 1};
	const uint32_t seconds = 2;
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "sched rates");
	rig_init(&rig, &params);
	for (uint32_t d = 0; d < 1000; d++) {
		uint64_t rate = d == 0 ? 50000 : 1 + test_rand_below(&r, 1u << (1 + d % 11));

		rig_set_dest(&rig, d, 100, rate, (uint32_t)(2 + rate / 500));
	}
	while (rig.now < seconds * TICKS_PER_S) {
		for (uint32_t i = 0; i < 1000; i++) {
			while (rig.dests[i].count < 10 + 30 * (i == 0))
				rig_enqueue(&rig, i, rig.dests[i].count & 1, 100);
		}
		rig.now += test_rand_below(&r, MS);
		while (rig_dequeue(&rig, 200) > 0)
			;
	}
	for (uint32_t d = 0; d < 1000; d++) {
		const struct sl_sched_destination *limits = &rig.dests[d].limits;
		uint64_t sent = rig_flow(&rig, d, 0)->sent + rig_flow(&rig, d, 1)->sent;

		/* No more than the rate is checked with every message. */
		if (sent + 1 + limits->rate_msgs_per_s / 500 <
			seconds * limits->rate_msgs_per_s + limits->burst_msgs)
			fail_msg("destination %u of %llu a second had %llu", d,
				(unsigned long long)limits->rate_msgs_per_s,
				(unsigned long long)sent);
	}
	rig_free(&rig);
}

/* A refusal parks until the time that was asked for, to a slot of the wheel. */
static void
test_a_refusal_waits_and_comes_back(void **state)
{
	static const struct sl_sched_params params = {
		.nb_destinations = 2, .nb_classes = 3, .capacity = 100, .now = UINT64_C(1) << 50};
	static const uint64_t waits[] = {
		0, 1, TICKS_PER_S / 100000, MS, 7 * MS, TICKS_PER_S, 100 * TICKS_PER_S};
	const uint64_t slot = TICKS_PER_S / 50000;
	struct rig rig;

	(void)state;
	for (size_t w = 0; w < sizeof(waits) / sizeof(waits[0]); w++) {
		uint64_t wait = waits[w];

		rig_init(&rig, &params);
		rig.retry_after = waits[w];
		rig.dests[1].is_refusing = true;
		for (uint32_t c = 0; c < 3; c++) {
			rig_enqueue(&rig, 0, c, 100);
			rig_enqueue(&rig, 1, c, 100);
		}
		assert_int_equal(rig_dequeue(&rig, 100), 3);
		assert_int_equal(rig.dests[1].refusals, 1);
		rig.dests[1].is_refusing = false;
		rig_enqueue(&rig, 1, 1, 100);
		if (wait > 0) {
			rig.now += wait - 1;
			assert_int_equal(rig_dequeue(&rig, 100), 0);
		}
		rig.now += slot + 1;
		assert_int_equal(rig_dequeue(&rig, 100), 4);
		rig_free(&rig);
	}
}

/* Its user may say so, too: then who is better comes in for who is not, and nobody else. */
static void
test_full_is_what_is_said_to_be(void **state)
{
	struct sl_sched_params params = {
		.capacity = 1000, .nb_destinations = 2, .nb_classes = SL_SCHED_CLASSES_MAX};
	struct rig rig;

	(void)state;
	rig_init(&rig, &params);
	for (uint32_t i = 0; i < 10; i++)
		rig_enqueue(&rig, 0, 2, 100);
	rig_set_full(&rig, true);
	rig_enqueue(&rig, 1, 2, 100);
	assert_int_equal(rig_flow(&rig, 1, 2)->count, 0);
	assert_int_equal(dropped_of_class(&rig, 2, SL_SCHED_QUEUE_FULL), 1);
	rig_enqueue(&rig, 1, 0, 100);
	assert_int_equal(rig_flow(&rig, 1, 0)->count, 1);
	assert_int_equal(rig_flow(&rig, 0, 2)->count, 9);
	rig_set_full(&rig, false);
	rig_enqueue(&rig, 1, 2, 100);
	assert_int_equal(rig_flow(&rig, 1, 2)->count, 1);
	rig_free(&rig);
}

/* A full destination: all make way for the best, down to their reserves; it loses nothing. */
static void
test_push_out_keeps_the_reserves(void **state)
{
	static const uint8_t shares[SL_SCHED_CLASSES_MAX] = {0, 10, 5};
	struct sl_sched_params params = {.capacity = 100000, .nb_destinations = 2};
	struct rig rig;

	(void)state;
	set_shares(&params, shares);
	rig_init(&rig, &params);
	rig_set_dest(&rig, 0, 1000, 0, 1);
	for (uint32_t i = 0; i < 500; i++)
		rig_enqueue(&rig, 0, 1, 100);
	for (uint32_t i = 0; i < 600; i++)
		rig_enqueue(&rig, 0, 2, 100);
	/* The lowest finds it full. */
	assert_int_equal(rig_flow(&rig, 0, 2)->count, 500);
	assert_int_equal(rig_flow(&rig, 0, 2)->dropped[SL_SCHED_QUEUE_FULL], 100);
	for (uint32_t i = 0; i < 450; i++)
		rig_enqueue(&rig, 0, 0, 100);
	assert_int_equal(rig_flow(&rig, 0, 0)->count, 450);
	assert_int_equal(rig_flow(&rig, 0, 1)->count, 500);
	assert_int_equal(rig_flow(&rig, 0, 2)->count, 50);
	for (uint32_t i = 0; i < 400; i++)
		rig_enqueue(&rig, 0, 0, 100);
	assert_int_equal(rig_flow(&rig, 0, 0)->count, 850);
	assert_int_equal(rig_flow(&rig, 0, 1)->count, 100);
	assert_int_equal(rig_flow(&rig, 0, 2)->count, 50);
	assert_int_equal(dropped_of_class(&rig, 0, SL_SCHED_QUEUE_FULL), 0);
	rig_enqueue(&rig, 0, 0, 100);
	assert_int_equal(dropped_of_class(&rig, 0, SL_SCHED_QUEUE_FULL), 1);
	/* What is below its reserve comes in, at the cost of who is above. */
	rig_dequeue(&rig, 200);
	for (uint32_t i = 0; i < 300; i++)
		rig_enqueue(&rig, 0, 0, 100);
	while (rig_flow(&rig, 0, 2)->count > 0)
		rig_dequeue(&rig, 1);
	rig_free(&rig);
}

/* Class 1 at half the offered load of a limited destination loses nothing. */
static void
test_the_best_class_loses_nothing_under_congestion(void **state)
{
	static const uint8_t shares[SL_SCHED_CLASSES_MAX] = {0, 10, 5};
	struct sl_sched_params params = {.capacity = 4000, .nb_destinations = 4};
	uint64_t worst = 0;
	struct rig rig;

	(void)state;
	set_shares(&params, shares);
	params.classes[2].max_wait = 200 * MS;
	rig_init(&rig, &params);
	for (uint32_t d = 0; d < 4; d++)
		rig_set_dest(&rig, d, 1000, 10000, 32);
	for (uint32_t step = 0; step < 40000; step++) {
		/* Every 100 us 2 messages of each destination: half a one may go of class 1. */
		rig.now += MS / 10;
		for (uint32_t d = 0; d < 4; d++) {
			rig_enqueue(&rig, d, step % 2 == 0 ? 0 : 1, 128);
			rig_enqueue(&rig, d, step % 3 == 0 ? 1 : 2, 128);
			if (rig_flow(&rig, d, 0)->head != NULL &&
				rig.now - rig_flow(&rig, d, 0)->head->msg.time > worst)
				worst = rig.now - rig_flow(&rig, d, 0)->head->msg.time;
		}
		rig_dequeue(&rig, 32);
	}
	for (uint32_t d = 0; d < 4; d++) {
		assert_int_equal(rig_flow(&rig, d, 0)->sent + rig_flow(&rig, d, 0)->count, 20000);
		/* Its guarantee is 2000; what is more, the other class could have had. */
		assert_in_range(rig_flow(&rig, d, 2)->sent, 1990, 3000);
	}
	assert_true(dropped_of_class(&rig, 2, SL_SCHED_MAX_WAIT) +
			dropped_of_class(&rig, 2, SL_SCHED_PUSHED_OUT) +
			dropped_of_class(&rig, 2, SL_SCHED_QUEUE_FULL) >
		10000);
	/* And waits no longer than for a few messages of others. */
	assert_true(worst < MS);
	rig_free(&rig);
}

/* The queues together are full, each destination has room: the lowest class of any gives. */
static void
test_total_capacity_takes_from_parked_destinations_first(void **state)
{
	static const struct sl_sched_params params = {
		.nb_destinations = 4, .nb_classes = 2, .capacity = 400};
	struct rig rig;

	(void)state;
	rig_init(&rig, &params);
	for (uint32_t d = 0; d < 4; d++) {
		rig.dests[d].is_refusing = d < 2;
		for (uint32_t i = 0; i < 100; i++)
			rig_enqueue(&rig, d, 1, 100);
	}
	rig_dequeue(&rig, 2);
	assert_int_equal(rig.count, 398);
	for (uint32_t i = 0; i < 2; i++)
		rig_enqueue(&rig, 3, 0, 100);
	/* Both that cannot send, evenly; those that can, nothing. */
	for (uint32_t i = 0; i < 100; i++)
		rig_enqueue(&rig, 3, 0, 100);
	assert_int_equal(rig_flow(&rig, 0, 1)->count, 50);
	assert_int_equal(rig_flow(&rig, 1, 1)->count, 50);
	for (uint32_t i = 0; i < 100; i++)
		rig_enqueue(&rig, 3, 0, 100);
	assert_int_equal(rig_flow(&rig, 0, 1)->count, 0);
	assert_int_equal(rig_flow(&rig, 1, 1)->count, 0);
	assert_int_equal(rig_flow(&rig, 2, 1)->count + rig_flow(&rig, 3, 1)->count, 198);
	for (uint32_t i = 0; i < 250; i++)
		rig_enqueue(&rig, 2, 0, 100);
	assert_int_equal(rig.class_count[1], 0);
	assert_int_equal(rig.class_count[0], 400);
	assert_int_equal(dropped_of_class(&rig, 0, SL_SCHED_QUEUE_FULL), 52);
	rig_free(&rig);
}

/* A message goes at the last tick of its time, and not a tick later. */
static void
test_max_wait_is_exact(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 1, .nb_classes = 2, .capacity = 10};
	struct rig rig;

	(void)state;
	params.classes[0].max_wait = 1000;
	rig_init(&rig, &params);
	rig_enqueue(&rig, 0, 0, 100);
	rig_enqueue(&rig, 0, 1, 100);
	rig.now += 1000;
	assert_int_equal(rig_dequeue(&rig, 1), 1);
	assert_int_equal(rig_flow(&rig, 0, 0)->sent, 1);
	rig_enqueue(&rig, 0, 0, 100);
	rig.now += 1001;
	rig_enqueue(&rig, 0, 0, 100);
	assert_int_equal(rig_dequeue(&rig, 10), 2);
	assert_int_equal(rig_flow(&rig, 0, 0)->dropped[SL_SCHED_MAX_WAIT], 1);
	assert_int_equal(rig_flow(&rig, 0, 0)->sent, 2);
	assert_int_equal(rig_flow(&rig, 0, 1)->sent, 1);
	rig_free(&rig);
}

/* Thousands too old at once: dropped a bounded number at a time, and what is young still goes. */
static void
test_many_expired_at_once(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 2, .nb_classes = 2, .capacity = 20000};
	uint64_t start;
	struct rig rig;

	(void)state;
	params.classes[0].max_wait = MS;
	params.classes[1].max_wait = 5 * MS;
	rig_init(&rig, &params);
	for (uint32_t i = 0; i < 5000; i++) {
		rig_enqueue(&rig, 0, 0, 100);
		rig_enqueue(&rig, 0, 1, 100);
	}
	rig.now += 100 * MS;
	for (uint32_t i = 0; i < 10; i++) {
		rig_enqueue(&rig, 0, 0, 100);
		rig_enqueue(&rig, 1, 0, 100);
	}
	start = rig.now;
	while (rig.nb_sent < 20 && rig.now < start + MS) {
		uint64_t before = rig.nb_dropped;

		rig_dequeue(&rig, 16);
		assert_true(rig.nb_dropped - before <= 2 * 16 * 2 * 256);
		rig.now += MS / 50;
	}
	assert_int_equal(rig.nb_sent, 20);
	for (uint32_t i = 0; i < 100 && rig.count > 0; i++) {
		rig.now += MS / 50;
		rig_dequeue(&rig, 16);
	}
	assert_int_equal(rig.count, 0);
	assert_int_equal(rig.nb_dropped, 10000);
	rig_free(&rig);
}

/* As many too old as one visit drops at most, a few less and more, with another class behind. */
static void
test_as_many_expired_as_one_visit_drops(void **state)
{
	struct sl_sched_params params = {.nb_destinations = 1, .nb_classes = 2, .capacity = 2000};
	struct rig rig;

	(void)state;
	params.classes[0].max_wait = MS;
	for (uint32_t nb = 250; nb < 800; nb++) {
		rig_init(&rig, &params);
		for (uint32_t i = 0; i < nb; i++)
			rig_enqueue(&rig, 0, 0, 100);
		rig_enqueue(&rig, 0, 1, 100);
		rig.now += 2 * MS;
		for (uint32_t i = 0; i < 10 && rig.count > 0; i++) {
			rig_dequeue(&rig, 16);
			rig.now += MS / 50;
		}
		assert_int_equal(rig.nb_sent, 1);
		assert_int_equal(rig.nb_dropped, nb);
		rig_free(&rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_message_goes_through),
		cmocka_unit_test(test_memory_is_as_promised),
		cmocka_unit_test(test_priority_is_strict_without_guarantees),
		cmocka_unit_test(test_minimum_shares_of_the_worker),
		cmocka_unit_test(test_minimum_shares_within_a_limited_destination),
		cmocka_unit_test(test_minimum_shares_at_both_bottlenecks),
		cmocka_unit_test(test_an_idle_class_saves_nothing_up),
		cmocka_unit_test(test_destinations_share_a_class_by_bytes),
		cmocka_unit_test(test_interrupted_turns_stay_fair),
		cmocka_unit_test(test_what_was_refused_is_not_saved_up),
		cmocka_unit_test(test_rates_are_exact),
		cmocka_unit_test(test_a_refusal_waits_and_comes_back),
		cmocka_unit_test(test_full_is_what_is_said_to_be),
		cmocka_unit_test(test_push_out_keeps_the_reserves),
		cmocka_unit_test(test_the_best_class_loses_nothing_under_congestion),
		cmocka_unit_test(test_total_capacity_takes_from_parked_destinations_first),
		cmocka_unit_test(test_max_wait_is_exact),
		cmocka_unit_test(test_many_expired_at_once),
		cmocka_unit_test(test_as_many_expired_as_one_visit_drops),
	};

	return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
