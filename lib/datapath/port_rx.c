/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Source: takes frames from the port queues of this lcore. */

enum { ETH_INPUT = 0, NB_EDGES };

/*
 * How many frames this turn may take: as many as hold DP_RX_MESSAGES messages, going by the last
 * turn that had any, so that datagrams with many do not bring in more than a turn can dispatch.
 */
static inline uint16_t
frame_limit(const struct dp_lcore *lcore)
{
	if (likely(lcore->messages_in <= lcore->frames_in))
		return RTE_GRAPH_BURST_SIZE;
	return (uint16_t)RTE_MAX(4u, DP_RX_MESSAGES * lcore->frames_in / lcore->messages_in);
}

static uint16_t
port_rx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n = 0, got, burst, at = lcore->first_rxq, limit = frame_limit(lcore);

	if (unlikely(atomic_load_explicit(&lcore->dp->is_draining, memory_order_relaxed)))
		return 0;
	/* Each queue once, beginning with another one each turn. */
	for (uint16_t i = 0; i < lcore->nb_rxqs && n < limit; i++) {
		burst = RTE_MIN(DP_RX_BURST, limit - n);
		got = rte_eth_rx_burst(lcore->rxqs[at].port_id, lcore->rxqs[at].queue,
			(struct rte_mbuf **)&node->objs[n], burst);
		n += got;
		at = at + 1 < lcore->nb_rxqs ? at + 1 : 0;
	}
	lcore->first_rxq = at;
	if (n == 0)
		return 0;
	lcore->frames_in = n;
	lcore->messages_in = 0;
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
