/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/*
 * Hands the messages of topics to their subscribers. A topic's message waits in the topic's queue
 * as any other; when its turn comes, each subscriber gets a copy in a queue of its own, with its
 * own bound, and from there it goes to its one backend as if that were a destination. So a
 * subscriber that is slow fills its own queue, and nobody else's.
 *
 * Of an at-least-once topic a message is accepted here, and not sooner: then who subscribes to it
 * at that moment is who is to get it, and what one turn has to do for a crowd has a bound
 * (dispatch.c) without anything being lost.
 */

enum {
	QUEUE_FULL = 0,
	PUSHED_OUT,
	MAX_WAIT,
	NO_SUBSCRIBER,
	DUPLICATE,
	JOURNAL_FULL,
	PARKED_FULL,
	TOO_BIG,
	NB_EDGES
};

static const rte_edge_t drop_edges[] = {
	[SL_SCHED_QUEUE_FULL] = QUEUE_FULL,
	[SL_SCHED_PUSHED_OUT] = PUSHED_OUT,
	[SL_SCHED_MAX_WAIT] = MAX_WAIT,
};

/* Once for all of them. */
static void
know_sum(struct rte_mbuf *m)
{
	struct dp_msg *msg = dp_msg(m);

	if (msg->is_sum_known)
		return;
	msg->payload_sum = sl_net_sum(rte_pktmbuf_mtod(m, void *), m->data_len);
	msg->is_sum_known = true;
}

static void
hand_to(struct dp_lcore *lcore, struct dp_drop_arg *arg, struct rte_mbuf *m, uint32_t subscriber)
{
	struct dp_msg *msg = dp_msg(m);

	msg->sched.dest = subscriber;
	sl_sched_enqueue(lcore->sched, &msg->sched, lcore->now, dp_sched_drop, arg);
}

/* A copy, for which there was no buffer, is gone. */
static void
miss(struct dp_lcore *lcore, const struct dp_msg *msg, uint32_t subscriber)
{
	lcore->shards[subscriber].dropped++;
	lcore->worker.dropped[SL_MESSAGE_DROP_no_copy]++;
	lcore->worker.class_dropped[msg->sched.class_index]++;
}

static void
fan_out(struct dp_lcore *lcore, struct dp_drop_arg *arg, const struct dp_shard *topic,
	struct rte_mbuf *m)
{
	uint32_t last = topic->nb_subscribers - 1;

	know_sum(m);
	for (uint32_t i = 0; i < last; i++) {
		struct rte_mbuf *copy = dp_copy(lcore, m);

		rte_prefetch0_write(&lcore->shards[topic->subscribers[i + 1]]);
		if (likely(copy != NULL))
			hand_to(lcore, arg, copy, topic->subscribers[i]);
		else
			miss(lcore, dp_msg(m), topic->subscribers[i]);
	}
	lcore->worker.copied += last;
	hand_to(lcore, arg, m, topic->subscribers[last]);
}

/* At least once. */

/* Of a record, without the message. */
static inline uint32_t
head_of(const struct dp_shard *topic)
{
	return (uint32_t)(sizeof(struct sl_record_message) +
		topic->nb_subscribers * sizeof(topic->records[0]));
}

/* @return the place of the first subscriber's copy; SL_RECORD_REF_NONE: there is no room */
static sl_record_ref
put(struct dp_lcore *lcore, const struct dp_shard *topic, const struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg_const(m);
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = m->data_len - msg->message_offset, head = head_of(topic);
	struct dp_keeper *keeper = lcore->keeper;
	struct sl_record_message *record;

	record = sl_record_ring_put(keeper->ring, SL_RECORD_MESSAGE, head + len, keeper->unix_ns);
	if (unlikely(record == NULL))
		return SL_RECORD_REF_NONE;
	keeper->budget -= sl_record_stride(head + len);
	record->session = sl_wire_get64(data + SL_WIRE_OFF_SESSION);
	record->publisher = msg->publisher;
	record->class_index = msg->sched.class_index;
	record->level = (uint8_t)lcore->dp->config->classes[msg->sched.class_index].level;
	record->nb_subscribers = (uint16_t)topic->nb_subscribers;
	if (msg->publisher != DP_PUBLISHER_NONE)
		record->record.flags = SL_RECORD_WANTS_ACK;
	memcpy(record + 1, topic->records, head - sizeof(*record));
	memcpy((uint8_t *)record + head, data + msg->message_offset, len);
	return sl_record_copy_ref(keeper->ring->stream, record, 0);
}

