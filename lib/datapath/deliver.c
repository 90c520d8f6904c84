/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Puts our epoch, and the backend's session and sequence, into the datagram. */

enum { UDP_OUTPUT = 0, NB_EDGES };

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

static uint16_t
deliver_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	const struct sl_datapath *dp = dp_lcore(node)->dp;
	/* An at-most-once destination has no session with its backend: both are 0. */
	uint64_t session = 0, sequence = 0;
	uint32_t epoch = rte_cpu_to_le_32(dp->config->epoch);

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
		struct dp_msg *msg = dp_msg(m);

		rte_prefetch0(&dp->backends[msg->sched.backend]);
		rewrite(msg, data, SL_WIRE_OFF_EPOCH, &epoch, sizeof(epoch));
		rewrite(msg, data, SL_WIRE_OFF_SESSION, &session, sizeof(session));
		rewrite(msg, data, msg->message_offset + SL_WIRE_OFF_SEQUENCE, &sequence,
			sizeof(sequence));
	}
	rte_node_next_stream_move(graph, node, UDP_OUTPUT);
	return nb_objs;
}

static struct rte_node_register deliver_node = {
	.name = "deliver",
	.init = dp_node_init,
	.process = deliver_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[UDP_OUTPUT] = "udp_output"},
};

RTE_NODE_REGISTER(deliver_node);
