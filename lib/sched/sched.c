/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdbool.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "sl_gcra.h"
#include "sl_sched.h"
#include "wheel.h"

#define NIL UINT32_MAX

/* A served message costs a guaranteed class this much of what it is owed: one message, in percent.
 */
#define SHARE_UNIT 100
/* What a class may be owed at most, so that a long wait does not become a long burst. */
#define SHARE_CAP (8 * SHARE_UNIT)

/* Expired messages that one call to dequeue drops at most, and destinations it wakes. */
#define EXPIRE_MAX 256
#define WAKE_MAX   1024

/* Flows of a class that are looked at for one that may give a message up. */
#define VICTIM_FLOWS 16

/* Flows of a class that are looked at for expired messages while nothing may be sent. */
#define EXPIRE_FLOWS 16

/* The messages of one destination in one class. */
struct flow {
	struct sl_sched_msg *head;
	struct sl_sched_msg *tail;
	uint32_t next; /* In the list of flows it is in. */
	uint32_t prev;
	uint32_t count;
	uint32_t deficit; /* Bytes it may still send in this turn. */
};

struct destination {
	uint32_t count;
	uint32_t capacity;
	struct sl_gcra rate;
	uint64_t parked_until;
	uint32_t wheel_next;
	uint8_t backlog; /* Classes with messages, as bits. */
	bool is_parked;
	bool is_on_wheel; /* Parked, or was until somebody woke it before its time. */
	bool is_kept;
	int16_t owed[SL_SCHED_CLASSES_MAX];
} __rte_cache_aligned;

/* A circular order of flows: served from the head, put back at the tail. */
struct flow_list {
	uint32_t head;
	uint32_t tail;
};

struct sl_sched {
	uint32_t nb_classes;
	uint32_t capacity;
	bool is_full; /* Whatever the capacity. */
	uint32_t count;
	uint32_t quantum;
	uint64_t ticks_per_s;
	uint8_t active_mask; /* Classes with an active flow. */
	uint8_t shared_mask; /* Classes with a minimum share. */
	uint32_t class_count[SL_SCHED_CLASSES_MAX];
	uint32_t kept_count[SL_SCHED_CLASSES_MAX]; /* Of those, of destinations that are kept. */
	uint32_t kept;
	int16_t owed[SL_SCHED_CLASSES_MAX];
	struct sl_sched_class classes[SL_SCHED_CLASSES_MAX];
	struct flow_list active[SL_SCHED_CLASSES_MAX];
	struct flow_list parked[SL_SCHED_CLASSES_MAX];
	uint32_t nb_destinations;
	uint32_t expire_left; /* What the call under way may still drop as expired. */
	uint32_t due;	      /* Parked destinations whose time has come, not woken yet. */
	struct destination *destinations;
	struct flow *flows; /* Of destination d: flows[d * nb_classes ...]. */
	struct wheel wheel;
} __rte_cache_aligned;

static inline uint32_t
flow_index(const struct sl_sched *s, uint32_t dest, unsigned int class_index)
{
	return dest * s->nb_classes + class_index;
}

size_t
sl_sched_memory_size(const struct sl_sched_params *params)
{
	size_t n = params->nb_destinations;

	return sizeof(struct sl_sched) + n * sizeof(struct destination) +
		RTE_ALIGN_CEIL(
			n * params->nb_classes * sizeof(struct flow), (size_t)RTE_CACHE_LINE_SIZE);
}

struct sl_sched *
sl_sched_init(void *mem, const struct sl_sched_params *params)
{
	struct sl_sched *s = mem;

	s->nb_classes = params->nb_classes;
	s->capacity = params->capacity;
	s->quantum = params->quantum;
	s->ticks_per_s = params->ticks_per_s;
	s->nb_destinations = params->nb_destinations;
	s->destinations = (struct destination *)(s + 1);
	s->flows = (struct flow *)(s->destinations + s->nb_destinations);
	for (unsigned int c = 0; c < s->nb_classes; c++) {
		s->classes[c] = params->classes[c];
		if (s->classes[c].min_share_percent > 0)
			s->shared_mask |= (uint8_t)(1u << c);
		s->active[c].head = s->active[c].tail = NIL;
		s->parked[c].head = s->parked[c].tail = NIL;
	}
	for (uint32_t d = 0; d < s->nb_destinations; d++)
		s->destinations[d].capacity = 1;
	s->due = WHEEL_NIL;
	wheel_init(&s->wheel, params->ticks_per_s, params->now);
	return s;
}

