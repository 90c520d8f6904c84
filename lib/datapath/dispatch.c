/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/*
 * Source: pulls the messages that are to go next. It takes no more than the ports have room for, so
 * that messages wait in their queues, where classes count, and not behind a port.
 */

enum { DELIVER = 0, UDP_OUTPUT, MAX_WAIT, FANOUT, NB_EDGES };

/* Only waiting too long makes the scheduler drop here. */
static const rte_edge_t drop_edges[] = {[SL_SCHED_MAX_WAIT] = MAX_WAIT};

/*
 * While no backend of a destination can be reached, ask again so much later; and no more than a
 * million times a second for all such destinations together.
 */
#define RETRY_PER_S	1000
#define RETRY_ALL_PER_S 1000000

/* A port that is full has room again much sooner, one that is down has not. */
#define RETRY_PORT_PER_S 50000

/* What the record of a topic's message may take beside its subscribers: a jumbo frame. */
#define TOPIC_MESSAGE_MAX 9728u

struct bind_arg {
	struct dp_lcore *lcore;
	const struct dp_shard *shard;
	uint64_t now;
	uint64_t now_ns; /* For sessions. */
	uint64_t retry_at;
	uint32_t nb_copies; /* That messages of topics chosen in this turn become; */
	uint32_t nb_topics; /* and how many they are. */
	uint64_t nb_bytes;  /* Of the durable ones' records, at most. */
};

static inline struct dp_session *
session_of(const struct bind_arg *arg, uint32_t index)
{
	return arg->lcore->keeper->sessions[dp_backend_slot(arg->shard, index)];
}

static inline bool
is_up(const struct dp_txq *txq)
{
	return atomic_load_explicit(&txq->port->is_up, memory_order_relaxed);
}

static uint32_t
share_of(void *opaque, uint32_t index)
{
	struct bind_arg *arg = opaque;
	const struct sl_datapath *dp = arg->lcore->dp;
	const struct dp_backend *b = &dp->backends[dp_backend_slot(arg->shard, index)];
	const struct sl_gcra *rate;
	uint32_t share;
	uint64_t word;

	if (unlikely(arg->lcore->txq_of_port[b->port_id]->room == 0)) {
		if (is_up(arg->lcore->txq_of_port[b->port_id]))
			arg->retry_at = RTE_MIN(
				arg->retry_at, arg->now + dp->tsc_hz / RETRY_PORT_PER_S);
		return 0;
	}
	word = atomic_load_explicit(&dp->next_hop_words[b->next_hop], memory_order_relaxed);
	if (unlikely(!(word & DP_NEXT_HOP_USABLE)))
		return 0;
	share = atomic_load_explicit(&b->share, memory_order_relaxed);
	/* An ack wakes the destination as soon as there is room again. */
	if (arg->shard->durable != NULL &&
		dp_session_room(arg->lcore, session_of(arg, index), arg->now_ns) == 0)
		return 0;
	if (arg->shard->rates == NULL || share == 0)
		return share;
	rate = &arg->shard->rates[index];
	if (sl_gcra_conforms(rate, arg->now))
		return share;
	arg->retry_at = RTE_MIN(arg->retry_at, sl_gcra_due(rate));
	return 0;
}

/* It waits in the topic's queue rather than being dropped: its sender need not send it again. */
static bool
has_journal_room(struct bind_arg *arg, const struct dp_shard *topic)
{
	arg->nb_bytes += TOPIC_MESSAGE_MAX +
		topic->nb_subscribers * (uint32_t)sizeof(struct sl_record_subscriber);
	return arg->nb_bytes <= arg->lcore->keeper->budget;
}

/* A message of a topic goes to all its subscribers, as long as the turn stays short. */
static int
bind_topic(struct bind_arg *arg, const struct dp_shard *shard, uint64_t *retry_at)
{
	if (arg->nb_copies >= DP_FANOUT_MAX ||
		(shard->durable != NULL && !has_journal_room(arg, shard))) {
		*retry_at = arg->now + 1;
		return -1;
	}
	arg->nb_copies += RTE_MAX(shard->nb_subscribers, 1u);
	arg->nb_topics++;
	return DP_SLOT_TOPIC;
}

static uint64_t
unreachable_until(const struct dp_lcore *lcore, uint64_t now)
{
	uint64_t hz = lcore->dp->tsc_hz, nb_parked = sl_sched_parked_count(lcore->sched);

	return now + RTE_MAX(hz / RETRY_PER_S, nb_parked * (hz / RETRY_ALL_PER_S));
}

