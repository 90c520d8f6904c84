/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/* Copies each durable message into the journal's ring; `dedup` has seen to it that there is room.
 */

enum { ENQUEUE = 0, JOURNAL_FULL, NB_EDGES };

/* Messages between a session being fetched and what it points to. */
#define AHEAD 4

/*
 * What enqueue, dispatch and deliver will touch of a durable message's destination. @return the
 * session it will probably go to, or NULL
 */
static inline const struct dp_session *
prefetch_way(const struct dp_lcore *lcore, const struct dp_msg *msg)
{
	const struct dp_shard *shard = &lcore->shards[msg->sched.dest];
	const struct dp_session *session;

	rte_prefetch0_write(shard->durable);
	rte_prefetch0(&shard->durable->parked[msg->sched.class_index].count);
	if (unlikely(shard->policy.nb_backends == 0))
		return NULL;
	session = lcore->keeper->sessions[dp_backend_slot(shard, shard->policy.cursor)];
	rte_prefetch0_write(session);
	rte_prefetch0_write(RTE_PTR_ADD(session, DP_SESSION_TX));
	return session;
}

static inline void
prefetch_entry(const struct dp_session *session)
{
	if (likely(session != NULL))
		sl_session_tx_prefetch_next(session->tx);
}

static uint16_t
journal_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	const struct dp_session *sessions[AHEAD] = {NULL};
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

		if (i + 1 < nb_objs)
			rte_prefetch0(rte_pktmbuf_mtod((struct rte_mbuf *)objs[i + 1], void *));
		prefetch_entry(sessions[i % AHEAD]);
		sessions[i % AHEAD] = prefetch_way(lcore, dp_msg(m));
		if (likely(dp_keeper_put(lcore, m, sl_wire_get64(data + SL_WIRE_OFF_SESSION))))
			objs[n++] = m;
		else
			rte_node_enqueue_x1(graph, node, JOURNAL_FULL, m);
	}
	for (unsigned int i = 0; i < AHEAD; i++)
		prefetch_entry(sessions[i]);
	/* All that was is here, or was a duplicate. */
	lcore->keeper->admitted = 0;
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
