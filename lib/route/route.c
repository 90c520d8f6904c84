/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>

#include <rte_common.h>

#include "sl_route.h"

/* Twice as many slots as destinations, a power of two. */
static uint32_t
nb_slots(const struct sl_route_params *params)
{
	return rte_align32pow2(RTE_MAX(2 * params->nb_destinations, 4u));
}

size_t
sl_route_memory_size(const struct sl_route_params *params)
{
	return RTE_CACHE_LINE_ROUNDUP(sizeof(struct sl_route_table)) +
		(size_t)nb_slots(params) * sizeof(struct sl_route_entry) +
		RTE_CACHE_LINE_ROUNDUP(params->nb_rules * sizeof(struct sl_route_rule));
}

struct sl_route_table *
sl_route_init(void *mem, const struct sl_route_params *params)
{
	struct sl_route_table *table = mem;
	uint32_t slots = nb_slots(params), c = 0;

	table->mask = slots - 1;
	table->shift = 64 - (uint32_t)__builtin_ctz(slots);
	table->nb_rules = params->nb_rules;
	table->nb_free = params->nb_destinations;
	table->entries = RTE_PTR_ADD(mem, RTE_CACHE_LINE_ROUNDUP(sizeof(struct sl_route_table)));
	table->rules = (struct sl_route_rule *)(table->entries + slots);
	for (uint32_t level = 1; level < SL_ROUTE_LEVELS; level++) {
		while (c + 1 < params->nb_classes && params->levels[c] < level)
			c++;
		table->class_of_level[level] = (uint8_t)c;
	}
	return table;
}

int
sl_route_add(struct sl_route_table *table, const struct sl_route_entry *entry)
{
	uint32_t slot = sl_route_slot(table, entry->key);

	/* Ends: half of the slots stay free. */
	while (table->entries[slot].partitions != 0) {
		if (table->entries[slot].key == entry->key)
			return -EEXIST;
		slot = (slot + 1) & table->mask;
	}
	if (table->nb_free == 0)
		return -ENOSPC;
	table->nb_free--;
	table->entries[slot] = *entry;
	return 0;
}

void
sl_route_set_rule(struct sl_route_table *table, uint32_t index, const struct sl_route_rule *rule)
{
	table->rules[index] = *rule;
}
