/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Looks up the destination of each message and sets its class by the rules. */

enum { SHARD = 0, NO_DESTINATION, NB_EDGES };

static inline const uint8_t *
message_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, const uint8_t *, dp_msg(m)->message_offset);
}

static uint16_t
route_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	const struct sl_route_table *table = dp_lcore(node)->routes;
	const struct sl_route_entry *entry;
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++)
		sl_route_prefetch(table, sl_wire_get64(message_of(objs[i]) + SL_WIRE_OFF_DEST));
	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const uint8_t *message = message_of(m);
		uint64_t source = sl_wire_get64(message + SL_WIRE_OFF_SOURCE);
		struct dp_msg *msg = dp_msg(m);

		entry = sl_route_lookup(table, sl_wire_get64(message + SL_WIRE_OFF_DEST));
		if (unlikely(entry == NULL)) {
			msg->sched.class_index = DP_CLASS_UNKNOWN;
			rte_node_enqueue_x1(graph, node, NO_DESTINATION, m);
			continue;
		}
		msg->sched.dest = sl_route_shard(entry, source);
		msg->sched.class_index = sl_route_classify(table, entry, source,
			sl_wire_get64(message + SL_WIRE_OFF_TYPE),
			sl_wire_get32(message + SL_WIRE_OFF_PRIORITY));
		msg->sched.len = m->data_len;
		objs[n++] = m;
	}
	return dp_forward(graph, node, SHARD, objs, n, nb_objs);
}

static struct rte_node_register route_node = {
	.name = "route",
	.init = dp_node_init,
	.process = route_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[SHARD] = "shard",
			[NO_DESTINATION] = DP_DROP(no_destination),
		},
};

RTE_NODE_REGISTER(route_node);
