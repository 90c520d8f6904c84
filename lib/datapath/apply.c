/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "apply.h"
#include "durable.h"

/* The way of a change through the lcores: see apply.h. */

/* How long sl_datapath_apply() waits for the lcores; they turn in microseconds. */
#define APPLY_TIMEOUT_S 1
#define APPLY_POLL_US	10
/* Turns of a worker that does not run, taken at once while nothing comes of them. */
#define TURNS_MAX 256

void
dp_destination_free(struct dp_destination *destination)
{
	if (destination == NULL)
		return;
	if (destination->owns_state)
		free(destination->state);
	dp_durables_free(destination->durables, destination->partitions);
	for (uint32_t j = 0; j < destination->nb_backends; j++)
		dp_durables_free(destination->backends[j].durables, destination->partitions);
	free(destination);
}

/* What of a backend's messages is on its way: its slot is taken until there is none. */
static uint32_t
in_flight(const struct dp_lcore *worker, uint32_t slot)
{
	const struct dp_session *s = worker->keeper != NULL ? worker->keeper->sessions[slot] : NULL;

	/* In this order: it is active before it has anything in flight. */
	return s != NULL ? __atomic_load_n(&s->in_flight, __ATOMIC_ACQUIRE) +
			__atomic_load_n(&s->is_active, __ATOMIC_ACQUIRE)
			 : 0;
}

/* An ack may be looking at a session while it is taken away. */
static void
end_sessions(struct sl_datapath *dp, uint32_t slot)
{
	struct dp_session *sessions[DP_LCORES_MAX];
	uint32_t n = 0;

	for (uint32_t w = 0; w < dp->nb_workers; w++) {
		struct dp_keeper *keeper = dp->workers[w]->keeper;

		if (keeper == NULL || keeper->sessions[slot] == NULL)
			continue;
		sessions[n++] = keeper->sessions[slot];
		__atomic_store_n(&keeper->sessions[slot], NULL, __ATOMIC_RELEASE);
	}
	if (n > 0)
		rte_rcu_qsbr_synchronize(dp->rcu, RTE_QSBR_THRID_INVALID);
	while (n-- > 0)
		dp_session_free(sessions[n]);
}

uint64_t
dp_backend_delivered(const struct sl_datapath *dp, uint32_t slot)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < dp->nb_workers; w++)
		n += __atomic_load_n(
			&dp->workers[w]->backend_counters[slot].delivered, __ATOMIC_RELAXED);
	return n;
}

uint64_t
dp_backend_pending(const struct sl_datapath *dp, uint32_t slot)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < dp->nb_workers; w++)
		n += in_flight(dp->workers[w], slot) +
			__atomic_load_n(
				&dp->workers[w]->backend_counters[slot].pending, __ATOMIC_ACQUIRE);
	return n;
}

void
dp_backend_slot_give(struct sl_datapath *dp, uint32_t slot)
{
	end_sessions(dp, slot);
	/* No worker knows the slot: its counters are ours until one is told of it again. */
	for (uint32_t w = 0; w < dp->nb_workers; w++)
		memset(&dp->workers[w]->backend_counters[slot], 0,
			sizeof(dp->workers[w]->backend_counters[slot]));
	dp->control->hop_users[dp->backends[slot].next_hop]--;
	sl_slots_give(&dp->control->backends, slot, 1);
}

/* Workers. */

/* What belongs to taking over of a turn; sl_datapath_set_journal() comes after the first. */
static void
take_turn(struct dp_lcore *lcore, uint32_t version)
{
	bool has_journal = lcore->keeper != NULL && lcore->keeper->ring != NULL;

	lcore->now = rte_rdtsc();
	if (has_journal) {
		dp_keeper_begin_turn(lcore);
		dp_park_take_in(lcore);
	}
	dp_adopt(lcore, version);
	if (has_journal)
		dp_keeper_end_turn(lcore);
}

/*
 * While no lcore runs, the control thread takes over in its place, as long as it gets on: the first
 * configuration is there when this returns. What is being read from the journal, and the room
 * there, it waits for like a lcore: in later turns.
 */
