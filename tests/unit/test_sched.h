/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_SCHED_H
#define TEST_SCHED_H

/*
 * A scheduler and, beside it, the plainest model of its contract: a list of the waiting messages of
 * each destination and class. Every message that goes in is followed until it comes out, once, at
 * the head of its list; every drop is checked against the rule that allows it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sl_sched.h"

#define TICKS_PER_S (UINT64_C(1) << 30)
#define QUANTUM	    2048
#define BURST_MAX   300

/* GOING: dequeued, as one behind it was dropped in that very call; it will be among the sent. */
enum item_state { FREE = 0, COMING, WAITING, GOING };

struct item {
	struct sl_sched_msg msg;
	enum item_state state;
	struct item *next;
};

struct model_flow {
	struct item *head;
	struct item *tail;
	uint32_t count;
	uint64_t sent;
	uint64_t sent_bytes;
	uint64_t dropped[3];
};

struct model_dest {
	struct sl_sched_destination limits;
	uint32_t count;
	bool is_refusing; /* What bind says. */
	uint64_t refusals;
	bool has_refused;   /* In this dequeue. */
	double tokens;	    /* Messages it may send now. */
	uint64_t tokens_at; /* When that was. */
};

struct rig {
	struct sl_sched *sched;
	struct sl_sched_params params;
	uint64_t now;
	uint64_t retry_after; /* What bind asks for when it refuses. */
	bool is_full;	      /* It is said to be. */
	uint64_t nb_in;
	uint64_t nb_sent;
	uint64_t nb_dropped;
	uint32_t nb_bound; /* In this dequeue. */
	uint32_t nb_going;
	bool is_dequeuing;
	struct item *coming;
	bool has_pushed_out; /* For the one that is coming. */
	uint32_t count;
	uint32_t class_count[SL_SCHED_CLASSES_MAX];
	struct model_dest *dests;
	struct model_flow *flows;
	struct item *items;
	struct item *free_items;
};

static inline struct model_flow *
rig_flow(struct rig *rig, uint32_t dest, uint32_t c)
{
	return &rig->flows[dest * rig->params.nb_classes + c];
}

/* A leaky bucket of its own; a hundred-thousandth is left to the other's rounding. */
static inline void
rig_fill(struct rig *rig, struct model_dest *d)
{
	double rate = (double)d->limits.rate_msgs_per_s * 1.00001;

	d->tokens += (double)(rig->now - d->tokens_at) / (double)TICKS_PER_S * rate;
	if (d->tokens > d->limits.burst_msgs)
		d->tokens = d->limits.burst_msgs;
	d->tokens_at = rig->now;
}

/* At any time. */
static inline void
rig_set_dest(struct rig *rig, uint32_t dest, uint32_t capacity, uint64_t rate, uint32_t burst)
{
	struct model_dest *d = &rig->dests[dest];
	double missing = 0;

	/* What the bucket is short of goes with it into the new one. */
	rig_fill(rig, d);
	if (d->limits.rate_msgs_per_s != 0)
		missing = d->limits.burst_msgs - d->tokens;
	d->limits.capacity = capacity;
	d->limits.rate_msgs_per_s = rate;
	d->limits.burst_msgs = burst;
	d->tokens = missing > burst ? 0 : burst - missing;
	sl_sched_set_destination(rig->sched, dest, &d->limits, rig->now);
}

/* With destinations that have room for everything and no limit. */
static inline void
rig_init(struct rig *rig, const struct sl_sched_params *params)
{
	size_t size = sl_sched_memory_size(params);
	uint32_t n = params->nb_destinations;

	memset(rig, 0, sizeof(*rig));
	rig->params = *params;
	rig->params.quantum = QUANTUM;
	rig->params.ticks_per_s = TICKS_PER_S;
	rig->now = rig->params.now;
	rig->retry_after = TICKS_PER_S / 1000;
	rig->sched = aligned_alloc(64, (size + 63) & ~(size_t)63);
	assert_non_null(rig->sched);
	memset(rig->sched, 0, size);
	rig->sched = sl_sched_init(rig->sched, &rig->params);
	rig->dests = calloc(n, sizeof(*rig->dests));
	rig->flows = calloc((size_t)n * params->nb_classes, sizeof(*rig->flows));
	rig->items = calloc(params->capacity + 1, sizeof(*rig->items));
	assert_true(rig->dests != NULL && rig->flows != NULL && rig->items != NULL);
	for (uint32_t i = 0; i <= params->capacity; i++) {
		rig->items[i].next = rig->free_items;
		rig->free_items = &rig->items[i];
	}
	for (uint32_t d = 0; d < n; d++)
		rig_set_dest(rig, d, params->capacity, 0, 1);
}

static inline void
rig_check_counts(struct rig *rig)
{
	assert_int_equal(sl_sched_count(rig->sched), rig->count);
	assert_int_equal(rig->nb_in, rig->nb_sent + rig->nb_dropped + rig->count);
	for (uint32_t c = 0; c < rig->params.nb_classes; c++)
		assert_int_equal(sl_sched_class_count(rig->sched, c), rig->class_count[c]);
	for (uint32_t d = 0; d < rig->params.nb_destinations; d++)
		assert_int_equal(sl_sched_destination_count(rig->sched, d), rig->dests[d].count);
}

