/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Checks IPv4 and IPv6 headers and takes them off, with any padding behind the packet. */

enum { UDP_INPUT = 0, PUNT, FIRST_ERROR, NB_EDGES = FIRST_ERROR + 6 };

static inline unsigned int
known_good(const struct rte_mbuf *m)
{
	unsigned int good = 0;

	if ((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		good |= SL_NET_IP_SUM_KNOWN_GOOD;
	return good;
}

/* Its last field stands in front of what it has been taken off. */
static inline uint16_t
eth_type(const uint8_t *data)
{
	return rte_be_to_cpu_16(((const unaligned_uint16_t *)data)[-1]);
}

static uint16_t
ip_input_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_port *const *ports = dp_lcore(node)->dp->port_of_id;
	struct sl_net_ip ip;
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
		enum sl_net_error rc;

		rc = sl_net_check_ip(data, m->data_len, eth_type(data), &ports[m->port]->station,
			known_good(m), &ip);
		if (unlikely(rc != SL_NET_OK)) {
			rte_node_enqueue_x1(graph, node,
				(rte_edge_t)(FIRST_ERROR + rc - SL_NET_IP_TRUNCATED), m);
			continue;
		}
		if (unlikely(ip.proto != IPPROTO_UDP)) {
			rte_pktmbuf_prepend(m, dp_msg(m)->eth_len);
			rte_node_enqueue_x1(graph, node, PUNT, m);
			continue;
		}
		m->l3_len = ip.header_len;
		dp_cut(m, ip.header_len, ip.payload_len);
		objs[n++] = m;
	}
	return dp_forward(graph, node, UDP_INPUT, objs, n, nb_objs);
}

static struct rte_node_register ip_input_node = {
	.name = "ip_input",
	.init = dp_node_init,
	.process = ip_input_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[UDP_INPUT] = "udp_input",
			[PUNT] = "punt",
			/* In the order of enum sl_net_error. */
			[FIRST_ERROR] = DP_DROP(ip_truncated),
			DP_DROP(ip_bad_header),
			DP_DROP(ip_bad_checksum),
			DP_DROP(ip_fragment),
			DP_DROP(ip_not_for_us),
			DP_DROP(ip_unknown_proto),
		},
};

RTE_NODE_REGISTER(ip_input_node);
