/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_PUBLISHERS_H
#define SL_PUBLISHERS_H

/**
 * @file
 * Those who send in sessions: what each has that is durable, and what it is told.
 *
 * The journal's thread tells of each record that has become durable, and of each batch. Here every
 * session has a receiver (sl_session.h), and gets one ack a batch that something of its came in.
 * What is known of sessions begins with this run: one from before is refused, goes on under another
 * number, and sends again what was not acknowledged.
 *
 * Where a session is answered, and what it may send, the path knows (sl_datapath.h, publishers).
 */

#include <stddef.h>
#include <stdint.h>

#include "sl_config.h"
#include "sl_datapath.h"
#include "sl_ip.h"
#include "sl_record.h"

struct sl_publishers;

/**
 * @param datapath  has to live as long
 * @return 0 or -errno, with one line in @p error
 */
int sl_publishers_create(const struct sl_config *config, struct sl_datapath *datapath,
	struct sl_publishers **publishers, char *error, size_t error_len);

/** The journal calls the hooks no more. */
void sl_publishers_destroy(struct sl_publishers *publishers);

/** @name The journal's hooks; its thread. @{ */

/** sl_journal_durable_t; @p publishers is a struct sl_publishers. */
void sl_publishers_durable(void *publishers, const struct sl_record *record, uint64_t now_ns);

/** sl_journal_batch_t. To be called while nothing is written, too, every millisecond or so. */
void sl_publishers_batch(void *publishers, uint64_t now_ns);
/** @} */

/** @name Statistics; the control thread. @{ */

/** A session, on one rx lcore. */
struct sl_publisher_stats {
	uint64_t session;
	struct sl_ip address; /**< It was heard from last. */
	uint16_t port;
	uint64_t source;       /**< Key of its first message's. */
	uint64_t cumulative;   /**< All up to this sequence are durable. */
	uint64_t highest;      /**< Sequence that is durable. */
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
	uint64_t acks_put_off; /**< There was no buffer; they went with a later batch. */
	uint64_t refused;      /**< Sessions that were not known, or one too many. */
	uint64_t over_limit;   /**< Messages, of all sessions, also of those that are gone. */
	uint64_t expired;      /**< Sessions forgotten because they were silent. */
};

void sl_publishers_get_stats(struct sl_publishers *publishers, struct sl_publishers_stats *stats);
/** @} */

#endif /* SL_PUBLISHERS_H */
