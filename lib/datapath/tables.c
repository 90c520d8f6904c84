/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "apply.h"

/* The tables all lcores read: backends and next hops, with room for those to come. */

#define BACKEND_TTL 64

/* Room there is when the configuration does not say. */
static uint64_t
room_for(uint32_t limit, uint64_t needed)
{
	return limit != 0 ? limit : RTE_MIN(2 * needed + 1024, UINT64_C(1) << 30);
}

static int
check_room(const char *key, uint64_t limit, uint64_t needed, char *error, size_t error_len)
{
	if (needed <= limit)
		return 0;
	snprintf(error, error_len,
		"limits.%s: %" PRIu64 " are too few: the destinations take %" PRIu64
		"; raise it, with some to spare for what is added later",
		key, limit, needed);
	return -ENOSPC;
}

static int
size_tables(struct sl_datapath *dp, const struct sl_config *config, char *error, size_t error_len)
{
	uint64_t shards = 0, backends = 0;
	int rc;

	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		const struct sl_config_destination *d = &config->destinations[i];

		shards += d->partitions;
		if (d->kind == SL_CONFIG_TOPIC)
			shards += (uint64_t)d->partitions * d->nb_backends;
		backends += d->nb_backends;
	}
	if (config->subscriptions.is_open || config->gateways.nb_gateways > 0) {
		shards += config->subscriptions.subscribers_max;
		backends += config->subscriptions.subscribers_max;
	}
	dp->nb_shards = (uint32_t)room_for(config->limits.shards, shards);
	dp->nb_backends = (uint32_t)room_for(config->limits.backends, backends);
	dp->slot_bits = (uint8_t)rte_log2_u32(RTE_MAX(dp->nb_backends, 1u));
	dp->worker_bits = (uint8_t)rte_log2_u32(RTE_MAX(dp->nb_workers, 1u));
	rc = check_room("shards", dp->nb_shards, shards, error, error_len);
	if (rc == 0)
		rc = check_room("backends", dp->nb_backends, backends, error, error_len);
	return rc;
}

static int
create_rcu(struct sl_datapath *dp)
{
	size_t size = rte_rcu_qsbr_get_memsize(DP_LCORES_MAX);

	if (posix_memalign((void **)&dp->rcu, RTE_CACHE_LINE_SIZE, size) != 0)
		return -ENOMEM;
	if (rte_rcu_qsbr_init(dp->rcu, DP_LCORES_MAX) != 0)
		return -EINVAL;
	for (uint32_t i = 0; i < dp->nb_lcores; i++)
		rte_rcu_qsbr_thread_register(dp->rcu, i);
	return 0;
}

int
dp_tables_create(
	struct sl_datapath *dp, const struct sl_config *config, char *error, size_t error_len)
{
	int rc = size_tables(dp, config, error, error_len);

	if (rc != 0)
		return rc;
	dp->memory.backends = (uint64_t)dp->nb_backends * sizeof(*dp->backends);
	dp->backends = dp_table_alloc(dp->memory.backends, "backends", error, error_len);
	if (dp->backends == NULL)
		return -ENOMEM;
	dp->next_hops = calloc(dp_max_next_hops(dp), sizeof(*dp->next_hops));
	dp->next_hop_words = calloc(dp_max_next_hops(dp), sizeof(*dp->next_hop_words));
	if (dp->next_hops != NULL && dp->next_hop_words != NULL && create_rcu(dp) == 0)
		return 0;
	snprintf(error, error_len, "no memory for %u backends", dp->nb_backends);
	return -ENOMEM;
}

void
dp_tables_destroy(struct sl_datapath *dp)
{
	/* Not memory.backends, which has come to count what the workers keep of them, too. */
	dp_table_free(dp->backends, (size_t)dp->nb_backends * sizeof(*dp->backends));
	free(dp->next_hops);
	free(dp->next_hop_words);
	free(dp->rcu);
}

