/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_PUBLISHERS_H
#define SL_PUBLISHERS_H

/**
 * @file
 * Those who send in sessions: what each has that is durable, and what it is told.
 */

#include <stdint.h>

#include "sl_ip.h"

struct sl_publishers;

/** @name Statistics; the control thread. @{ */

/** A session. */
struct sl_publisher_stats {
	uint64_t session;
	struct sl_ip address; /**< It was heard from last. */
	uint16_t port;
	uint64_t source;       /**< Key of its latest message's; 0: none yet. */
	uint64_t cumulative;   /**< All up to this sequence are durable. */
	uint64_t highest;      /**< Sequence seen. */
	uint64_t credit_limit; /**< It may send up to this one. */
	uint64_t messages;     /**< Made durable for it. */
	uint64_t duplicates;   /**< Of those, what it had sent before. */
	uint64_t over_limit;   /**< Not taken, because it was over its credit or rate. */
	uint64_t idle_ms;      /**< Since it was heard. */
};

/** @return their number, at most @p max; in no order */
uint32_t sl_publishers_list(
	struct sl_publishers *publishers, struct sl_publisher_stats *stats, uint32_t max);

struct sl_publishers_stats {
	uint32_t sessions; /**< Now. */
	uint32_t sessions_max;
	uint64_t acks_sent;
	uint64_t refused;    /**< Sessions that were not known, or one too many. */
	uint64_t over_limit; /**< Messages, of all sessions, also of those that are gone. */
	uint64_t expired;    /**< Sessions forgotten because they were silent. */
};

void sl_publishers_get_stats(struct sl_publishers *publishers, struct sl_publishers_stats *stats);
/** @} */

#endif /* SL_PUBLISHERS_H */
