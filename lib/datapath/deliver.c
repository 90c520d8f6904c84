/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/*
 * Puts our epoch, and the backend's session and sequence, into the datagram. To an at-most-once
 * destination there is no session: both are 0.
 */

enum { UDP_OUTPUT = 0, TOO_BIG, NB_EDGES };

/* Overwrite a field and keep the sum over the datagram right (RFC 1624). */
static inline void
rewrite(struct dp_msg *msg, uint8_t *data, size_t offset, const void *value, size_t len)
{
	if (memcmp(data + offset, value, len) == 0)
		return;
	if (msg->is_sum_known)
		msg->payload_sum = sl_net_sum_update(
			msg->payload_sum, offset, data + offset, value, len);
	memcpy(data + offset, value, len);
}

/* A durable message that never fits the way to its backend is given up before it has a sequence. */
static bool
is_too_big(struct dp_lcore *lcore, struct dp_session *session, const struct rte_mbuf *m)
{
	const struct dp_backend *b = &lcore->dp->backends[session->slot];
	const struct dp_msg *msg = dp_msg_const(m);

	if (likely(dp_fits(b, lcore->dp->port_of_id[b->port_id], (uint16_t)m->pkt_len)))
		return false;
	lcore->backend_counters[session->slot].too_big++;
	lcore->keeper->nb_held--;
	session->reserved--;
	session->dead++;
	dp_keeper_done(lcore, msg, session->key, msg->attempts, SL_OUTCOME_DEAD);
	return true;
}

static uint16_t
deliver_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	const struct sl_datapath *dp = lcore->dp;
	uint32_t epoch = rte_cpu_to_le_32(dp->config->epoch);
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
		uint64_t session = 0, sequence = 0;
		struct dp_msg *msg = dp_msg(m);

		rte_prefetch0(&dp->backends[msg->sched.backend]);
		if (dp_is_durable(lcore, msg)) {
			struct dp_session *s = lcore->keeper->sessions[msg->sched.backend];

			if (unlikely(is_too_big(lcore, s, m))) {
				rte_node_enqueue_x1(graph, node, TOO_BIG, m);
				continue;
			}
			session = rte_cpu_to_le_64(s->number);
			sequence = rte_cpu_to_le_64(dp_session_send(lcore, s, m));
		}
		rewrite(msg, data, SL_WIRE_OFF_EPOCH, &epoch, sizeof(epoch));
		rewrite(msg, data, SL_WIRE_OFF_SESSION, &session, sizeof(session));
		rewrite(msg, data, msg->message_offset + SL_WIRE_OFF_SEQUENCE, &sequence,
			sizeof(sequence));
		objs[n++] = m;
	}
	if (lcore->keeper != NULL)
		dp_keeper_flush_outcomes(lcore);
	return dp_forward(graph, node, UDP_OUTPUT, objs, n, nb_objs);
}

static struct rte_node_register deliver_node = {
	.name = "deliver",
	.init = dp_node_init,
	.process = deliver_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[UDP_OUTPUT] = "udp_output",
			[TOO_BIG] = DP_DROP(too_big),
		},
};

RTE_NODE_REGISTER(deliver_node);
