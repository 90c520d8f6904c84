/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Writes the Ethernet header, tagged where the port is in a VLAN, towards the next hop. */

enum { PORT_TX = 0, NB_EDGES };

static uint16_t
eth_output_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	const struct sl_datapath *dp = dp_lcore(node)->dp;
	struct rte_ether_addr mac;
	uint64_t word;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const struct dp_port *port = dp->port_of_id[m->port];
		const struct dp_backend *b = &dp->backends[dp_msg(m)->sched.backend];
		uint16_t len = RTE_ETHER_HDR_LEN;

		/* Usable when the backend was chosen; the address outlives a change of that. */
		word = atomic_load_explicit(&dp->next_hop_words[b->next_hop], memory_order_relaxed);
		memcpy(&mac, &word, sizeof(mac));
		if (port->station.vlan != 0)
			len += RTE_VLAN_HLEN;
		sl_net_put_eth((uint8_t *)rte_pktmbuf_prepend(m, len), &mac, &port->station.mac,
			port->station.vlan, sl_net_flow_type(&b->flow));
	}
	rte_node_next_stream_move(graph, node, PORT_TX);
	return nb_objs;
}

static struct rte_node_register eth_output_node = {
	.name = "eth_output",
	.init = dp_node_init,
	.process = eth_output_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[PORT_TX] = "port_tx"},
};

RTE_NODE_REGISTER(eth_output_node);