void
sl_sched_prefetch(const struct sl_sched *s, uint32_t dest, uint32_t class_index)
{
	rte_prefetch0_write(&s->destinations[dest]);
	rte_prefetch0_write(&s->flows[flow_index(s, dest, class_index)]);
}

/* Lists of flows. */

static inline void
list_append(struct sl_sched *s, struct flow_list *list, uint32_t index)
{
	struct flow *f = &s->flows[index];

	f->next = NIL;
	f->prev = list->tail;
	if (list->tail == NIL)
		list->head = index;
	else
		s->flows[list->tail].next = index;
	list->tail = index;
}

static inline void
list_remove(struct sl_sched *s, struct flow_list *list, uint32_t index)
{
	struct flow *f = &s->flows[index];

	if (f->prev == NIL)
		list->head = f->next;
	else
		s->flows[f->prev].next = f->next;
	if (f->next == NIL)
		list->tail = f->prev;
	else
		s->flows[f->next].prev = f->prev;
}

static inline void
activate(struct sl_sched *s, uint32_t index, unsigned int c)
{
	list_append(s, &s->active[c], index);
	s->active_mask |= (uint8_t)(1u << c);
}

static inline void
deactivate(struct sl_sched *s, uint32_t index, unsigned int c)
{
	list_remove(s, &s->active[c], index);
	if (s->active[c].head == NIL)
		s->active_mask &= (uint8_t) ~(1u << c);
}

/* A destination with messages moves between the active and the parked lists as a whole. */

static void
park(struct sl_sched *s, uint32_t dest, uint64_t until)
{
	struct destination *d = &s->destinations[dest];
	unsigned int c;

	for (unsigned int mask = d->backlog; mask != 0; mask &= mask - 1) {
		c = (unsigned int)__builtin_ctz(mask);
		deactivate(s, flow_index(s, dest, c), c);
		list_append(s, &s->parked[c], flow_index(s, dest, c));
	}
	d->is_parked = true;
	d->parked_until = until;
	if (unlikely(d->is_on_wheel))
		return;
	d->is_on_wheel = true;
	d->wheel_next = wheel_park(&s->wheel, dest, until);
}

static void
wake(struct sl_sched *s, uint32_t dest)
{
	struct destination *d = &s->destinations[dest];
	unsigned int c;

	d->is_parked = false;
	for (unsigned int mask = d->backlog; mask != 0; mask &= mask - 1) {
		c = (unsigned int)__builtin_ctz(mask);
		list_remove(s, &s->parked[c], flow_index(s, dest, c));
		activate(s, flow_index(s, dest, c), c);
	}
}

static void
wake_due(struct sl_sched *s, uint64_t now)
{
	struct destination *d;
	uint32_t dest;

	for (uint32_t left = WAKE_MAX; left > 0; left--) {
		if (s->due == WHEEL_NIL)
			s->due = wheel_pop_due(&s->wheel, now);
		if (s->due == WHEEL_NIL)
			return;
		dest = s->due;
		d = &s->destinations[dest];
		s->due = d->wheel_next;
		s->wheel.nb_parked--;
		d->is_on_wheel = false;
		/* Somebody has woken it before its time. */
		if (unlikely(!d->is_parked))
			continue;
		/* It was further away than the wheel reaches. */
		if (unlikely(d->parked_until > now)) {
			d->is_on_wheel = true;
			d->wheel_next = wheel_park(&s->wheel, dest, d->parked_until);
		} else {
			wake(s, dest);
		}
	}
}

/* What waits there already counts the other way from now on. */
static void
change_kept(struct sl_sched *s, uint32_t dest, bool is_kept)
{
	struct destination *d = &s->destinations[dest];

	d->is_kept = is_kept;
	for (unsigned int c = 0; c < s->nb_classes; c++) {
		uint32_t n = s->flows[flow_index(s, dest, c)].count;

		s->kept_count[c] += is_kept ? n : 0 - n;
		s->kept += is_kept ? n : 0 - n;
	}
}

