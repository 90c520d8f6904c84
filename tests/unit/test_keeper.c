/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What a worker puts into the journal's ring: when a place is let go, and what there is room for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "durable.h"
#include "test_rand.h"

#define MIB	  (UINT64_C(1) << 20)
#define REFS_MAX  65536u
#define OFFSET	  64u /* Of the message in its buffer. */
#define FIRST_KEY 7u

/* A buffer with one message, whose length the tests choose. */
static struct {
	struct rte_mbuf m;
	struct dp_msg msg;
	uint8_t bytes[UINT16_MAX];
} buffer;

static struct {
	sl_record_ref refs[REFS_MAX];
	uint32_t nb;
} released;

static struct sl_record_ring ring;
static struct sl_record_ring *rings[2];
static struct dp_lcore *lcore;

static void
hold(void *arg, uint32_t worker, sl_record_ref ref)
{
	assert_int_equal(worker, 1);
}

static void
release(void *arg, uint32_t worker, sl_record_ref ref)
{
	assert_int_equal(worker, 1);
	assert_true(released.nb < REFS_MAX);
	released.refs[released.nb++] = ref;
}

static const struct sl_datapath_journal hooks = {.rings = rings, .hold = hold, .release = release};

static void *
zalloc(size_t size)
{
	void *memory = NULL;

	assert_int_equal(posix_memalign(&memory, RTE_CACHE_LINE_SIZE, size), 0);
	return memset(memory, 0, size);
}

static int
setup(void **state)
{
	struct sl_datapath *dp = zalloc(sizeof(*dp));
	struct dp_shard *shard = zalloc(sizeof(*shard));

	lcore = zalloc(sizeof(*lcore));
	memset(&released, 0, sizeof(released));
	dp->config = calloc(1, sizeof(*dp->config));
	dp->tsc_hz = 1000000000;
	dp->journal = &hooks;
	lcore->dp = dp;
	/* The first one puts the control thread's notes, too. */
	lcore->worker_index = 1;
	lcore->shards = shard;
	shard->durable = dp_durable_create(0);
	lcore->keeper = calloc(1, sizeof(*lcore->keeper));
	lcore->keeper->nb_free = UINT32_MAX;
	memset(&ring, 0, sizeof(ring));
	/* The end of a segment is near. */
	assert_int_equal(sl_record_ring_init(&ring, 1, 1, MIB - 65536, MIB, MIB), 0);
	lcore->keeper->ring = &ring;
	dp_keeper_begin_turn(lcore);
	return 0;
}

static int
teardown(void **state)
{
	sl_record_ring_free(&ring);
	free(lcore->shards->durable);
	free(lcore->shards);
	free(lcore->keeper);
	free(lcore->dp->config);
	free(lcore->dp);
	free(lcore);
	return 0;
}

static struct rte_mbuf *
message(uint32_t len)
{
	memset(&buffer.msg, 0, sizeof(buffer.msg));
	buffer.m.buf_addr = buffer.bytes;
	buffer.m.data_len = (uint16_t)(OFFSET + len);
	buffer.msg.message_offset = OFFSET;
	buffer.msg.publisher = DP_PUBLISHER_NONE;
	return &buffer.m;
}

static void
turn(void)
{
	dp_keeper_end_turn(lcore);
	dp_keeper_begin_turn(lcore);
}

static void
turn_when_durable(uint64_t position, enum sl_record_ring_state state)
{
	sl_record_ring_set_durable(&ring, position);
	sl_record_ring_set_state(&ring, state);
	turn();
}

static sl_record_ref
take_in(uint32_t len)
{
	struct rte_mbuf *m = message(len);

	assert_true(dp_keeper_put(lcore, m, 1));
	return dp_msg(m)->ref;
}

/* @return where its record ends */
static uint64_t
done(sl_record_ref ref, enum sl_record_outcome outcome)
{
	const struct dp_msg msg = {.ref = ref};

	dp_keeper_done(lcore, &msg, FIRST_KEY, 1, outcome);
	dp_keeper_flush_outcomes(lcore);
	return ring.put;
}

