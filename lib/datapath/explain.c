/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "apply.h"
#include "durable.h"

/* What would happen to a message: the path's own decisions, asked without a message. */

static uint32_t
why_not(const struct sl_datapath *dp, const struct dp_lcore *worker, const struct dp_shard *shard,
	uint32_t index, uint64_t now)
{
	const struct dp_backend *b = &dp->backends[dp_backend_slot(shard, index)];
	uint64_t word = atomic_load_explicit(
		&dp->next_hop_words[b->next_hop], memory_order_relaxed);
	uint32_t reasons = 0;

	if (!atomic_load_explicit(&dp->port_of_id[b->port_id]->is_up, memory_order_relaxed))
		reasons |= SL_BACKEND_PORT_DOWN;
	if (worker->txq_of_port[b->port_id]->nb_pending == DP_TX_PENDING)
		reasons |= SL_BACKEND_PORT_FULL;
	if (!(word & DP_NEXT_HOP_USABLE))
		reasons |= SL_BACKEND_NO_NEIGHBOUR;
	if (atomic_load_explicit(&b->share, memory_order_relaxed) == 0)
		reasons |= SL_BACKEND_NO_SHARE;
	if (shard->durable != NULL &&
		dp_session_room(worker, worker->keeper->sessions[dp_backend_slot(shard, index)],
			dp_path_ns(dp, now)) == 0)
		reasons |= SL_BACKEND_SESSION_FULL;
	if (shard->rates != NULL && !sl_gcra_conforms(&shard->rates[index], now))
		reasons |= SL_BACKEND_RATE;
	return reasons;
}

static uint32_t
find_destination(const struct sl_datapath *dp, uint64_t key)
{
	uint32_t i = 0;

	/* Each route has one. */
	while (dp_destination_at(dp, i)->key != key)
		i++;
	return i;
}

int
sl_datapath_explain(struct sl_datapath *dp, uint64_t source, uint64_t destination, uint64_t type,
	uint32_t priority, struct sl_explanation *e)
{
	const struct sl_route_table *routes;
	const struct sl_route_entry *entry;
	const struct dp_destination *d;
	const struct dp_shard *shard;
	const struct dp_lcore *worker;
	uint64_t now = rte_rdtsc();
	uint32_t slot;

	memset(e, 0, sizeof(*e));
	/* Behind that, tables and shards agree. */
	if (!dp_transition_wait(dp))
		return -EBUSY;
	routes = atomic_load(&dp->routes);
	entry = sl_route_lookup(routes, destination);
	if (entry == NULL)
		return 0;
	e->is_known = true;
	e->destination = find_destination(dp, destination);
	e->rule = sl_route_match(routes, entry, source, type, priority);
	e->class_index = sl_route_classify(routes, entry, source, type, priority);
	slot = sl_route_shard(entry, source);
	e->partition = slot - entry->shard;
	e->worker = sl_route_worker(slot, dp->nb_workers);
	worker = dp->workers[e->worker];
	e->lcore = worker->id;
	e->queued = sl_sched_destination_count(worker->sched, slot);
	d = dp_destination_at(dp, e->destination);
	e->capacity = RTE_MAX(d->queue_capacity / d->partitions, 1u);
	e->is_rate_limited = !sl_sched_destination_conforms(worker->sched, slot, now);
	shard = &worker->shards[slot];
	e->nb_backends = RTE_MIN(d->nb_backends, (uint32_t)SL_CONFIG_BACKENDS_MAX);
	for (uint32_t i = 0; i < e->nb_backends; i++)
		e->why_not[i] = d->is_topic
			? why_not(dp, worker, &worker->shards[shard->subscribers[i]], 0, now)
			: why_not(dp, worker, shard, i, now);
	return 0;
}
