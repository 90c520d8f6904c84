/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Source: takes frames from the port queues of this lcore. */

enum { ETH_INPUT = 0, NB_EDGES };

static uint16_t
port_rx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n = 0, got, at = lcore->first_rxq;

	if (unlikely(atomic_load_explicit(&lcore->dp->is_draining, memory_order_relaxed)))
		return 0;
	/* Each queue once, beginning with another one each turn. */
	for (uint16_t i = 0; i < lcore->nb_rxqs && n + DP_RX_BURST <= RTE_GRAPH_BURST_SIZE; i++) {
		got = rte_eth_rx_burst(lcore->rxqs[at].port_id, lcore->rxqs[at].queue,
			(struct rte_mbuf **)&node->objs[n], DP_RX_BURST);
		n += got;
		at = at + 1 < lcore->nb_rxqs ? at + 1 : 0;
	}
	lcore->first_rxq = at;
	if (n == 0)
		return 0;
	lcore->rx.frames += n;
	lcore->moved += n;
	node->idx = n;
	rte_node_next_stream_move(graph, node, ETH_INPUT);
	return n;
}

static struct rte_node_register port_rx_node = {
	.name = "port_rx",
	.flags = RTE_NODE_SOURCE_F,
	.init = dp_node_init,
	.process = port_rx_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[ETH_INPUT] = "eth_input"},
};

RTE_NODE_REGISTER(port_rx_node);
