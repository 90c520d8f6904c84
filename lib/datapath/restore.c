/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>

#include "apply.h"
#include "durable.h"

/* What the journal knows of the time before: put where it was, while no lcore runs yet. */

static const struct sl_route_entry *
route_of(const struct sl_datapath *dp, const uint8_t *message, uint32_t *shard)
{
	const struct sl_route_entry *entry = sl_route_lookup(
		atomic_load(&dp->routes), sl_wire_get64(message + SL_WIRE_OFF_DEST));

	if (entry != NULL)
		*shard = sl_route_shard(entry, sl_wire_get64(message + SL_WIRE_OFF_SOURCE));
	return entry;
}

/* The queue of a subscriber; the topic's own when he is none any more. */
static uint32_t
queue_of(const struct dp_shard *topic, uint32_t shard, const struct sl_record_subscriber *wanted,
	uint32_t likely_index)
{
	if (likely_index < topic->nb_subscribers &&
		topic->records[likely_index].backend == wanted->backend)
		return topic->subscribers[likely_index];
	for (uint32_t i = 0; i < topic->nb_subscribers; i++) {
		if (topic->records[i].backend == wanted->backend)
			return topic->subscribers[i];
	}
	return shard;
}

int
sl_datapath_restore(
	struct sl_datapath *dp, const struct sl_record_message *record, sl_record_ref ref)
{
	const struct sl_record_subscriber *subscriber = NULL;
	uint8_t class_index = record->class_index;
	uint32_t len, shard, queue, index = 0;
	struct dp_lcore *owner = NULL;

	if (sl_record_ref_is_copy(ref)) {
		index = sl_record_subscriber_at(record, sl_record_ref_position(ref));
		subscriber = &sl_record_subscribers_of(record)[index];
	}
	if (route_of(dp, sl_record_message_of(record, &len), &shard) != NULL)
		owner = dp_owner(dp, shard);
	/* What was a topic and is a queue now, or the other way round, is another destination. */
	if (owner == NULL || owner->shards[shard].durable == NULL ||
		owner->shards[shard].is_topic != (subscriber != NULL))
		return subscriber != NULL && (subscriber->flags & SL_RECORD_PASSING) ? -ESTALE
										     : -ENOENT;
	queue = shard;
	if (subscriber != NULL)
		queue = queue_of(&owner->shards[shard], shard, subscriber, index);
	/* There may be fewer classes now. */
	class_index = RTE_MIN(class_index, (uint8_t)(dp->config->nb_classes - 1));
	if (!dp_park(owner, queue, class_index, ref))
		return -ENOSPC;
	owner->worker.recovered++;
	return subscriber != NULL && queue == shard ? 1 : 0;
}

void
sl_datapath_restore_seen(
	struct sl_datapath *dp, const struct sl_record_message *record, uint64_t now_unix_ns)
{
	uint64_t age_ms = now_unix_ns > record->record.time_ns
		? (now_unix_ns - record->record.time_ns) / 1000000
		: 0;
	uint64_t now_ms = (rte_rdtsc() - dp->tsc_start) / (dp->tsc_hz / 1000);
	uint32_t len, shard;
	const uint8_t *message = sl_record_message_of(record, &len);
	struct sl_wire_key key;
	struct dp_lcore *owner;

	if (age_ms >= dp->config->dedup_window_ms || route_of(dp, message, &shard) == NULL)
		return;
	sl_wire_message_key(message, &key);
	/* The window's clock does not run backwards, the streams' order and clocks may. */
	owner = dp_owner(dp, shard);
	owner->keeper->seen_ms = RTE_MAX(owner->keeper->seen_ms, now_ms - age_ms);
	sl_dedup_check_bulk(owner->dedup, &key, 1, owner->keeper->seen_ms);
}
