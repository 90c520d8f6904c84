/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include <rte_cycles.h>

#include "apply.h"
#include "durable.h"

/*
 * Removed destinations. No rx lcore hands out messages for them any more; what is in the rings, in
 * their queues and at the ports is delivered, or dropped when its time is over. Then the workers
 * are told to forget their shards.
 */

/* Destinations looked at in one poll. */
#define LOOK_MAX 4096u

struct dp_marks *
dp_marks_alloc(const struct sl_datapath *dp)
{
	struct dp_marks *marks;

	return calloc(1, sizeof(*marks) + dp->nb_lcores * dp->nb_workers * sizeof(marks->tails[0]));
}

static const struct rte_ring *
ring_at(const struct sl_datapath *dp, uint32_t index)
{
	return dp->lcores[index / dp->nb_workers]->to_worker[index % dp->nb_workers];
}

void
dp_marks_take(struct sl_datapath *dp, struct dp_marks *marks, uint32_t nb_users)
{
	const struct rte_ring *ring;

	marks->nb_users = nb_users;
	for (uint32_t i = 0; i < dp->nb_lcores * dp->nb_workers; i++) {
		ring = ring_at(dp, i);
		if (ring != NULL)
			marks->tails[i] = __atomic_load_n(&ring->prod.tail, __ATOMIC_ACQUIRE);
	}
}

/* Have the workers taken out what was in the rings then? */
static bool
are_passed(const struct sl_datapath *dp, struct dp_marks *marks)
{
	const struct rte_ring *ring;

	for (uint32_t i = 0; !marks->are_passed && i < dp->nb_lcores * dp->nb_workers; i++) {
		ring = ring_at(dp, i);
		if (ring != NULL &&
			(int32_t)(__atomic_load_n(&ring->cons.tail, __ATOMIC_ACQUIRE) -
				marks->tails[i]) < 0)
			return false;
	}
	marks->are_passed = true;
	return true;
}

void
dp_retire(struct sl_datapath *dp, struct dp_retiring *retiring, struct dp_destination *destination,
	struct dp_marks *marks)
{
	retiring->destination = destination;
	retiring->marks = marks;
	retiring->deadline = rte_rdtsc() + dp->config->drain_timeout_ms * (dp->tsc_hz / 1000);
	destination->retiring = retiring;
	TAILQ_INSERT_TAIL(&dp->control->retiring, retiring, entry);
	dp->control->nb_retiring++;
}

void
dp_retiring_free(struct dp_retiring *retiring)
{
	if (retiring->marks != NULL && --retiring->marks->nb_users == 0)
		free(retiring->marks);
	free(retiring);
}

static void
take_out(struct sl_datapath *dp, struct dp_retiring *retiring)
{
	TAILQ_REMOVE(&dp->control->retiring, retiring, entry);
	dp->control->nb_retiring--;
}

/* It is back before it was gone; its backends count as new. */
void
dp_revive(struct sl_datapath *dp, struct dp_destination *destination)
{
	take_out(dp, destination->retiring);
	dp_retiring_free(destination->retiring);
	destination->retiring = NULL;
	for (uint32_t j = 0; j < destination->nb_backends; j++)
		atomic_store_explicit(&dp->backends[destination->backends[j].slot].share, 0,
			memory_order_relaxed);
}

static bool
is_durable_empty(const struct dp_durable *durable)
{
	for (unsigned int c = 0; c < SL_CONFIG_CLASSES_MAX; c++) {
		if (durable->parked[c].is_fetching)
			return false;
	}
	return durable->nb_parked == 0 && durable->in_flight == 0;
}

static bool
is_empty(const struct sl_datapath *dp, const struct dp_destination *d)
{
	for (uint32_t q = 0; q < dp_nb_queues(d); q++) {
		uint32_t first = dp_queue_shard(d, q);

		for (uint32_t s = first; s < first + d->partitions; s++) {
			if (sl_sched_destination_count(dp_owner(dp, s)->sched, s) > 0)
				return false;
			if (d->is_durable && !is_durable_empty(dp_queue_durables(d, q)[s - first]))
				return false;
		}
	}
	for (uint32_t j = 0; j < d->nb_backends; j++) {
		if (dp_backend_pending(dp, d->backends[j].slot) > 0)
			return false;
	}
	return true;
}

