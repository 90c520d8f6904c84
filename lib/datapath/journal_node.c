/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/* Copies each durable message into the journal's ring; `dedup` has seen to it that there is room.
 */

enum { ENQUEUE = 0, JOURNAL_FULL, NB_EDGES };

static inline bool
put(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	const struct sl_datapath_journal *journal = lcore->dp->journal;
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_msg *msg = dp_msg(m);
	uint32_t len = m->data_len - msg->message_offset;
	struct sl_record_message *record;

	record = sl_record_ring_put(
		keeper->ring, SL_RECORD_MESSAGE, (uint32_t)sizeof(*record) + len, keeper->unix_ns);
	if (unlikely(record == NULL))
		return false;
	record->session = sl_wire_get64(data + SL_WIRE_OFF_SESSION);
	record->publisher = msg->publisher;
	record->class_index = msg->sched.class_index;
	memset(record->reserved, 0, sizeof(record->reserved));
	if (msg->publisher != DP_PUBLISHER_NONE)
		record->record.flags = SL_RECORD_WANTS_ACK;
	memcpy(record + 1, data + msg->message_offset, len);
	msg->ref = sl_record_ref_of(keeper->ring->stream, record->record.position);
	msg->attempts = 0;
	journal->hold(journal->arg, lcore->worker_index, msg->ref);
	return true;
}

static uint16_t
journal_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		if (i + 1 < nb_objs)
			rte_prefetch0(rte_pktmbuf_mtod((struct rte_mbuf *)objs[i + 1], void *));
		if (likely(put(lcore, objs[i])))
			objs[n++] = objs[i];
		else
			rte_node_enqueue_x1(graph, node, JOURNAL_FULL, objs[i]);
	}
	return dp_forward(graph, node, ENQUEUE, objs, n, nb_objs);
}

static struct rte_node_register journal_node = {
	.name = "journal",
	.init = dp_node_init,
	.process = journal_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[ENQUEUE] = "enqueue",
			[JOURNAL_FULL] = DP_DROP(journal_full),
		},
};

RTE_NODE_REGISTER(journal_node);