static void
adopt_for_all(struct sl_datapath *dp)
{
	uint32_t version = atomic_load(&dp->version);

	for (uint32_t w = 0; w < dp->nb_workers; w++) {
		struct dp_lcore *lcore = dp->workers[w];
		uint32_t at = lcore->next_change;

		for (uint32_t i = 0; i < TURNS_MAX && lcore->version != version; i++) {
			take_turn(lcore, version);
			if (lcore->next_change != at)
				i = 0;
			at = lcore->next_change;
		}
	}
}

static bool
have_all_adopted(const struct sl_datapath *dp)
{
	uint32_t version = atomic_load_explicit(&dp->version, memory_order_relaxed);

	for (uint32_t w = 0; w < dp->nb_workers; w++) {
		if (atomic_load_explicit(&dp->workers[w]->adopted, memory_order_acquire) != version)
			return false;
	}
	return true;
}

/* The workers have let go of the old version. */
static void
end_version(struct sl_datapath *dp, struct dp_destination *old, struct dp_destination *new)
{
	for (uint32_t j = 0; j < old->nb_backends; j++) {
		struct dp_named_backend *was = &old->backends[j];

		if (old->is_topic && !was->is_queue_kept)
			dp_subscriber_shards_give(dp, old, was);
		if (was->is_kept)
			continue;
		for (uint32_t k = 0; k < new->nb_backends; k++) {
			if (new->backends[k].name == was->name)
				new->backends[k].carried = was->carried +
					dp_backend_delivered(dp, was->slot);
		}
		dp_loosen(dp, was->slot);
	}
	dp_destination_free(old);
}

static void
end_flushes(struct sl_datapath *dp, struct dp_transition *t)
{
	for (uint32_t i = 0; i < t->nb_flushed; i++) {
		struct dp_destination *d = t->flushed[i]->destination;

		for (uint32_t j = 0; j < d->nb_backends; j++) {
			dp_loosen(dp, d->backends[j].slot);
			if (d->is_topic)
				dp_subscriber_shards_give(dp, d, &d->backends[j]);
		}
		for (uint32_t l = 0; l < dp->nb_lcores; l++) {
			if (dp->lcores[l]->shard_dropped != NULL)
				memset(&dp->lcores[l]->shard_dropped[d->first_shard], 0,
					d->partitions * sizeof(uint64_t));
		}
		sl_slots_give(&dp->control->shards, d->first_shard, d->partitions);
		dp_destination_free(d);
		dp_retiring_free(t->flushed[i]);
	}
	free(t->flushed);
	t->flushed = NULL;
	t->nb_flushed = 0;
}

static void
leave_workers(struct sl_datapath *dp)
{
	struct dp_transition *t = &dp->control->transition;
	struct sl_route_table *routes;

	dp_changes_free(t->changes);
	t->changes = NULL;
	end_flushes(dp, t);
	for (uint32_t i = 0; i < t->nb_steps; i++) {
		if (t->steps[i].old == NULL || t->steps[i].new == NULL)
			continue;
		end_version(dp, t->steps[i].old, t->steps[i].new);
		t->steps[i].old = NULL;
	}
	t->stage = DP_IDLE;
	if (t->routes == NULL)
		return;
	routes = t->routes;
	t->routes = atomic_exchange_explicit(&dp->routes, routes, memory_order_acq_rel);
	RTE_SWAP(t->routes_size, dp->control->routes_size);
	t->token = rte_rcu_qsbr_start(dp->rcu);
	t->stage = DP_AT_RX;
}

/* Rx. */

static void
leave_rx(struct sl_datapath *dp)
{
	struct dp_transition *t = &dp->control->transition;
	uint32_t nb_removed = 0;

	dp_table_free(t->routes, t->routes_size);
	t->routes = NULL;
	for (uint32_t i = 0; i < t->nb_steps; i++)
		nb_removed += t->steps[i].new == NULL;
	if (nb_removed > 0)
		dp_marks_take(dp, t->marks, nb_removed);
	for (uint32_t i = 0; i < t->nb_steps; i++) {
		if (t->steps[i].new == NULL)
			dp_retire(dp, t->steps[i].retiring, t->steps[i].old, t->marks);
	}
	t->marks = NULL;
	t->stage = DP_IDLE;
}

