/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include <rte_random.h>

#include "dp.h"

/* The tables all lcores read: routes, backends, next hops. */

#define BACKEND_TTL 64

static uint32_t
class_index_of(const struct sl_config *config, uint32_t level)
{
	uint32_t c = 0;

	while (config->classes[c].level != level)
		c++;
	return c;
}

static void
add_rules(struct sl_datapath *dp)
{
	const struct sl_config *config = dp->config;

	RTE_BUILD_BUG_ON(SL_RULE_SOURCE != SL_ROUTE_MATCH_SOURCE);
	RTE_BUILD_BUG_ON(SL_RULE_DESTINATION != SL_ROUTE_MATCH_DESTINATION);
	RTE_BUILD_BUG_ON(SL_RULE_TYPE != SL_ROUTE_MATCH_TYPE);
	RTE_BUILD_BUG_ON(SL_RULE_PRIORITY != SL_ROUTE_MATCH_PRIORITY);
	for (uint32_t i = 0; i < config->nb_rules; i++) {
		const struct sl_config_rule *from = &config->rules[i];
		const struct sl_route_rule rule = {
			.match = (uint8_t)from->match,
			.source = from->source,
			.destination = from->destination,
			.type = from->type,
			.priority = from->priority,
			.class_index = (uint8_t)class_index_of(config, from->level),
		};

		sl_route_set_rule(dp->routes, i, &rule);
	}
}

static int
create_routes(struct sl_datapath *dp, char *error, size_t error_len)
{
	const struct sl_config *config = dp->config;
	uint32_t levels[SL_CONFIG_CLASSES_MAX];
	const struct sl_route_params params = {
		.nb_destinations = config->nb_destinations,
		.nb_rules = config->nb_rules,
		.nb_classes = config->nb_classes,
		.levels = levels,
	};
	void *mem;
	int rc;

	for (uint32_t c = 0; c < config->nb_classes; c++)
		levels[c] = config->classes[c].level;
	dp->memory.route = sl_route_memory_size(&params);
	mem = dp_table_alloc(dp->memory.route, "the table of destinations", error, error_len);
	if (mem == NULL)
		return -ENOMEM;
	dp->routes = sl_route_init(mem, &params);
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		const struct sl_config_destination *d = &config->destinations[i];
		const struct sl_route_entry entry = {
			.key = d->key,
			.shard = dp->first_shard[i],
			.partitions = (uint16_t)d->partitions,
			.default_class = (uint8_t)class_index_of(config, d->default_class),
			.boost = (uint8_t)d->class_boost,
		};

		rc = sl_route_add(dp->routes, &entry);
		if (rc != 0) {
			snprintf(error, error_len, "destination %s: its key is there already",
				d->name);
			return rc;
		}
	}
	add_rules(dp);
	return 0;
}

/* While next hops are numbered: an open-addressed index of them, by address and port. */
struct hop_index {
	uint32_t mask;
	uint32_t *numbers; /* Number + 1; 0: free. */
};

static uint32_t
next_hop_of(struct sl_datapath *dp, struct hop_index *index, uint32_t port_index,
	const struct sl_ip *ip)
{
	uint32_t slot = (ip->words[3] ^ port_index) * UINT32_C(0x9e3779b1), number;

	for (slot >>= 8;; slot++) {
		number = index->numbers[slot & index->mask];
		if (number == 0)
			break;
		number--;
		if (sl_ip_equal(&dp->next_hops[number].ip, ip) &&
			dp->next_hops[number].port_index == port_index)
			return number;
	}
	dp->next_hops[dp->nb_next_hops].port_index = port_index;
	dp->next_hops[dp->nb_next_hops].ip = *ip;
	index->numbers[slot & index->mask] = ++dp->nb_next_hops;
	return dp->nb_next_hops - 1;
}

static void
fill_backends(struct sl_datapath *dp, struct hop_index *index)
{
	const struct sl_config *config = dp->config;
	struct dp_backend *b = dp->backends;
	struct sl_ip src;

	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		const struct sl_config_destination *d = &config->destinations[i];

		for (uint32_t j = 0; j < d->nb_backends; j++, b++) {
			const struct sl_config_backend *from = &d->backends[j];

			b->port_id = dp->ports[from->port_index].port_id;
			b->next_hop = next_hop_of(dp, index, from->port_index, &from->next_hop);
			src = dp_port_address(&dp->ports[from->port_index], &from->address);
			sl_net_flow_init(&b->flow, &src, &from->address,
				rte_cpu_to_be_16(config->udp_port), rte_cpu_to_be_16(from->port),
				BACKEND_TTL);
		}
	}
}

static int
create_backends(struct sl_datapath *dp, char *error, size_t error_len)
{
	const struct sl_config *config = dp->config;
	struct hop_index index;

	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		const struct sl_config_destination *d = &config->destinations[i];

		dp->nb_backends += d->nb_backends;
		dp->nb_backend_states += d->nb_backends * d->partitions;
	}
	dp->memory.backends = (uint64_t)dp->nb_backends * sizeof(*dp->backends);
	dp->backends = dp_table_alloc(dp->memory.backends, "backends", error, error_len);
	if (dp->backends == NULL)
		return -ENOMEM;
	dp->next_hops = calloc(dp->nb_backends, sizeof(*dp->next_hops));
	dp->next_hop_words = calloc(dp->nb_backends, sizeof(*dp->next_hop_words));
	index.mask = rte_align32pow2(2 * dp->nb_backends) - 1;
	index.numbers = calloc(index.mask + 1, sizeof(*index.numbers));
	if (dp->next_hops == NULL || dp->next_hop_words == NULL || index.numbers == NULL) {
		free(index.numbers);
		snprintf(error, error_len, "no memory for %u backends", dp->nb_backends);
		return -ENOMEM;
	}
	fill_backends(dp, &index);
	free(index.numbers);
	return 0;
}

static int
number_shards(struct sl_datapath *dp, char *error, size_t error_len)
{
	const struct sl_config *config = dp->config;

	dp->first_shard = calloc(config->nb_destinations, sizeof(*dp->first_shard));
	if (dp->first_shard == NULL) {
		snprintf(
			error, error_len, "no memory for %u destinations", config->nb_destinations);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		dp->first_shard[i] = dp->nb_shards;
		dp->nb_shards += config->destinations[i].partitions;
	}
	return 0;
}

int
dp_tables_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	int rc;

	rc = number_shards(dp, error, error_len);
	if (rc == 0)
		rc = create_routes(dp, error, error_len);
	if (rc == 0)
		rc = create_backends(dp, error, error_len);
	return rc;
}

void
dp_tables_destroy(struct sl_datapath *dp)
{
	dp_table_free(dp->routes, dp->memory.route);
	/* Not memory.backends, which has come to count what the workers keep of them, too. */
	dp_table_free(dp->backends, (size_t)dp->nb_backends * sizeof(*dp->backends));
	free(dp->next_hops);
	free(dp->next_hop_words);
	free(dp->first_shard);
}
