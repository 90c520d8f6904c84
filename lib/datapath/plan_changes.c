/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "apply.h"
#include "durable.h"

/* What a plan has for the lcores: the changes of shards for the workers, the routes for rx. */

static const struct sl_policy_ops *
policy_of(enum sl_config_policy policy)
{
	return policy == SL_CONFIG_WEIGHTED_ROUND_ROBIN ? &sl_policy_weighted_round_robin
							: &sl_policy_round_robin;
}

/* The part of a limit that one of `n` partitions has; a limit never becomes none. */
static uint64_t
part_of(uint64_t limit, uint32_t n)
{
	return limit == 0 ? 0 : RTE_MAX(limit / n, UINT64_C(1));
}

/*
 * The state of a destination's backends: for each partition their policy's and, when one has a
 * limit, their buckets; then their slots, unless these are in a row.
 */
struct state_shape {
	uint32_t nb_backends;
	bool has_rates;
	bool has_slots;
	size_t partition_size;
	size_t size;
};

static struct state_shape
shape_of(const struct dp_destination *d)
{
	struct state_shape shape = {.nb_backends = d->nb_backends};

	for (uint32_t j = 0; j < d->nb_backends; j++) {
		shape.has_rates |= d->backends[j].rate_msgs_per_s != 0;
		shape.has_slots |= d->backends[j].slot != d->backends[0].slot + j;
	}
	shape.partition_size = d->nb_backends * sizeof(struct sl_policy_backend);
	if (shape.has_rates)
		shape.partition_size += d->nb_backends * sizeof(struct sl_gcra);
	shape.size = d->partitions * shape.partition_size;
	if (shape.has_slots)
		shape.size += RTE_ALIGN_CEIL(d->nb_backends * sizeof(uint32_t), sizeof(uint64_t));
	return shape;
}

/* Of the dead letters' destination the shard that the same worker has. */
static void
set_dead_letter(
	const struct dp_plan *plan, const struct dp_destination *d, struct dp_change *change)
{
	uint32_t nb_workers = plan->dp->nb_workers;
	const struct dp_destination *dead;

	change->dead_shard = UINT32_MAX;
	if (d->dead_key == 0)
		return;
	dead = plan->destinations[d->dead_letter];
	change->dead_key = dead->key;
	change->dead_shard = dead->first_shard;
	while (sl_route_worker(change->dead_shard, nb_workers) !=
		sl_route_worker(change->shard, nb_workers))
		change->dead_shard++;
}

static void
fill_change(const struct dp_plan *plan, const struct dp_destination *d,
	const struct state_shape *shape, uint32_t partition, struct dp_change *change)
{
	const struct sl_datapath *dp = plan->dp;
	uint8_t *state = d->state + partition * shape->partition_size;
	struct sl_policy_backend *backends = (struct sl_policy_backend *)state;
	uint32_t weights[SL_CONFIG_BACKENDS_MAX];

	change->shard = d->first_shard + partition;
	change->limits.capacity = (uint32_t)part_of(d->queue_capacity, d->partitions);
	change->limits.rate_msgs_per_s = part_of(d->rate_msgs_per_s, d->partitions);
	change->limits.burst_msgs = (uint32_t)part_of(d->burst_msgs, d->partitions);
	if (d->is_durable) {
		set_dead_letter(plan, d, change);
		change->durable = d->durables[partition];
		change->max_attempts = d->max_attempts;
		change->requeue_after_ns = d->requeue_after_ms * UINT64_C(1000000);
		change->limits.is_kept = true;
	}
	change->first_backend = d->nb_backends > 0 ? d->backends[0].slot : 0;
	if (shape->has_slots)
		change->slots = (uint32_t *)(d->state + d->partitions * shape->partition_size);
	if (shape->has_rates)
		change->rates = (struct sl_gcra *)(backends + d->nb_backends);
	for (uint32_t j = 0; j < d->nb_backends; j++) {
		weights[j] = d->backends[j].weight;
		if (shape->has_rates)
			sl_gcra_init(&change->rates[j],
				part_of(d->backends[j].rate_msgs_per_s, d->partitions),
				change->limits.burst_msgs, dp->tsc_hz);
	}
	sl_policy_init(&change->policy, policy_of(d->policy), backends, d->nb_backends, weights);
}

