/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Messages on disk only: what is asked for when, and that whatever fails in between none is lost,
 * and each knows how often it was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_eal.h>

/* From inside: it is private to the path. */
#include "park.c"

#define CHUNKS 64u
#define MBUFS  1023u
#define SHARDS 2u
#define CLASS  1

static struct {
	struct rte_mempool *pool;
	struct rte_ring *idle, *to, *from;
	struct sl_datapath dp;
	struct dp_lcore lcore;
	struct dp_keeper keeper;
	struct dp_fetch fetches[DP_FETCHES];
	struct dp_refs chunks[CHUNKS];
	struct dp_shard shards[SHARDS];
	struct sl_record_ring ring;
	/* What was queued since it was emptied, in order. */
	struct rte_mbuf *queued[MBUFS];
	uint32_t nb_queued;
	uint32_t nb_dead;
	uint32_t dead_attempts;
} rig;

/* The scheduler and the keeper's side of the journal. */

uint32_t
sl_sched_destination_count(const struct sl_sched *sched, uint32_t dest)
{
	(void)sched;
	(void)dest;
	return rig.nb_queued;
}

uint32_t
sl_sched_flow_count(const struct sl_sched *sched, uint32_t dest, uint32_t class_index)
{
	(void)class_index;
	return sl_sched_destination_count(sched, dest);
}

void
sl_sched_enqueue(struct sl_sched *sched, struct sl_sched_msg *msg, uint64_t now,
	sl_sched_drop_t drop, void *drop_arg)
{
	(void)sched;
	(void)now;
	(void)drop;
	(void)drop_arg;
	rig.queued[rig.nb_queued++] = dp_mbuf(msg);
}

void
dp_keeper_done(struct dp_lcore *lcore, const struct dp_msg *msg, uint64_t backend,
	uint32_t attempts, enum sl_record_outcome outcome)
{
	(void)lcore;
	(void)msg;
	assert_int_equal(backend, 0);
	assert_int_equal(outcome, SL_OUTCOME_DEAD);
	rig.nb_dead++;
	rig.dead_attempts = attempts;
}

void
dp_keeper_flush_outcomes(struct dp_lcore *lcore)
{
	(void)lcore;
}

bool
dp_keeper_has_room(struct dp_lcore *lcore, uint32_t nb_outcomes)
{
	(void)lcore;
	(void)nb_outcomes;
	return true;
}

static int
start_eal(void **state)
{
	static char arg0[] = "test", arg1[] = "--no-huge", arg2[] = "--no-shconf",
		    arg3[] = "--no-pci", arg4[] = "-m", arg5[] = "32", arg6[] = "--log-level=error",
		    arg7[] = "--no-telemetry", arg8[64];
	char *argv[] = {arg0, arg1, arg2, arg3, arg4, arg5, arg6, arg7, arg8};
	const unsigned int flags = RING_F_SP_ENQ | RING_F_SC_DEQ;

	(void)state;
	/* On any processor: another program may have one to itself. */
	snprintf(arg8, sizeof(arg8), "--lcores=0@(0-%ld)", sysconf(_SC_NPROCESSORS_ONLN) - 1);
	if (rte_eal_init(RTE_DIM(argv), argv) < 0)
		return -1;
	rig.pool = rte_pktmbuf_pool_create("pool", MBUFS, 0,
		RTE_ALIGN(sizeof(struct dp_msg), RTE_MBUF_PRIV_ALIGN), 512, SOCKET_ID_ANY);
	rig.idle = rte_ring_create("idle", 2 * DP_FETCHES, SOCKET_ID_ANY, flags);
	rig.to = rte_ring_create("to", 2 * DP_FETCHES, SOCKET_ID_ANY, flags);
	rig.from = rte_ring_create("from", 2 * DP_FETCHES, SOCKET_ID_ANY, flags);
	return rig.pool == NULL || rig.from == NULL ? -1 : 0;
}

