/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/*
 * Hands each message to the worker that owns its shard: straight on when that is this lcore, else
 * over the ring between the two. A full ring drops: nobody waits for another lcore.
 */

enum { DEDUP = 0, SHARD_RING_FULL, NB_EDGES };

/* Staged for one worker, so that a ring is not touched for each message. */
#define STAGE_MAX 64

struct stage {
	uint16_t n;
	void *objs[STAGE_MAX];
};

static inline void
hand_over(struct rte_graph *graph, struct rte_node *node, struct dp_lcore *lcore, uint32_t worker,
	struct stage *stage)
{
	unsigned int done;

	done = rte_ring_sp_enqueue_burst(lcore->to_worker[worker], stage->objs, stage->n, NULL);
	lcore->rx.handed += done;
	if (unlikely(done < stage->n))
		rte_node_enqueue(graph, node, SHARD_RING_FULL, &stage->objs[done],
			(uint16_t)(stage->n - done));
	stage->n = 0;
}

static uint16_t
shard_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	uint32_t nb_workers = lcore->dp->nb_workers;
	struct stage stages[DP_LCORES_MAX];
	uint16_t n = 0;

	if (nb_workers == 1 && lcore->to_worker[0] == NULL) {
		lcore->rx.handed += nb_objs;
		rte_node_next_stream_move(graph, node, DEDUP);
		return nb_objs;
	}
	for (uint32_t w = 0; w < nb_workers; w++)
		stages[w].n = 0;
	for (uint16_t i = 0; i < nb_objs; i++) {
		uint32_t w = sl_route_worker(dp_msg(objs[i])->sched.dest, nb_workers);

		if (lcore->to_worker[w] == NULL) {
			objs[n++] = objs[i];
			continue;
		}
		stages[w].objs[stages[w].n++] = objs[i];
		if (unlikely(stages[w].n == STAGE_MAX))
			hand_over(graph, node, lcore, w, &stages[w]);
	}
	for (uint32_t w = 0; w < nb_workers; w++) {
		if (stages[w].n > 0)
			hand_over(graph, node, lcore, w, &stages[w]);
	}
	lcore->rx.handed += n;
	return dp_forward(graph, node, DEDUP, objs, n, nb_objs);
}

static struct rte_node_register shard_node = {
	.name = "shard",
	.init = dp_node_init,
	.process = shard_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[DEDUP] = "dedup",
			[SHARD_RING_FULL] = DP_DROP(shard_ring_full),
		},
};

RTE_NODE_REGISTER(shard_node);
