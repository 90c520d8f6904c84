/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "publisher.h"

/*
 * Source: sends the acks to publishers that the journal's thread has written, on the first worker
 * only, and gives it buffers for more. Under load a port may be full at this moment: then an ack is
 * held for some turns. One that is dropped costs little: the publisher sends again, and the next
 * ack says it all.
 */

enum { ACK_PORT_FULL = 0, NB_EDGES };

/* An ack is held no longer than this part of a second. */
#define HOLD_PER_S 20

/* Buffers given at a time. */
#define GIVE_MAX 128

static inline void
give_empty(struct dp_publishers *publishers, struct rte_mempool *pool)
{
	struct rte_mbuf *mbufs[GIVE_MAX];

	if (rte_ring_free_count(publishers->empty) < GIVE_MAX ||
		rte_pktmbuf_alloc_bulk(pool, mbufs, GIVE_MAX) != 0)
		return;
	rte_ring_sp_enqueue_bulk(publishers->empty, (void **)mbufs, GIVE_MAX, NULL);
}

/* Send those from `at` on that go by the same port. @return how many of them, and how many went */
static inline uint16_t
send_run(const struct dp_lcore *lcore, struct rte_mbuf **mbufs, uint16_t n, uint16_t *sent)
{
	const struct dp_txq *txq = lcore->txq_of_port[mbufs[0]->port];
	uint16_t run = 1;

	while (run < n && mbufs[run]->port == mbufs[0]->port)
		run++;
	*sent = rte_eth_tx_burst(txq->port_id, txq->queue, mbufs, run);
	return run;
}

static uint16_t
ack_tx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct dp_publishers *publishers = lcore->dp->publishers;
	uint64_t hold = lcore->dp->tsc_hz / HOLD_PER_S;
	uint16_t n, run, sent, kept = 0;

	if (!lcore->sends_control || publishers == NULL)
		return 0;
	give_empty(publishers, lcore->dp->pool);
	n = (uint16_t)(publishers->nb_held +
		rte_ring_sc_dequeue_burst(publishers->finished,
			(void **)&publishers->held[publishers->nb_held],
			DP_ACKS_HELD - publishers->nb_held, NULL));
	for (uint16_t at = 0; at < n; at += run) {
		run = send_run(lcore, &publishers->held[at], n - at, &sent);
		lcore->moved += sent;
		for (uint16_t i = at + sent; i < at + run; i++) {
			struct rte_mbuf *m = publishers->held[i];

			if (unlikely(lcore->now > dp_msg(m)->sched.time + hold))
				rte_node_enqueue_x1(graph, node, ACK_PORT_FULL, m);
			else
				publishers->held[kept++] = m;
		}
	}
	publishers->nb_held = kept;
	return n - kept;
}

static struct rte_node_register ack_tx_node = {
	.name = "ack_tx",
	.flags = RTE_NODE_SOURCE_F,
	.init = dp_node_init,
	.process = ack_tx_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[ACK_PORT_FULL] = DP_DROP(ack_port_full)},
};

RTE_NODE_REGISTER(ack_tx_node);
