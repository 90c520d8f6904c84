/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/*
 * Brings the acks of backends to the workers whose sessions they name. Only the backend itself may
 * acknowledge: an ack comes from the address and port that the messages go to.
 */

enum { NO_SESSION = 0, WRONG_SENDER, NO_ROOM, NB_EDGES };

/* Acks looked at together: what one touches is fetched while others are read. */
#define BATCH 16

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

/* Does it come from where the backend at this slot is? The headers stand in front of it. */
static bool
is_from(const struct dp_backend *b, const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(data - sizeof(*udp));
	const uint8_t *ip = (const uint8_t *)udp - m->l3_len;

	if (udp->src_port != b->flow.udp.dst_port ||
		sl_net_is_ip4(ip) != sl_net_flow_is_ip4(&b->flow))
		return false;
	if (likely(sl_net_is_ip4(ip)))
		return ((const struct rte_ipv4_hdr *)ip)->src_addr == b->flow.ip4.dst_addr;
	return memcmp(((const struct rte_ipv6_hdr *)ip)->src_addr, b->flow.ip6.dst_addr,
		       sizeof(b->flow.ip6.dst_addr)) == 0;
}

/* @return the edge the frame goes to; NB_EDGES: it is somebody else's already */
static rte_edge_t
take(struct dp_lcore *lcore, struct rte_mbuf *m, const struct sl_wire_ack *ack)
{
	const struct sl_datapath *dp = lcore->dp;
	uint32_t w = dp_session_worker(dp, ack->session);
	uint32_t slot = dp_session_slot(dp, ack->session);

	/* A slot that never had a backend has no headers. */
	if (unlikely(w >= dp->nb_workers || slot >= dp->nb_backends ||
		    dp->backends[slot].flow.headers_len == 0))
		return NO_SESSION;
	if (unlikely(!is_from(&dp->backends[slot], m)))
		return WRONG_SENDER;
	if (lcore->acks_to_worker[w] != NULL)
		return hand_over(lcore->acks_to_worker[w], m, ack);
	if (unlikely(!dp_session_ack(lcore, ack)))
		return NO_SESSION;
	rte_pktmbuf_free(m);
	return NB_EDGES;
}

/* Sessions that another worker has are none of ours to fetch. */
static void
prefetch_sessions(const struct dp_lcore *lcore, const struct sl_wire_ack *acks,
	const struct dp_session **sessions, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		dp_session_prefetch(lcore, acks[i].session);
	for (uint16_t i = 0; i < n; i++) {
		sessions[i] = dp_session_of(lcore, acks[i].session);
		if (likely(sessions[i] != NULL))
			sl_session_tx_prefetch_entries(sessions[i]->tx, &acks[i]);
	}
}

/* Acks whose messages are fetched while those before them are taken. */
#define AHEAD 2

static inline void
prefetch_messages(const struct dp_lcore *lcore, const struct sl_wire_ack *acks,
	const struct dp_session *const *sessions, uint16_t i, uint16_t n)
{
	if (i < n && likely(sessions[i] != NULL))
		dp_session_prefetch_messages(lcore, sessions[i], &acks[i]);
}

/* Take them all. What is of no session of ours, or finds no room, leaves by its edge. */
static void
take_all(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs,
	const struct sl_wire_ack *acks, uint16_t n)
{
	const struct dp_session *sessions[BATCH] = {NULL};
	struct dp_lcore *lcore = dp_lcore(node);
	rte_edge_t edge;

	if (likely(lcore->keeper != NULL))
		prefetch_sessions(lcore, acks, sessions, n);
	for (uint16_t i = 0; i < AHEAD; i++)
		prefetch_messages(lcore, acks, sessions, i, n);
	for (uint16_t i = 0; i < n; i++) {
		prefetch_messages(lcore, acks, sessions, i + AHEAD, n);
		edge = take(lcore, mbufs[i], &acks[i]);
		if (unlikely(edge != NB_EDGES))
			rte_node_enqueue_x1(graph, node, edge, mbufs[i]);
	}
}

static uint16_t
ack_input_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	bool has_sessions = lcore->dp->workers[0]->keeper != NULL;
	struct sl_wire_ack acks[BATCH];
	struct rte_mbuf *mbufs[BATCH];
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		mbufs[n] = objs[i];
		if (likely(has_sessions && parse(lcore, mbufs[n], &acks[n])))
			n++;
		else
			rte_node_enqueue_x1(graph, node, NO_SESSION, objs[i]);
		if (n < BATCH && i + 1 < nb_objs)
			continue;
		take_all(graph, node, mbufs, acks, n);
		n = 0;
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
			[WRONG_SENDER] = DP_DROP(ack_wrong_sender),
			[NO_ROOM] = DP_DROP(ack_ring_full),
		},
};

RTE_NODE_REGISTER(ack_input_node);
