/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/*
 * Source: sends the frames of the control thread (ARP, neighbour discovery, ICMP), on the first
 * worker only. Under load a port may be full of messages at this moment: then a frame is held for
 * some turns, or neighbours would be lost just when there is most to send them.
 */

enum { CONTROL_PORT_FULL = 0, NB_EDGES };

/* A frame is held no longer than this part of a second: who sent it repeats it. */
#define HOLD_PER_S 20

static inline bool
try_send(const struct dp_lcore *lcore, struct rte_mbuf *m)
{
	const struct dp_txq *txq = lcore->txq_of_port[m->port];

	return rte_eth_tx_burst(txq->port_id, txq->queue, &m, 1) == 1;
}

static uint16_t
control_tx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	uint64_t hold = lcore->dp->tsc_hz / HOLD_PER_S;
	uint16_t n, held = 0;

	if (!lcore->sends_control)
		return 0;
	n = (uint16_t)(lcore->nb_held +
		rte_ring_sc_dequeue_burst(lcore->dp->control_ring,
			(void **)&lcore->held[lcore->nb_held], DP_CONTROL_HELD - lcore->nb_held,
			NULL));
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = lcore->held[i];

		if (likely(try_send(lcore, m)))
			lcore->moved++;
		else if (lcore->now > dp_msg(m)->sched.time + hold)
			rte_node_enqueue_x1(graph, node, CONTROL_PORT_FULL, m);
		else
			lcore->held[held++] = m;
	}
	lcore->nb_held = held;
	return n - held;
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