/* An item leaves the model, from the head of its list but for those that are going. */
static inline struct model_flow *
rig_take(struct rig *rig, struct sl_sched_msg *msg)
{
	struct item *item = (struct item *)msg, **at, *before = NULL;
	struct model_flow *flow = rig_flow(rig, msg->dest, msg->class_index);

	assert_true(item->state == WAITING || item->state == GOING);
	rig->nb_going -= item->state == GOING;
	for (at = &flow->head; *at != item; at = &before->next) {
		before = *at;
		assert_non_null(before);
		assert_true(rig->is_dequeuing);
		rig->nb_going += before->state == WAITING;
		before->state = GOING;
	}
	*at = item->next;
	if (flow->tail == item)
		flow->tail = before;
	flow->count--;
	rig->dests[msg->dest].count--;
	rig->class_count[msg->class_index]--;
	rig->count--;
	return flow;
}

static inline void
rig_release(struct rig *rig, struct sl_sched_msg *msg)
{
	struct item *item = (struct item *)msg;

	item->state = FREE;
	item->next = rig->free_items;
	rig->free_items = item;
}

/* The lowest class that holds more than its reserve, the newcomer counted. */
static inline uint32_t
rig_victim(struct rig *rig, uint32_t dest, bool is_dest_full)
{
	uint32_t capacity = is_dest_full ? rig->dests[dest].limits.capacity : rig->params.capacity;
	uint32_t coming = rig->coming->msg.class_index, victim = coming;

	for (uint32_t c = 0; c < rig->params.nb_classes; c++) {
		uint64_t held = is_dest_full ? rig_flow(rig, dest, c)->count : rig->class_count[c];

		held += c == coming;
		if (held * 100 > (uint64_t)capacity * rig->params.classes[c].min_share_percent)
			victim = c;
	}
	return victim;
}

static inline void
rig_set_full(struct rig *rig, bool is_full)
{
	rig->is_full = is_full;
	sl_sched_set_full(rig->sched, is_full);
}

static inline void
rig_check_make_room(struct rig *rig, const struct sl_sched_msg *msg)
{
	uint32_t dest;
	bool is_dest_full;

	/* Only for a newcomer, one at most, and when there is no room. */
	assert_non_null(rig->coming);
	assert_false(rig->has_pushed_out);
	rig->has_pushed_out = true;
	dest = rig->coming->msg.dest;
	is_dest_full = rig->dests[dest].count >= rig->dests[dest].limits.capacity;
	assert_true(is_dest_full || rig->is_full || rig->count >= rig->params.capacity);
	if (is_dest_full)
		assert_int_equal(msg->dest, dest);
	assert_int_equal(msg->class_index, rig_victim(rig, dest, is_dest_full));
	if (msg != &rig->coming->msg)
		assert_int_not_equal(msg->class_index, rig->coming->msg.class_index);
}

static inline void
rig_drop(void *arg, struct sl_sched_msg *msg, enum sl_sched_drop reason)
{
	struct rig *rig = arg;
	uint64_t max_wait = rig->params.classes[msg->class_index].max_wait;

	assert_in_range(reason, SL_SCHED_QUEUE_FULL, SL_SCHED_MAX_WAIT);
	if (reason == SL_SCHED_MAX_WAIT)
		assert_true(max_wait != 0 && rig->now > msg->time + max_wait);
	else
		rig_check_make_room(rig, msg);
	if (reason == SL_SCHED_QUEUE_FULL) {
		assert_ptr_equal(msg, &rig->coming->msg);
		assert_int_equal(rig->coming->state, COMING);
		rig_flow(rig, msg->dest, msg->class_index)->dropped[reason]++;
	} else {
		rig_take(rig, msg)->dropped[reason]++;
	}
	rig->nb_dropped++;
	rig_release(rig, msg);
}

static inline void
rig_enqueue_at(struct rig *rig, uint32_t dest, uint32_t c, uint32_t len, uint64_t time)
{
	struct model_flow *flow = rig_flow(rig, dest, c);
	struct item *item = rig->free_items;
	uint32_t before = rig->dests[dest].count;

	assert_non_null(item);
	rig->free_items = item->next;
	memset(item, 0xa5, sizeof(*item));
	item->next = NULL;
	item->state = COMING;
	item->msg.time = time;
	item->msg.dest = dest;
	item->msg.len = len;
	item->msg.class_index = (uint8_t)c;
	rig->nb_in++;
	rig->coming = item;
	rig->has_pushed_out = false;
	sl_sched_prefetch(rig->sched, dest, c);
	sl_sched_enqueue(rig->sched, &item->msg, rig->now, rig_drop, rig);
	rig->coming = NULL;
	if (item->state == FREE)
		return;
	item->state = WAITING;
	if (flow->head == NULL)
		flow->head = item;
	else
		flow->tail->next = item;
	flow->tail = item;
	flow->count++;
	rig->class_count[c]++;
	rig->count++;
	rig->dests[dest].count++;
	/* More than fit may be there from when more did. */
	assert_true(rig->dests[dest].count <= rig->dests[dest].limits.capacity ||
		rig->dests[dest].count <= before);
	assert_true(rig->count <= rig->params.capacity);
}

