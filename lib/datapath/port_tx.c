/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/*
 * Hands messages to their ports. A message is delivered when a port has taken it. What a port does
 * not take stays pending, in order, and is tried again once a turn; dispatch sees to it that there
 * is room.
 */

/* Pending frames that a port which took nothing is offered again. */
#define FLUSH_FIRST 32

/* Count what a port has taken; its mbufs are the port's by now, so this was noted before. */
struct taken {
	uint32_t dest;
	uint32_t backend;
	uint8_t class_index;
	bool is_durable; /* Then it is delivered when its backend acknowledges it. */
	uint64_t time;
};

static inline void
note(const struct dp_lcore *lcore, struct taken *taken, struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg(m);

	taken->is_durable = dp_is_durable(lcore, msg);

	taken->dest = msg->sched.dest;
	taken->backend = msg->sched.backend;
	taken->class_index = msg->sched.class_index;
	taken->time = msg->sched.time;
}

static inline void
count(struct dp_lcore *lcore, const struct taken *taken, uint16_t n)
{
	uint64_t now = rte_rdtsc();
	uint16_t nb_durable = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (unlikely(taken[i].is_durable)) {
			nb_durable++;
			continue;
		}
		lcore->shards[taken[i].dest].delivered++;
		lcore->backend_counters[taken[i].backend].delivered++;
		lcore->worker.class_delivered[taken[i].class_index]++;
		sl_hist_add(&lcore->latency[taken[i].class_index],
			now > taken[i].time ? now - taken[i].time : 0);
	}
	lcore->worker.delivered += n - nb_durable;
	lcore->moved += n;
}

/*
 * Frames begin or cease to wait for a port; the control thread reads how many do. Those of durable
 * messages count as in flight, wherever they are.
 */
static inline void
count_pending(struct dp_lcore *lcore, uint32_t backend, int change)
{
	uint64_t *pending = &lcore->backend_counters[backend].pending;

	__atomic_store_n(pending, *pending + (uint64_t)change, __ATOMIC_RELEASE);
}

/* Send a batch. Returns how many the port took, from the first on. */
static inline uint16_t
try_send(struct dp_lcore *lcore, const struct dp_txq *txq, struct rte_mbuf **mbufs, uint16_t n,
	bool are_pending)
{
	struct taken taken[DP_TX_PENDING];
	uint16_t sent;

	for (uint16_t i = 0; i < n; i++)
		note(lcore, &taken[i], mbufs[i]);
	sent = rte_eth_tx_burst(txq->port_id, txq->queue, mbufs, n);
	count(lcore, taken, sent);
	/* Not before the port has them: a backend's slot is given away when none is pending. */
	for (uint16_t i = 0; are_pending && i < sent; i++) {
		if (!taken[i].is_durable)
			count_pending(lcore, taken[i].backend, -1);
	}
	return sent;
}

static void
drop_pending(struct dp_lcore *lcore, struct rte_mbuf *m, enum sl_message_drop reason)
{
	/* The message is not gone: its session sends it again. */
	if (dp_is_durable(lcore, dp_msg(m))) {
		rte_pktmbuf_free(m);
		return;
	}
	count_pending(lcore, dp_msg(m)->sched.backend, -1);
	dp_drop_message(lcore, m, reason);
}

/* A port that takes nothing at all: what has waited too long for it goes, as in the queues. */
static void
expire_pending(struct dp_lcore *lcore, struct dp_txq *txq)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < txq->nb_pending; i++) {
		const struct sl_sched_msg *msg = &dp_msg(txq->pending[i])->sched;
		uint64_t max_wait = lcore->max_wait[msg->class_index];

		if (max_wait != 0 && lcore->now > msg->time && lcore->now - msg->time > max_wait)
			drop_pending(lcore, txq->pending[i], SL_MESSAGE_DROP_max_wait);
		else
			txq->pending[n++] = txq->pending[i];
	}
	txq->nb_pending = n;
}