void
dp_backend_fill(struct sl_datapath *dp, uint32_t slot, const struct sl_config_backend *from,
	uint32_t next_hop)
{
	struct sl_ip src = dp_port_address(&dp->ports[from->port_index], &from->address);
	struct dp_backend *b = &dp->backends[slot];

	b->port_id = dp->ports[from->port_index].port_id;
	b->next_hop = next_hop;
	atomic_store_explicit(&b->share, 0, memory_order_relaxed);
	sl_net_flow_init(&b->flow, &src, &from->address, rte_cpu_to_be_16(dp->config->udp_port),
		rte_cpu_to_be_16(from->port), BACKEND_TTL);
}

/* Next hops: each is there once, and keeps its number while a backend's slot refers to it. */

/* Where in the plan's index a next hop is, or is to be. */
static uint32_t *
hop_place(const struct dp_plan *plan, uint32_t port_index, const struct sl_ip *ip)
{
	const struct sl_datapath_next_hop *hops = plan->dp->next_hops;
	uint32_t at = (ip->words[3] ^ port_index) * UINT32_C(0x9e3779b1), *place;

	for (at >>= 8;; at++) {
		place = &plan->hop_index[at & plan->hop_mask];
		if (*place == 0 ||
			(hops[*place - 1].port_index == port_index &&
				sl_ip_equal(&hops[*place - 1].ip, ip)))
			return place;
	}
}

static int
index_hops(struct dp_plan *plan)
{
	const struct sl_datapath *dp = plan->dp;
	uint32_t n = dp->nb_next_hops;

	for (uint32_t i = 0; i < plan->config->nb_destinations; i++)
		n += plan->config->destinations[i].nb_backends;
	plan->hop_mask = rte_align32pow2(2 * n + 1) - 1;
	plan->hop_index = calloc(plan->hop_mask + 1, sizeof(*plan->hop_index));
	plan->new_hops = calloc(n + 1, sizeof(*plan->new_hops));
	if (plan->hop_index == NULL || plan->new_hops == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < dp->nb_next_hops; i++) {
		const struct sl_datapath_next_hop *hop = &dp->next_hops[i];

		if (hop->port_index != UINT32_MAX)
			*hop_place(plan, hop->port_index, &hop->ip) = i + 1;
	}
	return 0;
}

int
dp_next_hop_find(struct dp_plan *plan, const struct sl_config_backend *from, uint32_t *hop)
{
	struct sl_datapath *dp = plan->dp;
	uint32_t *place;

	if (plan->hop_index == NULL && index_hops(plan) != 0)
		return -ENOMEM;
	place = hop_place(plan, from->port_index, &from->next_hop);
	if (*place == 0) {
		*hop = sl_slots_take(&dp->control->hops, 1);
		plan->new_hops[plan->nb_new_hops++] = *hop;
		dp->next_hops[*hop].port_index = from->port_index;
		dp->next_hops[*hop].ip = from->next_hop;
		dp->nb_next_hops = RTE_MAX(dp->nb_next_hops, *hop + 1);
		*place = *hop + 1;
	}
	*hop = *place - 1;
	return 0;
}

void
dp_next_hops_undo(struct dp_plan *plan)
{
	for (uint32_t i = 0; i < plan->nb_new_hops; i++) {
		plan->dp->next_hops[plan->new_hops[i]].port_index = UINT32_MAX;
		sl_slots_give(&plan->dp->control->hops, plan->new_hops[i], 1);
	}
}

void
dp_next_hops_sweep(struct sl_datapath *dp)
{
	for (uint32_t i = 0; i < dp->nb_next_hops; i++) {
		if (dp->control->hop_users[i] > 0 || dp->next_hops[i].port_index == UINT32_MAX)
			continue;
		dp->next_hops[i].port_index = UINT32_MAX;
		atomic_store_explicit(&dp->next_hop_words[i], 0, memory_order_relaxed);
		sl_slots_give(&dp->control->hops, i, 1);
	}
}
