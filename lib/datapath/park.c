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
	chunk->attempts[chunk->end] = 0;
	chunk->refs[chunk->end++] = ref;
	count(lcore, flow, 1);
	return true;
}

/* In front of those that are parked. */
static bool
park_first(struct dp_lcore *lcore, struct dp_parked *flow, sl_record_ref ref, uint16_t attempts)
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
	chunk->attempts[chunk->begin] = attempts;
	count(lcore, flow, 1);
	return true;
}

static sl_record_ref
take_first(struct dp_lcore *lcore, struct dp_parked *flow, uint16_t *attempts)
{
	struct dp_refs *chunk = flow->head;
	sl_record_ref ref = chunk->refs[chunk->begin];

	*attempts = chunk->attempts[chunk->begin++];
	if (chunk->begin == chunk->end) {
		flow->head = chunk->next;
		if (flow->head == NULL)
			flow->tail = NULL;
		give_chunk(lcore->keeper, chunk);
	}
	count(lcore, flow, -1);
	return ref;
}

/* Is it in one of few buffers, and are they about to run out? */
static inline bool
is_large_short(const struct dp_lcore *lcore, const struct dp_msg *msg)
{
	const struct rte_mempool *large = lcore->dp->large;

	return unlikely(large != NULL && msg->sched.len > lcore->dp->room) &&
		rte_mempool_avail_count(large) < large->size / 2;
}

/* Must this message, the next of its flow in a shard, go to disk? */
static inline bool
must_park(const struct dp_lcore *lcore, uint32_t shard, const struct dp_msg *msg)
{
	const struct dp_durable *durable = lcore->shards[shard].durable;
	const struct dp_parked *flow = &durable->parked[msg->sched.class_index];
	uint32_t queued;

	if (flow->count > 0 || flow->is_fetching)
		return true;
	queued = sl_sched_destination_count(lcore->sched, shard);
	if (unlikely(queued >= durable->memory_max))
		return true;
	return queued >= HELD_LEAST &&
		unlikely(lcore->keeper->nb_held >= lcore->keeper->held_max ||
			lcore->is_pool_short || is_large_short(lcore, msg));
}

bool
dp_park_is_full(const struct dp_lcore *lcore, const struct dp_msg *msg)
{
	return unlikely(lcore->keeper->nb_free <= CHUNKS_RESERVE) &&
		must_park(lcore, msg->sched.dest, msg);
}

bool
dp_park_has_room(const struct dp_lcore *lcore, uint32_t nb)
{
	/* Each may be the first of its flow in a chunk. */
	return lcore->keeper->nb_free > CHUNKS_RESERVE + nb;
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

	if (must_park(lcore, msg->sched.dest, msg) &&
		dp_park(lcore, msg->sched.dest, msg->sched.class_index, msg->ref))
		rte_pktmbuf_free(m);
	else
		queue(lcore, m);
}

bool
dp_park_if_must(struct dp_lcore *lcore, uint32_t shard, const struct dp_msg *msg, sl_record_ref ref)
{
	return must_park(lcore, shard, msg) && dp_park(lcore, shard, msg->sched.class_index, ref);
}

/* @return false: there is no chunk for its place */
static bool
try_park_back(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg(m);
	struct dp_durable *durable = lcore->shards[msg->sched.dest].durable;
	struct dp_parked *flow = &durable->parked[msg->sched.class_index];

	if (!park_first(lcore, flow, msg->ref, msg->attempts))
		return false;
	lcore->keeper->nb_held--;
	rte_pktmbuf_free(m);
	return true;
}

/* Those that wait for a chunk count as parked. */
static void
count_unplaced(struct dp_lcore *lcore, const struct sl_sched_msg *msg, int change)
{
	lcore->shards[msg->dest].durable->nb_parked += (uint32_t)change;
	lcore->keeper->class_parked[msg->class_index] += (uint64_t)(int64_t)change;
}

void
dp_park_back(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct sl_sched_msg *msg = &dp_msg(m)->sched;

	if (likely(try_park_back(lcore, m)))
		return;
	/* The newest comes first, as it has to when they get their places. */
	msg->next = NULL;
	if (keeper->unplaced == NULL)
		keeper->unplaced = msg;
	else
		*keeper->unplaced_end = msg;
	keeper->unplaced_end = &msg->next;
	count_unplaced(lcore, msg, 1);
}

static void
place_left(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;

	while (keeper->unplaced != NULL) {
		struct sl_sched_msg *msg = keeper->unplaced, *next = msg->next;

		count_unplaced(lcore, msg, -1);
		if (!try_park_back(lcore, dp_mbuf(msg))) {
			count_unplaced(lcore, msg, 1);
			return;
		}
		keeper->unplaced = next;
	}
}

