/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include "ingress.h"

/*
 * Sessions of the path's workers with this thread, as a backend has them. Messages are taken in
 * the order of their sequence, so that clients get them in it; what comes behind a gap is not taken
 * and told to be missing. When a message is done with is another matter: a queue's when a client
 * has it.
 */

#define MS UINT64_C(1000000)

#define RECEIVERS_MAX 65536u
#define WINDOW_MIN    1024u
#define WINDOW_MAX    65536u
#define IDLE_MS	      60000u
#define ACK_EVERY     64u
#define ACK_DELAY_NS  (MS / 4)

void
gw_receiver_unref(struct gw_receiver *r)
{
	if (--r->refs != 0)
		return;
	free(r->rx);
	free(r);
}

static void
stop_ack(struct gw_thread *thread, struct gw_receiver *r)
{
	if (!r->is_due)
		return;
	TAILQ_REMOVE(&thread->subscriber.due, r, due);
	r->is_due = false;
	r->unacked = 0;
}

static void
want_ack(struct gw_thread *thread, struct gw_receiver *r)
{
	if (r->is_due || r->is_gone)
		return;
	r->is_due = true;
	r->due_at_ns = thread->now_ns + ACK_DELAY_NS;
	TAILQ_INSERT_TAIL(&thread->subscriber.due, r, due);
}

static void
forget(struct gw_thread *thread, struct gw_receiver *r)
{
	struct gw_subscriber *s = &thread->subscriber;

	stop_ack(thread, r);
	TAILQ_REMOVE(&s->lru, r, lru);
	sl_session_index_remove(&s->index, r->number);
	s->slots[r->slot] = s->slots[--s->nb_slots];
	s->slots[r->slot]->slot = r->slot;
	if (s->slots[r->slot] != r)
		*sl_session_index_find(&s->index, s->slots[r->slot]->number) = r->slot;
	r->is_gone = true;
	gw_receiver_unref(r);
}

void
gw_receiver_refuse(struct gw_thread *thread, uint64_t number, rte_be16_t port)
{
	uint8_t buf[SL_WIRE_ACK_MAX];
	struct sl_wire_ack ack;

	sl_session_refuse(number, &ack);
	gw_link_send(&thread->link, port, buf, (uint32_t)sl_wire_put_ack(buf, 0, &ack));
	GW_ADD(thread->subscriber.refused, 1);
}

void
gw_receiver_abandon(struct gw_thread *thread, struct gw_receiver *r)
{
	if (r->is_gone)
		return;
	gw_receiver_refuse(thread, r->number, r->port);
	forget(thread, r);
}

void
gw_receivers_abandon(struct gw_thread *thread, rte_be16_t port)
{
	struct gw_receiver *r, *next;

	for (r = TAILQ_FIRST(&thread->subscriber.lru); r != NULL; r = next) {
		next = TAILQ_NEXT(r, lru);
		if (r->port == port)
			gw_receiver_abandon(thread, r);
	}
}

static uint32_t
window_for(const struct gw_thread *thread, uint64_t destination)
{
	const struct gw_dest *dest = gw_snapshot_find(thread->snapshot, destination);
	uint32_t window = WINDOW_MIN;

	/* One that is not known any more: what its backends may have in flight at most. */
	if (dest == NULL)
		return WINDOW_MAX;
	while (window < dest->in_flight && window < WINDOW_MAX)
		window *= 2;
	return window;
}

static struct gw_receiver *
add(struct gw_thread *thread, uint64_t number, uint32_t window, rte_be16_t port)
{
	struct gw_subscriber *s = &thread->subscriber;
	struct sl_session_rx_params params = {.session = number, .window = window};
	size_t size = sl_session_rx_memory_size(&params);
	struct gw_receiver *r = calloc(1, sizeof(*r));
	void *mem = NULL;

	if (r == NULL || posix_memalign(&mem, 64, size) != 0) {
		free(r);
		return NULL;
	}
	if (s->nb_slots == RECEIVERS_MAX)
		forget(thread, TAILQ_FIRST(&s->lru));
	memset(mem, 0, size);
	r->rx = sl_session_rx_init(mem, &params);
	r->number = number;
	r->port = port;
	r->window = window;
	r->came_next = 1;
	r->refs = 1;
	r->slot = s->nb_slots;
	if (!sl_session_index_add(&s->index, number, r->slot)) {
		gw_receiver_unref(r);
		return NULL;
	}
	s->slots[s->nb_slots++] = r;
	TAILQ_INSERT_TAIL(&s->lru, r, lru);
	return r;
}

