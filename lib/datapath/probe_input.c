/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/*
 * Reads probes and hands them to the control thread, over a ring of their own: however many come,
 * ARP and neighbour discovery get through.
 */

enum { MALFORMED = 0, PROBE_RING_FULL, NB_EDGES };

static uint16_t
probe_input_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct rte_ring *ring = lcore->dp->probe_ring;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		struct sl_wire_probe probe;

		if (!sl_wire_parse_probe(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len,
			    lcore->arena, DP_ARENA_BYTES, &probe)) {
			rte_node_enqueue_x1(graph, node, MALFORMED, m);
			continue;
		}
		/* In the place of the datagram, behind its headers, which tell who sent it. */
		RTE_BUILD_BUG_ON(sizeof(probe) > RTE_MBUF_DEFAULT_DATAROOM);
		memcpy(rte_pktmbuf_mtod(m, void *), &probe, sizeof(probe));
		if (rte_ring_mp_enqueue(ring, m) != 0)
			rte_node_enqueue_x1(graph, node, PROBE_RING_FULL, m);
	}
	return nb_objs;
}

static struct rte_node_register probe_input_node = {
	.name = "probe_input",
	.init = dp_node_init,
	.process = probe_input_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[MALFORMED] = DP_DROP(malformed),
			[PROBE_RING_FULL] = DP_DROP(probe_ring_full),
		},
};

RTE_NODE_REGISTER(probe_input_node);