void
dp_transition_begin(struct sl_datapath *dp)
{
	struct dp_transition *t = &dp->control->transition;

	t->stage = DP_AT_WORKERS;
	if (t->changes->nb_changes == 0 && !t->changes->has_classes)
		return;
	dp->changes = t->changes;
	atomic_fetch_add_explicit(&dp->version, 1, memory_order_release);
}

bool
dp_transition_advance(struct sl_datapath *dp)
{
	struct dp_transition *t = &dp->control->transition;

	if (t->stage == DP_AT_WORKERS) {
		if (!dp->is_running)
			adopt_for_all(dp);
		if (have_all_adopted(dp))
			leave_workers(dp);
	}
	if (t->stage == DP_AT_RX && rte_rcu_qsbr_check(dp->rcu, t->token, false) == 1)
		leave_rx(dp);
	if (t->stage != DP_IDLE)
		return false;
	free(t->steps);
	t->steps = NULL;
	t->nb_steps = 0;
	return true;
}

bool
dp_transition_wait(struct sl_datapath *dp)
{
	uint64_t deadline = rte_rdtsc() + APPLY_TIMEOUT_S * dp->tsc_hz;

	while (!dp_transition_advance(dp)) {
		if (rte_rdtsc() > deadline)
			return false;
		usleep(APPLY_POLL_US);
	}
	return true;
}

bool
sl_datapath_is_settled(const struct sl_datapath *dp)
{
	return dp->control->transition.stage == DP_IDLE;
}

/* A backend that has moved to another slot keeps its share; one of a destination that was gone not.
 */
static void
keep_shares(struct sl_datapath *dp, struct dp_destination *old, struct dp_destination *new)
{
	if (old->retiring != NULL) {
		dp_revive(dp, old);
		return;
	}
	for (uint32_t j = 0; j < old->nb_backends; j++) {
		const struct dp_named_backend *was = &old->backends[j];

		for (uint32_t k = 0; !was->is_kept && k < new->nb_backends; k++) {
			if (new->backends[k].name == was->name)
				atomic_store(&dp->backends[new->backends[k].slot].share,
					atomic_load(&dp->backends[was->slot].share));
		}
	}
}

/* A plan becomes the transition, and its destinations those there are. */
static void
commit(struct dp_plan *plan)
{
	struct sl_datapath *dp = plan->dp;
	struct dp_control *control = dp->control;
	struct dp_transition *t = &control->transition;

	for (uint32_t i = 0; i < plan->nb_steps; i++) {
		if (plan->steps[i].old == NULL || plan->steps[i].new == NULL)
			continue;
		keep_shares(dp, plan->steps[i].old, plan->steps[i].new);
		/* They are the new version's now. */
		plan->steps[i].old->durables = NULL;
		for (uint32_t j = 0; j < plan->steps[i].old->nb_backends; j++) {
			if (plan->steps[i].old->backends[j].is_queue_kept)
				plan->steps[i].old->backends[j].durables = NULL;
		}
	}
	free(control->destinations);
	control->destinations = plan->destinations;
	control->nb_destinations = plan->config->nb_destinations;
	for (uint32_t c = 0; c < plan->config->nb_classes; c++) {
		dp->config->classes[c] = plan->config->classes[c];
		dp->config->classes[c].name = NULL;
	}
	dp->config->drain_timeout_ms = plan->config->drain_timeout_ms;
	t->changes = plan->changes;
	t->routes = plan->routes;
	t->routes_size = plan->routes_size;
	t->nb_steps = plan->nb_steps;
	t->steps = plan->steps;
	t->marks = plan->marks;
	if (plan->slab != NULL) {
		control->slab = plan->slab;
		control->slab_size = plan->slab_size;
		dp->memory.backends += plan->slab_size;
	}
	dp_transition_begin(dp);
}

int
sl_datapath_apply(
	struct sl_datapath *dp, const struct sl_config *config, char *error, size_t error_len)
{
	struct dp_plan plan = {.dp = dp, .config = config, .error = error, .error_len = error_len};
	int rc;