static inline void
rig_enqueue(struct rig *rig, uint32_t dest, uint32_t c, uint32_t len)
{
	rig_enqueue_at(rig, dest, c, len, rig->now);
}

static inline int
rig_bind(void *arg, uint32_t dest, uint64_t now, uint64_t *retry_at)
{
	struct rig *rig = arg;

	assert_true(dest < rig->params.nb_destinations);
	assert_int_equal(now, rig->now);
	assert_true(rig->dests[dest].count > 0);
	/* Who refused is not asked again in the same moment. */
	assert_false(rig->dests[dest].has_refused);
	if (rig->dests[dest].is_refusing) {
		rig->dests[dest].has_refused = true;
		rig->dests[dest].refusals++;
		*retry_at = now + rig->retry_after;
		return -1;
	}
	return (int)(dest * 1000 + rig->nb_bound++ % 1000);
}

static inline void
rig_check_rate(struct rig *rig, uint32_t dest)
{
	struct model_dest *d = &rig->dests[dest];

	if (d->limits.rate_msgs_per_s == 0)
		return;
	rig_fill(rig, d);
	d->tokens -= 1;
	assert_true(d->tokens > -0.001);
}

/* Called with each message that was sent, before the model takes it. */
typedef void (*rig_sent_t)(struct rig *rig, const struct sl_sched_msg *msg);

static inline uint32_t
rig_dequeue_with(struct rig *rig, uint32_t max, rig_sent_t sent)
{
	const struct sl_sched_hooks hooks = {rig_bind, rig, rig_drop, rig};
	struct sl_sched_msg *msgs[BURST_MAX + 1];
	struct model_flow *flow;
	uint64_t max_wait;
	uint32_t n;

	assert_true(max <= BURST_MAX);
	rig->nb_bound = 0;
	msgs[max] = (void *)rig;
	rig->is_dequeuing = true;
	n = sl_sched_dequeue(rig->sched, rig->now, msgs, max, &hooks);
	rig->is_dequeuing = false;
	assert_true(n <= max);
	assert_ptr_equal(msgs[max], rig);
	/* A backend was taken for each, and for no other. */
	assert_int_equal(rig->nb_bound, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(msgs[i]->backend, msgs[i]->dest * 1000 + i);
		assert_false(rig->dests[msgs[i]->dest].is_refusing);
		max_wait = rig->params.classes[msgs[i]->class_index].max_wait;
		assert_true(max_wait == 0 || rig->now <= msgs[i]->time + max_wait);
		if (sent != NULL)
			sent(rig, msgs[i]);
		rig_check_rate(rig, msgs[i]->dest);
		flow = rig_take(rig, msgs[i]);
		flow->sent++;
		flow->sent_bytes += msgs[i]->len;
		rig_release(rig, msgs[i]);
	}
	rig->nb_sent += n;
	assert_int_equal(rig->nb_going, 0);
	for (uint32_t d = 0; d < rig->params.nb_destinations; d++)
		rig->dests[d].has_refused = false;
	return n;
}

static inline uint32_t
rig_dequeue(struct rig *rig, uint32_t max)
{
	return rig_dequeue_with(rig, max, NULL);
}

static inline void
rig_drop_at_flush(void *arg, struct sl_sched_msg *msg, enum sl_sched_drop reason)
{
	struct rig *rig = arg;

	assert_int_equal(reason, SL_SCHED_PUSHED_OUT);
	rig_take(rig, msg);
	rig->nb_dropped++;
	rig_release(rig, msg);
}

/* Flush one destination, a few messages at a time; it is as new then. */
static inline void
rig_flush_dest(struct rig *rig, uint32_t dest, uint32_t max)
{
	struct model_dest *d = &rig->dests[dest];
	uint32_t before = d->count, left;

	do {
		left = sl_sched_flush_destination(rig->sched, dest, max, rig_drop_at_flush, rig);
		assert_int_equal(left, d->count);
		assert_int_equal(left, before > max ? before - max : 0);
		before = left;
	} while (left > 0);
	d->limits.rate_msgs_per_s = 0;
	d->limits.capacity = 1;
}

static inline void
rig_set_class(struct rig *rig, uint32_t c, uint32_t share, uint64_t max_wait)
{
	rig->params.classes[c].min_share_percent = share;
	rig->params.classes[c].max_wait = max_wait;
	sl_sched_set_class(rig->sched, c, &rig->params.classes[c]);
}

/* Flush what is left: everything that came in must have come out. */
static inline void
rig_free(struct rig *rig)
{
	rig_check_counts(rig);
	sl_sched_flush(rig->sched, rig_drop_at_flush, rig);
	assert_int_equal(rig->count, 0);
	rig_check_counts(rig);
	free(rig->sched);
	free(rig->dests);
	free(rig->flows);
	free(rig->items);
}

#endif /* TEST_SCHED_H */
