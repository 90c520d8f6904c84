/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_DEDUP_H
#define SL_DEDUP_H

/**
 * @file
 * Exact deduplication over a sliding window.
 *
 * A message is a duplicate if and only if a message of the same key was accepted less than
 * `window_ms` ago and is among the last `capacity` accepted ones. Nothing is approximate: a tag
 * match is always confirmed by comparing the whole key, because a false "duplicate" is a lost
 * message.
 *
 * The window is a FIFO of entries (key and time) in one circular array, and an index of 64-byte
 * buckets over it: 12 slots of an 8-bit tag and a 32-bit entry number. A full bucket spills into
 * the next and counts what passed by, so that a search ends at the first bucket nothing spilled
 * from and a removal can undo it (N. Bronson and X. Shi, "Open-sourcing F14", 2019). At most two
 * random cache lines are touched for a new message, both prefetched: its bucket and the bucket of
 * the entry that leaves. Memory is about 50 bytes an entry, see sl_dedup_memory_size().
 *
 * The hash is XXH3 keyed with a secret seed, so that a sender cannot aim at one bucket.
 *
 * Threads: a window belongs to one thread. No call allocates, blocks or fails.
 */

#include <stddef.h>
#include <stdint.h>

#include "sl_wire.h"

#define SL_DEDUP_CAPACITY_MAX (UINT32_C(1) << 27)
#define SL_DEDUP_BULK_MAX     64 /**< Keys in one call: one bit each of the returned mask. */

struct sl_dedup;

struct sl_dedup_params {
	uint32_t capacity;  /**< Entries, 1..SL_DEDUP_CAPACITY_MAX. */
	uint32_t window_ms; /**< 1 .. 2^31. */
	uint64_t seed;	    /**< Of the hash; secret and random outside tests. */
};

struct sl_dedup_stats {
	uint32_t entries;	/**< Held now. */
	uint64_t evicted_early; /**< Left before window_ms had passed, to make room. */
};

/** Bytes a window takes. */
size_t sl_dedup_memory_size(const struct sl_dedup_params *params);

/**
 * Make a window in memory of the caller, who may free it when the window is no longer used.
 * @param mem  sl_dedup_memory_size() bytes, zeroed, aligned to 64
 */
struct sl_dedup *sl_dedup_init(void *mem, const struct sl_dedup_params *params);

/**
 * Look up keys in their order and enter those that are new; a key that occurs twice among them is
 * a duplicate the second time.
 *
 * @param keys    of @p n messages, n <= SL_DEDUP_BULK_MAX
 * @param now_ms  a clock that does not run backwards; any origin
 * @return a mask: bit i is set when keys[i] is a duplicate
 */
uint64_t sl_dedup_check_bulk(
	struct sl_dedup *dedup, const struct sl_wire_key *keys, uint32_t n, uint64_t now_ms);

/**
 * Let entries older than the window go, @p max at most. sl_dedup_check_bulk() does as much as it
 * needs itself; an idle owner calls this at least once in 2^31 ms.
 */
void sl_dedup_expire(struct sl_dedup *dedup, uint64_t now_ms, uint32_t max);

/** May be called by another thread; what it sees may be a little old. */
void sl_dedup_get_stats(const struct sl_dedup *dedup, struct sl_dedup_stats *stats);

#endif /* SL_DEDUP_H */
