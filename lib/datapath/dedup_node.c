/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/*
 * Filters duplicates. Where there is a journal, a durable message comes in only when the journal
 * has room for it: else it would be known here, and its sender would wait for an ack in vain. One
 * of an at-least-once topic is not looked at before its turn comes (fanout.c).
 */

enum { ENQUEUE = 0, JOURNAL, DUPLICATE, JOURNAL_FULL, PARKED_FULL, NB_EDGES };

/* Of those that came, keep those there is room for. */
static uint16_t
admit(struct rte_graph *graph, struct rte_node *node, struct dp_lcore *lcore, void **objs,
	uint16_t nb_objs)
{
	enum sl_message_drop reason;
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct dp_msg *msg = dp_msg(objs[i]);

		msg->ref = SL_RECORD_REF_NONE;
		reason = SL_MESSAGE_DROPS;
		if (lcore->shards[msg->sched.dest].durable != NULL) {
			if (unlikely(lcore->shards[msg->sched.dest].is_topic)) {
				rte_node_enqueue_x1(graph, node, ENQUEUE, objs[i]);
				continue;
			}
			reason = dp_keeper_admit(lcore, objs[i]);
		}
		if (likely(reason == SL_MESSAGE_DROPS))
			objs[n++] = objs[i];
		else
			rte_node_enqueue_x1(graph, node,
				reason == SL_MESSAGE_DROP_journal_full ? JOURNAL_FULL : PARKED_FULL,
				objs[i]);
	}
	return n;
}

/* New messages go on: durable ones by way of the journal. */
static uint16_t
pass_durable(struct rte_graph *graph, struct rte_node *node, struct dp_lcore *lcore, void **objs,
	uint16_t nb_objs)
{
	void *durable[SL_DEDUP_BULK_MAX];
	uint16_t n = 0, nb_durable = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		const struct dp_msg *msg = dp_msg(objs[i]);

		if (lcore->shards[msg->sched.dest].durable != NULL) {
			durable[nb_durable++] = objs[i];
			continue;
		}
		/* At most once: it was accepted, and that is all there is to tell. */
		if (unlikely(msg->publisher != DP_PUBLISHER_NONE))
			dp_keeper_mark(lcore, objs[i]);
		objs[n++] = objs[i];
	}
	if (nb_durable > 0)
		rte_node_enqueue(graph, node, JOURNAL, durable, nb_durable);
	return n;
}

static uint16_t
dedup_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct sl_wire_key keys[SL_DEDUP_BULK_MAX];
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n = 0, nb_left = nb_objs, chunk;
	uint64_t duplicates;

	lcore->worker.taken += nb_objs;
	if (lcore->keeper != NULL)
		nb_left = admit(graph, node, lcore, objs, nb_objs);
	for (uint16_t at = 0; at < nb_left; at += chunk) {
		uint16_t begin = n;

		chunk = RTE_MIN(nb_left - at, SL_DEDUP_BULK_MAX);
		for (uint16_t i = 0; i < chunk; i++) {
			struct rte_mbuf *m = objs[at + i];

			sl_wire_message_key(rte_pktmbuf_mtod_offset(
						    m, const uint8_t *, dp_msg(m)->message_offset),
				&keys[i]);
			/* What enqueue and dispatch will touch, later in this turn. */
			sl_sched_prefetch(
				lcore->sched, dp_msg(m)->sched.dest, dp_msg(m)->sched.class_index);
			rte_prefetch0_write(&lcore->shards[dp_msg(m)->sched.dest]);
		}
		duplicates = sl_dedup_check_bulk(lcore->dedup, keys, chunk, lcore->now_ms);
		for (uint16_t i = 0; i < chunk; i++) {
			if (unlikely(duplicates & (UINT64_C(1) << i)))
				rte_node_enqueue_x1(graph, node, DUPLICATE, objs[at + i]);
			else
				objs[n++] = objs[at + i];
		}
		if (lcore->keeper != NULL)
			n = begin +
				pass_durable(
					graph, node, lcore, &objs[begin], (uint16_t)(n - begin));
	}
	return dp_forward(graph, node, ENQUEUE, objs, n, nb_objs);
}

static struct rte_node_register dedup_node = {
	.name = "dedup",
	.init = dp_node_init,
	.process = dedup_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[ENQUEUE] = "enqueue",
			[JOURNAL] = "journal",
			[DUPLICATE] = "duplicate",
			[JOURNAL_FULL] = DP_DROP(journal_full),
			[PARKED_FULL] = DP_DROP(parked_full),
		},
};

RTE_NODE_REGISTER(dedup_node);

static uint16_t
duplicate_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);

	for (uint16_t i = 0; i < nb_objs; i++) {
		const struct dp_msg *msg = dp_msg(objs[i]);

		lcore->shards[msg->sched.dest].duplicates++;
		if (lcore->keeper != NULL && msg->publisher != DP_PUBLISHER_NONE)
			dp_keeper_mark(lcore, objs[i]);
	}
	lcore->worker.duplicates += nb_objs;
	rte_pktmbuf_free_bulk((struct rte_mbuf **)objs, nb_objs);
	return nb_objs;
}

static struct rte_node_register duplicate_node = {
	.name = "duplicate",
	.init = dp_node_init,
	.process = duplicate_process,
};

RTE_NODE_REGISTER(duplicate_node);
