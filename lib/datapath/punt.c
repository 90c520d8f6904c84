/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"
#include "sl_nd.h"

/* Hands frames that are not messages (ARP, ICMP, ICMPv6) to the control thread. */

enum { PUNT_RING_FULL = 0, NB_EDGES };

/* Without its answers nothing is delivered. */
static inline bool
is_neighbour_discovery(struct rte_mbuf *m)
{
	const uint8_t *packet = rte_pktmbuf_mtod_offset(m, const uint8_t *, dp_msg(m)->eth_len);

	switch (packet[-2] << 8 | packet[-1]) {
	case RTE_ETHER_TYPE_ARP:
		return true;
	case RTE_ETHER_TYPE_IPV6:
		return sl_nd_is_nd(packet);
	}
	return false;
}

/* An echo request is a courtesy: it may fill half the ring. */
static inline bool
is_admitted(const struct rte_ring *ring, struct rte_mbuf *m)
{
	return is_neighbour_discovery(m) || rte_ring_free_count(ring) > DP_PUNT_RING / 2;
}

static uint16_t
punt_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct rte_ring *ring = dp_lcore(node)->dp->punt_ring;

	for (uint16_t i = 0; i < nb_objs; i++) {
		if (!is_admitted(ring, objs[i]) || rte_ring_mp_enqueue(ring, objs[i]) != 0)
			rte_node_enqueue_x1(graph, node, PUNT_RING_FULL, objs[i]);
	}
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