/* Which backend of the version before each is; the same place, mostly. */
static void
fill_from(const struct dp_destination *old, const struct dp_destination *new, uint32_t *from)
{
	for (uint32_t j = 0; j < new->nb_backends; j++) {
		uint64_t name = new->backends[j].name;

		from[j] = SL_POLICY_NEW;
		if (j < old->nb_backends && old->backends[j].name == name)
			from[j] = j;
		for (uint32_t k = 0; from[j] == SL_POLICY_NEW && k < old->nb_backends; k++) {
			if (old->backends[k].name == name)
				from[j] = k;
		}
	}
}

static int
fill_destination(struct dp_plan *plan, const struct dp_step *step, uint8_t *slab, uint32_t **from)
{
	struct dp_destination *new = step->new;
	struct state_shape shape = shape_of(new);
	struct dp_changes *changes = plan->changes;
	struct dp_change *change;

	new->owns_state = slab == NULL;
	new->state = slab;
	if (slab == NULL && shape.size > 0) {
		new->state = calloc(1, shape.size);
		if (new->state == NULL)
			return -ENOMEM;
	}
	if (step->old != NULL)
		fill_from(step->old, new, *from);
	for (uint32_t p = 0; p < new->partitions; p++) {
		change = &changes->changes[changes->nb_changes++];
		fill_change(plan, new, &shape, p, change);
		if (step->old != NULL)
			change->from = *from;
	}
	if (step->old != NULL)
		*from += new->nb_backends;
	for (uint32_t j = 0; shape.has_slots && j < new->nb_backends; j++)
		((uint32_t *)(new->state +
			new->partitions *shape.partition_size))[j] = new->backends[j].slot;
	return 0;
}

static void
fill_classes(struct dp_plan *plan)
{
	const struct sl_config *before = plan->dp->config, *after = plan->config;

	for (uint32_t c = 0; c < after->nb_classes; c++) {
		const struct sl_config_class *class = &after->classes[c];

		plan->changes->classes[c].min_share_percent = class->min_share_percent;
		plan->changes->classes[c].max_wait = class->max_wait_ms * (plan->dp->tsc_hz / 1000);
		plan->changes->has_classes |= class->max_wait_ms !=
				before->classes[c].max_wait_ms ||
			class->min_share_percent != before->classes[c].min_share_percent;
	}
}

static int
alloc_changes(struct dp_plan *plan, size_t *state_size)
{
	size_t nb_changes = 0, nb_from = 0;

	*state_size = 0;
	for (uint32_t i = 0; i < plan->nb_steps; i++) {
		const struct dp_destination *new = plan->steps[i].new;

		if (new == NULL)
			continue;
		nb_changes += new->partitions;
		nb_from += plan->steps[i].old != NULL ? new->nb_backends : 0;
		*state_size += shape_of(new).size;
	}
	plan->changes = calloc(1, sizeof(*plan->changes));
	if (plan->changes == NULL)
		return -ENOMEM;
	plan->changes->changes = calloc(nb_changes + 1, sizeof(*plan->changes->changes));
	plan->changes->from = calloc(nb_from + 1, sizeof(*plan->changes->from));
	return plan->changes->changes != NULL && plan->changes->from != NULL ? 0 : -ENOMEM;
}

