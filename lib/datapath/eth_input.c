/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Checks Ethernet and 802.1Q headers and takes them off. */

enum { IP_INPUT = 0, PUNT, SCATTERED, FIRST_ERROR, NB_EDGES = FIRST_ERROR + 4 };

static uint16_t
eth_input_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct dp_port *const *ports = lcore->dp->port_of_id;
	struct sl_net_eth eth;
	uint16_t n = 0;

	for (uint16_t i = 0; i < RTE_MIN(nb_objs, 4); i++)
		rte_prefetch0(rte_pktmbuf_mtod((struct rte_mbuf *)objs[i], void *));
	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const struct dp_port *port = ports[m->port];
		enum sl_net_error rc;

		if (likely(i + 4 < nb_objs))
			rte_prefetch0(rte_pktmbuf_mtod((struct rte_mbuf *)objs[i + 4], void *));
		/* A traced message may have been in it. */
		dp_msg(m)->trace = 0;
		if (unlikely(m->nb_segs > 1)) {
			rte_node_enqueue_x1(graph, node, SCATTERED, m);
			continue;
		}
		rc = sl_net_check_eth(
			rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &port->station, &eth);
		if (unlikely(rc != SL_NET_OK)) {
			rte_node_enqueue_x1(graph, node,
				(rte_edge_t)(FIRST_ERROR + rc - SL_NET_ETH_TRUNCATED), m);
			continue;
		}
		dp_msg(m)->eth_len = eth.len;
		dp_msg(m)->sched.time = lcore->now;
		if (unlikely(eth.type == RTE_ETHER_TYPE_ARP)) {
			rte_node_enqueue_x1(graph, node, PUNT, m);
			continue;
		}
		dp_cut(m, eth.len, m->data_len - eth.len);
		objs[n++] = m;
	}
	return dp_forward(graph, node, IP_INPUT, objs, n, nb_objs);
}

static struct rte_node_register eth_input_node = {
	.name = "eth_input",
	.init = dp_node_init,
	.process = eth_input_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[IP_INPUT] = "ip_input",
			[PUNT] = "punt",
			[SCATTERED] = DP_DROP(scattered),
			/* In the order of enum sl_net_error. */
			[FIRST_ERROR] = DP_DROP(eth_truncated),
			DP_DROP(eth_not_for_us),
			DP_DROP(eth_wrong_vlan),
			DP_DROP(eth_unknown_type),
		},
};

RTE_NODE_REGISTER(eth_input_node);
