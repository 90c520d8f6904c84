/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Filters duplicates. */

enum { ENQUEUE = 0, DUPLICATE, NB_EDGES };

static uint16_t
dedup_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct sl_wire_key keys[SL_DEDUP_BULK_MAX];
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n = 0, chunk;
	uint64_t duplicates;

	lcore->worker.taken += nb_objs;
	for (uint16_t at = 0; at < nb_objs; at += chunk) {
		chunk = RTE_MIN(nb_objs - at, SL_DEDUP_BULK_MAX);
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
			[DUPLICATE] = "duplicate",
		},
};

RTE_NODE_REGISTER(dedup_node);

static uint16_t
duplicate_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);

	for (uint16_t i = 0; i < nb_objs; i++)
		lcore->shards[dp_msg(objs[i])->sched.dest].duplicates++;
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
