/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Source: takes messages that other lcores have handed to this worker. */

enum { DEDUP = 0, NB_EDGES };

static uint16_t
ring_rx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n = 0, share;

	if (lcore->nb_inputs == 0)
		return 0;
	share = (uint16_t)(RTE_GRAPH_BURST_SIZE / lcore->nb_inputs);
	for (uint16_t i = 0; i < lcore->nb_inputs; i++)
		n += (uint16_t)rte_ring_sc_dequeue_burst(
			lcore->inputs[i], &node->objs[n], share, NULL);
	if (n == 0)
		return 0;
	lcore->moved += n;
	node->idx = n;
	rte_node_next_stream_move(graph, node, DEDUP);
	return n;
}

static struct rte_node_register ring_rx_node = {
	.name = "ring_rx",
	.flags = RTE_NODE_SOURCE_F,
	.init = dp_node_init,
	.process = ring_rx_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[DEDUP] = "dedup"},
};

RTE_NODE_REGISTER(ring_rx_node);