void
dp_tx_remove(struct dp_lcore *lcore, struct dp_txq *txq, uint32_t shard)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < txq->nb_pending; i++) {
		if (dp_msg(txq->pending[i])->sched.dest == shard)
			drop_pending(lcore, txq->pending[i], SL_MESSAGE_DROP_destination_removed);
		else
			txq->pending[n++] = txq->pending[i];
	}
	txq->nb_pending = n;
}

void
dp_tx_drop_all(struct dp_lcore *lcore, struct dp_txq *txq, enum sl_message_drop reason)
{
	for (uint16_t i = 0; i < txq->nb_pending; i++)
		drop_pending(lcore, txq->pending[i], reason);
	txq->nb_pending = 0;
}

void
dp_tx_flush(struct dp_lcore *lcore, struct dp_txq *txq)
{
	/* A few first: while nobody reads, not all of them are looked at in every turn. */
	uint16_t n = RTE_MIN(txq->nb_pending, FLUSH_FIRST), sent;

	sent = try_send(lcore, txq, txq->pending, n, true);
	if (sent == n && n < txq->nb_pending)
		sent += try_send(lcore, txq, &txq->pending[n], txq->nb_pending - n, true);
	if (sent == 0) {
		/* Once a millisecond is often enough. */
		if (lcore->now_ms != txq->expired_ms)
			expire_pending(lcore, txq);
		txq->expired_ms = lcore->now_ms;
		return;
	}
	txq->nb_pending -= sent;
	memmove(txq->pending, &txq->pending[sent], txq->nb_pending * sizeof(txq->pending[0]));
}

static void
send_or_hold(struct dp_lcore *lcore, struct dp_txq *txq, struct rte_mbuf **mbufs, uint16_t n)
{
	uint16_t sent = 0;

	/* Not past those that wait already. */
	if (likely(txq->nb_pending == 0))
		sent = try_send(lcore, txq, mbufs, n, false);
	RTE_ASSERT(txq->nb_pending + n - sent <= DP_TX_PENDING);
	for (uint16_t i = sent; i < n; i++) {
		if (!dp_is_durable(lcore, dp_msg(mbufs[i])))
			count_pending(lcore, dp_msg(mbufs[i])->sched.backend, 1);
	}
	memcpy(&txq->pending[txq->nb_pending], &mbufs[sent], (n - sent) * sizeof(mbufs[0]));
	txq->nb_pending += n - sent;
}

/*
 * Take those for the first one's port out, in their order: a port is called once, not for each run
 * of frames between those of others. @return how many are left
 */
static inline uint16_t
take_port(struct rte_mbuf **mbufs, uint16_t n, struct rte_mbuf **taken, uint16_t *nb_taken)
{
	const uint16_t port = mbufs[0]->port;
	uint16_t left = 0, got = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (mbufs[i]->port == port && got < DP_TX_PENDING)
			taken[got++] = mbufs[i];
		else
			mbufs[left++] = mbufs[i];
	}
	*nb_taken = got;
	return left;
}

static uint16_t
port_tx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct rte_mbuf **mbufs = (struct rte_mbuf **)objs, *taken[DP_TX_PENDING];
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n = 1;

	while (n < nb_objs && mbufs[n]->port == mbufs[0]->port)
		n++;
	if (likely(n == nb_objs && n <= DP_TX_PENDING)) {
		send_or_hold(lcore, lcore->txq_of_port[mbufs[0]->port], mbufs, n);
		return nb_objs;
	}
	for (uint16_t left = nb_objs; left > 0;) {
		left = take_port(mbufs, left, taken, &n);
		send_or_hold(lcore, lcore->txq_of_port[taken[0]->port], taken, n);
	}
	return nb_objs;
}

static struct rte_node_register port_tx_node = {
	.name = "port_tx",
	.init = dp_node_init,
	.process = port_tx_process,
};

RTE_NODE_REGISTER(port_tx_node);
