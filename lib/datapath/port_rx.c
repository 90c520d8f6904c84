/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/* Source: takes frames from the port queues of this lcore. */

enum { ETH_INPUT = 0, NB_EDGES };

/*
 * How many frames this turn may take: as many as hold DP_RX_MESSAGES messages, going by the last
 * turn that had any of the kind, so that datagrams with many do not bring in more than a turn can
 * dispatch.
 */
static inline uint16_t
frame_limit(const struct dp_rx_side *side)
{
	if (likely(side->messages <= side->frames))
		return RTE_GRAPH_BURST_SIZE;
	return (uint16_t)RTE_MAX(4u, DP_RX_MESSAGES * side->frames / side->messages);
}

/* Each queue once, beginning with another one each turn. */
static uint16_t
take(struct dp_lcore *lcore, enum rx_side kind, struct rte_mbuf **frames)
{
	struct dp_rx_side *side = &lcore->rx_sides[kind];
	uint16_t n = 0, got, burst, at = side->first, limit = frame_limit(side);
	bool is_full = false;

	for (uint16_t i = 0; i < side->nb_rxqs && n < limit; i++) {
		struct dp_rxq *rxq = &side->rxqs[at];

		at = at + 1 < side->nb_rxqs ? at + 1 : 0;
		if (side->is_flooded && lcore->now < rxq->due)
			continue;
		burst = RTE_MIN(DP_RX_BURST, limit - n);
		got = rte_eth_rx_burst(rxq->port_id, rxq->queue, frames + n, burst);
		/* Some drivers give no more than half of it at once. */
		is_full |= got >= RTE_MAX(1, burst / 2);
		rxq->due = rx_queue_due(got, burst, &rxq->most, lcore->now, lcore->dp->tsc_hz);
		n += got;
	}
	side->first = at;
	side->is_flooded = is_full;
	if (n == 0) {
		if (kind == RX_WIRE)
			lcore->rx_turn.wire_waits = false;
		return 0;
	}
	rx_turn_take(&lcore->rx_turn, kind, is_full);
	side->frames = n;
	return n;
}

/* What the turn before took in, if it did: how much that was, and how long it took. */
static inline void
end_turn(struct dp_lcore *lcore)
{
	if (lcore->rx_at == 0)
		return;
	lcore->rx_sides[lcore->rx_turn.last].messages = lcore->messages_in;
	rx_turn_cost(&lcore->rx_turn, lcore->now - lcore->rx_at);
	lcore->rx_at = 0;
}

static uint16_t
port_rx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct rte_mbuf **frames = (struct rte_mbuf **)node->objs;
	enum rx_side first;
	uint16_t n;

	if (unlikely(atomic_load_explicit(&lcore->dp->is_draining, memory_order_relaxed)))
		return 0;
	end_turn(lcore);
	first = rx_turn_first(&lcore->rx_turn);
	n = take(lcore, first, frames);
	if (n == 0)
		n = take(lcore, first == RX_WIRE ? RX_GATEWAYS : RX_WIRE, frames);
	if (n == 0)
		return 0;
	lcore->rx_at = lcore->now;
	lcore->messages_in = 0;
	lcore->rx.frames += n;
	lcore->moved += n;
	node->idx = n;
	rte_node_next_stream_move(graph, node, ETH_INPUT);
	return n;
}

static struct rte_node_register port_rx_node = {
	.name = "port_rx",
	.flags = RTE_NODE_SOURCE_F,
	.init = dp_node_init,
	.process = port_rx_process,
	.nb_edges = NB_EDGES,
	.next_nodes = {[ETH_INPUT] = "eth_input"},
};

RTE_NODE_REGISTER(port_rx_node);