/* One that is not in memory is read back from the journal. */
static void
hand_durable(struct dp_lcore *lcore, struct rte_mbuf *m, uint32_t subscriber, sl_record_ref ref)
{
	uint8_t class_index = dp_msg(m)->sched.class_index;
	struct rte_mbuf *copy;

	/* Who is away, or slow, costs no copy. */
	if (dp_park_if_must(lcore, subscriber, dp_msg(m), ref))
		return;
	copy = dp_copy(lcore, m);
	if (likely(copy != NULL)) {
		dp_msg(copy)->sched.dest = subscriber;
		dp_msg(copy)->ref = ref;
		dp_park_or_queue(lcore, copy);
	} else if (!dp_park(lcore, subscriber, class_index, ref)) {
		/* It comes again at the next start. */
		miss(lcore, dp_msg(m), subscriber);
	}
}

static void
fan_out_durable(
	struct dp_lcore *lcore, const struct dp_shard *topic, struct rte_mbuf *m, sl_record_ref ref)
{
	uint32_t last = topic->nb_subscribers - 1;

	know_sum(m);
	dp_msg(m)->attempts = 0;
	for (uint32_t i = 0; i < last; i++, ref += sizeof(struct sl_record_subscriber)) {
		rte_prefetch0_write(&lcore->shards[topic->subscribers[i + 1]]);
		dp_keeper_hold(lcore, ref);
		dp_msg(m)->copy = sl_record_copy_place(i);
		hand_durable(lcore, m, topic->subscribers[i], ref);
	}
	lcore->worker.copied += last;
	dp_keeper_hold(lcore, ref);
	dp_msg(m)->sched.dest = topic->subscribers[last];
	dp_msg(m)->copy = sl_record_copy_place(last);
	dp_msg(m)->ref = ref;
	dp_park_or_queue(lcore, m);
}

/*
 * Where a message goes that is not to be fanned out; NB_EDGES: it has been. Only what there is room
 * for becomes known to the filter: else its sender would wait for an ack in vain.
 */
static rte_edge_t
take_in(struct dp_lcore *lcore, const struct dp_shard *topic, struct rte_mbuf *m)
{
	uint32_t len = head_of(topic) + m->data_len - dp_msg(m)->message_offset;
	struct sl_wire_key key;
	sl_record_ref ref;

	if (unlikely(len > SL_RECORD_LEN_MAX))
		return TOO_BIG;
	if (unlikely(!dp_keeper_fits(lcore->keeper, sl_record_stride(len))))
		return JOURNAL_FULL;
	if (unlikely(!dp_park_has_room(lcore, topic->nb_subscribers)))
		return PARKED_FULL;
	sl_wire_message_key(
		rte_pktmbuf_mtod_offset(m, const uint8_t *, dp_msg(m)->message_offset), &key);
	if (unlikely(sl_dedup_check_bulk(lcore->dedup, &key, 1, lcore->now_ms) != 0))
		return DUPLICATE;
	if (unlikely(topic->nb_subscribers == 0)) {
		/* Accepted, by nobody. */
		if (dp_msg(m)->publisher != DP_PUBLISHER_NONE)
			dp_keeper_mark(lcore, m);
		return NO_SUBSCRIBER;
	}
	ref = put(lcore, topic, m);
	if (unlikely(ref == SL_RECORD_REF_NONE))
		return JOURNAL_FULL;
	fan_out_durable(lcore, topic, m, ref);
	return NB_EDGES;
}

static uint16_t
fanout_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_drop_arg arg = {.graph = graph, .node = node, .edges = drop_edges};
	struct dp_lcore *lcore = dp_lcore(node);

	for (uint16_t i = 0; i < nb_objs; i++) {
		const struct dp_shard *topic = &lcore->shards[dp_msg(objs[i])->sched.dest];
		rte_edge_t edge = NO_SUBSCRIBER;

		if (topic->durable != NULL)
			edge = take_in(lcore, topic, objs[i]);
		else if (likely(topic->nb_subscribers > 0)) {
			fan_out(lcore, &arg, topic, objs[i]);
			edge = NB_EDGES;
		}
		if (unlikely(edge != NB_EDGES))
			rte_node_enqueue_x1(graph, node, edge, objs[i]);
	}
	return nb_objs;
}

static struct rte_node_register fanout_node = {
	.name = "fanout",
	.init = dp_node_init,
	.process = fanout_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[QUEUE_FULL] = DP_DROP(queue_full),
			[PUSHED_OUT] = DP_DROP(pushed_out),
			[MAX_WAIT] = DP_DROP(max_wait),
			[NO_SUBSCRIBER] = DP_DROP(no_subscriber),
			[DUPLICATE] = "duplicate",
			[JOURNAL_FULL] = DP_DROP(journal_full),
			[PARKED_FULL] = DP_DROP(parked_full),
			[TOO_BIG] = DP_DROP(too_big),
		},
};

RTE_NODE_REGISTER(fanout_node);
