/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/* Messages that are on disk only, and come back when it is their turn. */

/* A flow may have so many messages in memory even when all durable ones together have enough. */
#define HELD_LEAST 32u

/* Flows looked at in one turn. */
#define LOOK_MAX 8

/* Chunks kept for messages that are in already and have to be parked all the same. */
#define CHUNKS_RESERVE 2048u

static struct dp_refs *
take_chunk(struct dp_keeper *keeper)
{
	struct dp_refs *chunk = keeper->free_chunks;

	if (chunk != NULL)
		keeper->free_chunks = chunk->next;
	else if (keeper->nb_fresh > 0)
		chunk = &keeper->chunks[--keeper->nb_fresh];
	else
		return NULL;
	keeper->nb_free--;
	chunk->next = NULL;
	return chunk;
}

static void
give_chunk(struct dp_keeper *keeper, struct dp_refs *chunk)
{
	chunk->next = keeper->free_chunks;
	keeper->free_chunks = chunk;
	keeper->nb_free++;
}

/* One more parked, or one less: everywhere it is counted. */
static void
count(struct dp_lcore *lcore, struct dp_parked *flow, int change)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_durable *durable = lcore->shards[flow->shard].durable;

	if (change > 0 && flow->count == 0)
		TAILQ_INSERT_TAIL(&keeper->parked, flow, entry);
	flow->count += (uint32_t)change;
	durable->nb_parked += (uint32_t)change;
	keeper->class_parked[flow->class_index] += (uint64_t)(int64_t)change;
	if (change < 0 && flow->count == 0)
		TAILQ_REMOVE(&keeper->parked, flow, entry);
}

bool
dp_park(struct dp_lcore *lcore, uint32_t shard, uint8_t class_index, sl_record_ref ref)
{
	struct dp_parked *flow = &lcore->shards[shard].durable->parked[class_index];
	struct dp_refs *chunk = flow->tail;

	if (chunk == NULL || chunk->end == DP_CHUNK_REFS) {
		chunk = take_chunk(lcore->keeper);
		if (chunk == NULL)
			return false;
		chunk->begin = chunk->end = 0;
		if (flow->tail == NULL)
			flow->head = chunk;
		else
			flow->tail->next = chunk;
		flow->tail = chunk;
	}
	chunk->refs[chunk->end++] = ref;
	count(lcore, flow, 1);
	return true;
}

/* In front of those that are parked. */
static bool
park_first(struct dp_lcore *lcore, struct dp_parked *flow, sl_record_ref ref)
{
	struct dp_refs *chunk = flow->head;

	if (chunk == NULL || chunk->begin == 0) {
		chunk = take_chunk(lcore->keeper);
		if (chunk == NULL)
			return false;
		chunk->begin = chunk->end = DP_CHUNK_REFS;
		chunk->next = flow->head;
		flow->head = chunk;
		if (flow->tail == NULL)
			flow->tail = chunk;
	}
	chunk->refs[--chunk->begin] = ref;
	count(lcore, flow, 1);
	return true;
}

static sl_record_ref
take_first(struct dp_lcore *lcore, struct dp_parked *flow)
{
	struct dp_refs *chunk = flow->head;
	sl_record_ref ref = chunk->refs[chunk->begin++];

	if (chunk->begin == chunk->end) {
		flow->head = chunk->next;
		if (flow->head == NULL)
			flow->tail = NULL;
		give_chunk(lcore->keeper, chunk);
	}
	count(lcore, flow, -1);
	return ref;
}

/* Must the next message of this flow go to disk? */
static inline bool
must_park(const struct dp_lcore *lcore, const struct dp_msg *msg)
{
	const struct dp_durable *durable = lcore->shards[msg->sched.dest].durable;
	const struct dp_parked *flow = &durable->parked[msg->sched.class_index];
	uint32_t queued;

	if (flow->count > 0 || flow->is_fetching)
		return true;
	queued = sl_sched_destination_count(lcore->sched, msg->sched.dest);
	if (unlikely(queued >= durable->memory_max))
		return true;
	return unlikely(lcore->keeper->nb_held >= lcore->keeper->held_max) && queued >= HELD_LEAST;
}

