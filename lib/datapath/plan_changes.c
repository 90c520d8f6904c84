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

/* Buffers for copies that the durable queues of one topic may take, and what each may have. */
#define COPIES_PART  2u
#define COPIES_LEAST 32u

/* Messages that may wait for their turn at an at-least-once topic, also when its queues are short.
 */
#define TOPIC_LEAST 4096u

/* The part of a limit that one of `n` partitions has; a limit never becomes none. */
static uint64_t
part_of(uint64_t limit, uint32_t n)
{
	return limit == 0 ? 0 : RTE_MAX(limit / n, UINT64_C(1));
}

/*
 * The state of a destination's backends: for each partition their policy's and, when one has a
 * limit, their buckets; then their slots, unless these are in a row. A topic has, instead of slots,
 * the shards of its subscribers, for each partition; and in front of them, when it is durable, what
 * the journal notes of each.
 */
struct state_shape {
	uint32_t nb_backends;
	bool has_rates;
	bool has_slots;
	uint32_t nb_records;
	uint32_t nb_numbers; /* Slots or shards. */
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
	if (d->is_topic && d->is_durable)
		shape.nb_records = d->nb_backends;
	shape.size = d->partitions * shape.partition_size +
		shape.nb_records * sizeof(struct sl_record_subscriber);
	if (d->is_topic)
		shape.nb_numbers = d->partitions * d->nb_backends;
	else if (shape.has_slots)
		shape.nb_numbers = d->nb_backends;
	shape.size += RTE_ALIGN_CEIL(shape.nb_numbers * sizeof(uint32_t), sizeof(uint64_t));
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

/* What the shards of all of a destination's queues have in common. */
static void
fill_queue(const struct dp_plan *plan, const struct dp_destination *d, uint32_t queue,
	uint32_t partition, struct dp_change *change)
{
	change->shard = dp_queue_shard(d, queue) + partition;
	change->limits.capacity = (uint32_t)part_of(d->queue_capacity, d->partitions);
	change->limits.burst_msgs = (uint32_t)part_of(d->burst_msgs, d->partitions);
	if (!d->is_durable)
		return;
	set_dead_letter(plan, d, change);
	change->durable = dp_queue_durables(d, queue)[partition];
	change->key = d->key;
	change->max_attempts = d->max_attempts;
	change->requeue_after_ns = d->requeue_after_ms * UINT64_C(1000000);
	change->limits.is_kept = true;
}

static struct sl_record_subscriber *
records_of(const struct dp_destination *d, const struct state_shape *shape)
{
	return (struct sl_record_subscriber *)(d->state + d->partitions * shape->partition_size);
}

static uint32_t *
numbers_of(const struct dp_destination *d, const struct state_shape *shape)
{
	return (uint32_t *)(records_of(d, shape) + shape->nb_records);
}

/* Of all buffers for copies those of one topic's queues take up to a part, whoever is slow. */
static uint32_t
durable_capacity(const struct dp_plan *plan, const struct dp_destination *d, uint32_t capacity)
{
	uint32_t part = plan->dp->nb_copies / COPIES_PART / (d->nb_backends * d->partitions);

	part = RTE_MAX(part, COPIES_LEAST);
	return RTE_MIN(capacity, part);
}

/* A subscriber's queue has one backend. */
static void
fill_subscriber(const struct dp_plan *plan, const struct dp_destination *d,
	const struct state_shape *shape, uint32_t index, uint32_t partition,
	struct dp_change *change)
{
	uint8_t *state = d->state + partition * shape->partition_size;
	struct sl_policy_backend *backends = (struct sl_policy_backend *)state;
	const uint32_t weight = 1;

