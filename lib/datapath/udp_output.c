/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/* Writes the IP and UDP headers of the backend in front of a datagram. */

enum { ETH_OUTPUT = 0, TOO_BIG, NO_COPY, NB_EDGES };

/* A port that takes one segment only gets one; NULL: there is no buffer. */
static inline struct rte_mbuf *
fit_port(struct dp_lcore *lcore, const struct dp_port *port, struct rte_mbuf *m)
{
	struct rte_mbuf *flat;

	if (likely(m->nb_segs == 1 || port->takes_segments))
		return m;
	flat = dp_flatten(lcore, m);
	if (flat != NULL) {
		flat->port = m->port;
		rte_pktmbuf_free(m);
	}
	return flat;
}

static uint16_t
udp_output_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	const struct sl_datapath *dp = lcore->dp;
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i], *fit;
		struct dp_msg *msg = dp_msg(m);
		const struct dp_backend *b = &dp->backends[msg->sched.backend];
		const struct dp_port *port = dp->port_of_id[b->port_id];
		uint16_t len = (uint16_t)m->pkt_len;
		bool has_sum;
		uint8_t *p;

		m->port = b->port_id;
		if (unlikely(!dp_fits(b, port, len))) {
			lcore->backend_counters[msg->sched.backend].too_big++;
			rte_node_enqueue_x1(graph, node, TOO_BIG, m);
			continue;
		}
		fit = fit_port(lcore, port, m);
		if (unlikely(fit == NULL)) {
			/* A durable message is sent again by its session. */
			if (dp_is_durable(lcore, msg))
				rte_pktmbuf_free(m);
			else
				rte_node_enqueue_x1(graph, node, NO_COPY, m);
			continue;
		}
		m = fit;
		msg = dp_msg(m);
		/* In IPv6 it is not ours to leave it out. */
		has_sum = port->is_udp_sum_sent || !sl_net_flow_is_ip4(&b->flow);
		if (has_sum && !msg->is_sum_known)
			msg->payload_sum = sl_net_sum(rte_pktmbuf_mtod(m, void *), len);
		/* There is room: the headroom alone holds the longest headers. */
		RTE_BUILD_BUG_ON(RTE_PKTMBUF_HEADROOM < SL_NET_HEADERS_MAX);
		p = (uint8_t *)rte_pktmbuf_prepend(m, b->flow.headers_len);
		sl_net_flow_write(&b->flow, p, len, has_sum ? &msg->payload_sum : NULL);
		objs[n++] = m;
	}
	return dp_forward(graph, node, ETH_OUTPUT, objs, n, nb_objs);
}

static struct rte_node_register udp_output_node = {
	.name = "udp_output",
	.init = dp_node_init,
	.process = udp_output_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[ETH_OUTPUT] = "eth_output",
			[TOO_BIG] = DP_DROP(too_big),
			[NO_COPY] = DP_DROP(no_copy),
		},
};

RTE_NODE_REGISTER(udp_output_node);