bool
dp_park_is_full(const struct dp_lcore *lcore, const struct dp_msg *msg)
{
	return unlikely(lcore->keeper->nb_free <= CHUNKS_RESERVE) && must_park(lcore, msg);
}

static void
queue(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	lcore->keeper->nb_held++;
	/* A kept destination gives nothing back. */
	sl_sched_enqueue(lcore->sched, &dp_msg(m)->sched, lcore->now, NULL, NULL);
}

void
dp_park_or_queue(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg(m);

	if (must_park(lcore, msg) &&
		dp_park(lcore, msg->sched.dest, msg->sched.class_index, msg->ref))
		rte_pktmbuf_free(m);
	else
		queue(lcore, m);
}

void
dp_park_back(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg(m);
	struct dp_durable *durable = lcore->shards[msg->sched.dest].durable;

	/* The journal has it: without a place for it, it comes again at the next start. */
	(void)park_first(lcore, &durable->parked[msg->sched.class_index], msg->ref);
	lcore->keeper->nb_held--;
	rte_pktmbuf_free(m);
}

uint32_t
dp_park_flush(struct dp_lcore *lcore, uint32_t shard, uint32_t max)
{
	struct dp_durable *durable = lcore->shards[shard].durable;
	struct dp_msg msg = {.sched.dest = shard};

	for (unsigned int c = 0; c < SL_CONFIG_CLASSES_MAX; c++) {
		struct dp_parked *flow = &durable->parked[c];

		for (; flow->count > 0 && max > 0 && dp_keeper_has_room(lcore, DP_FETCH_MAX);
			max--) {
			msg.ref = take_first(lcore, flow);
			dp_keeper_done(lcore, &msg, 0, 0, SL_OUTCOME_DEAD);
			durable->dead++;
			lcore->worker.dropped[SL_MESSAGE_DROP_destination_removed]++;
			lcore->worker.class_dropped[c]++;
			lcore->shards[shard].dropped++;
		}
		if (flow->is_fetching)
			return RTE_MAX(durable->nb_parked, 1u);
	}
	dp_keeper_flush_outcomes(lcore);
	return durable->nb_parked;
}

/* Fetching. */

static void
begin_fetch(struct dp_lcore *lcore, struct dp_parked *flow)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_fetch *fetch;

	if (rte_ring_sc_dequeue(keeper->idle_fetches, (void **)&fetch) != 0)
		return;
	fetch->nb_refs = RTE_MIN(flow->count, (uint32_t)DP_FETCH_MAX);
	if (rte_pktmbuf_alloc_bulk(lcore->dp->pool, fetch->mbufs, fetch->nb_refs) != 0) {
		rte_ring_sp_enqueue(keeper->idle_fetches, fetch);
		return;
	}
	fetch->flow = flow;
	for (uint32_t i = 0; i < fetch->nb_refs; i++)
		fetch->refs[i] = take_first(lcore, flow);
	flow->is_fetching = true;
	keeper->nb_fetches++;
	keeper->class_fetching[flow->class_index] += fetch->nb_refs;
	rte_ring_sp_enqueue(keeper->to_fetch, fetch);
}

/* A record could not be read: what there is to tell of the message is its place. */
static void
lose(struct dp_lcore *lcore, const struct dp_parked *flow, sl_record_ref ref)
{
	const struct dp_msg msg = {.ref = ref};

	dp_keeper_done(lcore, &msg, 0, 0, SL_OUTCOME_DEAD);
	lcore->worker.dropped[SL_MESSAGE_DROP_unreadable]++;
	lcore->worker.class_dropped[flow->class_index]++;
	lcore->shards[flow->shard].dropped++;
}