static void
a_place_is_let_go_when_its_outcome_is_durable(void **state)
{
	sl_record_ref ref = take_in(100);
	uint64_t message_end = ring.put, end = done(ref, SL_OUTCOME_DELIVERED);

	turn();
	assert_int_equal(released.nb, 0);
	turn_when_durable(message_end, SL_RECORD_RING_OK);
	assert_int_equal(released.nb, 0);
	turn_when_durable(message_end, SL_RECORD_RING_STUCK);
	assert_int_equal(released.nb, 0);
	turn_when_durable(end, SL_RECORD_RING_OK);
	assert_int_equal(released.nb, 1);
	assert_true(released.refs[0] == ref);
	turn();
	assert_int_equal(released.nb, 1);
}

/* Whose it is, in a topic; of other messages nobody has set it. */
static void
an_outcome_of_a_topic_says_the_place_of_the_subscriber(void **state)
{
	struct dp_msg msg = {.ref = take_in(100), .copy = 9};
	uint64_t at = ring.put;
	const struct sl_record_done *record;

	dp_keeper_done(lcore, &msg, FIRST_KEY, 1, SL_OUTCOME_DELIVERED);
	msg.ref |= SL_RECORD_REF_COPY;
	dp_keeper_done(lcore, &msg, FIRST_KEY, 1, SL_OUTCOME_DELIVERED);
	dp_keeper_flush_outcomes(lcore);
	record = (const struct sl_record_done *)sl_record_ring_next(&ring, &at);
	assert_non_null(record);
	assert_int_equal(record->nb_outcomes, 2);
	assert_int_equal(record->outcomes[0].copy, 0);
	assert_int_equal(record->outcomes[1].copy, 9);
}

/* In a full journal only what is let go makes room for what is to become durable. */
static void
in_a_full_journal_what_has_a_dead_letter_stays(void **state)
{
	sl_record_ref delivered = take_in(100), dead = take_in(100), last = take_in(100);
	uint64_t end;

	done(delivered, SL_OUTCOME_DELIVERED);
	turn();
	take_in(100);
	dp_keeper_done(lcore, &(const struct dp_msg){.ref = dead}, FIRST_KEY, 1, SL_OUTCOME_DEAD);
	dp_keeper_has_letter(lcore);
	dp_keeper_flush_outcomes(lcore);
	end = ring.put;
	take_in(100);
	done(last, SL_OUTCOME_DELIVERED);
	turn_when_durable(MIB - 65536, SL_RECORD_RING_FULL);
	turn();
	assert_int_equal(released.nb, 2);
	assert_true(released.refs[0] == delivered && released.refs[1] == last);
	turn_when_durable(end, SL_RECORD_RING_FULL);
	assert_int_equal(released.nb, 3);
	assert_true(released.refs[2] == dead);
	turn_when_durable(ring.put, SL_RECORD_RING_OK);
	assert_int_equal(released.nb, 3);
}

/* Where nothing comes in, and there is always one more that is not durable. */
static void
places_are_let_go_while_outcomes_go_on(void **state)
{
	uint64_t end = ring.put, before;

	for (unsigned int i = 0; i < 3 * MIB / 64; i++) {
		before = end;
		end = done(i, SL_OUTCOME_DELIVERED);
		turn_when_durable(before, SL_RECORD_RING_OK);
		assert_int_equal(released.nb, i);
		assert_true(i == 0 || released.refs[i - 1] == i - 1);
	}
}