static int
begin(void **state)
{
	struct dp_keeper *keeper = &rig.keeper;

	(void)state;
	memset(&rig.lcore, 0, sizeof(rig.lcore));
	memset(keeper, 0, sizeof(*keeper));
	memset(rig.shards, 0, sizeof(rig.shards));
	rig.nb_queued = rig.nb_dead = 0;
	rig.dp.pool = rig.pool;
	rig.dp.workers[0] = &rig.lcore;
	rig.lcore.dp = &rig.dp;
	rig.lcore.keeper = keeper;
	rig.lcore.shards = rig.shards;
	rig.ring = (struct sl_record_ring){.stream = 0, .durable_seen = UINT64_MAX};
	keeper->ring = &rig.ring;
	TAILQ_INIT(&keeper->parked);
	keeper->chunks = rig.chunks;
	keeper->nb_chunks = keeper->nb_fresh = keeper->nb_free = CHUNKS;
	keeper->held_max = MBUFS;
	keeper->idle_fetches = rig.idle;
	keeper->to_fetch = rig.to;
	keeper->fetched = rig.from;
	for (uint32_t i = 0; i < DP_FETCHES; i++)
		assert_int_equal(rte_ring_sp_enqueue(rig.idle, &rig.fetches[i]), 0);
	for (uint32_t i = 0; i < SHARDS; i++) {
		struct dp_durable *durable = calloc(1, sizeof(*durable));

		assert_non_null(durable);
		durable->memory_max = MBUFS;
		for (uint32_t c = 0; c < SL_CONFIG_CLASSES_MAX; c++) {
			durable->parked[c].shard = i;
			durable->parked[c].class_index = (uint8_t)c;
		}
		rig.shards[i].durable = durable;
	}
	return 0;
}

static void
empty_queue(void)
{
	rte_pktmbuf_free_bulk(rig.queued, rig.nb_queued);
	rig.keeper.nb_held -= rig.nb_queued;
	rig.nb_queued = 0;
}

/* Every buffer is back, whatever happened. */
static int
end(void **state)
{
	void *fetch;

	(void)state;
	empty_queue();
	assert_int_equal(rig.keeper.nb_held, 0);
	assert_int_equal(rte_mempool_in_use_count(rig.pool), 0);
	assert_int_equal(rte_ring_count(rig.idle), DP_FETCHES);
	while (rte_ring_sc_dequeue(rig.idle, &fetch) == 0)
		;
	for (uint32_t i = 0; i < SHARDS; i++)
		free(rig.shards[i].durable);
	return 0;
}

static sl_record_ref
ref_of(uint32_t number)
{
	return sl_record_ref_of(0, (uint64_t)number * SL_RECORD_ALIGN);
}

static void
park(uint32_t shard, uint32_t first, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++)
		assert_true(dp_park(&rig.lcore, shard, CLASS, ref_of(first + i)));
}

/* Messages in flight are taken back, the newest first; #n was sent 3n times. */
static void
park_back(uint32_t shard, uint32_t first, uint32_t nb)
{
	for (uint32_t i = first + nb; i-- > first;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);

		assert_non_null(m);
		memset(dp_msg(m), 0, sizeof(struct dp_msg));
		dp_msg(m)->sched.dest = shard;
		dp_msg(m)->sched.class_index = CLASS;
		dp_msg(m)->ref = ref_of(i);
		dp_msg(m)->attempts = (uint16_t)(3 * i);
		rig.keeper.nb_held++;
		dp_park_back(&rig.lcore, m);
	}
}

static struct dp_fetch *
next_fetch(void)
{
	return sl_datapath_next_fetch(&rig.dp, 0);
}

/* The thread's part: the first are read, the rest is put off. */
static void
answer(struct dp_fetch *fetch, uint32_t nb_read, uint32_t wait_ms)
{
	for (uint32_t i = 0; i < nb_read; i++) {
		struct rte_mbuf *m = fetch->mbufs[i];

		m->data_len = 1;
		m->pkt_len = 1;
	}
	if (nb_read < sl_fetch_count(fetch))
		sl_fetch_put_off(fetch, nb_read, wait_ms);
	sl_datapath_return_fetch(&rig.dp, 0, fetch);
}

static uint64_t
nb_kept(void)
{
	return rig.keeper.class_parked[CLASS] + rig.keeper.class_fetching[CLASS] + rig.nb_queued;
}

static void
are_queued(uint32_t first, uint32_t nb)
{
	assert_int_equal(rig.nb_queued, nb);
	for (uint32_t i = 0; i < nb; i++)
		assert_int_equal(dp_msg(rig.queued[i])->ref, ref_of(first + i));
	empty_queue();
}

