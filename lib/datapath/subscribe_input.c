/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "publisher.h"

/*
 * Reads subscriptions and hands them to the control thread, over a ring of their own, which bounds
 * how many a second it has to do with. Nobody is answered.
 */

enum { MALFORMED = 0, NOT_ACCEPTED, NOT_UNICAST, RING_FULL, NB_EDGES };

/* @return the edge the frame goes to; NB_EDGES: it is the control thread's already */
static rte_edge_t
take(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	struct sl_datapath *dp = lcore->dp;
	struct sl_wire_subscribe subscribe;
	struct dp_publisher_from from;

	if (!atomic_load_explicit(&dp->accepts_subscriptions, memory_order_relaxed))
		return NOT_ACCEPTED;
	dp_publisher_read_from(dp, m, &from);
	if (!dp_publisher_can_be_told(&from))
		return NOT_UNICAST;
	if (!sl_wire_parse_subscribe(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len,
		    lcore->arena, DP_ARENA_BYTES, &subscribe))
		return MALFORMED;
	/* In the place of the datagram, behind its headers, which tell who sent it. */
	RTE_BUILD_BUG_ON(sizeof(subscribe) > RTE_MBUF_DEFAULT_DATAROOM);
	memcpy(rte_pktmbuf_mtod(m, void *), &subscribe, sizeof(subscribe));
	return rte_ring_mp_enqueue(dp->subscribe_ring, m) == 0 ? NB_EDGES : RING_FULL;
}

static uint16_t
subscribe_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);

	for (uint16_t i = 0; i < nb_objs; i++) {
		rte_edge_t edge = take(lcore, objs[i]);

		if (edge != NB_EDGES)
			rte_node_enqueue_x1(graph, node, edge, objs[i]);
	}
	return nb_objs;
}

static struct rte_node_register subscribe_input_node = {
	.name = "subscribe_input",
	.init = dp_node_init,
	.process = subscribe_input_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[MALFORMED] = DP_DROP(malformed),
			[NOT_ACCEPTED] = DP_DROP(subscribe_not_accepted),
			[NOT_UNICAST] = DP_DROP(subscribe_not_unicast),
			[RING_FULL] = DP_DROP(subscribe_ring_full),
		},
};

RTE_NODE_REGISTER(subscribe_input_node);
