/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_CON_SESSION_H
#define SL_CON_SESSION_H

/**
 * @file
 * Between con_core.c and con_session.c: the sessions a consumer knows, found by peer and number,
 * in the order of their last word.
 */

#include "con_core.h"

struct sl_con_session {
	TAILQ_ENTRY(sl_con_session) lru;
	TAILQ_ENTRY(sl_con_session) due; /**< Of those with something to acknowledge. */
	struct sl_con_session *chain;	 /**< In its bucket. */
	struct sl_udp_peer peer;
	uint64_t number;
	uint32_t bucket;
	uint32_t refs; /**< Messages handed over, and the table. */
	bool is_gone;  /**< From the table. */
	bool is_due;
	bool is_urgent;
	uint32_t unacked; /**< Received since the last acknowledgement; */
	uint32_t freed;	  /**< and done, when they are acknowledged on their coming: credit. */
	uint32_t backlog; /**< Handed over, and not done. */
	uint32_t waiting; /**< In `ring`, for one before them. */
	uint64_t due_at;
	uint64_t acked_at;
	uint64_t heard_at;
	uint64_t limit; /**< What was told as credit, or may be taken for it at the begin. */
	uint64_t next;	/**< All before have been handed over. */
	uint64_t came_highest;
	uint64_t came_highest_at;
	uint64_t echo_sequence; /**< The highest received, */
	uint64_t echo_timestamp_ns;
	uint64_t echo_at; /**< and when it came. */
	struct sl_session_rx *rx;
	struct sl_con_message **ring; /**< What came from `next` on, by sequence. */
};

TAILQ_HEAD(sl_con_sessions, sl_con_session);

struct sl_con_table {
	uint64_t seed;
	uint32_t window;
	uint32_t nb;
	uint32_t mask;
	struct sl_con_session **buckets;
	struct sl_con_sessions lru; /**< The first has been silent for longest. */
};

bool sl_con_table_init(
	struct sl_con_table *table, uint32_t sessions_max, uint32_t window, uint64_t seed);
void sl_con_table_fini(struct sl_con_table *table);

struct sl_con_session *
sl_con_table_find(struct sl_con_table *table, const struct sl_udp_peer *peer, uint64_t number);

/** @return NULL: no memory */
struct sl_con_session *sl_con_table_add(
	struct sl_con_table *table, const struct sl_udp_peer *peer, uint64_t number, uint64_t now);

/** It has spoken. */
void sl_con_table_touch(struct sl_con_table *table, struct sl_con_session *session, uint64_t now);

/** Take it out; it goes when no message refers to it. */
void sl_con_table_remove(struct sl_con_table *table, struct sl_con_session *session);

/** One message less refers to it. */
void sl_con_session_unref(struct sl_con_session *session);

#endif /* SL_CON_SESSION_H */
