/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_SCHED_H
#define SL_SCHED_H

/**
 * @file
 * Where messages wait, and which goes next.
 *
 * Every destination has one FIFO a class (a *flow*). sl_sched_dequeue() chooses
 *  - between classes: the best first, but a class with a guaranteed minimum share that it has not
 *    had goes before it. The rule holds twice: over the whole worker, and inside each destination,
 *    because a destination with a rate limit is a bottleneck of its own;
 *  - within a class: deficit round robin over the destinations (M. Shreedhar, G. Varghese,
 * "Efficient Fair Queuing using Deficit Round Robin", SIGCOMM 1995), in bytes;
 *  - the backend: only now, by the caller's bind function (late binding).
 * A destination that may not send yet (its rate, its backends) is parked on a timing wheel (G.
 * Varghese, A. Lauck, SOSP 1987) until it may, and looked at a few times a second meanwhile.
 *
 * Every queue is bounded, per destination and in total. When one is full, the oldest message of the
 * lowest class above its reserve makes room (of some destination, parked ones first, when it is all
 * queues together); a class's reserve is its minimum share of the queue.
 * A message that has waited for the maximum of its class is dropped, not sent. Destinations whose
 * messages are durable are *kept*: none of this holds for them.
 *
 * Cost a message is O(classes), whatever the number of destinations and of waiting messages.
 *
 * Time is the caller's ticks. Threads: one owner; no call allocates or blocks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_SCHED_CLASSES_MAX 8

/** What the scheduler needs of a message; a part of the caller's own per-message data. */
struct sl_sched_msg {
	struct sl_sched_msg *next; /**< The scheduler's. */
	uint64_t time;		   /**< When it came, in ticks; set by the caller. */
	uint32_t dest;		   /**< Destination, 0 .. nb_destinations - 1. */
	uint32_t len;		   /**< What it counts for, in bytes. */
	uint32_t backend;	   /**< Set by sl_sched_dequeue(): what bind returned. */
	uint8_t class_index;	   /**< 0 is served first. */
};

/** Why the scheduler gave a message back undelivered. */
enum sl_sched_drop {
	SL_SCHED_QUEUE_FULL, /**< It was the one to go when it came. */
	SL_SCHED_PUSHED_OUT, /**< It made room for another. */
	SL_SCHED_MAX_WAIT,   /**< It had waited for the maximum of its class. */
};

/** Takes back ownership of a message that is not going to be sent. */
typedef void (*sl_sched_drop_t)(void *arg, struct sl_sched_msg *msg, enum sl_sched_drop reason);

/**
 * Choose a backend for the next message of @p dest.
 * @param[out] retry_at  when to ask again, set when none can take it
 * @return a number >= 0 that is stored in the message, or -1
 */
typedef int (*sl_sched_bind_t)(void *arg, uint32_t dest, uint64_t now, uint64_t *retry_at);

struct sl_sched_class {
	uint32_t min_share_percent;
	uint64_t max_wait; /**< Ticks; 0: no maximum. */
};

struct sl_sched_params {
	uint32_t nb_destinations;
	uint32_t nb_classes;
	struct sl_sched_class classes[SL_SCHED_CLASSES_MAX];
	uint32_t capacity;    /**< Messages in all queues together. */
	uint32_t quantum;     /**< Bytes a turn; at least the longest message. */
	uint64_t ticks_per_s; /**< At least 2^20. */
	uint64_t now;
};

/** Limits of one destination. */
struct sl_sched_destination {
	uint32_t capacity; /**< Messages in its queues together, >= 1. */
	uint64_t rate_msgs_per_s;
	uint32_t burst_msgs;
	/** Its messages are not given back, for no bound and no maximum wait: the caller keeps to
	 * bounds of its own. They do not count for sl_sched_params.capacity. */
	bool is_kept;
};

struct sl_sched;

/** Bytes a scheduler takes: 64 + 32 a class for each destination. */
size_t sl_sched_memory_size(const struct sl_sched_params *params);

