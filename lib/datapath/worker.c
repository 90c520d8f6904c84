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
		.capacity = dp->queue_capacity + dp->nb_copies / dp->nb_workers,
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
		lcore->max_wait[c] = params.classes[c].max_wait;
	}
	lcore->sched_size = sl_sched_memory_size(&params);
	mem = dp_table_alloc(lcore->sched_size, "the queues of the destinations", error, error_len);
	if (mem == NULL)
		return -ENOMEM;
	dp->memory.sched += lcore->sched_size;
	lcore->sched = sl_sched_init(mem, &params);
	return 0;
}

static int
create_shards(struct sl_datapath *dp, struct dp_lcore *lcore, char *error, size_t error_len)
{
	lcore->shards_size = dp->nb_shards * sizeof(*lcore->shards);
	lcore->counters_size = dp->nb_backends * sizeof(*lcore->backend_counters);
	lcore->shards = dp_table_alloc(lcore->shards_size, "shards", error, error_len);
	lcore->backend_counters = dp_table_alloc(
		lcore->counters_size, "backends' counters", error, error_len);
	if (lcore->shards == NULL || lcore->backend_counters == NULL)
		return -ENOMEM;
	dp->memory.backends += lcore->shards_size + lcore->counters_size;
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
		dp_table_free(lcore->backend_counters, lcore->counters_size);
		free(lcore->txqs);
	}
}