static void
end_fetch(struct dp_lcore *lcore, struct dp_fetch *fetch)
{
	struct dp_parked *flow = fetch->flow;
	struct dp_keeper *keeper = lcore->keeper;

	for (uint32_t i = 0; i < fetch->nb_refs; i++) {
		struct rte_mbuf *m = fetch->mbufs[i];
		struct dp_msg *msg = dp_msg(m);

		if (unlikely(m->data_len == 0)) {
			rte_pktmbuf_free(m);
			lose(lcore, flow, fetch->refs[i]);
			continue;
		}
		msg->sched.time = lcore->now;
		msg->sched.dest = flow->shard;
		msg->sched.class_index = flow->class_index;
		msg->sched.len = m->data_len;
		msg->publisher = DP_PUBLISHER_NONE;
		msg->trace = 0;
		msg->attempts = 0;
		msg->ref = fetch->refs[i];
		queue(lcore, m);
	}
	dp_keeper_flush_outcomes(lcore);
	lcore->moved += fetch->nb_refs;
	keeper->class_fetching[flow->class_index] -= fetch->nb_refs;
	keeper->nb_fetches--;
	flow->is_fetching = false;
	rte_ring_sp_enqueue(keeper->idle_fetches, fetch);
}

static bool
should_fetch(const struct dp_lcore *lcore, const struct dp_parked *flow)
{
	const struct dp_keeper *keeper = lcore->keeper;
	uint32_t queued = sl_sched_flow_count(lcore->sched, flow->shard, flow->class_index);

	if (flow->is_fetching ||
		queued >= RTE_MIN(lcore->shards[flow->shard].durable->memory_max,
				  (uint32_t)DP_FETCH_BELOW))
		return false;
	return keeper->nb_held < keeper->held_max || queued < HELD_LEAST;
}

void
dp_park_poll(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_parked *flow;
	struct dp_fetch *fetch;

	while (keeper->nb_fetches > 0 && rte_ring_sc_dequeue(keeper->fetched, (void **)&fetch) == 0)
		end_fetch(lcore, fetch);
	for (uint32_t i = 0; i < LOOK_MAX; i++) {
		flow = TAILQ_FIRST(&keeper->parked);
		if (flow == NULL)
			return;
		TAILQ_REMOVE(&keeper->parked, flow, entry);
		TAILQ_INSERT_TAIL(&keeper->parked, flow, entry);
		if (should_fetch(lcore, flow))
			begin_fetch(lcore, flow);
	}
}

/* The other thread's side. */

struct dp_fetch *
sl_datapath_next_fetch(struct sl_datapath *dp, uint32_t worker)
{
	struct dp_fetch *fetch;

	return rte_ring_sc_dequeue(dp->workers[worker]->keeper->to_fetch, (void **)&fetch) == 0
		? fetch
		: NULL;
}

uint32_t
sl_fetch_count(const struct dp_fetch *fetch)
{
	return fetch->nb_refs;
}

sl_record_ref
sl_fetch_ref(const struct dp_fetch *fetch, uint32_t index)
{
	return fetch->refs[index];
}

void
sl_fetch_fill(struct dp_fetch *fetch, uint32_t index, const struct sl_record_message *record)
{
	struct rte_mbuf *m = fetch->mbufs[index];
	uint8_t *begin = rte_pktmbuf_mtod(m, uint8_t *), *p;
	struct dp_msg *msg = dp_msg(m);
	const uint8_t *message;
	uint32_t len;

	m->data_len = 0;
	m->pkt_len = 0;
	if (record == NULL)
		return;
	message = sl_record_message_of(record, &len);
	if (len + SL_WIRE_ENVELOPE_MAX > rte_pktmbuf_tailroom(m))
		return;
	p = sl_wire_put_header(begin, 0, record->session);
	p = sl_wire_put_envelope(p, len);
	memcpy(p, message, len);
	m->data_len = (uint16_t)(p + len - begin);
	m->pkt_len = m->data_len;
	msg->message_offset = (uint8_t)(p - begin);
	msg->is_sum_known = false;
}

void
sl_datapath_return_fetch(struct sl_datapath *dp, uint32_t worker, struct dp_fetch *fetch)
{
	rte_ring_sp_enqueue(dp->workers[worker]->keeper->fetched, fetch);
}