	fill_queue(plan, d, 1 + index, partition, change);
	if (d->is_durable)
		change->limits.capacity = durable_capacity(plan, d, change->limits.capacity);
	change->first_backend = d->backends[index].slot;
	if (shape->has_rates) {
		change->rates = (struct sl_gcra *)(backends + d->nb_backends) + index;
		sl_gcra_init(change->rates,
			part_of(d->backends[index].rate_msgs_per_s, d->partitions),
			change->limits.burst_msgs, plan->dp->tsc_hz);
	}
	sl_policy_init(&change->policy, policy_of(d->policy), &backends[index], 1, &weight);
	numbers_of(d, shape)[partition * d->nb_backends + index] = change->shard;
}

static void
fill_topic(const struct dp_plan *plan, const struct dp_destination *d,
	const struct state_shape *shape, uint32_t partition, struct dp_change *change)
{
	fill_queue(plan, d, 0, partition, change);
	if (d->is_durable) {
		/* What waits there has not been accepted, and who sent it would have to again. */
		change->limits.is_kept = false;
		change->limits.capacity = RTE_MAX(change->limits.capacity, TOPIC_LEAST);
	}
	change->limits.rate_msgs_per_s = part_of(d->rate_msgs_per_s, d->partitions);
	sl_policy_init(&change->policy, policy_of(d->policy), NULL, 0, NULL);
	change->is_topic = true;
	change->subscribers = numbers_of(d, shape) + partition * d->nb_backends;
	change->records = records_of(d, shape);
	change->nb_subscribers = d->nb_backends;
}

static void
fill_change(const struct dp_plan *plan, const struct dp_destination *d,
	const struct state_shape *shape, uint32_t partition, struct dp_change *change)
{
	const struct sl_datapath *dp = plan->dp;
	uint8_t *state = d->state + partition * shape->partition_size;
	struct sl_policy_backend *backends = (struct sl_policy_backend *)state;
	uint32_t weights[SL_CONFIG_BACKENDS_MAX];

	fill_queue(plan, d, 0, partition, change);
	change->limits.rate_msgs_per_s = part_of(d->rate_msgs_per_s, d->partitions);
	change->first_backend = d->nb_backends > 0 ? d->backends[0].slot : 0;
	if (shape->has_slots)
		change->slots = numbers_of(d, shape);
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

/*
 * First the subscribers that come or stay, then the topic, which copies to those from then on, then
 * the queues of those that go.
 */
static void
fill_topic_changes(const struct dp_plan *plan, const struct dp_step *step,
	const struct state_shape *shape, uint32_t *from)
{
	struct dp_changes *changes = plan->changes;
	const struct dp_destination *new = step->new, *old = step->old;

	for (uint32_t j = 0; j < new->nb_backends; j++) {
		/* In its own queue it is the only one. */
		if (old != NULL && from[j] != SL_POLICY_NEW)
			from[j] = 0;
		for (uint32_t p = 0; p < new->partitions; p++) {
			struct dp_change *change = &changes->changes[changes->nb_changes++];

			fill_subscriber(plan, new, shape, j, p, change);
			change->from = old != NULL ? &from[j] : NULL;
		}
	}
	for (uint32_t j = 0; j < shape->nb_records; j++)
		records_of(new, shape)[j] = (struct sl_record_subscriber){
			.backend = new->backends[j].key,
			.back = (uint32_t)(sizeof(struct sl_record_message) +
				j * sizeof(struct sl_record_subscriber)),
			.flags = SL_RECORD_SUBSCRIBER |
				(new->backends[j].is_passing ? SL_RECORD_PASSING : 0),
		};
	for (uint32_t p = 0; p < new->partitions; p++)
		fill_topic(plan, new, shape, p, &changes->changes[changes->nb_changes++]);
	for (uint32_t j = 0; old != NULL && j < old->nb_backends; j++) {
		for (uint32_t p = 0; !old->backends[j].is_queue_kept && p < old->partitions; p++)
			changes->changes[changes->nb_changes++] = (struct dp_change){
				.shard = old->backends[j].first_shard + p,
				.is_flush = true,
			};
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
	if (new->is_topic) {
		fill_topic_changes(plan, step, &shape, *from);
	} else {
		for (uint32_t p = 0; p < new->partitions; p++) {
			change = &changes->changes[changes->nb_changes++];
			fill_change(plan, new, &shape, p, change);
			if (step->old != NULL)
				change->from = *from;
		}
		for (uint32_t j = 0; shape.has_slots && j < new->nb_backends; j++)
			numbers_of(new, &shape)[j] = new->backends[j].slot;
	}
	if (step->old != NULL)
		*from += new->nb_backends;
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
		const struct dp_destination *new = plan->steps[i].new, *old = plan->steps[i].old;

		if (new == NULL)
			continue;
		nb_changes += dp_nb_shards(new);
		if (old != NULL && new->is_topic)
			nb_changes += dp_nb_shards(old);
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