struct gw_receiver *
gw_receiver_find(struct gw_thread *thread, uint64_t number, uint64_t first_sequence,
	uint64_t destination, rte_be16_t port)
{
	struct gw_subscriber *s = &thread->subscriber;
	struct gw_receiver *r = TAILQ_LAST(&s->lru, gw_receivers);
	uint32_t *slot;

	if (r == NULL || r->number != number) {
		slot = sl_session_index_find(&s->index, number);
		r = slot != NULL ? s->slots[*slot] : NULL;
	}
	if (r == NULL && !sl_session_rx_may_begin(first_sequence)) {
		gw_receiver_refuse(thread, number, port);
		return NULL;
	}
	if (r == NULL)
		r = add(thread, number, window_for(thread, destination), port);
	if (r == NULL) {
		GW_ADD(s->no_memory, 1);
		return NULL;
	}
	r->heard_ms = thread->now_ms;
	if (TAILQ_NEXT(r, lru) != NULL) {
		TAILQ_REMOVE(&s->lru, r, lru);
		TAILQ_INSERT_TAIL(&s->lru, r, lru);
	}
	return r;
}

bool
gw_receiver_take(struct gw_thread *thread, struct gw_receiver *r, uint64_t sequence)
{
	if (sequence > r->came_highest && sequence < sl_session_rx_cumulative(r->rx) + r->window)
		r->came_highest = sequence;
	if (sequence == r->came_next && sequence <= sl_session_rx_cumulative(r->rx) + r->window) {
		r->came_next++;
		return true;
	}
	if (sequence < r->came_next)
		GW_ADD(thread->subscriber.duplicates, 1);
	want_ack(thread, r);
	return false;
}

void
gw_receiver_done(
	struct gw_thread *thread, struct gw_receiver *r, uint64_t sequence, uint64_t timestamp_ns)
{
	if (r->is_gone)
		return;
	sl_session_rx_receive(r->rx, sequence);
	r->echo_timestamp_ns = timestamp_ns;
	r->echo_at_ns = thread->now_ns;
	r->unacked++;
	want_ack(thread, r);
}

/*
 * What came behind a gap was not taken: said to have been seen, and not received, it is sent again
 * with what is in the gap, after a round trip. That can be said where the ack has no bit for it: a
 * bit would say that it was received, or that it was not seen.
 */
static void
tell_gap(const struct gw_receiver *r, struct sl_wire_ack *ack)
{
	uint64_t behind = ack->cumulative + 2 + UINT64_C(8) * ack->selective_len;

	if (r->came_highest >= r->came_next && r->came_highest >= behind)
		ack->highest = RTE_MAX(ack->highest, r->came_highest);
}

static bool
send_ack(struct gw_thread *thread, struct gw_receiver *r)
{
	uint8_t buf[SL_WIRE_ACK_MAX];
	struct sl_wire_ack ack;
	uint64_t delay = thread->now_ns - r->echo_at_ns;

	sl_session_rx_ack(r->rx, r->window, &ack);
	tell_gap(r, &ack);
	ack.echo_timestamp_ns = r->echo_timestamp_ns;
	ack.ack_delay_ns = delay < UINT32_MAX ? (uint32_t)delay : UINT32_MAX;
	if (!gw_link_send(&thread->link, r->port, buf, (uint32_t)sl_wire_put_ack(buf, 0, &ack)))
		return false;
	GW_ADD(thread->subscriber.acks, 1);
	stop_ack(thread, r);
	return true;
}

void
gw_receiver_acks(struct gw_thread *thread, bool all)
{
	struct gw_receiver *r, *next;

	for (r = TAILQ_FIRST(&thread->subscriber.due); r != NULL; r = next) {
		next = TAILQ_NEXT(r, due);
		if ((all || r->unacked >= ACK_EVERY || thread->now_ns >= r->due_at_ns) &&
			!send_ack(thread, r))
			return;
	}
}

void
gw_receiver_expire(struct gw_thread *thread)
{
	struct gw_receiver *r;

	while ((r = TAILQ_FIRST(&thread->subscriber.lru)) != NULL &&
		thread->now_ms - r->heard_ms >= IDLE_MS)
		forget(thread, r);
}

void
gw_receivers_fini(struct gw_thread *thread)
{
	struct gw_receiver *r;

	while ((r = TAILQ_FIRST(&thread->subscriber.lru)) != NULL)
		forget(thread, r);
}
