/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/* Source: takes the acks that other lcores have received for this worker's sessions. */

enum { NO_SESSION = 0, NB_EDGES };

#define BURST 32

static uint16_t
ack_rx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct dp_keeper *keeper = lcore->keeper;
	struct rte_mbuf *mbufs[BURST];
	struct sl_wire_ack ack;
	uint16_t n = 0, done = 0;

	for (uint16_t i = 0; i < keeper->nb_inputs; i++) {
		n = (uint16_t)rte_ring_sc_dequeue_burst(
			keeper->inputs[i], (void **)mbufs, BURST, NULL);
		for (uint16_t j = 0; j < n; j++) {
			const uint8_t *data = rte_pktmbuf_mtod(mbufs[j], const uint8_t *);

			if (likely(sl_wire_parse_ack_fast(data, mbufs[j]->data_len, &ack) &&
				    dp_session_ack(lcore, &ack)))
				rte_pktmbuf_free(mbufs[j]);
			else
				rte_node_enqueue_x1(graph, node, NO_SESSION, mbufs[j]);
		}
		done += n;
	}
	lcore->moved += done;
	return done;
}

static struct rte_node_register ack_rx_node = {
	.name = "ack_rx",
	.flags = RTE_NODE_SOURCE_F,
	.init = dp_node_init,
	.process = ack_rx_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[NO_SESSION] = DP_DROP(no_session)},
};

RTE_NODE_REGISTER(ack_rx_node);
