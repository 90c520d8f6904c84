/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "sl_session_index.h"

/* A 64 x 64 multiplication folded, with both factors seeded: what wyhash mixes words with. */
static inline uint64_t
hash_of(const struct sl_session_index *index, uint64_t key)
{
	unsigned __int128 product;

	product = (unsigned __int128)(key ^ index->seeds[0]) *
		((key << 32 | key >> 32) ^ index->seeds[1]);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

int
sl_session_index_init(struct sl_session_index *index, uint32_t nb_max, const uint64_t seeds[2])
{
	uint64_t size = rte_align64pow2(2 * (uint64_t)nb_max);

	*index = (struct sl_session_index){
		.mask = size - 1,
		.seeds = {seeds[0], seeds[1]},
		.nb_max = nb_max,
	};
	index->entries = calloc(size, sizeof(*index->entries));
	return index->entries != NULL ? 0 : -ENOMEM;
}

void
sl_session_index_free(struct sl_session_index *index)
{
	free(index->entries);
	index->entries = NULL;
}

/* Where a key is, or would be put. */
static inline uint64_t
place_of(const struct sl_session_index *index, uint64_t key)
{
	uint64_t at = hash_of(index, key) & index->mask;

	while (index->entries[at].key != key && index->entries[at].key != 0)
		at = (at + 1) & index->mask;
	return at;
}

uint32_t *
sl_session_index_find(const struct sl_session_index *index, uint64_t key)
{
	struct sl_session_index_entry *entry = &index->entries[place_of(index, key)];

	return likely(entry->key != 0) ? &entry->value : NULL;
}

bool
sl_session_index_add(struct sl_session_index *index, uint64_t key, uint32_t value)
{
	if (index->nb == index->nb_max)
		return false;
	index->entries[place_of(index, key)] = (struct sl_session_index_entry){key, value};
	index->nb++;
	return true;
}

/* Those behind it that were put further for it move up (Knuth, TAOCP 6.4, algorithm R). */
void
sl_session_index_remove(struct sl_session_index *index, uint64_t key)
{
	uint64_t hole = place_of(index, key), at = hole, home;

	if (index->entries[hole].key == 0)
		return;
	for (;;) {
		at = (at + 1) & index->mask;
		if (index->entries[at].key == 0)
			break;
		home = hash_of(index, index->entries[at].key) & index->mask;
		if (((at - home) & index->mask) < ((at - hole) & index->mask))
			continue;
		index->entries[hole] = index->entries[at];
		hole = at;
	}
	index->entries[hole].key = 0;
	index->nb--;
}
