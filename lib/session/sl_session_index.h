/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_SESSION_INDEX_H
#define SL_SESSION_INDEX_H

/**
 * @file
 * Finds what belongs to a session by its number, which is the peer's choice: open addressing with
 * linear probing, at most half full, and a hash that nobody outside can aim at.
 *
 * Memory is taken once; no call but the first allocates. Threads: one owner.
 */

#include <stdbool.h>
#include <stdint.h>

struct sl_session_index_entry {
	uint64_t key; /**< 0: free. */
	uint32_t value;
};

struct sl_session_index {
	struct sl_session_index_entry *entries;
	uint64_t mask;
	uint64_t seeds[2];
	uint32_t nb;
	uint32_t nb_max;
};

/**
 * @param nb_max  keys in it, at most: 1 .. 2^30
 * @param seeds   random, and unknown to peers
 * @return 0 or -ENOMEM; free with sl_session_index_free()
 */
int sl_session_index_init(struct sl_session_index *index, uint32_t nb_max, const uint64_t seeds[2]);

/** Also of one that is all zero. */
void sl_session_index_free(struct sl_session_index *index);

/** @return where the value of a key stands, until the next change; NULL: it is not in */
uint32_t *sl_session_index_find(const struct sl_session_index *index, uint64_t key);

/**
 * Put in a key that is not in yet.
 * @param key  not 0
 * @return false when the index is full
 */
bool sl_session_index_add(struct sl_session_index *index, uint64_t key, uint32_t value);

/** Take out a key, if it is in. */
void sl_session_index_remove(struct sl_session_index *index, uint64_t key);

#endif /* SL_SESSION_INDEX_H */
