/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LEDGER_H
#define LEDGER_H

/**
 * @file
 * The ledger: which messages have been delivered, and in what order.
 *
 * A bit for each of the last `window` message numbers, and for each stream the highest number
 * delivered. Both are exact and cost O(1) a message; memory does not grow with the length of the
 * run. A message that is overtaken by a whole window of others is counted as late when it comes
 * after all, because nobody knows any more whether it had been delivered before.
 *
 * Pure: no EAL, no clock. One thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#define LEDGER_WINDOW_MIN  64
#define LEDGER_STREAMS_MAX (UINT64_C(1) << 27) /**< 1 GiB of them. */

enum ledger_verdict {
	LEDGER_FIRST,	   /**< Delivered for the first time, in order. */
	LEDGER_REORDERED,  /**< For the first time, behind a later one of its stream. */
	LEDGER_DUPLICATED, /**< Was delivered before. */
	LEDGER_LATE,	   /**< Older than the window. */
};

struct ledger {
	uint64_t *bits; /**< Ring of bits: delivered. */
	uint64_t mask;	/**< Bits in the ring - 1. */
	uint64_t base;	/**< First number in the window, a multiple of 64. */
	uint64_t *next; /**< Stream -> highest number delivered + 1. */
	uint64_t top;	/**< Highest number delivered of all + 1. */

	uint64_t nb_delivered; /**< Different messages. */
	uint64_t nb_duplicated;
	uint64_t nb_reordered; /**< Of nb_delivered. */
	uint64_t nb_late;
};

/**
 * @param window  in messages, rounded up to a power of two
 * @param nb_streams  1..LEDGER_STREAMS_MAX
 * @return 0, -EINVAL or -ENOMEM
 */
int ledger_init(struct ledger *ledger, uint64_t window, uint64_t nb_streams);

void ledger_fini(struct ledger *ledger);

/** Make room for @p number, which lies beyond the window. */
void ledger_advance(struct ledger *ledger, uint64_t number);

static inline void
ledger_prefetch(const struct ledger *l, uint64_t stream)
{
	rte_prefetch0(&l->next[stream]);
}

/**
 * Message @p number of @p stream has been delivered.
 * @param is_order_known  false for a message of which the network had a later copy: that one may
 *                        be the one delivered, and rightly behind its successors
 */
static inline enum ledger_verdict
ledger_deliver(struct ledger *l, uint64_t number, uint64_t stream, bool is_order_known)
{
	uint64_t *word, bit = UINT64_C(1) << (number % 64);

	if (unlikely(number < l->base)) {
		l->nb_late++;
		return LEDGER_LATE;
	}
	if (unlikely(number - l->base > l->mask))
		ledger_advance(l, number);
	word = &l->bits[(number & l->mask) / 64];
	if (unlikely(*word & bit)) {
		l->nb_duplicated++;
		return LEDGER_DUPLICATED;
	}
	*word |= bit;
	l->nb_delivered++;
	l->top = RTE_MAX(l->top, number + 1);
	if (likely(number >= l->next[stream])) {
		l->next[stream] = number + 1;
		return LEDGER_FIRST;
	}
	if (!is_order_known)
		return LEDGER_FIRST;
	l->nb_reordered++;
	return LEDGER_REORDERED;
}

#endif /* LEDGER_H */
