/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "apply.h"
#include "durable.h"

/* What a configuration changes, and the slots it takes. Nothing here is seen by an lcore yet. */

uint8_t
dp_class_index_of(const struct sl_config *config, uint32_t level)
{
	uint8_t c = 0;

	while (config->classes[c].level != level)
		c++;
	return c;
}

/* Destinations by key. Keys are hashes already. */

static struct dp_destination **
known_place(const struct dp_plan *plan, uint64_t key)
{
	uint64_t at = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
	struct dp_destination **place;

	for (;; at++) {
		place = &plan->known[at & plan->known_mask];
		if (*place == NULL || (*place)->key == key)
			return place;
	}
}

static int
index_known(struct dp_plan *plan)
{
	const struct dp_control *control = plan->dp->control;
	const struct dp_retiring *retiring;

	plan->known_mask = rte_align32pow2(
				   2 * (control->nb_destinations + control->nb_retiring) + 1) -
		1;
	plan->known = calloc(plan->known_mask + 1, sizeof(struct dp_destination *));
	if (plan->known == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < control->nb_destinations; i++)
		*known_place(plan, control->destinations[i]->key) = control->destinations[i];
	TAILQ_FOREACH (retiring, &control->retiring, entry)
		*known_place(plan, retiring->destination->key) = retiring->destination;
	return 0;
}

/* Backends. */

static bool
is_same_endpoint(const struct sl_datapath *dp, const struct dp_named_backend *b,
	const struct sl_config_backend *from)
{
	const struct sl_datapath_next_hop *hop = &dp->next_hops[dp->backends[b->slot].next_hop];

	return sl_ip_equal(&b->address, &from->address) && b->port == from->port &&
		b->port_index == from->port_index && sl_ip_equal(&hop->ip, &from->next_hop);
}

static struct dp_named_backend *
find_backend(struct dp_destination *old, uint64_t name, uint32_t likely_index)
{
	if (old == NULL)
		return NULL;
	if (likely_index < old->nb_backends && old->backends[likely_index].name == name)
		return &old->backends[likely_index];
	for (uint32_t j = 0; j < old->nb_backends; j++) {
		if (old->backends[j].name == name)
			return &old->backends[j];
	}
	return NULL;
}

static int
no_room(const struct dp_plan *plan, const char *key, const struct sl_slots *slots, uint64_t needed)
{
	if (needed > slots->nb_slots)
		snprintf(plan->error, plan->error_len,
			"limits.%s: %u are too few: the destinations take %" PRIu64
			"; set it higher and restart",
			key, slots->nb_slots, needed);
	else
		snprintf(plan->error, plan->error_len,
			"limits.%s: %u are too few while what was removed still delivers what it "
			"has: try again after drain_timeout_ms, or set it higher and restart",
			key, slots->nb_slots);
	return -ENOSPC;
}

static int
no_backend_slot(const struct dp_plan *plan)
{
	uint64_t needed = 0;

	for (uint32_t i = 0; i < plan->config->nb_destinations; i++)
		needed += plan->config->destinations[i].nb_backends;
	return no_room(plan, "backends", &plan->dp->control->backends, needed);
}

static uint64_t
dead_key_of(const struct dp_plan *plan, const struct sl_config_destination *d)
{
	if (d->guarantee != SL_CONFIG_AT_LEAST_ONCE || d->dead_letter_index == UINT32_MAX)
		return 0;
	return plan->config->destinations[d->dead_letter_index].key;
}

/* A destination of dead letters has a partition with every worker: they stay where they are. */
static void
find_dead_letters(struct dp_plan *plan)
{
	for (uint32_t i = 0; i < plan->config->nb_destinations; i++) {
		const struct sl_config_destination *d = &plan->config->destinations[i];

		if (dead_key_of(plan, d) != 0)
			plan->gets_dead_letters[d->dead_letter_index] = true;
	}
}