static void
test_only_what_is_durable_is_asked_for(void **state)
{
	struct dp_fetch *fetch;

	(void)state;
	rig.ring.durable_seen = 103 * SL_RECORD_ALIGN;
	park(0, 200, 10);
	park(1, 100, 10);
	dp_park_poll(&rig.lcore);
	fetch = next_fetch();
	assert_int_equal(sl_fetch_count(fetch), 3);
	assert_int_equal(sl_fetch_ref(fetch, 2), ref_of(102));
	assert_null(next_fetch());
	answer(fetch, 3, 0);
	dp_park_poll(&rig.lcore);
	are_queued(100, 3);
	assert_null(next_fetch());
	rig.ring.durable_seen = 300 * SL_RECORD_ALIGN;
	dp_park_poll(&rig.lcore);
	for (uint32_t i = 0; i < 2; i++) {
		fetch = next_fetch();
		assert_int_equal(sl_fetch_count(fetch), i == 0 ? 10 : 7);
		answer(fetch, sl_fetch_count(fetch), 0);
		dp_park_poll(&rig.lcore);
		are_queued(i == 0 ? 200 : 103, i == 0 ? 10 : 7);
	}
}

/* What other streams have was there before the start. */
static void
test_what_others_wrote_is_durable(void **state)
{
	struct dp_fetch *fetch;

	(void)state;
	rig.ring.durable_seen = 0;
	assert_true(dp_park(&rig.lcore, 0, CLASS, sl_record_ref_of(5, 4096)));
	dp_park_poll(&rig.lcore);
	fetch = next_fetch();
	assert_non_null(fetch);
	answer(fetch, 1, 0);
	dp_park_poll(&rig.lcore);
	assert_int_equal(rig.nb_queued, 1);
}

static void
test_what_is_put_off_comes_again_in_its_time(void **state)
{
	struct dp_fetch *fetch;

	(void)state;
	park(0, 0, 300);
	park(1, 1000, 1);
	dp_park_poll(&rig.lcore);
	fetch = next_fetch();
	assert_int_equal(sl_fetch_count(fetch), DP_FETCH_MAX);
	answer(fetch, 7, 100);
	fetch = next_fetch();
	assert_int_equal(sl_fetch_ref(fetch, 0), ref_of(1000));
	dp_park_poll(&rig.lcore);
	are_queued(0, 7);
	answer(fetch, 1, 0);
	rig.lcore.now_ms = 99;
	dp_park_poll(&rig.lcore);
	are_queued(1000, 1);
	assert_null(next_fetch());
	rig.lcore.now_ms = 100;
	for (uint32_t n = 7; n < 300; n += sl_fetch_count(fetch)) {
		dp_park_poll(&rig.lcore);
		fetch = next_fetch();
		assert_non_null(fetch);
		answer(fetch, sl_fetch_count(fetch), 0);
		dp_park_poll(&rig.lcore);
		are_queued(n, sl_fetch_count(fetch));
	}
	assert_int_equal(rig.keeper.nb_free, CHUNKS);
}

static void
test_attempts_go_along(void **state)
{
	struct dp_fetch *fetch;

	(void)state;
	park(0, 100, 60);
	park_back(0, 0, 100);
	for (uint32_t put_off = 0; put_off < 2; put_off++) {
		dp_park_poll(&rig.lcore);
		fetch = next_fetch();
		assert_int_equal(sl_fetch_count(fetch), 160);
		answer(fetch, put_off == 0 ? 0 : 160, 0);
	}
	dp_park_poll(&rig.lcore);
	for (uint32_t i = 0; i < 160; i++)
		assert_int_equal(dp_msg(rig.queued[i])->attempts, i < 100 ? 3 * i : 0);
	are_queued(0, 160);
}

/* Also of one that is given up unread. */
static void
test_attempts_of_what_cannot_be_read_are_told(void **state)
{
	struct dp_fetch *fetch;

	(void)state;
	park_back(0, 5, 1);
	dp_park_poll(&rig.lcore);
	fetch = next_fetch();
	sl_fetch_fill(fetch, 0, NULL);
	sl_datapath_return_fetch(&rig.dp, 0, fetch);
	dp_park_poll(&rig.lcore);
	assert_int_equal(rig.nb_dead, 1);
	assert_int_equal(rig.dead_attempts, 15);
	assert_int_equal(rig.lcore.worker.dropped[SL_MESSAGE_DROP_unreadable], 1);
	park_back(0, 7, 1);
	assert_int_equal(dp_park_flush(&rig.lcore, 0, 1), 0);
	assert_int_equal(rig.dead_attempts, 21);
}