uint32_t
dp_park_flush(struct dp_lcore *lcore, uint32_t shard, uint32_t max)
{
	struct dp_durable *durable = lcore->shards[shard].durable;
	enum sl_message_drop reason = lcore->shards[shard].is_topic
		? SL_MESSAGE_DROP_no_subscriber
		: SL_MESSAGE_DROP_destination_removed;
	struct dp_msg msg = {.sched.dest = shard};

	for (unsigned int c = 0; c < SL_CONFIG_CLASSES_MAX; c++) {
		struct dp_parked *flow = &durable->parked[c];

		for (; flow->count > 0 && max > 0 && dp_keeper_has_room(lcore, DP_FETCH_MAX);
			max--) {
			msg.ref = take_first(lcore, flow, &msg.attempts);
			dp_keeper_done(lcore, &msg, 0, msg.attempts, SL_OUTCOME_DEAD);
			lcore->worker.dropped[reason]++;
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

/* Only its own ring has any that are not; what others wrote was there before the start. */
static inline bool
is_durable(const struct dp_lcore *lcore, sl_record_ref ref)
{
	const struct sl_record_ring *ring = lcore->keeper->ring;

	return sl_record_ref_stream(ref) != ring->stream ||
		sl_record_ref_position(ref) < ring->durable_seen;
}

/* How many of a flow's next can be read, up to what is fetched at once. */
static uint32_t
count_durable(const struct dp_lcore *lcore, const struct dp_parked *flow)
{
	uint32_t max = RTE_MIN(flow->count, (uint32_t)DP_FETCH_MAX), n = 0;

	for (const struct dp_refs *chunk = flow->head; n < max; chunk = chunk->next) {
		for (uint32_t i = chunk->begin; i < chunk->end && n < max; i++, n++) {
			if (!is_durable(lcore, chunk->refs[i]))
				return n;
		}
	}
	return n;
}

static void
begin_fetch(struct dp_lcore *lcore, struct dp_parked *flow)
{
	struct dp_keeper *keeper = lcore->keeper;
	/* Waiting for a sync, which may wait for room, is nothing for the thread that reads. */
	uint32_t n = count_durable(lcore, flow);
	struct dp_fetch *fetch;

	if (n == 0 || rte_ring_sc_dequeue(keeper->idle_fetches, (void **)&fetch) != 0)
		return;
	if (rte_pktmbuf_alloc_bulk(lcore->dp->pool, fetch->mbufs, n) != 0) {
		rte_ring_sp_enqueue(keeper->idle_fetches, fetch);
		return;
	}
	fetch->flow = flow;
	fetch->large = lcore->dp->large;
	fetch->nb_refs = fetch->nb_read = n;
	fetch->wait_ms = 0;
	for (uint32_t i = 0; i < n; i++)
		fetch->refs[i] = take_first(lcore, flow, &fetch->attempts[i]);
	flow->is_fetching = true;
	keeper->nb_fetches++;
	keeper->class_fetching[flow->class_index] += n;
	rte_ring_sp_enqueue(keeper->to_fetch, fetch);
}

/* A record could not be read: what there is to tell of the message is its place. */
static void
lose(struct dp_lcore *lcore, const struct dp_parked *flow, sl_record_ref ref, uint16_t attempts)
{
	const struct dp_msg msg = {.ref = ref};

	dp_keeper_done(lcore, &msg, 0, attempts, SL_OUTCOME_DEAD);
	lcore->worker.dropped[SL_MESSAGE_DROP_unreadable]++;
	lcore->worker.class_dropped[flow->class_index]++;
	lcore->shards[flow->shard].dropped++;
}

/* Where they were, what was put off goes; without a chunk for all, the fetch keeps the rest. */
static void
put_back(struct dp_lcore *lcore, struct dp_fetch *fetch)
{
	struct dp_parked *flow = fetch->flow;
	uint32_t last;

	flow->again_ms = lcore->now_ms + fetch->wait_ms;
	for (; fetch->nb_refs > fetch->nb_read; fetch->nb_refs--) {
		last = fetch->nb_refs - 1;
		if (!park_first(lcore, flow, fetch->refs[last], fetch->attempts[last]))
			return;
		rte_pktmbuf_free(fetch->mbufs[last]);
		lcore->keeper->class_fetching[flow->class_index]--;
	}
}

/* One that was read is queued, where it would be if it had never been parked. */
static void
take_in(struct dp_lcore *lcore, struct dp_fetch *fetch, uint32_t index)
{
	const struct dp_parked *flow = fetch->flow;
	struct rte_mbuf *m = fetch->mbufs[index];
	struct dp_msg *msg = dp_msg(m);

	lcore->keeper->class_fetching[flow->class_index]--;
	if (unlikely(m->data_len == 0)) {
		rte_pktmbuf_free(m);
		lose(lcore, flow, fetch->refs[index], fetch->attempts[index]);
		return;
	}
	msg->sched.time = lcore->now;
	msg->sched.dest = flow->shard;
	msg->sched.class_index = flow->class_index;
	msg->sched.len = m->data_len;
	msg->publisher = DP_PUBLISHER_NONE;
	msg->trace = 0;
	msg->attempts = fetch->attempts[index];
	msg->ref = fetch->refs[index];
	queue(lcore, m);
}

/* Once more, for those that found no place to wait in. */
static void
ask_again(struct dp_keeper *keeper, struct dp_fetch *fetch)
{
	uint32_t left = fetch->nb_refs - fetch->nb_read;

	for (uint32_t i = 0; i < left; i++) {
		fetch->refs[i] = fetch->refs[fetch->nb_read + i];
		fetch->attempts[i] = fetch->attempts[fetch->nb_read + i];
		fetch->mbufs[i] = fetch->mbufs[fetch->nb_read + i];
	}
	fetch->nb_refs = fetch->nb_read = left;
	fetch->wait_ms = 0;
	rte_ring_sp_enqueue(keeper->to_fetch, fetch);
}

static void
end_fetch(struct dp_lcore *lcore, struct dp_fetch *fetch)
{
	struct dp_keeper *keeper = lcore->keeper;

	put_back(lcore, fetch);
	for (uint32_t i = 0; i < fetch->nb_read; i++)
		take_in(lcore, fetch, i);
	dp_keeper_flush_outcomes(lcore);
	lcore->moved += fetch->nb_read;
	if (unlikely(fetch->nb_refs > fetch->nb_read)) {
		ask_again(keeper, fetch);
		return;
	}
	keeper->nb_fetches--;
	fetch->flow->is_fetching = false;
	rte_ring_sp_enqueue(keeper->idle_fetches, fetch);
}

static bool
should_fetch(const struct dp_lcore *lcore, const struct dp_parked *flow)
{
	const struct dp_keeper *keeper = lcore->keeper;
	uint32_t queued = sl_sched_flow_count(lcore->sched, flow->shard, flow->class_index);

	if (flow->is_fetching || lcore->now_ms < flow->again_ms ||
		queued >= RTE_MIN(lcore->shards[flow->shard].durable->memory_max,
				  (uint32_t)DP_FETCH_BELOW))
		return false;
	return queued < HELD_LEAST || (keeper->nb_held < keeper->held_max && !lcore->is_pool_short);
}

void
dp_park_take_in(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_fetch *fetch;

	while (keeper->nb_fetches > 0 && rte_ring_sc_dequeue(keeper->fetched, (void **)&fetch) == 0)
		end_fetch(lcore, fetch);
	if (unlikely(keeper->unplaced != NULL))
		place_left(lcore);
}

void
dp_park_poll(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_parked *flow;

	dp_park_take_in(lcore);
	for (uint32_t i = 0; i < LOOK_MAX; i++) {
		flow = TAILQ_FIRST(&keeper->parked);
		if (flow == NULL)
			return;
		TAILQ_REMOVE(&keeper->parked, flow, entry);
		TAILQ_INSERT_TAIL(&keeper->parked, flow, entry);
		/* What a topic has is for subscribers that are gone. */
		if (unlikely(lcore->shards[flow->shard].is_topic))
			dp_park_flush(lcore, flow->shard, DP_FETCH_MAX);
		else if (should_fetch(lcore, flow))
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

/* A buffer that holds a message of this length. @return false: there is none now */
static bool
make_room(struct dp_fetch *fetch, uint32_t index, uint32_t len)
{
	struct rte_mbuf *large;

	if (likely(len <= rte_pktmbuf_tailroom(fetch->mbufs[index])) || fetch->large == NULL)
		return true;
	large = rte_pktmbuf_alloc(fetch->large);
	if (large == NULL)
		return false;
	rte_pktmbuf_free(fetch->mbufs[index]);
	fetch->mbufs[index] = large;
	large->data_len = 0;
	large->pkt_len = 0;
	return true;
}

bool
sl_fetch_fill(struct dp_fetch *fetch, uint32_t index, const struct sl_record_message *record)
{
	struct rte_mbuf *m = fetch->mbufs[index];
	const uint8_t *message;
	uint8_t *begin, *p;
	uint32_t len;

	m->data_len = 0;
	m->pkt_len = 0;
	if (record == NULL)
		return true;
	message = sl_record_message_of(record, &len);
	if (!make_room(fetch, index, len + SL_WIRE_ENVELOPE_MAX))
		return false;
	m = fetch->mbufs[index];
	if (len + SL_WIRE_ENVELOPE_MAX > rte_pktmbuf_tailroom(m))
		return true;
	begin = rte_pktmbuf_mtod(m, uint8_t *);
	p = sl_wire_put_header(begin, 0, record->session);
	p = sl_wire_put_envelope(p, len);
	memcpy(p, message, len);
	m->data_len = (uint16_t)(p + len - begin);
	m->pkt_len = m->data_len;
	dp_msg(m)->message_offset = (uint8_t)(p - begin);
	dp_msg(m)->is_sum_known = false;
	dp_msg(m)->copy = sl_record_copy_place(
		sl_record_subscriber_at(record, sl_record_ref_position(fetch->refs[index])));
	return true;
}

void
sl_fetch_put_off(struct dp_fetch *fetch, uint32_t index, uint32_t wait_ms)
{
	fetch->nb_read = index;
	fetch->wait_ms = wait_ms;
}

void
sl_datapath_return_fetch(struct sl_datapath *dp, uint32_t worker, struct dp_fetch *fetch)
{
	rte_ring_sp_enqueue(dp->workers[worker]->keeper->fetched, fetch);
}
