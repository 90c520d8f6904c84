/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "apply.h"
#include "durable.h"

/*
 * The worker's side of a change: between two turns it takes over a bounded number of shards, each
 * whole. What a shard has come to (who is next, what the buckets hold) goes on.
 */

/* Shards taken over between two turns, and those of other workers passed over. */
#define ADOPT_MAX 64
#define PASS_MAX  4096

/* Messages that a flush drops between two turns. */
#define FLUSH_MAX 256

static void
drop_removed(void *opaque, struct sl_sched_msg *msg, enum sl_sched_drop reason)
{
	struct dp_lcore *lcore = opaque;
	struct rte_mbuf *m = dp_mbuf(msg);

	RTE_SET_USED(reason);
	if (dp_is_durable(lcore, dp_msg(m))) {
		lcore->keeper->nb_held--;
		dp_keeper_done(lcore, dp_msg(m), 0, dp_msg(m)->attempts, SL_OUTCOME_DEAD);
	}
	dp_drop_message(lcore, m, SL_MESSAGE_DROP_destination_removed);
}

static void
adopt_classes(struct dp_lcore *lcore, const struct dp_changes *changes)
{
	for (uint32_t c = 0; c < lcore->dp->config->nb_classes; c++) {
		sl_sched_set_class(lcore->sched, c, &changes->classes[c]);
		lcore->max_wait[c] = changes->classes[c].max_wait;
	}
}

static void
adopt_shard(struct dp_lcore *lcore, const struct dp_change *change)
{
	struct dp_shard *shard = &lcore->shards[change->shard];
	struct sl_policy policy = change->policy;

	if (change->from != NULL) {
		sl_policy_carry(&policy, &shard->policy, change->from);
		for (uint32_t i = 0; i < policy.nb_backends; i++) {
			if (change->rates != NULL && shard->rates != NULL &&
				change->from[i] != SL_POLICY_NEW)
				sl_gcra_carry(&change->rates[i], &shard->rates[change->from[i]],
					lcore->now);
		}
	}
	shard->policy = policy;
	shard->rates = change->rates;
	shard->slots = change->slots;
	shard->first_backend = change->first_backend;
	shard->is_topic = change->is_topic;
	shard->subscribers = change->subscribers;
	shard->records = change->records;
	shard->nb_subscribers = change->nb_subscribers;
	shard->durable = change->durable;
	if (shard->durable != NULL) {
		shard->durable->memory_max = change->limits.capacity;
		shard->durable->key = change->key;
		shard->durable->max_attempts = change->max_attempts;
		shard->durable->requeue_after_ns = change->requeue_after_ns;
		shard->durable->dead_key = change->dead_key;
		shard->durable->dead_shard = change->dead_shard;
	}
	sl_sched_set_destination(lcore->sched, change->shard, &change->limits, lcore->now);
}

/* @return whether nothing of the shard is left */
static bool
flush_shard(struct dp_lcore *lcore, uint32_t slot)
{
	struct dp_shard *shard = &lcore->shards[slot];

	lcore->moved++;
	if (shard->durable != NULL) {
		if (!dp_keeper_has_room(lcore, FLUSH_MAX))
			return false;
		dp_sessions_leave(lcore, slot);
		if (shard->durable->in_flight > 0)
			return false;
	}
	if (sl_sched_flush_destination(lcore->sched, slot, FLUSH_MAX, drop_removed, lcore) > 0)
		return false;
	if (shard->durable != NULL && dp_park_flush(lcore, slot, FLUSH_MAX) > 0)
		return false;
	for (uint16_t i = 0; i < lcore->nb_txqs; i++)
		dp_tx_remove(lcore, &lcore->txqs[i], slot);
	memset(shard, 0, sizeof(*shard));
	return true;
}

void
dp_adopt(struct dp_lcore *lcore, uint32_t version)
{
	const struct dp_changes *changes = lcore->dp->changes;
	uint32_t nb_workers = lcore->dp->nb_workers, left = ADOPT_MAX, pass = PASS_MAX;

	if (lcore->next_change == 0 && changes->has_classes)
		adopt_classes(lcore, changes);
	for (; lcore->next_change < changes->nb_changes; lcore->next_change++) {
		const struct dp_change *change = &changes->changes[lcore->next_change];

		if (sl_route_worker(change->shard, nb_workers) != lcore->worker_index) {
			if (--pass == 0)
				return;
			continue;
		}
		if (change->is_flush) {
			if (!flush_shard(lcore, change->shard))
				return;
		} else {
			adopt_shard(lcore, change);
		}
		lcore->moved++;
		if (--left == 0) {
			lcore->next_change++;
			return;
		}
	}
	lcore->next_change = 0;
	lcore->version = version;
	atomic_store_explicit(&lcore->adopted, version, memory_order_release);
}