/* Others take the chunks that a fetch has emptied; then it cannot be put back. */
static void
test_without_chunks_a_fetch_keeps_what_it_has(void **state)
{
	struct dp_fetch *fetch;
	uint32_t at = 0;

	(void)state;
	park(0, 0, 200);
	dp_park_poll(&rig.lcore);
	fetch = next_fetch();
	assert_int_equal(rig.keeper.nb_free, CHUNKS);
	park(1, 1000, CHUNKS * DP_CHUNK_REFS);
	assert_false(dp_park(&rig.lcore, 1, CLASS, ref_of(1)));
	rig.shards[1].durable->parked[CLASS].again_ms = UINT64_MAX;
	for (uint32_t i = 0; i < 5; i++) {
		answer(fetch, 20, 100);
		dp_park_poll(&rig.lcore);
		assert_int_equal(nb_kept(), 200 - at + CHUNKS * DP_CHUNK_REFS);
		are_queued(at, 20);
		at += 20;
		fetch = next_fetch();
		assert_int_equal(sl_fetch_count(fetch), 200 - at);
		assert_int_equal(sl_fetch_ref(fetch, 0), ref_of(at));
	}
	/* One is free: as many as it takes are parked again, those behind. */
	dp_park_flush(&rig.lcore, 1, DP_CHUNK_REFS);
	answer(fetch, 20, 100);
	dp_park_poll(&rig.lcore);
	are_queued(at, 20);
	fetch = next_fetch();
	assert_int_equal(sl_fetch_count(fetch), 30);
	answer(fetch, 30, 0);
	dp_park_poll(&rig.lcore);
	are_queued(120, 30);
	rig.lcore.now_ms = 100;
	dp_park_poll(&rig.lcore);
	fetch = next_fetch();
	assert_int_equal(sl_fetch_count(fetch), DP_CHUNK_REFS);
	answer(fetch, DP_CHUNK_REFS, 0);
	dp_park_poll(&rig.lcore);
	are_queued(150, 50);
	assert_int_equal(nb_kept(), (CHUNKS - 1) * DP_CHUNK_REFS);
}

static void
test_without_chunks_what_is_taken_back_waits(void **state)
{
	struct dp_fetch *fetch;

	(void)state;
	park(1, 1000, CHUNKS * DP_CHUNK_REFS);
	rig.shards[1].durable->parked[CLASS].again_ms = UINT64_MAX;
	park_back(0, 0, 70);
	assert_int_equal(rig.keeper.nb_held, 70);
	assert_int_equal(rig.shards[0].durable->nb_parked, 70);
	/* It is not forgotten either when its destination goes. */
	assert_int_equal(dp_park_flush(&rig.lcore, 0, DP_FETCH_MAX), 70);
	dp_park_flush(&rig.lcore, 1, DP_CHUNK_REFS);
	dp_park_poll(&rig.lcore);
	assert_int_equal(rig.keeper.nb_held, 70 - DP_CHUNK_REFS);
	assert_int_equal(nb_kept(), 70 + (CHUNKS - 1) * DP_CHUNK_REFS);
	dp_park_flush(&rig.lcore, 1, DP_CHUNK_REFS);
	/* Those placed first were asked for in that turn. */
	fetch = next_fetch();
	if (fetch != NULL)
		answer(fetch, 0, 0);
	dp_park_poll(&rig.lcore);
	assert_int_equal(rig.keeper.nb_held, 0);
	assert_int_equal(nb_kept(), 70 + (CHUNKS - 2) * DP_CHUNK_REFS);
	fetch = next_fetch();
	assert_int_equal(sl_fetch_count(fetch), 70);
	answer(fetch, 70, 0);
	dp_park_poll(&rig.lcore);
	for (uint32_t i = 0; i < 70; i++)
		assert_int_equal(dp_msg(rig.queued[i])->attempts, 3 * i);
	are_queued(0, 70);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_what_is_durable_is_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(test_what_others_wrote_is_durable, begin, end),
		cmocka_unit_test_setup_teardown(
			test_what_is_put_off_comes_again_in_its_time, begin, end),
		cmocka_unit_test_setup_teardown(test_attempts_go_along, begin, end),
		cmocka_unit_test_setup_teardown(
			test_attempts_of_what_cannot_be_read_are_told, begin, end),
		cmocka_unit_test_setup_teardown(
			test_without_chunks_a_fetch_keeps_what_it_has, begin, end),
		cmocka_unit_test_setup_teardown(
			test_without_chunks_what_is_taken_back_waits, begin, end),
	};

	return cmocka_run_group_tests(tests, start_eal, NULL);
}