static uint32_t
partitions_of(const struct dp_plan *plan, const struct sl_config_destination *d)
{
	if (plan->gets_dead_letters[d - plan->config->destinations])
		return RTE_MAX(d->partitions, plan->dp->nb_workers);
	return d->partitions;
}

static int
no_shard_slot(const struct dp_plan *plan)
{
	uint64_t needed = 0;

	for (uint32_t i = 0; i < plan->config->nb_destinations; i++) {
		const struct sl_config_destination *d = &plan->config->destinations[i];

		needed += (uint64_t)partitions_of(plan, d) *
			(1 + (d->kind == SL_CONFIG_TOPIC ? d->nb_backends : 0));
	}
	return no_room(plan, "shards", &plan->dp->control->shards, needed);
}

static uint64_t
session_key(const struct sl_config_destination *d, const char *backend)
{
	char name[2 * SL_CONFIG_NAME_MAX + 2];

	snprintf(name, sizeof(name), "%s/%s", d->name, backend);
	return sl_wire_name_key(name);
}

/* Sessions with a backend: one for each worker that has a partition of its destination. */
static int
create_sessions(struct dp_plan *plan, const struct sl_config_destination *d,
	const struct dp_destination *new, const char *backend, const struct dp_named_backend *b)
{
	const struct dp_session_params params = {
		.slot = b->slot,
		.window = d->in_flight,
		.key = session_key(d, backend),
		.first_shard = new->is_topic ? b->first_shard : new->first_shard,
		.partitions = new->partitions,
	};
	struct sl_datapath *dp = plan->dp;

	for (uint32_t p = 0; p < new->partitions; p++) {
		uint32_t w = sl_route_worker(new->first_shard + p, dp->nb_workers);
		struct dp_keeper *keeper = dp->workers[w]->keeper;

		if (keeper->sessions[b->slot] != NULL)
			continue;
		keeper->sessions[b->slot] = dp_session_create(dp, w, &params);
		if (keeper->sessions[b->slot] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int
take_backend_slot(struct dp_plan *plan, const struct sl_config_destination *d,
	const struct dp_destination *new, const struct sl_config_backend *from, uint32_t slot,
	struct dp_named_backend *b)
{
	struct sl_datapath *dp = plan->dp;
	uint32_t hop;

	if (slot == SL_SLOTS_NONE)
		slot = sl_slots_take(&dp->control->backends, 1);
	if (slot == SL_SLOTS_NONE)
		return no_backend_slot(plan);
	b->slot = slot;
	b->is_slot_new = true;
	if (dp_next_hop_find(plan, from, &hop) != 0) {
		sl_slots_give(&dp->control->backends, slot, 1);
		b->is_slot_new = false;
		return -ENOMEM;
	}
	dp->control->hop_users[hop]++;
	dp_backend_fill(dp, slot, from, hop);
	return new->is_durable ? create_sessions(plan, d, new, from->name, b) : 0;
}

static int
plan_backend(struct dp_plan *plan, const struct sl_config_destination *d,
	struct dp_destination *new, uint32_t index, struct dp_named_backend *was, uint32_t slot,
	struct dp_named_backend *b)
{
	const struct sl_config_backend *from = &d->backends[index];

	b->name = sl_wire_name_key(from->name);
	b->rate_msgs_per_s = from->rate_msgs_per_s;
	b->address = from->address;
	b->port_index = from->port_index;
	b->weight = from->weight;
	b->port = from->port;
	b->is_passing = dp_is_passing(from);
	if (new->is_topic &&new->is_durable)
		b->key = session_key(d, from->name);
	if (new->is_topic && dp_plan_subscriber(plan, new, was, b) != 0) {
		/* It is nobody's yet: no undo would find it. */
		if (slot != SL_SLOTS_NONE)
			sl_slots_give(&plan->dp->control->backends, slot, 1);
		return new->is_durable && b->is_shard_new ? -ENOMEM : no_shard_slot(plan);
	}
	if (was == NULL || !is_same_endpoint(plan->dp, was, from))
		return take_backend_slot(plan, d, new, from, slot, b);
	b->slot = was->slot;
	b->carried = was->carried;
	was->is_kept = true;
	return 0;
}

static int
plan_backends(struct dp_plan *plan, const struct sl_config_destination *d,
	struct dp_destination *old, struct dp_destination *new)
{
	uint32_t first = SL_SLOTS_NONE, taken = 0;
	int rc = 0;

	/* A new destination's are in a row where there is one. */
	if (old == NULL && d->nb_backends > 0)
		first = sl_slots_take(&plan->dp->control->backends, d->nb_backends);
	for (uint32_t j = 0; old != NULL && j < old->nb_backends; j++) {
		old->backends[j].is_kept = false;
		old->backends[j].is_queue_kept = false;
	}
	for (uint32_t j = 0; rc == 0 && j < d->nb_backends; j++) {
		struct dp_named_backend *was = find_backend(
			old, sl_wire_name_key(d->backends[j].name), j);

		taken = j + 1;
		rc = plan_backend(plan, d, new, j, was,
			first != SL_SLOTS_NONE ? first + j : SL_SLOTS_NONE, &new->backends[j]);
	}
	if (first != SL_SLOTS_NONE && taken < d->nb_backends)
		sl_slots_give(&plan->dp->control->backends, first + taken, d->nb_backends - taken);
	return rc;
}

/* Destinations. */

static bool
is_same_backend(const struct sl_datapath *dp, const struct dp_named_backend *b,
	const struct sl_config_backend *from)
{
	return b->name == sl_wire_name_key(from->name) && b->weight == from->weight &&
		b->is_passing == dp_is_passing(from) &&
		b->rate_msgs_per_s == from->rate_msgs_per_s && is_same_endpoint(dp, b, from);
}

static bool
is_same_route(const struct dp_plan *plan, const struct dp_destination *old,
	const struct sl_config_destination *d)
{
	return old->default_class == dp_class_index_of(plan->config, d->default_class) &&
		old->boost == d->class_boost;
}

static bool
is_same(const struct dp_plan *plan, const struct dp_destination *old,
	const struct sl_config_destination *d)
{
	if (old->retiring != NULL || !is_same_route(plan, old, d) || old->policy != d->policy ||
		old->queue_capacity != d->queue_capacity ||
		old->rate_msgs_per_s != d->rate_msgs_per_s || old->burst_msgs != d->burst_msgs ||
		old->nb_backends != d->nb_backends || old->max_attempts != d->max_attempts ||
		old->requeue_after_ms != d->requeue_after_ms ||
		old->dead_key != dead_key_of(plan, d) ||
		old->is_topic != (d->kind == SL_CONFIG_TOPIC) ||
		old->is_durable != (d->guarantee == SL_CONFIG_AT_LEAST_ONCE))
		return false;
	for (uint32_t j = 0; j < d->nb_backends; j++) {
		if (!is_same_backend(plan->dp, &old->backends[j], &d->backends[j]))
			return false;
	}
	return true;
}

static int
check_partitions(const struct dp_plan *plan, const struct dp_destination *old,
	const struct sl_config_destination *d)
{
	if (old == NULL || old->partitions == partitions_of(plan, d))
		return 0;
	if (old->retiring == NULL) {
		snprintf(plan->error, plan->error_len,
			"destination %s: partitions: %u cannot become %u while it runs, or messages "
			"would overtake each other; restart",
			d->name, old->partitions, partitions_of(plan, d));
		return -EINVAL;
	}
	snprintf(plan->error, plan->error_len,
		"destination %s was removed and still delivers what it had, in %u partitions; with "
		"%u it can come back when that is done",
		d->name, old->partitions, partitions_of(plan, d));
	return -EBUSY;
}

/* What its workers keep of an at-least-once destination goes from version to version. */
static int
plan_durables(const struct dp_destination *old, struct dp_destination *new)
{
	if (old != NULL) {
		new->durables = old->durables;
		return 0;
	}
	return dp_durables_create(&new->durables, new->first_shard, new->partitions);
}

static int
check_guarantee(const struct dp_plan *plan, const struct dp_destination *old,
	const struct sl_config_destination *d)
{
	bool is_other_kind = old != NULL && old->is_topic != (d->kind == SL_CONFIG_TOPIC);

	if (old == NULL ||
		(!is_other_kind && old->is_durable == (d->guarantee == SL_CONFIG_AT_LEAST_ONCE)))
		return 0;
	snprintf(plan->error, plan->error_len,
		"destination %s: %s cannot change while it runs: remove the destination, and add it "
		"again when it has delivered what it has",
		d->name, is_other_kind ? "kind" : "guarantee");
	return old->retiring == NULL ? -EINVAL : -EBUSY;
}

static int
plan_new_version(struct dp_plan *plan, const struct sl_config_destination *d,
	struct dp_destination *old, struct dp_destination **version)
{
	struct dp_destination *new;
	int rc;

	new = calloc(1, sizeof(*new) + d->nb_backends * sizeof(new->backends[0]));
	if (new == NULL)
		return -ENOMEM;
	plan->steps[plan->nb_steps++] = (struct dp_step){.old = old, .new = new};
	*version = new;
	new->key = d->key;
	new->rate_msgs_per_s = d->rate_msgs_per_s;
	new->queue_capacity = d->queue_capacity;
	new->burst_msgs = d->burst_msgs;
	new->partitions = (uint16_t)partitions_of(plan, d);
	new->default_class = dp_class_index_of(plan->config, d->default_class);
	new->boost = (uint8_t)d->class_boost;
	new->policy = d->policy;
	new->plan = plan->number;
	new->nb_backends = d->nb_backends;
	new->is_topic = d->kind == SL_CONFIG_TOPIC;
	new->is_durable = d->guarantee == SL_CONFIG_AT_LEAST_ONCE;
	new->max_attempts = d->max_attempts;
	new->requeue_after_ms = d->requeue_after_ms;
	new->dead_key = dead_key_of(plan, d);
	new->dead_letter = d->dead_letter_index;
	if (old == NULL) {
		new->first_shard = sl_slots_take(&plan->dp->control->shards, new->partitions);
		if (new->first_shard == SL_SLOTS_NONE)
			return no_shard_slot(plan);
		new->is_shard_new = true;
	} else {
		new->first_shard = old->first_shard;
	}
	rc = new->is_durable ? plan_durables(old, new) : 0;
	if (rc != 0)
		return rc;
	return plan_backends(plan, d, old, new);
}

static int
plan_destination(struct dp_plan *plan, uint32_t index)
{
	const struct sl_config_destination *d = &plan->config->destinations[index];
	struct dp_destination *old = *known_place(plan, d->key);
	int rc;

	if (old != NULL && is_same(plan, old, d) && old->partitions == partitions_of(plan, d)) {
		old->plan = plan->number;
		plan->destinations[index] = old;
		return 0;
	}
	rc = check_partitions(plan, old, d);
	if (rc == 0)
		rc = check_guarantee(plan, old, d);
	if (rc != 0)
		return rc;
	if (old == NULL || old->retiring != NULL || !is_same_route(plan, old, d))
		plan->has_route_changes = true;
	if (old != NULL)
		old->plan = plan->number;
	return plan_new_version(plan, d, old, &plan->destinations[index]);
}

static int
plan_removal(struct dp_plan *plan, struct dp_destination *old)
{
	struct dp_step *step = &plan->steps[plan->nb_steps++];

	plan->has_route_changes = true;
	step->old = old;
	step->retiring = calloc(1, sizeof(*step->retiring));
	if (plan->marks == NULL)
		plan->marks = dp_marks_alloc(plan->dp);
	return step->retiring != NULL && plan->marks != NULL ? 0 : -ENOMEM;
}

static int
plan_destinations(struct dp_plan *plan)
{
	const struct dp_control *control = plan->dp->control;
	uint32_t nb_steps = plan->config->nb_destinations + control->nb_destinations;
	int rc = 0;

	plan->destinations = calloc(
		plan->config->nb_destinations + 1, sizeof(struct dp_destination *));
	plan->steps = calloc(nb_steps + 1, sizeof(*plan->steps));
	plan->gets_dead_letters = calloc(
		plan->config->nb_destinations + 1, sizeof(*plan->gets_dead_letters));
	if (plan->destinations == NULL || plan->steps == NULL || plan->gets_dead_letters == NULL ||
		index_known(plan) != 0)
		return -ENOMEM;
	find_dead_letters(plan);
	for (uint32_t i = 0; rc == 0 && i < plan->config->nb_destinations; i++)
		rc = plan_destination(plan, i);
	for (uint32_t i = 0; rc == 0 && i < control->nb_destinations; i++) {
		struct dp_destination *old = control->destinations[i];

		if (old->plan != plan->number)
			rc = plan_removal(plan, old);
	}
	return rc;
}

/* What cannot change while the path runs; sl_config_diff() names it before it comes here. */
static int
check_frame(const struct dp_plan *plan)
{
	const struct sl_config *before = plan->dp->config, *after = plan->config;
	bool is_same = before->nb_ports == after->nb_ports &&
		before->nb_classes == after->nb_classes && before->udp_port == after->udp_port;

	for (uint32_t c = 0; is_same && c < after->nb_classes; c++)
		is_same = before->classes[c].level == after->classes[c].level;
	for (uint32_t p = 0; is_same && p < after->nb_ports; p++)
		is_same = strcmp(before->ports[p].device, after->ports[p].device) == 0;
	if (is_same)
		return 0;
	snprintf(plan->error, plan->error_len,
		"%s: ports, udp_port and the levels of classes cannot change while the path runs; "
		"restart",
		after->path != NULL ? after->path : "configuration");
	return -EINVAL;
}

int
dp_plan_make(struct dp_plan *plan)
{
	int rc;

	plan->error[0] = '\0';
	plan->number = ++plan->dp->control->nb_plans;
	rc = check_frame(plan);
	if (rc == 0)
		rc = plan_destinations(plan);
	if (rc == 0)
		rc = dp_plan_changes(plan);
	if (rc == 0)
		rc = dp_plan_routes(plan);
	free(plan->known);
	free(plan->hop_index);
	free(plan->gets_dead_letters);
	plan->known = NULL;
	plan->hop_index = NULL;
	if (rc != 0)
		dp_plan_undo(plan);
	free(plan->new_hops);
	if (rc == -ENOMEM && plan->error[0] == '\0')
		snprintf(plan->error, plan->error_len,
			"no memory for the change; nothing has changed");
	return rc;
}

void
dp_plan_undo(struct dp_plan *plan)
{
	struct dp_control *control = plan->dp->control;

	for (uint32_t i = 0; i < plan->nb_steps; i++) {
		struct dp_destination *new = plan->steps[i].new;

		free(plan->steps[i].retiring);
		if (new == NULL)
			continue;
		for (uint32_t j = 0; j < new->nb_backends; j++) {
			if (new->backends[j].is_slot_new)
				dp_backend_slot_give(plan->dp, new->backends[j].slot);
			if (new->backends[j].is_shard_new)
				dp_subscriber_shards_give(plan->dp, new, &new->backends[j]);
			else
				new->backends[j].durables = NULL;
		}
		if (!new->is_shard_new)
			new->durables = NULL;
		if (new->is_shard_new)
			sl_slots_give(&control->shards, new->first_shard, new->partitions);
		dp_destination_free(new);
	}
	dp_next_hops_undo(plan);
	dp_changes_free(plan->changes);
	dp_table_free(plan->routes, plan->routes_size);
	dp_table_free(plan->slab, plan->slab_size);
	free(plan->marks);
	free(plan->destinations);
	free(plan->steps);
}
