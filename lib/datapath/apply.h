/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef APPLY_H
#define APPLY_H

/**
 * @file
 * How a configuration reaches the lcores, and what the control thread keeps of it.
 *
 * Shards and backends have slots: places in tables of fixed size, theirs for as long as they live.
 * A message in a ring or queue names its shard by slot, a frame that waits for a port its backend.
 *
 * sl_datapath_apply() first makes a *plan*: everything the change takes is allocated and filled in,
 * where no lcore looks yet. A plan that succeeds becomes the *transition*:
 *  1. The changes are published to the workers, by a version number. A worker takes over a bounded
 *     number of them between two turns, and tells when it is through.
 *  2. Then the new table of routes is published to the rx lcores. One grace period later
 *     (rte_rcu_qsbr) the old one is freed, and nobody hands out messages for a removed destination.
 *  3. Removed destinations *retire*: what is in the rings comes out, the queues empty themselves or
 *     are emptied when drain_timeout_ms is over, and the slots are free.
 * One transition at a time. All of this is the control thread's, but for dp_adopt().
 */

#include <sys/queue.h>

#include "dp.h"
#include "sl_slots.h"

/* A backend as it is configured. */
struct dp_named_backend {
	uint64_t name;	  /* Key of its name. */
	uint64_t carried; /* Delivered under slots it had before. */
	uint64_t rate_msgs_per_s;
	struct sl_ip address;
	uint32_t port_index;
	uint32_t weight;
	uint32_t slot;
	uint16_t port;
	bool is_slot_new;
	bool is_kept; /* The next version of its destination has its slot. */
	/* Of a subscriber of a topic: its own queue, a shard for each of the topic's, with the same
	 * worker. What becomes of it does not depend on the slot, which changes with the address.
	 */
	bool is_shard_new;
	bool is_queue_kept; /* The next version has it. */
	uint32_t first_shard;
	struct dp_durable **durables; /* A partition each. */
	uint64_t key;		      /* Of "DESTINATION/BACKEND". */
	bool is_passing;	      /* It is not kept over a restart. */
};

/* A destination as it is configured; replaced as a whole when anything of it changes. */
struct dp_destination {
	uint64_t key;
	uint64_t rate_msgs_per_s;
	uint32_t queue_capacity;
	uint32_t burst_msgs;
	uint32_t first_shard;
	uint16_t partitions;
	uint8_t default_class; /* Index. */
	uint8_t boost;
	enum sl_config_policy policy;
	bool is_shard_new;
	bool is_topic;
	bool is_durable; /* At least once. */
	uint32_t max_attempts;
	uint32_t requeue_after_ms;
	uint64_t dead_key;	      /* 0: what is given up goes nowhere. */
	uint32_t dead_letter;	      /* Index in the configuration it was made from. */
	struct dp_durable **durables; /* A partition each; the latest version has them. */
	bool owns_state;	      /* False: it is a part of the first slab. */
	uint32_t plan;		      /* Number of the last plan it is in. */
	uint8_t *state;		      /* What its workers keep of its backends. */
	struct dp_retiring *retiring; /* It has been removed. */
	uint32_t nb_backends;
	struct dp_named_backend backends[];
};

/* What a worker is to take over for one of its shards. */
struct dp_change {
	uint32_t shard;
	bool is_flush; /* Nothing more comes: drop what is left, forget the shard. */
	uint32_t first_backend;
	const uint32_t *slots;
	struct sl_policy policy;
	struct sl_gcra *rates;
	bool is_topic;
	const uint32_t *subscribers; /* Shards. */
	const struct sl_record_subscriber *records;
	uint32_t nb_subscribers;
	struct dp_durable *durable; /* NULL: at most once. */
	uint64_t key;
	uint32_t max_attempts;
	uint64_t requeue_after_ns;
	uint64_t dead_key;
	uint32_t dead_shard;  /* UINT32_MAX: what is given up goes nowhere. */
	const uint32_t *from; /* As sl_policy_carry(); NULL: nothing goes on. */
	struct sl_sched_destination limits;
};

struct dp_changes {
	bool has_classes;
	struct sl_sched_class classes[SL_CONFIG_CLASSES_MAX];
	uint32_t nb_changes;
	struct dp_change *changes;
	uint32_t *from; /* What the changes' point into. */
};

/* A destination's step from one version to the next. */
struct dp_step {
	struct dp_destination *old;   /* NULL: it is new. */
	struct dp_destination *new;   /* NULL: it goes. */
	struct dp_retiring *retiring; /* Of one that goes: what it will need. */
};

enum dp_stage { DP_IDLE, DP_AT_WORKERS, DP_AT_RX };

/* A change on its way. */
struct dp_transition {
	enum dp_stage stage;
	struct dp_changes *changes;
	struct sl_route_table *routes; /* To be published; at rx: the one to be freed. */
	size_t routes_size;
	uint64_t token;
	uint32_t nb_steps;
	struct dp_step *steps;
	struct dp_marks *marks; /* For those that go. */
	uint32_t nb_flushed;	/* Or: retired destinations whose end this is. */
	struct dp_retiring **flushed;
};

/* How far the rings were filled when some destinations were removed. */
struct dp_marks {
	uint32_t nb_users;
	bool are_passed;
	uint32_t tails[];
};

/* A removed destination that still has messages, or may have. */
struct dp_retiring {
	TAILQ_ENTRY(dp_retiring) entry;
	struct dp_destination *destination;
	struct dp_marks *marks;
	uint64_t deadline; /* TSC */
	uint64_t token;	   /* It was empty when this grace period began; 0: it was not. */
};

TAILQ_HEAD(dp_retiring_list, dp_retiring);

