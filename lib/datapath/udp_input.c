/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Checks UDP headers and takes them off: what is left is a datagram. */

enum { DATAGRAM_PARSE = 0, FIRST_ERROR, NB_EDGES = FIRST_ERROR + 4 };

static uint16_t
udp_input_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	const struct sl_datapath *dp = dp_lcore(node)->dp;
	rte_be16_t udp_port = rte_cpu_to_be_16(dp->config->udp_port);
	struct sl_net_udp udp;
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
		unsigned int good = dp->port_of_id[m->port]->known_good;
		struct dp_msg *msg = dp_msg(m);
		enum sl_net_error rc;

		if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
			good |= SL_NET_UDP_SUM_KNOWN_GOOD;
		rc = sl_net_check_udp(data, m->data_len, data - m->l3_len, udp_port, good, &udp);
		if (unlikely(rc != SL_NET_OK)) {
			rte_node_enqueue_x1(graph, node,
				(rte_edge_t)(FIRST_ERROR + rc - SL_NET_UDP_TRUNCATED), m);
			continue;
		}
		msg->is_sum_known = udp.is_sum_known;
		msg->payload_sum = udp.payload_sum;
		dp_cut(m, sizeof(struct rte_udp_hdr), udp.payload_len);
		objs[n++] = m;
	}
	return dp_forward(graph, node, DATAGRAM_PARSE, objs, n, nb_objs);
}

static struct rte_node_register udp_input_node = {
	.name = "udp_input",
	.init = dp_node_init,
	.process = udp_input_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[DATAGRAM_PARSE] = "datagram_parse",
			/* In the order of enum sl_net_error. */
			[FIRST_ERROR] = DP_DROP(udp_truncated),
			DP_DROP(udp_bad_length),
			DP_DROP(udp_bad_checksum),
			DP_DROP(udp_unknown_port),
		},
};

RTE_NODE_REGISTER(udp_input_node);
