/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include <rte_random.h>

#include "dp.h"

/* What a worker alone touches: its window, its queues, its shards. */

/* A turn in the deficit round robin: several small messages, at least one of the largest. */
#define QUANTUM_MIN 2048

static int
create_dedup(struct sl_datapath *dp, struct dp_lcore *lcore, char *error, size_t error_len)
{
	const struct sl_dedup_params params = {
		.capacity = RTE_MAX(dp->config->dedup_capacity / dp->nb_workers, 1u),
		.window_ms = dp->config->dedup_window_ms,
		.seed = rte_rand(),
	};
	void *mem;

	lcore->dedup_size = sl_dedup_memory_size(&params);
	mem = dp_table_alloc(lcore->dedup_size, "the dedup window", error, error_len);
	if (mem == NULL)
		return -ENOMEM;
	dp->memory.dedup += lcore->dedup_size;
	lcore->dedup = sl_dedup_init(mem, &params);
	return 0;
}

static int
create_sched(struct sl_datapath *dp, struct dp_lcore *lcore, char *error, size_t error_len)
{
	const struct sl_config *config = dp->config;
	struct sl_sched_params params = {
		.nb_destinations = dp->nb_shards,
		.nb_classes = config->nb_classes,
		.capacity = dp->queue_capacity,
		.quantum = QUANTUM_MIN,
		.ticks_per_s = dp->tsc_hz,
		.now = rte_rdtsc(),
	};
	void *mem;

	for (uint32_t i = 0; i < config->nb_ports; i++)
		params.quantum = RTE_MAX(params.quantum, (uint32_t)config->ports[i].mtu);
	for (uint32_t c = 0; c < config->nb_classes; c++) {
		params.classes[c].min_share_percent = config->classes[c].min_share_percent;
		params.classes[c].max_wait = config->classes[c].max_wait_ms * (dp->tsc_hz / 1000);
	}
	lcore->sched_size = sl_sched_memory_size(&params);
	mem = dp_table_alloc(lcore->sched_size, "the queues of the destinations", error, error_len);
	if (mem == NULL)
		return -ENOMEM;
	dp->memory.sched += lcore->sched_size;
	lcore->sched = sl_sched_init(mem, &params);
	return 0;
}

static const struct sl_policy_ops *
policy_of(const struct sl_config_destination *d)
{
	return d->policy == SL_CONFIG_WEIGHTED_ROUND_ROBIN ? &sl_policy_weighted_round_robin
							   : &sl_policy_round_robin;
}

/* The part of a limit that one of `n` partitions has; a limit never becomes none. */
static uint64_t
part_of(uint64_t limit, uint32_t n)
{
	return limit == 0 ? 0 : RTE_MAX(limit / n, UINT64_C(1));
}

/* The partitions of a destination share its limits evenly; `state` is this one's first backend's.
 */
static void
init_shard(struct dp_lcore *lcore, const struct sl_config_destination *d, uint32_t shard,
	uint32_t first_backend, uint32_t state)
{
	uint32_t weights[SL_CONFIG_BACKENDS_MAX];
	const struct sl_sched_destination limits = {
		.capacity = (uint32_t)part_of(d->queue_capacity, d->partitions),
		.rate_msgs_per_s = part_of(d->rate_msgs_per_s, d->partitions),
		.burst_msgs = (uint32_t)part_of(d->burst_msgs, d->partitions),
	};
	struct dp_shard *s = &lcore->shards[shard];

	sl_sched_set_destination(lcore->sched, shard, &limits);
	s->first_backend = first_backend;
	for (uint32_t j = 0; j < d->nb_backends; j++) {
		sl_gcra_init(&lcore->rates[state + j],
			part_of(d->backends[j].rate_msgs_per_s, d->partitions), limits.burst_msgs,
			lcore->dp->tsc_hz);
		weights[j] = d->backends[j].weight;
		if (d->backends[j].rate_msgs_per_s != 0)
			s->rates = &lcore->rates[state];
	}
	sl_policy_init(
		&s->policy, policy_of(d), &lcore->policy_backends[state], d->nb_backends, weights);
}

static int
create_shards(struct sl_datapath *dp, struct dp_lcore *lcore, char *error, size_t error_len)
{
	const struct sl_config *config = dp->config;
	uint32_t shard = 0, backend = 0, state = 0;

	lcore->shards_size = dp->nb_shards * sizeof(*lcore->shards);
	lcore->policy_size = dp->nb_backend_states * sizeof(*lcore->policy_backends);
	lcore->rates_size = dp->nb_backend_states * sizeof(*lcore->rates);
	lcore->shards = dp_table_alloc(lcore->shards_size, "shards", error, error_len);
	lcore->policy_backends = dp_table_alloc(lcore->policy_size, "policies", error, error_len);
	lcore->rates = dp_table_alloc(lcore->rates_size, "backend rates", error, error_len);
	if (lcore->shards == NULL || lcore->policy_backends == NULL || lcore->rates == NULL)
		return -ENOMEM;
	dp->memory.backends += lcore->shards_size + lcore->policy_size + lcore->rates_size;
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		const struct sl_config_destination *d = &config->destinations[i];

		for (uint32_t p = 0; p < d->partitions; p++) {
			init_shard(lcore, d, shard++, backend, state);
			state += d->nb_backends;
		}
		backend += d->nb_backends;
	}
	return 0;
}

static int
create_txqs(struct sl_datapath *dp, struct dp_lcore *lcore, char *error, size_t error_len)
{
	lcore->txqs = calloc(dp->config->nb_ports, sizeof(*lcore->txqs));
	if (lcore->txqs == NULL) {
		snprintf(error, error_len, "no memory for transmit queues");
		return -ENOMEM;
	}
	lcore->nb_txqs = (uint16_t)dp->config->nb_ports;
	for (uint32_t i = 0; i < dp->config->nb_ports; i++) {
		lcore->txqs[i].port = &dp->ports[i];
		lcore->txqs[i].port_id = dp->ports[i].port_id;
		lcore->txqs[i].queue = (uint16_t)lcore->worker_index;
		lcore->txq_of_port[dp->ports[i].port_id] = &lcore->txqs[i];
	}
	return 0;
}

int
dp_workers_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	int rc = 0;

	for (uint32_t w = 0; rc == 0 && w < dp->nb_workers; w++) {
		rc = create_dedup(dp, dp->workers[w], error, error_len);
		if (rc == 0)
			rc = create_sched(dp, dp->workers[w], error, error_len);
		if (rc == 0)
			rc = create_shards(dp, dp->workers[w], error, error_len);
		if (rc == 0)
			rc = create_txqs(dp, dp->workers[w], error, error_len);
	}
	return rc;
}

void
dp_workers_destroy(struct sl_datapath *dp)
{
	for (uint32_t w = 0; w < dp->nb_workers; w++) {
		struct dp_lcore *lcore = dp->workers[w];

		dp_table_free(lcore->dedup, lcore->dedup_size);
		dp_table_free(lcore->sched, lcore->sched_size);
		dp_table_free(lcore->shards, lcore->shards_size);
		dp_table_free(lcore->policy_backends, lcore->policy_size);
		dp_table_free(lcore->rates, lcore->rates_size);
		free(lcore->txqs);
	}
}
