/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Names to numbers: open addressing, at most half full, nothing is taken out. */

#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include <sl_wire.h>

#include "config_internal.h"

struct sl_config_slot {
	const char *name; /* NULL: free */
	uint32_t number;
};

int
sl_config_index_init(
	struct sl_config_index *index, struct sl_config_arena *arena, uint32_t capacity)
{
	uint32_t size = rte_align32pow2(2 * capacity + 2);

	index->mask = size - 1;
	index->slots = sl_config_arena_alloc(arena, size * sizeof(*index->slots));
	return index->slots == NULL ? -ENOMEM : 0;
}

static struct sl_config_slot *
slot_of(const struct sl_config_index *index, const char *name)
{
	uint32_t i = (uint32_t)sl_wire_name_key(name) & index->mask;

	while (index->slots[i].name != NULL && strcmp(index->slots[i].name, name) != 0)
		i = (i + 1) & index->mask;
	return &index->slots[i];
}

void
sl_config_index_set(struct sl_config_index *index, const char *name, uint32_t number)
{
	*slot_of(index, name) = (struct sl_config_slot){name, number};
}

uint32_t
sl_config_index_get(const struct sl_config_index *index, const char *name)
{
	const struct sl_config_slot *slot = slot_of(index, name);

	return slot->name != NULL ? slot->number : SL_CONFIG_NOT_FOUND;
}