struct dp_control {
	uint32_t nb_destinations;
	struct dp_destination **destinations; /* In the order of the configuration. */
	uint32_t nb_plans;
	struct sl_slots shards;
	struct sl_slots backends;
	struct sl_slots hops;
	uint32_t *hop_users; /* Backend slots. */
	void *slab;	     /* State of the first configuration's destinations. */
	size_t slab_size;
	size_t routes_size;
	struct dp_transition transition;
	uint32_t nb_retiring;
	struct dp_retiring_list retiring;
	uint32_t nb_loose; /* Backend slots without a backend, for frames that wait for a port. */
	uint32_t *loose;
};

/* A change in the making. */
struct dp_plan {
	struct sl_datapath *dp;
	const struct sl_config *config;
	char *error;
	size_t error_len;
	uint32_t number;
	bool has_route_changes;
	bool *gets_dead_letters; /* By destination of the configuration. */
	struct dp_destination **destinations;
	uint32_t nb_steps;
	struct dp_step *steps;
	struct dp_marks *marks;
	struct dp_changes *changes;
	struct sl_route_table *routes;
	size_t routes_size;
	void *slab;
	size_t slab_size;
	uint32_t known_mask;
	struct dp_destination **known; /* By key, those that retire, too. */
	uint32_t hop_mask;
	uint32_t *hop_index; /* By address and port: number + 1; 0: free. */
	uint32_t nb_new_hops;
	uint32_t *new_hops;
};

static inline const struct dp_destination *
dp_destination_at(const struct sl_datapath *dp, uint32_t index)
{
	return dp->control->destinations[index];
}

/* The worker that owns a shard. */
static inline struct dp_lcore *
dp_owner(const struct sl_datapath *dp, uint32_t shard)
{
	return dp->workers[sl_route_worker(shard, dp->nb_workers)];
}

/* Make a plan, or undo it all. */
int dp_plan_make(struct dp_plan *plan);
void dp_plan_undo(struct dp_plan *plan);

/* Its parts. */
int dp_plan_changes(struct dp_plan *plan);
int dp_plan_routes(struct dp_plan *plan);
uint8_t dp_class_index_of(const struct sl_config *config, uint32_t level);

static inline bool
dp_is_passing(const struct sl_config_backend *from)
{
	return from->is_member && !from->is_durable;
}

/* In plan_topic.c: a subscriber's queue, and how the worker learns of it. */
int dp_plan_subscriber(struct dp_plan *plan, struct dp_destination *topic,
	struct dp_named_backend *was, struct dp_named_backend *b);
void dp_subscriber_shards_give(struct sl_datapath *dp, const struct dp_destination *topic,
	const struct dp_named_backend *b);
int dp_durables_create(struct dp_durable ***durables, uint32_t first_shard, uint32_t n);
void dp_durables_free(struct dp_durable **durables, uint32_t n);

/* Shards that a destination takes, with those of its subscribers. */
static inline uint32_t
dp_nb_shards(const struct dp_destination *d)
{
	return d->partitions * (1u + (d->is_topic ? d->nb_backends : 0));
}

/* The first shard of a destination's queue number `queue`: its own is 0, its subscribers' follow.
 */
static inline uint32_t
dp_queue_shard(const struct dp_destination *d, uint32_t queue)
{
	return queue == 0 ? d->first_shard : d->backends[queue - 1].first_shard;
}

static inline uint32_t
dp_nb_queues(const struct dp_destination *d)
{
	return 1u + (d->is_topic ? d->nb_backends : 0);
}

static inline struct dp_durable **
dp_queue_durables(const struct dp_destination *d, uint32_t queue)
{
	return queue == 0 ? d->durables : d->backends[queue - 1].durables;
}

/* In tables.c: the contents of a backend's slot, and the number of a next hop. */
void dp_backend_fill(struct sl_datapath *dp, uint32_t slot, const struct sl_config_backend *from,
	uint32_t next_hop);
int dp_next_hop_find(struct dp_plan *plan, const struct sl_config_backend *from, uint32_t *hop);
void dp_next_hops_undo(struct dp_plan *plan);
void dp_next_hops_sweep(struct sl_datapath *dp);

/*
 * Every backend's slot may have one, and those that nobody refers to any more are there until the
 * next change, as the control thread was told.
 */
static inline uint32_t
dp_max_next_hops(const struct sl_datapath *dp)
{
	return 2 * dp->nb_backends;
}

/* A backend's slot has no user any more. */
void dp_backend_slot_give(struct sl_datapath *dp, uint32_t slot);
uint64_t dp_backend_delivered(const struct sl_datapath *dp, uint32_t slot);
uint64_t dp_backend_pending(const struct sl_datapath *dp, uint32_t slot);

/* Publish what is in the transition, and see how far it has come. @return it is over */
void dp_transition_begin(struct sl_datapath *dp);
bool dp_transition_advance(struct sl_datapath *dp);
bool dp_transition_wait(struct sl_datapath *dp);

/* Removed destinations, and slots of backends that frames may wait with. */
struct dp_marks *dp_marks_alloc(const struct sl_datapath *dp);
void dp_marks_take(struct sl_datapath *dp, struct dp_marks *marks, uint32_t nb_users);
void dp_retire(struct sl_datapath *dp, struct dp_retiring *retiring,
	struct dp_destination *destination, struct dp_marks *marks);
void dp_revive(struct sl_datapath *dp, struct dp_destination *destination);
void dp_retiring_free(struct dp_retiring *retiring);
void dp_retiring_poll(struct sl_datapath *dp);
void dp_loosen(struct sl_datapath *dp, uint32_t slot);
void dp_loose_poll(struct sl_datapath *dp);
void dp_destination_free(struct dp_destination *destination);
void dp_changes_free(struct dp_changes *changes);

#endif /* APPLY_H */
