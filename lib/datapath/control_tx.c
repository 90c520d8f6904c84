/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Source: sends the frames of the control thread (ARP, neighbour discovery, ICMP), on the first
 * worker only. */

enum { CONTROL_PORT_FULL = 0, NB_EDGES };

#define BURST 32

static uint16_t
control_tx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct rte_mbuf *mbufs[BURST];
	const struct dp_txq *txq;
	unsigned int n;

	if (!lcore->sends_control)
		return 0;
	n = rte_ring_sc_dequeue_burst(lcore->dp->control_ring, (void **)mbufs, BURST, NULL);
	for (unsigned int i = 0; i < n; i++) {
		txq = lcore->txq_of_port[mbufs[i]->port];
		/* These frames are repeated by who sent them: a port that is full may drop them. */
		if (unlikely(rte_eth_tx_burst(txq->port_id, txq->queue, &mbufs[i], 1) == 0))
			rte_node_enqueue_x1(graph, node, CONTROL_PORT_FULL, mbufs[i]);
	}
	lcore->moved += n;
	return (uint16_t)n;
}

static struct rte_node_register control_tx_node = {
	.name = "control_tx",
	.flags = RTE_NODE_SOURCE_F,
	.init = dp_node_init,
	.process = control_tx_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[CONTROL_PORT_FULL] = DP_DROP(control_port_full)},
};

RTE_NODE_REGISTER(control_tx_node);