void
sl_sched_set_destination(
	struct sl_sched *s, uint32_t dest, const struct sl_sched_destination *params, uint64_t now)
{
	struct destination *d = &s->destinations[dest];
	struct sl_gcra old = d->rate;

	d->capacity = params->capacity;
	if (d->is_kept != params->is_kept)
		change_kept(s, dest, params->is_kept);
	sl_gcra_init(&d->rate, params->rate_msgs_per_s, params->burst_msgs, s->ticks_per_s);
	sl_gcra_carry(&d->rate, &old, now);
	if (d->is_parked)
		wake(s, dest);
}

void
sl_sched_set_class(struct sl_sched *s, uint32_t class_index, const struct sl_sched_class *params)
{
	s->classes[class_index] = *params;
	s->shared_mask &= (uint8_t) ~(1u << class_index);
	if (params->min_share_percent > 0)
		s->shared_mask |= (uint8_t)(1u << class_index);
	/* A destination's own account stays: it is worth a few messages, and there are many. */
	s->owed[class_index] = 0;
}

/* Messages in and out of flows. */

/* A destination has its first message of a class. */
static inline void
begin_flow(struct sl_sched *s, struct destination *d, uint32_t index, unsigned int c)
{
	d->backlog |= (uint8_t)(1u << c);
	if (likely(!d->is_parked))
		activate(s, index, c);
	else
		list_append(s, &s->parked[c], index);
}

static inline void
count_in(struct sl_sched *s, struct destination *d, struct flow *f, unsigned int c)
{
	f->count++;
	d->count++;
	s->class_count[c]++;
	s->count++;
	s->kept_count[c] += d->is_kept;
	s->kept += d->is_kept;
}

static inline void
push(struct sl_sched *s, struct sl_sched_msg *msg)
{
	struct destination *d = &s->destinations[msg->dest];
	unsigned int c = msg->class_index;
	uint32_t index = flow_index(s, msg->dest, c);
	struct flow *f = &s->flows[index];

	msg->next = NULL;
	if (f->head == NULL) {
		f->head = msg;
		begin_flow(s, d, index, c);
	} else {
		f->tail->next = msg;
	}
	f->tail = msg;
	count_in(s, d, f, c);
}

void
sl_sched_put_back(struct sl_sched *s, struct sl_sched_msg *msg)
{
	struct destination *d = &s->destinations[msg->dest];
	unsigned int c = msg->class_index;
	uint32_t index = flow_index(s, msg->dest, c);
	struct flow *f = &s->flows[index];

	msg->next = f->head;
	if (f->head == NULL) {
		f->tail = msg;
		f->head = msg;
		begin_flow(s, d, index, c);
	} else {
		f->head = msg;
	}
	count_in(s, d, f, c);
}

void
sl_sched_wake(struct sl_sched *s, uint32_t dest)
{
	if (s->destinations[dest].is_parked)
		wake(s, dest);
}

static inline struct sl_sched_msg *
pop(struct sl_sched *s, uint32_t dest, unsigned int c)
{
	struct destination *d = &s->destinations[dest];
	uint32_t index = flow_index(s, dest, c);
	struct flow *f = &s->flows[index];
	struct sl_sched_msg *msg = f->head;

	f->head = msg->next;
	f->count--;
	d->count--;
	s->class_count[c]--;
	s->count--;
	s->kept_count[c] -= d->is_kept;
	s->kept -= d->is_kept;
	if (f->head == NULL) {
		f->tail = NULL;
		f->deficit = 0;
		d->backlog &= (uint8_t) ~(1u << c);
		d->owed[c] = 0;
		if (d->is_parked)
			list_remove(s, &s->parked[c], index);
		else
			deactivate(s, index, c);
	}
	return msg;
}

/* Drop what has waited for too long at the head of a flow, as far as this call may. */
static void
expire(struct sl_sched *s, uint32_t dest, unsigned int c, uint64_t now, sl_sched_drop_t drop,
	void *drop_arg)
{
	const struct flow *f = &s->flows[flow_index(s, dest, c)];
	uint64_t max_wait = s->classes[c].max_wait;

	if (max_wait == 0 || s->destinations[dest].is_kept)
		return;
	while (s->expire_left > 0 && f->head != NULL && now > f->head->time &&
		now - f->head->time > max_wait) {
		s->expire_left--;
		drop(drop_arg, pop(s, dest, c), SL_SCHED_MAX_WAIT);
	}
}