int
dp_plan_changes(struct dp_plan *plan)
{
	uint8_t *slab = NULL;
	size_t state_size;
	uint32_t *from;
	int rc = alloc_changes(plan, &state_size);

	if (rc != 0)
		return rc;
	/* What the path begins with lies in a row; what comes later, where there is room. */
	if (plan->number == 1) {
		plan->slab_size = state_size + 1;
		plan->slab = dp_table_alloc(
			plan->slab_size, "policies", plan->error, plan->error_len);
		if (plan->slab == NULL)
			return -ENOMEM;
		slab = plan->slab;
	}
	from = plan->changes->from;
	for (uint32_t i = 0; rc == 0 && i < plan->nb_steps; i++) {
		if (plan->steps[i].new == NULL)
			continue;
		rc = fill_destination(plan, &plan->steps[i], slab, &from);
		if (slab != NULL)
			slab += shape_of(plan->steps[i].new).size;
	}
	fill_classes(plan);
	return rc;
}

void
dp_changes_free(struct dp_changes *changes)
{
	if (changes == NULL)
		return;
	free(changes->changes);
	free(changes->from);
	free(changes);
}

/* Routes. */

static struct sl_route_rule
rule_of(const struct sl_config *config, uint32_t index)
{
	const struct sl_config_rule *from = &config->rules[index];

	RTE_BUILD_BUG_ON(SL_RULE_SOURCE != SL_ROUTE_MATCH_SOURCE);
	RTE_BUILD_BUG_ON(SL_RULE_DESTINATION != SL_ROUTE_MATCH_DESTINATION);
	RTE_BUILD_BUG_ON(SL_RULE_TYPE != SL_ROUTE_MATCH_TYPE);
	RTE_BUILD_BUG_ON(SL_RULE_PRIORITY != SL_ROUTE_MATCH_PRIORITY);
	return (struct sl_route_rule){
		.match = (uint8_t)from->match,
		.source = from->source,
		.destination = from->destination,
		.type = from->type,
		.priority = from->priority,
		.class_index = dp_class_index_of(config, from->level),
	};
}

static bool
are_same_rules(const struct dp_plan *plan, const struct sl_route_table *table)
{
	if (table == NULL || table->nb_rules != plan->config->nb_rules)
		return false;
	for (uint32_t i = 0; i < table->nb_rules; i++) {
		const struct sl_route_rule *a = &table->rules[i], b = rule_of(plan->config, i);

		if (a->match != b.match || a->source != b.source ||
			a->destination != b.destination || a->type != b.type ||
			a->priority != b.priority || a->class_index != b.class_index)
			return false;
	}
	return true;
}

int
dp_plan_routes(struct dp_plan *plan)
{
	const struct sl_config *config = plan->config;
	uint32_t levels[SL_CONFIG_CLASSES_MAX];
	const struct sl_route_params params = {
		.nb_destinations = config->nb_destinations,
		.nb_rules = config->nb_rules,
		.nb_classes = config->nb_classes,
		.levels = levels,
	};
	struct sl_route_rule rule;
	void *mem;

	if (!plan->has_route_changes && are_same_rules(plan, atomic_load(&plan->dp->routes)))
		return 0;
	for (uint32_t c = 0; c < config->nb_classes; c++)
		levels[c] = config->classes[c].level;
	plan->routes_size = sl_route_memory_size(&params);
	mem = dp_table_alloc(
		plan->routes_size, "the table of destinations", plan->error, plan->error_len);
	if (mem == NULL)
		return -ENOMEM;
	plan->routes = sl_route_init(mem, &params);
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		const struct dp_destination *d = plan->destinations[i];
		const struct sl_route_entry entry = {
			.key = d->key,
			.shard = d->first_shard,
			.partitions = d->partitions,
			.default_class = d->default_class,
			.boost = d->boost,
		};

		if (sl_route_add(plan->routes, &entry) != 0) {
			snprintf(plan->error, plan->error_len,
				"destination %s: its key is there already",
				config->destinations[i].name);
			return -EEXIST;
		}
	}
	for (uint32_t i = 0; i < config->nb_rules; i++) {
		rule = rule_of(config, i);
		sl_route_set_rule(plan->routes, i, &rule);
	}
	return 0;
}