static int
bind_backend(void *opaque, uint32_t dest, uint64_t now, uint64_t *retry_at)
{
	struct bind_arg *arg = opaque;
	struct dp_shard *shard = &arg->lcore->shards[dest];
	uint32_t slot;
	int index;

	if (unlikely(shard->is_topic))
		return bind_topic(arg, shard, retry_at);
	arg->shard = shard;
	arg->retry_at = UINT64_MAX;
	index = sl_policy_choose(&shard->policy, share_of, arg);
	if (unlikely(index < 0)) {
		*retry_at = RTE_MIN(arg->retry_at, unreachable_until(arg->lcore, now));
		return -1;
	}
	if (shard->rates != NULL)
		sl_gcra_take(&shard->rates[index], now);
	if (shard->durable != NULL)
		session_of(arg, (uint32_t)index)->reserved++;
	slot = dp_backend_slot(shard, (uint32_t)index);
	arg->lcore->txq_of_port[arg->lcore->dp->backends[slot].port_id]->room--;
	return (int)slot;
}

/*
 * Messages of all kinds wait in buffers of one pool, each kind within a bound of its own, and those
 * may add up to more than there is. The last of them are for frames: without any nothing would come
 * in, no ack and no neighbour's answer either. A worker that holds little is not who has them.
 */
#define POOL_LOW 1024u

static void
look_at_pool(struct dp_lcore *lcore)
{
	const struct rte_mempool *pool = lcore->dp->pool;
	uint32_t waiting = sl_sched_count(lcore->sched);

	if (lcore->keeper != NULL)
		waiting += lcore->keeper->nb_held;
	/* Without what lcores have in their caches: that is theirs alone. */
	lcore->is_pool_short = waiting > lcore->dp->queue_capacity / 2 &&
		rte_mempool_get_ops(pool->ops_index)->get_count(pool) < POOL_LOW;
	sl_sched_set_full(lcore->sched, lcore->is_pool_short);
}

/* What durable destinations need once a turn: what was not acknowledged, what is on disk. */
static void
serve_durable(struct rte_graph *graph, struct rte_node *node, struct dp_lcore *lcore)
{
	void *objs[DP_RESEND_MAX];
	uint16_t n;

	dp_park_poll(lcore);
	n = dp_sessions_resend(lcore, objs, DP_RESEND_MAX);
	if (n > 0)
		rte_node_enqueue(graph, node, UDP_OUTPUT, objs, n);
	lcore->moved += n;
}

/* Some of what is chosen is of topics. */
static void
split(struct rte_graph *graph, struct rte_node *node, struct sl_sched_msg **msgs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		rte_node_enqueue_x1(graph, node,
			msgs[i]->backend == DP_SLOT_TOPIC ? FANOUT : DELIVER, dp_mbuf(msgs[i]));
}

static uint16_t
dispatch_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct sl_sched_msg *msgs[DP_DISPATCH_MAX];
	struct dp_lcore *lcore = dp_lcore(node);
	struct bind_arg bind_arg = {.lcore = lcore, .now = lcore->now};
	struct dp_drop_arg drop_arg = {.graph = graph, .node = node, .edges = drop_edges};
	const struct sl_sched_hooks hooks = {
		.bind = bind_backend,
		.bind_arg = &bind_arg,
		.drop = dp_sched_drop,
		.drop_arg = &drop_arg,
	};
	uint32_t n, room = 0;

	look_at_pool(lcore);
	for (uint16_t i = 0; i < lcore->nb_txqs; i++) {
		struct dp_txq *txq = &lcore->txqs[i];

		if (unlikely(txq->nb_pending > 0))
			dp_tx_flush(lcore, txq);
		txq->room = (uint16_t)(DP_TX_PENDING - txq->nb_pending);
		if (unlikely(!is_up(txq)))
			txq->room = 0;
		room = RTE_MAX(room, txq->room);
	}
	if (lcore->keeper != NULL) {
		bind_arg.now_ns = lcore->keeper->now_ns;
		serve_durable(graph, node, lcore);
	}
	/* With one port, or all full, nobody needs to be asked to find that out. */
	n = sl_sched_dequeue(
		lcore->sched, lcore->now, msgs, RTE_MIN(room, DP_DISPATCH_MAX), &hooks);
	if (n == 0)
		return 0;
	lcore->moved += n;
	if (unlikely(bind_arg.nb_topics > 0)) {
		split(graph, node, msgs, n);
		return (uint16_t)n;
	}
	for (uint32_t i = 0; i < n; i++)
		node->objs[i] = dp_mbuf(msgs[i]);
	node->idx = (uint16_t)n;
	rte_node_next_stream_move(graph, node, DELIVER);
	return (uint16_t)n;
}

static struct rte_node_register dispatch_node = {
	.name = "dispatch",
	.flags = RTE_NODE_SOURCE_F,
	.init = dp_node_init,
	.process = dispatch_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[DELIVER] = "deliver",
			[UDP_OUTPUT] = "udp_output",
			[MAX_WAIT] = DP_DROP(max_wait),
			[FANOUT] = "fanout",
		},
};

RTE_NODE_REGISTER(dispatch_node);
