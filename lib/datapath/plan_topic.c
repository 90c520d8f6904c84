/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "apply.h"
#include "durable.h"

/* What topics have that queues have not: a queue for each subscriber. */

void
dp_durables_free(struct dp_durable **durables, uint32_t n)
{
	for (uint32_t p = 0; durables != NULL && p < n; p++)
		free(durables[p]);
	free(durables);
}

int
dp_durables_create(struct dp_durable ***durables, uint32_t first_shard, uint32_t n)
{
	*durables = calloc(n, sizeof(struct dp_durable *));
	for (uint32_t p = 0; *durables != NULL && p < n; p++) {
		(*durables)[p] = dp_durable_create(first_shard + p);
		if ((*durables)[p] == NULL)
			return -ENOMEM;
	}
	return *durables != NULL ? 0 : -ENOMEM;
}

int
dp_plan_subscriber(struct dp_plan *plan, struct dp_destination *topic, struct dp_named_backend *was,
	struct dp_named_backend *b)
{
	struct sl_datapath *dp = plan->dp;

	if (was != NULL) {
		b->first_shard = was->first_shard;
		b->durables = was->durables;
		was->is_queue_kept = true;
		return 0;
	}
	b->first_shard = sl_slots_take_at(&dp->control->shards, topic->partitions, dp->nb_workers,
		sl_route_worker(topic->first_shard, dp->nb_workers));
	if (b->first_shard == SL_SLOTS_NONE)
		return -ENOSPC;
	b->is_shard_new = true;
	if (!topic->is_durable)
		return 0;
	return dp_durables_create(&b->durables, b->first_shard, topic->partitions);
}

void
dp_subscriber_shards_give(struct sl_datapath *dp, const struct dp_destination *topic,
	const struct dp_named_backend *b)
{
	for (uint32_t l = 0; l < dp->nb_lcores; l++) {
		if (dp->lcores[l]->shard_dropped != NULL)
			memset(&dp->lcores[l]->shard_dropped[b->first_shard], 0,
				topic->partitions * sizeof(uint64_t));
	}
	sl_slots_give(&dp->control->shards, b->first_shard, topic->partitions);
}