/* More records than parts that are known one by one, over the ends of segments. */
static void
every_place_is_let_go_once_in_any_order_of_events(void **state)
{
	static uint64_t ends[REFS_MAX];
	static sl_record_ref refs[REFS_MAX];
	struct test_rand rand;
	uint64_t durable = ring.put;
	uint32_t nb = 0, nb_durable = 0;

	test_rand_init(&rand, "keeper");
	for (unsigned int i = 0; i < 40000; i++) {
		uint32_t many = i % 8000 < 6000 ? 2000 : 20;

		if (sl_record_ring_room(&ring) > 4 * SL_RECORD_LEN_MAX) {
			sl_record_ref ref = take_in(1 + (uint32_t)test_rand_below(&rand, 60));

			if (test_rand_below(&rand, 2) == 0) {
				refs[nb] = ref;
				ends[nb++] = done(ref, SL_OUTCOME_DELIVERED);
			}
		} else {
			many = 1;
		}
		if (test_rand_below(&rand, many) == 0 && nb > 0) {
			uint32_t to = nb_durable +
				(uint32_t)test_rand_below(&rand, nb - nb_durable + 1);

			/* Also in the middle of what is not told apart. */
			durable = to > 0 ? RTE_MAX(durable, ends[to - 1]) : durable;
			turn_when_durable(durable, SL_RECORD_RING_OK);
			while (nb_durable < nb && ends[nb_durable] <= durable)
				nb_durable++;
			assert_true(released.nb <= nb_durable);
		}
	}
	assert_true(nb > 10000);
	turn_when_durable(ring.put, SL_RECORD_RING_OK);
	assert_int_equal(released.nb, nb);
	assert_memory_equal(released.refs, refs, nb * sizeof(refs[0]));
}

static void
an_outcome_there_is_no_room_for_waits(void **state)
{
	sl_record_ref ref = take_in(100);
	uint64_t end;

	while (dp_keeper_put(lcore, message(30000), 1) || dp_keeper_put(lcore, message(1), 1))
		;
	end = ring.put;
	assert_true(done(ref, SL_OUTCOME_DELIVERED) == end);
	turn();
	assert_true(ring.put == end && released.nb == 0);
	turn_when_durable(end, SL_RECORD_RING_OK);
	assert_true(ring.put > end && released.nb == 0);
	turn_when_durable(ring.put, SL_RECORD_RING_OK);
	assert_int_equal(released.nb, 1);
	assert_true(released.refs[0] == ref);
}

/* Takes in what it can of messages of this length; @return how many */
static unsigned int
admit(uint32_t len)
{
	unsigned int n = 0;

	while (dp_keeper_admit(lcore, message(len)) == SL_MESSAGE_DROPS)
		n++;
	return n;
}

static void
put_admitted(unsigned int nb, uint32_t len)
{
	for (unsigned int i = 0; i < nb; i++)
		assert_true(dp_keeper_put(lcore, message(len), 1));
	lcore->keeper->admitted = 0;
}

/* Deduplication knows it by then: what is admitted finds room, whatever is put meanwhile. */
static void
what_is_admitted_fits_the_ring_as_it_is(void **state)
{
	static const uint32_t lens[] = {40, 1400, 9000, 60000};
	unsigned int nb;

	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		/* What was put since the turn began takes the room that it had then. */
		while (dp_keeper_has_room(lcore, 8192))
			take_in(30000);
		nb = admit(lens[i]);
		put_admitted(nb, lens[i]);
		turn_when_durable(ring.put, SL_RECORD_RING_OK);
		/* What comes between takes none of what was admitted. */
		nb = admit(lens[i]);
		assert_true(nb > 0);
		while (dp_keeper_has_room(lcore, 8192))
			take_in(30000);
		put_admitted(nb, lens[i]);
		turn_when_durable(ring.put, SL_RECORD_RING_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_place_is_let_go_when_its_outcome_is_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_outcome_of_a_topic_says_the_place_of_the_subscriber, setup, teardown),
		cmocka_unit_test_setup_teardown(
			in_a_full_journal_what_has_a_dead_letter_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(
			places_are_let_go_while_outcomes_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(
			every_place_is_let_go_once_in_any_order_of_events, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_outcome_there_is_no_room_for_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_admitted_fits_the_ring_as_it_is, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