	if (!dp_transition_wait(dp)) {
		snprintf(error, error_len,
			"an lcore has not taken over the last change for %u s; nothing has changed: try "
			"again, and if that does not help, see whether its CPU is taken by others",
			APPLY_TIMEOUT_S);
		return -EBUSY;
	}
	dp_loose_poll(dp);
	rc = dp_plan_make(&plan);
	if (rc != 0)
		return rc;
	commit(&plan);
	atomic_store(&dp->accepts_subscriptions, config->subscriptions.is_open);
	/* What takes longer goes on in sl_datapath_poll(). */
	dp_transition_wait(dp);
	dp_next_hops_sweep(dp);
	dp->memory.route = dp->control->routes_size;
	return 0;
}

void
sl_datapath_poll(struct sl_datapath *dp, uint64_t now_ms)
{
	RTE_SET_USED(now_ms);
	dp_follow_clock(dp);
	if (!dp_transition_advance(dp))
		return;
	dp_loose_poll(dp);
	dp_retiring_poll(dp);
	dp_transition_advance(dp);
}

void
sl_datapath_set_share(
	struct sl_datapath *dp, uint32_t destination, uint32_t backend, uint32_t share)
{
	uint32_t slot = dp_destination_at(dp, destination)->backends[backend].slot;

	RTE_BUILD_BUG_ON(SL_DATAPATH_SHARE_ONE != SL_POLICY_SHARE_ONE);
	atomic_store_explicit(&dp->backends[slot].share,
		RTE_MIN(share, (uint32_t)SL_DATAPATH_SHARE_ONE), memory_order_relaxed);
}

/* From the first configuration on every backend counts as up, until somebody sets its share. */
static void
share_all(struct sl_datapath *dp)
{
	for (uint32_t i = 0; i < dp->control->nb_destinations; i++) {
		for (uint32_t j = 0; j < dp_destination_at(dp, i)->nb_backends; j++)
			sl_datapath_set_share(dp, i, j, SL_DATAPATH_SHARE_ONE);
	}
}

int
dp_control_create(
	struct sl_datapath *dp, const struct sl_config *config, char *error, size_t error_len)
{
	struct dp_control *control = calloc(1, sizeof(*control));
	int rc;

	if (control == NULL)
		return -ENOMEM;
	dp->control = control;
	TAILQ_INIT(&control->retiring);
	control->hop_users = calloc(dp_max_next_hops(dp), sizeof(*control->hop_users));
	control->loose = calloc(dp->nb_backends, sizeof(*control->loose));
	if (control->hop_users == NULL || control->loose == NULL ||
		sl_slots_init(&control->shards, dp->nb_shards) != 0 ||
		sl_slots_init(&control->backends, dp->nb_backends) != 0 ||
		sl_slots_init(&control->hops, dp_max_next_hops(dp)) != 0) {
		snprintf(error, error_len, "no memory for %u destinations and %u backends",
			dp->nb_shards, dp->nb_backends);
		return -ENOMEM;
	}
	rc = sl_datapath_apply(dp, config, error, error_len);
	if (rc == 0)
		share_all(dp);
	return rc;
}

static void
destroy_transition(struct dp_transition *t)
{
	dp_changes_free(t->changes);
	dp_table_free(t->routes, t->routes_size);
	for (uint32_t i = 0; i < t->nb_steps; i++) {
		free(t->steps[i].retiring);
		dp_destination_free(t->steps[i].old);
	}
	free(t->steps);
	free(t->marks);
	for (uint32_t i = 0; i < t->nb_flushed; i++) {
		dp_destination_free(t->flushed[i]->destination);
		dp_retiring_free(t->flushed[i]);
	}
	free(t->flushed);
}

void
dp_control_destroy(struct sl_datapath *dp)
{
	struct dp_control *control = dp->control;
	struct dp_retiring *retiring;

	if (control == NULL)
		return;
	destroy_transition(&control->transition);
	while ((retiring = TAILQ_FIRST(&control->retiring)) != NULL) {
		TAILQ_REMOVE(&control->retiring, retiring, entry);
		dp_destination_free(retiring->destination);
		dp_retiring_free(retiring);
	}
	for (uint32_t i = 0; i < control->nb_destinations; i++)
		dp_destination_free(control->destinations[i]);
	free(control->destinations);
	dp_table_free(atomic_load(&dp->routes), control->routes_size);
	dp_table_free(control->slab, control->slab_size);
	sl_slots_free(&control->shards);
	sl_slots_free(&control->backends);
	sl_slots_free(&control->hops);
	free(control->hop_users);
	free(control->loose);
	free(control);
}