/*
 * Which class gives up a message so that one of class `coming` can come in: the lowest that holds
 * more than its reserve. The newcomer counts for its own class.
 */
static unsigned int
choose_victim(
	const struct sl_sched *s, const uint32_t *counts, uint32_t capacity, unsigned int coming)
{
	for (unsigned int c = s->nb_classes; c-- > 0;) {
		uint64_t reserve = (uint64_t)capacity * s->classes[c].min_share_percent / 100;

		if (counts[c] + (c == coming) > reserve)
			return c;
	}
	return coming;
}

/* Make room in a full destination. False when the newcomer itself is the one to go. */
static bool
make_room_in_destination(
	struct sl_sched *s, const struct sl_sched_msg *msg, sl_sched_drop_t drop, void *drop_arg)
{
	uint32_t counts[SL_SCHED_CLASSES_MAX];
	unsigned int victim;

	for (unsigned int c = 0; c < s->nb_classes; c++)
		counts[c] = s->flows[flow_index(s, msg->dest, c)].count;
	victim = choose_victim(s, counts, s->destinations[msg->dest].capacity, msg->class_index);
	/* Of its own class the newcomer goes: the queue keeps what is older. */
	if (victim == msg->class_index || counts[victim] == 0)
		return false;
	drop(drop_arg, pop(s, msg->dest, victim), SL_SCHED_PUSHED_OUT);
	return true;
}

/* The next flow of a list that is not kept, among the first few. They take turns. */
static uint32_t
find_victim(struct sl_sched *s, struct flow_list *list)
{
	uint32_t index;

	for (uint32_t i = 0; i < VICTIM_FLOWS && list->head != NIL; i++) {
		index = list->head;
		list_remove(s, list, index);
		list_append(s, list, index);
		if (!s->destinations[index / s->nb_classes].is_kept)
			return index;
	}
	return NIL;
}

/* Make room when all queues together are full: some destination gives, parked ones first. */
static bool
make_room(struct sl_sched *s, const struct sl_sched_msg *msg, sl_sched_drop_t drop, void *drop_arg)
{
	uint32_t counts[SL_SCHED_CLASSES_MAX], index;
	unsigned int victim;

	for (unsigned int c = 0; c < s->nb_classes; c++)
		counts[c] = s->class_count[c] - s->kept_count[c];
	victim = choose_victim(s, counts, s->capacity, msg->class_index);
	if (victim == msg->class_index || counts[victim] == 0)
		return false;
	index = find_victim(s, &s->parked[victim]);
	if (index == NIL)
		index = find_victim(s, &s->active[victim]);
	if (index == NIL)
		return false;
	drop(drop_arg, pop(s, index / s->nb_classes, victim), SL_SCHED_PUSHED_OUT);
	return true;
}

void
sl_sched_enqueue(struct sl_sched *s, struct sl_sched_msg *msg, uint64_t now, sl_sched_drop_t drop,
	void *drop_arg)
{
	const struct destination *d = &s->destinations[msg->dest];

	if (unlikely(d->backlog & (1u << msg->class_index))) {
		s->expire_left = 1;
		expire(s, msg->dest, msg->class_index, now, drop, drop_arg);
	}
	if (d->is_kept) {
		push(s, msg);
		return;
	}
	if (unlikely(d->count >= d->capacity) &&
		!make_room_in_destination(s, msg, drop, drop_arg)) {
		drop(drop_arg, msg, SL_SCHED_QUEUE_FULL);
		return;
	}
	if (unlikely(s->is_full || s->count - s->kept >= s->capacity) &&
		!make_room(s, msg, drop, drop_arg)) {
		drop(drop_arg, msg, SL_SCHED_QUEUE_FULL);
		return;
	}
	push(s, msg);
}

/* Choosing. */

/* Of the classes in `mask`: a guaranteed one that is owed a message, or the best. */
static inline unsigned int
choose_class(const struct sl_sched *s, const int16_t *owed, unsigned int mask)
{
	unsigned int waiting = mask & s->shared_mask, c;

	if (likely((mask & (mask - 1)) == 0))
		return (unsigned int)__builtin_ctz(mask);
	for (; waiting != 0; waiting &= waiting - 1) {
		c = (unsigned int)__builtin_ctz(waiting);
		if (owed[c] >= SHARE_UNIT)
			return c;
	}
	return (unsigned int)__builtin_ctz(mask);
}

