/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/* Puts messages into the queues of their destinations, where they wait for dispatch. */

enum { QUEUE_FULL = 0, PUSHED_OUT, MAX_WAIT, NB_EDGES };

static const rte_edge_t drop_edges[] = {
	[SL_SCHED_QUEUE_FULL] = QUEUE_FULL,
	[SL_SCHED_PUSHED_OUT] = PUSHED_OUT,
	[SL_SCHED_MAX_WAIT] = MAX_WAIT,
};

static uint16_t
enqueue_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_drop_arg arg = {.graph = graph, .node = node, .edges = drop_edges};
	struct dp_lcore *lcore = dp_lcore(node);
	const struct dp_backend *backends = lcore->dp->backends;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct dp_msg *msg = dp_msg(objs[i]);
		const struct dp_shard *shard = &lcore->shards[msg->sched.dest];

		/* The backend whose turn it probably is, for dispatch. */
		rte_prefetch0(&backends[dp_backend_slot(shard, shard->policy.cursor)]);
		if (shard->durable != NULL && likely(!shard->is_topic))
			dp_park_or_queue(lcore, objs[i]);
		else
			sl_sched_enqueue(
				lcore->sched, &msg->sched, lcore->now, dp_sched_drop, &arg);
	}
	return nb_objs;
}

static struct rte_node_register enqueue_node = {
	.name = "enqueue",
	.init = dp_node_init,
	.process = enqueue_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[QUEUE_FULL] = DP_DROP(queue_full),
			[PUSHED_OUT] = DP_DROP(pushed_out),
			[MAX_WAIT] = DP_DROP(max_wait),
		},
};

RTE_NODE_REGISTER(enqueue_node);
