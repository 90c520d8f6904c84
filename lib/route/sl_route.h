/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_ROUTE_H
#define SL_ROUTE_H

/**
 * @file
 * From the keys in a message to its destination, its shard and its class.
 *
 * A table is built once from the configuration and never changes: any number of threads read it
 * without a lock. A look-up touches one cache line, which can be brought in ahead.
 *
 * Keys are hashes of configured names already (64-bit FNV-1a), so the table uses them as they
 * are, spread by a multiplication (D. Knuth, TAOCP 3, 6.4) and linear probing at half load.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#define SL_ROUTE_CLASSES_MAX 8
#define SL_ROUTE_LEVELS	     9 /**< Priorities 0 (default) to 8. */

/** One destination: its slot in the table. */
struct sl_route_entry {
	uint64_t key;
	uint32_t shard;	       /**< Of its first partition. */
	uint16_t partitions;   /**< 0: the slot is free. */
	uint8_t default_class; /**< Class index for priority 0. */
	uint8_t boost;	       /**< Classes better than asked for. */
};

/** A rule; fields that are not in @p match are not compared. */
struct sl_route_rule {
	uint64_t source;
	uint64_t destination;
	uint64_t type;
	uint32_t priority;
	uint8_t match; /**< SL_ROUTE_MATCH_* */
	uint8_t class_index;
};

#define SL_ROUTE_MATCH_SOURCE	   0x1
#define SL_ROUTE_MATCH_DESTINATION 0x2
#define SL_ROUTE_MATCH_TYPE	   0x4
#define SL_ROUTE_MATCH_PRIORITY	   0x8

struct sl_route_table {
	uint32_t shift;
	uint32_t mask;
	uint32_t nb_rules;
	uint32_t nb_free;			 /**< Destinations that can still be entered. */
	uint8_t class_of_level[SL_ROUTE_LEVELS]; /**< Priority to class index. */
	struct sl_route_entry *entries;
	struct sl_route_rule *rules;
};

struct sl_route_params {
	uint32_t nb_destinations; /**< At most 2^28. */
	uint32_t nb_rules;
	uint32_t nb_classes;
	const uint32_t *levels; /**< @p nb_classes configured levels, ascending. */
};

/** Bytes a table takes. */
size_t sl_route_memory_size(const struct sl_route_params *params);

/**
 * Make an empty table in memory of the caller. A priority that is not configured as a class goes
 * to the next lower one that is, or to the lowest.
 * @param mem  sl_route_memory_size() bytes, zeroed, aligned to 64
 */
struct sl_route_table *sl_route_init(void *mem, const struct sl_route_params *params);

/**
 * Enter a destination.
 * @return 0, -EEXIST when the key is there, -ENOSPC when there are nb_destinations already
 */
int sl_route_add(struct sl_route_table *table, const struct sl_route_entry *entry);

/** Set rule number @p index. */
void
sl_route_set_rule(struct sl_route_table *table, uint32_t index, const struct sl_route_rule *rule);

static inline uint32_t
sl_route_slot(const struct sl_route_table *table, uint64_t key)
{
	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> table->shift);
}

/** Bring in the line that sl_route_lookup() will read. */
static inline void
sl_route_prefetch(const struct sl_route_table *table, uint64_t key)
{
	rte_prefetch0(&table->entries[sl_route_slot(table, key)]);
}

/** @return the destination of this key, NULL when it is not configured */
static inline const struct sl_route_entry *
sl_route_lookup(const struct sl_route_table *table, uint64_t key)
{
	const struct sl_route_entry *e;

	for (uint32_t slot = sl_route_slot(table, key);; slot = (slot + 1) & table->mask) {
		e = &table->entries[slot];
		if (likely(e->key == key && e->partitions != 0))
			return e;
		if (e->partitions == 0)
			return NULL;
	}
}

/** The number of the first rule that matches a message, -1 when none does. */
static inline int32_t
sl_route_match(const struct sl_route_table *table, const struct sl_route_entry *entry,
	uint64_t source, uint64_t type, uint32_t priority)
{
	for (uint32_t i = 0; i < table->nb_rules; i++) {
		const struct sl_route_rule *r = &table->rules[i];

		if ((!(r->match & SL_ROUTE_MATCH_SOURCE) || r->source == source) &&
			(!(r->match & SL_ROUTE_MATCH_DESTINATION) ||
				r->destination == entry->key) &&
			(!(r->match & SL_ROUTE_MATCH_TYPE) || r->type == type) &&
			(!(r->match & SL_ROUTE_MATCH_PRIORITY) || r->priority == priority))
			return (int32_t)i;
	}
	return -1;
}

/** The class index of a message: that of the rule, else by its priority; then the boost. */
static inline uint8_t
sl_route_classify(const struct sl_route_table *table, const struct sl_route_entry *entry,
	uint64_t source, uint64_t type, uint32_t priority)
{
	int32_t rule = sl_route_match(table, entry, source, type, priority);
	uint8_t class_index;

	if (rule >= 0)
		class_index = table->rules[rule].class_index;
	else
		class_index = priority == 0 ? entry->default_class
					    : table->class_of_level[priority];
	return class_index > entry->boost ? class_index - entry->boost : 0;
}

/** The shard of a message: its destination's, by source when that is partitioned. */
static inline uint32_t
sl_route_shard(const struct sl_route_entry *entry, uint64_t source)
{
	if (likely(entry->partitions == 1))
		return entry->shard;
	return entry->shard + (uint32_t)(source % entry->partitions);
}

/** The worker, 0 .. @p nb_workers - 1, that owns a shard. */
static inline uint32_t
sl_route_worker(uint32_t shard, uint32_t nb_workers)
{
	/* Neighbours in the configuration go to different workers. */
	return nb_workers == 1 ? 0 : shard % nb_workers;
}

#endif /* SL_ROUTE_H */