/* A message of class `served` went, while the classes in `mask` had some: keep the accounts. */
static inline void
charge_class(const struct sl_sched *s, int16_t *owed, unsigned int mask, unsigned int served)
{
	unsigned int waiting = mask & s->shared_mask, c;
	int16_t least;

	if (likely((mask & (mask - 1)) == 0))
		return;
	for (; waiting != 0; waiting &= waiting - 1) {
		c = (unsigned int)__builtin_ctz(waiting);
		owed[c] += (int16_t)s->classes[c].min_share_percent;
		if (owed[c] > SHARE_CAP)
			owed[c] = SHARE_CAP;
	}
	if (!(s->shared_mask & (1u << served)))
		return;
	/* It went before a better one, as the other account wanted: here it had that in advance. */
	least = RTE_MIN(owed[served], 0);
	if (mask & ((1u << served) - 1))
		least = -SHARE_CAP;
	owed[served] = (int16_t)RTE_MAX(owed[served] - SHARE_UNIT, least);
}

/*
 * One message of the destination whose turn in class `c` it is, or NULL when it has none left in
 * that class, or has been parked.
 */
static inline struct sl_sched_msg *
serve_one(struct sl_sched *s, uint32_t dest, unsigned int c, uint64_t now,
	const struct sl_sched_hooks *hooks)
{
	struct destination *d = &s->destinations[dest];
	struct sl_sched_msg *msg;
	unsigned int own = c, backlog;
	uint64_t retry_at = now;
	int backend;

	expire(s, dest, c, now, hooks->drop, hooks->drop_arg);
	if (!(d->backlog & (1u << c)))
		return NULL;
	if (unlikely(!sl_gcra_conforms(&d->rate, now))) {
		park(s, dest, sl_gcra_due(&d->rate));
		return NULL;
	}
	/* Its turn came through class c; inside, another class may be owed more. */
	if (unlikely(d->backlog & (d->backlog - 1))) {
		own = choose_class(s, d->owed, d->backlog);
		if (own < c || d->owed[own] < SHARE_UNIT)
			own = c;
		if (own != c) {
			expire(s, dest, own, now, hooks->drop, hooks->drop_arg);
			if (!(d->backlog & (1u << own)))
				own = c;
		}
	}
	/* The bound on dropping was reached before a message that may go. */
	msg = s->flows[flow_index(s, dest, own)].head;
	if (unlikely(s->classes[own].max_wait != 0 && now > msg->time &&
		    now - msg->time > s->classes[own].max_wait && !d->is_kept)) {
		park(s, dest, now);
		return NULL;
	}
	backend = hooks->bind(hooks->bind_arg, dest, now, &retry_at);
	if (unlikely(backend < 0)) {
		park(s, dest, retry_at);
		return NULL;
	}
	backlog = d->backlog;
	pop(s, dest, own);
	charge_class(s, d->owed, backlog, own);
	if (d->rate.increment != 0)
		sl_gcra_take(&d->rate, now);
	msg->backend = (uint32_t)backend;
	return msg;
}

/*
 * A turn of the flow at the head of class `c`: up to a quantum of bytes. It is interrupted, and
 * goes on later, when the caller has enough, when the flow's destination has to wait, or when it is
 * another class's turn: a guarantee of a few percent is of messages, not of whole turns. Returns
 * messages taken.
 */
static inline uint32_t
serve_flow(struct sl_sched *s, unsigned int c, uint64_t now, struct sl_sched_msg **msgs,
	uint32_t max, const struct sl_sched_hooks *hooks)
{
	uint32_t index = s->active[c].head, dest = index / s->nb_classes, n = 0;
	struct flow *f = &s->flows[index];
	struct sl_sched_msg *msg;
	unsigned int mask;

	/* Not while there is some left: who was interrupted or waited for long saves nothing up. */
	if (f->deficit < f->head->len)
		f->deficit += s->quantum;
	if (f->next != NIL)
		rte_prefetch0(s->flows[f->next].head);
	while (f->deficit >= f->head->len) {
		mask = s->active_mask;
		msg = serve_one(s, dest, c, now, hooks);
		if (msg == NULL)
			return n;
		msgs[n++] = msg;
		charge_class(s, s->owed, mask, msg->class_index);
		if (f->head == NULL)
			return n;
		f->deficit -= RTE_MIN(f->deficit, msg->len);
		if (f->deficit >= f->head->len &&
			(n == max || choose_class(s, s->owed, s->active_mask) != c))
			return n;
	}
	deactivate(s, index, c);
	activate(s, index, c);
	return n;
}

