/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Hands frames that are not messages (ARP, ICMP) to the control thread. */

enum { PUNT_RING_FULL = 0, NB_EDGES };

static uint16_t
punt_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	unsigned int done;

	done = rte_ring_mp_enqueue_burst(dp_lcore(node)->dp->punt_ring, objs, nb_objs, NULL);
	if (unlikely(done < nb_objs))
		rte_node_enqueue(
			graph, node, PUNT_RING_FULL, &objs[done], (uint16_t)(nb_objs - done));
	return nb_objs;
}

static struct rte_node_register punt_node = {
	.name = "punt",
	.init = dp_node_init,
	.process = punt_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[PUNT_RING_FULL] = DP_DROP(punt_ring_full)},
};

RTE_NODE_REGISTER(punt_node);