/**
 * Make a scheduler in memory of the caller. Its destinations have capacity 1 and no rate limit
 * until sl_sched_set_destination().
 * @param mem  sl_sched_memory_size() bytes, zeroed, aligned to 64
 */
struct sl_sched *sl_sched_init(void *mem, const struct sl_sched_params *params);

/**
 * Set or change the limits of a destination, at any time. What waits goes on waiting, also when it
 * is more than a new capacity, and what the token bucket has been filled and emptied by stays; a
 * parked destination is asked again at once. (Parked again, it may then be woken as late as it
 * would have been with the old limits, once.)
 */
void sl_sched_set_destination(struct sl_sched *sched, uint32_t dest,
	const struct sl_sched_destination *params, uint64_t now);

/** Change the share and the maximum wait of a class, at any time. */
void sl_sched_set_class(
	struct sl_sched *sched, uint32_t class_index, const struct sl_sched_class *params);

/** Bring in what sl_sched_enqueue() will touch for this destination and class. */
void sl_sched_prefetch(const struct sl_sched *sched, uint32_t dest, uint32_t class_index);

/**
 * Queue a message; the scheduler owns it until it is dequeued or given back through @p drop, which
 * may happen during this very call, to it or to others.
 */
void sl_sched_enqueue(struct sl_sched *sched, struct sl_sched_msg *msg, uint64_t now,
	sl_sched_drop_t drop, void *drop_arg);

/**
 * Queue a message that had been dequeued in front of those that wait, whatever the bounds. Several
 * are put back in the reverse order of their going.
 */
void sl_sched_put_back(struct sl_sched *sched, struct sl_sched_msg *msg);

/** What a destination waits for may have come: ask its backends again, before its time. */
void sl_sched_wake(struct sl_sched *sched, uint32_t dest);

/** How sl_sched_dequeue() reaches its caller. */
struct sl_sched_hooks {
	sl_sched_bind_t bind;
	void *bind_arg;
	sl_sched_drop_t drop;
	void *drop_arg;
};

/**
 * Take up to @p max messages that may be sent at @p now, in the order they are to be sent. The
 * caller owns them. One call drops a bounded number of expired messages, also when @p max is 0.
 * @return how many
 */
uint32_t sl_sched_dequeue(struct sl_sched *sched, uint64_t now, struct sl_sched_msg **msgs,
	uint32_t max, const struct sl_sched_hooks *hooks);

/** Give back every waiting message through @p drop, as SL_SCHED_PUSHED_OUT. */
void sl_sched_flush(struct sl_sched *sched, sl_sched_drop_t drop, void *drop_arg);

/**
 * Give back up to @p max waiting messages of one destination through @p drop, as
 * SL_SCHED_PUSHED_OUT. When none is left, it is as sl_sched_init() made it.
 * @return how many are left
 */
uint32_t sl_sched_flush_destination(
	struct sl_sched *sched, uint32_t dest, uint32_t max, sl_sched_drop_t drop, void *drop_arg);

/** Destinations that are parked. */
uint32_t sl_sched_parked_count(const struct sl_sched *sched);

/**
 * Messages waiting: in total, of one class, of one destination, of both. May be read by other
 * threads.
 */
uint32_t sl_sched_count(const struct sl_sched *sched);

/** From now on all queues together are full, or no longer, whatever the capacity says: what
 * messages take elsewhere, too, has become short. */
void sl_sched_set_full(struct sl_sched *sched, bool is_full);
uint32_t sl_sched_kept_count(const struct sl_sched *sched); /**< Of destinations that are kept. */
uint32_t sl_sched_class_count(const struct sl_sched *sched, uint32_t class_index);
uint32_t sl_sched_destination_count(const struct sl_sched *sched, uint32_t dest);
uint32_t sl_sched_flow_count(const struct sl_sched *sched, uint32_t dest, uint32_t class_index);

/** May the destination send now, by its own rate? May be asked by other threads. */
bool sl_sched_destination_conforms(const struct sl_sched *sched, uint32_t dest, uint64_t now);

#endif /* SL_SCHED_H */
