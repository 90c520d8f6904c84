/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/* Brings the acks of backends to the workers whose sessions they name. */

enum { NO_SESSION = 0, NO_ROOM, NB_EDGES };

static bool
parse(struct dp_lcore *lcore, const struct rte_mbuf *m, struct sl_wire_ack *ack)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

	return sl_wire_parse_ack_fast(data, m->data_len, ack) ||
		sl_wire_parse_ack(data, m->data_len, lcore->arena, DP_ARENA_BYTES, ack);
}

/* To another lcore it goes in the layout that is read fast. */
static rte_edge_t
hand_over(struct rte_ring *ring, struct rte_mbuf *m, const struct sl_wire_ack *ack)
{
	rte_pktmbuf_reset(m);
	m->data_len = (uint16_t)sl_wire_put_ack(rte_pktmbuf_mtod(m, uint8_t *), 0, ack);
	m->pkt_len = m->data_len;
	return rte_ring_sp_enqueue(ring, m) == 0 ? NB_EDGES : NO_ROOM;
}

/* @return the edge the frame goes to; NB_EDGES: it is somebody else's already */
static rte_edge_t
take(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	struct sl_datapath *dp = lcore->dp;
	struct sl_wire_ack ack;
	uint32_t w;

	if (dp->workers[0]->keeper == NULL || !parse(lcore, m, &ack))
		return NO_SESSION;
	w = dp_session_worker(ack.session);
	if (unlikely(w >= dp->nb_workers))
		return NO_SESSION;
	lcore->rx.acks++;
	if (lcore->acks_to_worker[w] != NULL)
		return hand_over(lcore->acks_to_worker[w], m, &ack);
	if (unlikely(!dp_session_ack(lcore, &ack)))
		return NO_SESSION;
	rte_pktmbuf_free(m);
	return NB_EDGES;
}

static uint16_t
ack_input_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	rte_edge_t edge;

	for (uint16_t i = 0; i < nb_objs; i++) {
		edge = take(lcore, objs[i]);
		if (unlikely(edge != NB_EDGES))
			rte_node_enqueue_x1(graph, node, edge, objs[i]);
	}
	return nb_objs;
}

static struct rte_node_register ack_input_node = {
	.name = "ack_input",
	.init = dp_node_init,
	.process = ack_input_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[NO_SESSION] = DP_DROP(no_session),
			[NO_ROOM] = DP_DROP(ack_ring_full),
		},
};

RTE_NODE_REGISTER(ack_input_node);
