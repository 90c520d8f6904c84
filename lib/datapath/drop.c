/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_errno.h>

#include "dp.h"

/*
 * The ends of the path: one node a reason, so that the graph's own statistics and its picture show
 * them by name.
 */

static const char *const frame_drop_names[] = {
#define X(name) [SL_FRAME_DROP_##name] = #name,
	SL_FRAME_DROP_LIST(X)
#undef X
};

static const char *const message_drop_names[] = {
#define X(name) [SL_MESSAGE_DROP_##name] = #name,
	SL_MESSAGE_DROP_LIST(X)
#undef X
};

const char *
sl_frame_drop_name(enum sl_frame_drop reason)
{
	return frame_drop_names[reason];
}

const char *
sl_message_drop_name(enum sl_message_drop reason)
{
	return message_drop_names[reason];
}

/* Reasons that belong to the rx role: the message has not reached its worker. */
static inline bool
is_rx_drop(enum sl_message_drop reason)
{
	static const bool of_rx[SL_MESSAGE_DROPS] = {
		[SL_MESSAGE_DROP_no_destination] = true,
		[SL_MESSAGE_DROP_no_mbuf] = true,
		[SL_MESSAGE_DROP_shard_ring_full] = true,
		[SL_MESSAGE_DROP_over_credit] = true,
		[SL_MESSAGE_DROP_over_rate] = true,
		[SL_MESSAGE_DROP_too_many_sessions] = true,
		[SL_MESSAGE_DROP_unknown_session] = true,
	};

	return of_rx[reason];
}

static inline uint16_t
drop_frames(struct rte_node *node, void **objs, uint16_t nb_objs, enum sl_frame_drop reason)
{
	dp_lcore(node)->rx.frames_dropped[reason] += nb_objs;
	rte_pktmbuf_free_bulk((struct rte_mbuf **)objs, nb_objs);
	return nb_objs;
}

static inline void
count_message(struct dp_lcore *lcore, struct rte_mbuf *m, enum sl_message_drop reason)
{
	const struct sl_sched_msg *msg = &dp_msg(m)->sched;

	if (is_rx_drop(reason)) {
		lcore->rx.dropped[reason]++;
		if (msg->class_index == DP_CLASS_UNKNOWN)
			return;
		lcore->rx.class_dropped[msg->class_index]++;
		lcore->shard_dropped[msg->dest]++;
	} else {
		lcore->worker.dropped[reason]++;
		lcore->worker.class_dropped[msg->class_index]++;
		lcore->shards[msg->dest].dropped++;
	}
}

static inline uint16_t
drop_messages(struct rte_node *node, void **objs, uint16_t nb_objs, enum sl_message_drop reason)
{
	for (uint16_t i = 0; i < nb_objs; i++)
		count_message(dp_lcore(node), objs[i], reason);
	rte_pktmbuf_free_bulk((struct rte_mbuf **)objs, nb_objs);
	return nb_objs;
}

void
dp_count_drop(struct dp_lcore *lcore, struct rte_mbuf *m, enum sl_message_drop reason)
{
	dp_trace_dropped(lcore, m, reason);
	count_message(lcore, m, reason);
}

void
dp_drop_message(struct dp_lcore *lcore, struct rte_mbuf *m, enum sl_message_drop reason)
{
	dp_count_drop(lcore, m, reason);
	rte_pktmbuf_free(m);
}

#define DROP_NODE(reason, kind, KIND)                                                              \
	static uint16_t drop_##reason##_process(                                                   \
		struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)     \
	{                                                                                          \
		return drop_##kind(node, objs, nb_objs, SL_##KIND##_DROP_##reason);                \
	}                                                                                          \
	static struct rte_node_register drop_##reason##_node = {                                   \
		.name = DP_DROP(reason),                                                           \
		.init = dp_node_init,                                                              \
		.process = drop_##reason##_process,                                                \
	};                                                                                         \
	RTE_NODE_REGISTER(drop_##reason##_node);

#define X(reason) DROP_NODE(reason, frames, FRAME)
SL_FRAME_DROP_LIST(X)
#undef X

#define X(reason) DROP_NODE(reason, messages, MESSAGE)
SL_MESSAGE_DROP_LIST(X)
#undef X