/*
 * Empty twice with a grace period between: then nothing was on its way from a ring to the queue, or
 * from there to the port, either.
 */
static bool
is_done(struct sl_datapath *dp, struct dp_retiring *r, uint64_t now, uint64_t *token)
{
	if (!are_passed(dp, r->marks))
		return false;
	if (now >= r->deadline)
		return true;
	if (!is_empty(dp, r->destination)) {
		r->token = 0;
		return false;
	}
	if (r->token != 0)
		return rte_rcu_qsbr_check(dp->rcu, r->token, false) == 1;
	if (*token == 0)
		*token = rte_rcu_qsbr_start(dp->rcu);
	r->token = *token;
	return false;
}

/* Take those that are done off the list; look at a bounded number, at others the next time. */
static uint32_t
collect_done(struct sl_datapath *dp, struct dp_retiring **done, uint32_t max)
{
	uint64_t now = rte_rdtsc(), token = 0;
	struct dp_retiring *r;
	uint32_t n = 0;

	for (uint32_t i = 0; i < max; i++) {
		r = TAILQ_FIRST(&dp->control->retiring);
		take_out(dp, r);
		if (is_done(dp, r, now, &token)) {
			done[n++] = r;
		} else {
			TAILQ_INSERT_TAIL(&dp->control->retiring, r, entry);
			dp->control->nb_retiring++;
		}
	}
	return n;
}

static void
fill_flushes(struct dp_changes *changes, struct dp_retiring **done, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct dp_destination *d = done[i]->destination;

		for (uint32_t s = 0; s < dp_nb_shards(d); s++)
			changes->changes[changes->nb_changes++] = (struct dp_change){
				.shard = dp_queue_shard(d, s / d->partitions) + s % d->partitions,
				.is_flush = true,
			};
	}
}

void
dp_retiring_poll(struct sl_datapath *dp)
{
	struct dp_transition *t = &dp->control->transition;
	uint32_t max = RTE_MIN(dp->control->nb_retiring, LOOK_MAX), n, nb_shards = 0;
	struct dp_retiring **done;
	struct dp_changes *changes;

	if (max == 0)
		return;
	done = calloc(max, sizeof(struct dp_retiring *));
	changes = calloc(1, sizeof(*changes));
	if (done == NULL || changes == NULL) {
		free(done);
		free(changes);
		return;
	}
	n = collect_done(dp, done, max);
	for (uint32_t i = 0; i < n; i++)
		nb_shards += dp_nb_shards(done[i]->destination);
	if (n > 0)
		changes->changes = calloc(nb_shards, sizeof(*changes->changes));
	if (changes->changes == NULL) {
		/* None, or no memory: those come again. */
		for (uint32_t i = 0; i < n; i++) {
			TAILQ_INSERT_TAIL(&dp->control->retiring, done[i], entry);
			dp->control->nb_retiring++;
		}
		free(done);
		free(changes);
		return;
	}
	fill_flushes(changes, done, n);
	t->changes = changes;
	t->flushed = done;
	t->nb_flushed = n;
	dp_transition_begin(dp);
}

/* A slot may still be named by frames that wait for a port: it is free when there are none. */
void
dp_loosen(struct sl_datapath *dp, uint32_t slot)
{
	struct dp_control *control = dp->control;

	/* What is in flight and not acknowledged goes to others. */
	atomic_store_explicit(&dp->backends[slot].share, 0, memory_order_relaxed);
	if (dp_backend_pending(dp, slot) == 0)
		dp_backend_slot_give(dp, slot);
	else
		control->loose[control->nb_loose++] = slot;
}

void
dp_loose_poll(struct sl_datapath *dp)
{
	struct dp_control *control = dp->control;

	for (uint32_t i = control->nb_loose; i-- > 0;) {
		uint32_t slot = control->loose[i];

		if (dp_backend_pending(dp, slot) > 0)
			continue;
		control->loose[i] = control->loose[--control->nb_loose];
		dp_backend_slot_give(dp, slot);
	}
}