/* While nothing may be sent, what waits too long still goes: from some flows of each class in turn.
 */
static void
expire_active(struct sl_sched *s, uint64_t now, const struct sl_sched_hooks *hooks)
{
	uint32_t index;

	for (unsigned int c = 0; c < s->nb_classes; c++) {
		for (uint32_t i = 0; i < EXPIRE_FLOWS && s->active[c].head != NIL; i++) {
			index = s->active[c].head;
			expire(s, index / s->nb_classes, c, now, hooks->drop, hooks->drop_arg);
			if (s->active[c].head != index)
				continue;
			deactivate(s, index, c);
			activate(s, index, c);
		}
	}
}

uint32_t
sl_sched_dequeue(struct sl_sched *s, uint64_t now, struct sl_sched_msg **msgs, uint32_t max,
	const struct sl_sched_hooks *hooks)
{
	/* Turns that yield nothing (a limit reached, all expired) are bounded like the others. */
	uint32_t n = 0, turns = 2 * max;

	s->expire_left = EXPIRE_MAX;
	wake_due(s, now);
	if (unlikely(max == 0))
		expire_active(s, now, hooks);
	while (n < max && s->active_mask != 0 && turns-- > 0)
		n += serve_flow(
			s, choose_class(s, s->owed, s->active_mask), now, msgs + n, max - n, hooks);
	return n;
}

void
sl_sched_flush(struct sl_sched *s, sl_sched_drop_t drop, void *drop_arg)
{
	for (uint32_t dest = 0; dest < s->nb_destinations; dest++) {
		struct destination *d = &s->destinations[dest];

		while (d->backlog != 0)
			drop(drop_arg, pop(s, dest, (unsigned int)__builtin_ctz(d->backlog)),
				SL_SCHED_PUSHED_OUT);
	}
}

uint32_t
sl_sched_flush_destination(
	struct sl_sched *s, uint32_t dest, uint32_t max, sl_sched_drop_t drop, void *drop_arg)
{
	struct destination *d = &s->destinations[dest];

	for (; max > 0 && d->backlog != 0; max--)
		drop(drop_arg, pop(s, dest, (unsigned int)__builtin_ctz(d->backlog)),
			SL_SCHED_PUSHED_OUT);
	if (d->backlog != 0)
		return d->count;
	d->is_parked = false;
	d->is_kept = false;
	d->capacity = 1;
	memset(&d->rate, 0, sizeof(d->rate));
	memset(d->owed, 0, sizeof(d->owed));
	return 0;
}

void
sl_sched_set_full(struct sl_sched *s, bool is_full)
{
	s->is_full = is_full;
}

uint32_t
sl_sched_count(const struct sl_sched *s)
{
	return __atomic_load_n(&s->count, __ATOMIC_RELAXED);
}

uint32_t
sl_sched_kept_count(const struct sl_sched *s)
{
	return __atomic_load_n(&s->kept, __ATOMIC_RELAXED);
}

uint32_t
sl_sched_parked_count(const struct sl_sched *s)
{
	return s->wheel.nb_parked;
}

uint32_t
sl_sched_class_count(const struct sl_sched *s, uint32_t class_index)
{
	return __atomic_load_n(&s->class_count[class_index], __ATOMIC_RELAXED);
}

uint32_t
sl_sched_destination_count(const struct sl_sched *s, uint32_t dest)
{
	return __atomic_load_n(&s->destinations[dest].count, __ATOMIC_RELAXED);
}

uint32_t
sl_sched_flow_count(const struct sl_sched *s, uint32_t dest, uint32_t class_index)
{
	return __atomic_load_n(&s->flows[flow_index(s, dest, class_index)].count, __ATOMIC_RELAXED);
}

bool
sl_sched_destination_conforms(const struct sl_sched *s, uint32_t dest, uint64_t now)
{
	return sl_gcra_conforms(&s->destinations[dest].rate, now);
}
