/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef DURABLE_H
#define DURABLE_H

/**
 * @file
 * What a worker keeps of at-least-once destinations.
 *
 * The way of such a message: `dedup` takes it in only when the journal's ring has room for its
 * record; `journal` makes the record, from then on the message has a place (a sl_record_ref);
 * `enqueue` queues it, or *parks* it: then only its place is kept, 8 bytes, and the buffer is free.
 * `dispatch` binds it to a backend whose session has room, `deliver` gives it its sequence there;
 * the session holds the buffer until the backend acknowledges it (`ack_apply`), which becomes an
 * outcome in the journal. What is not acknowledged is sent again, to another backend if need be.
 * Parked messages are fetched from the journal by another thread when their queue runs low.
 *
 * Order: a flow (shard and class) that has parked messages parks all that come, and those that are
 * fetched go behind those that are queued.
 */

#include <sys/queue.h>

#include "dp.h"
#include "sl_record_ring.h"
#include "sl_session.h"

/* Messages fetched at once, and fetches under way, a worker. */
#define DP_FETCH_MAX 256
#define DP_FETCHES   16

/* A flow with fewer messages in memory has the next fetched. */
#define DP_FETCH_BELOW 256

/* Acks that wait for another worker. */
#define DP_ACK_RING 1024

/* Sessions that have something to send again, in one turn. */
#define DP_DUE_MAX 64

/* Frames sent again in one turn. */
#define DP_RESEND_MAX 256

#define DP_CHUNK_REFS 62

/* Places of parked messages, in order. */
struct dp_refs {
	struct dp_refs *next;
	uint32_t begin;
	uint32_t end;
	sl_record_ref refs[DP_CHUNK_REFS];
};

static_assert(sizeof(struct dp_refs) == 512, "a chunk of places is 512 bytes");

/* The parked messages of a flow. */
struct dp_parked {
	TAILQ_ENTRY(dp_parked) entry; /* In the keeper's list while there are any. */
	struct dp_refs *head;
	struct dp_refs *tail;
	uint32_t count; /* Read by the control thread at any time. */
	uint32_t shard;
	uint8_t class_index;
	bool is_fetching;
};

TAILQ_HEAD(dp_parked_list, dp_parked);

/* A shard of an at-least-once destination. Made by the control thread, then its worker's. */
struct dp_durable {
	uint32_t memory_max; /* Messages in memory. */
	uint32_t max_attempts;
	uint64_t requeue_after_ns;
	uint64_t dead_key;   /* Of the destination of what is given up. */
	uint32_t dead_shard; /* Its shard with this worker; UINT32_MAX: none. */
	/* Read by the control thread at any time. */
	uint32_t in_flight;
	uint32_t nb_parked;
	uint64_t dead;
	struct dp_parked parked[SL_CONFIG_CLASSES_MAX];
};

/* The session with a backend. */
struct dp_session {
	TAILQ_ENTRY(dp_session) entry; /* In the keeper's list while something is in flight. */
	struct sl_session_tx *tx;
	uint64_t number;
	uint64_t key; /* Of "DESTINATION/BACKEND". */
	uint32_t slot;
	uint32_t shard;	   /* That it sent for last. */
	uint32_t reserved; /* Bound to it in this turn, and not sent yet. */
	bool is_active;
	bool is_due;
	bool is_stalled;
	uint64_t progress_ns; /* When something was acknowledged last, or it began to wait. */
	uint64_t retry_ns;    /* Stalled: one message may be tried again. */
	uint64_t retry_after_ns;
	/* Read by the control thread at any time. */
	uint32_t in_flight;
	uint64_t retransmitted;
	uint64_t requeued;
	uint64_t dead;
	uint64_t bad_acks;
};

TAILQ_HEAD(dp_session_list, dp_session);

/* Messages on their way back from the journal. */
struct dp_fetch {
	struct dp_parked *flow;
	uint32_t nb_refs;
	sl_record_ref refs[DP_FETCH_MAX];
	/* A buffer each; its data_len is 0 when the record could not be read. */
	struct rte_mbuf *mbufs[DP_FETCH_MAX];
};

struct dp_keeper {
	struct sl_record_ring *ring;
	uint64_t now_ns;  /* Of this turn, on the path's clock. */
	uint64_t unix_ns; /* The same in Unix time. */
	uint64_t budget;  /* Bytes that records of new messages may still take in this turn. */

	struct dp_session **sessions; /* By backend slot; written by the control thread. */
	struct dp_session_list active;
	uint64_t scanned_ms;
	uint32_t nb_due;
	struct dp_session *due[DP_DUE_MAX];
	struct rte_mbuf **taken; /* Scratch: what was taken back from a session. */
	uint32_t nb_taken;

	uint32_t nb_held; /* Buffers of durable messages: queued and in flight. */
	uint32_t held_max;
	struct dp_refs *chunks; /* All of them. */
	struct dp_refs *free_chunks;
	uint32_t nb_chunks;
	uint32_t nb_fresh; /* Chunks never used yet, from the end of the array. */
	uint32_t nb_free;  /* All that can be had. */
	struct dp_parked_list parked;
	uint32_t nb_fetches; /* Under way. */
	struct dp_fetch *fetches;
	struct rte_ring *idle_fetches; /* Its own. */
	struct rte_ring *to_fetch;     /* To the thread that reads the journal, */
	struct rte_ring *fetched;      /* and back. */
	uint64_t seen_ms; /* Of the latest message the window was told of before the start. */
	uint16_t nb_inputs;
	struct rte_ring *inputs[DP_LCORES_MAX]; /* Acks, from rx lcores. */

	/* Counted where they are: for the counters that add up. */
	uint64_t class_parked[SL_CONFIG_CLASSES_MAX];
	uint64_t class_fetching[SL_CONFIG_CLASSES_MAX];
	uint64_t class_in_flight[SL_CONFIG_CLASSES_MAX];

	/* Outcomes on their way into the journal. */
	uint64_t outcomes_backend;
	uint32_t nb_outcomes;
	struct sl_record_outcome_of outcomes[DP_FETCH_MAX];
};

/* A message that came to its worker. */
static inline bool
dp_is_durable(const struct dp_lcore *lcore, const struct dp_msg *msg)
{
	return lcore->keeper != NULL && msg->ref != SL_RECORD_REF_NONE;
}

/* Which worker's session a number belongs to, and with which backend's slot. */
#define DP_SESSION_SLOT_BITS 24
static inline uint32_t
dp_session_worker(uint64_t number)
{
	return (uint32_t)(number >> DP_SESSION_SLOT_BITS) & 0xff;
}

static inline uint32_t
dp_session_slot(uint64_t number)
{
	return (uint32_t)number & ((UINT32_C(1) << DP_SESSION_SLOT_BITS) - 1);
}

/** @name Journal: keeper.c. Worker. @{ */

/* The turn begins, or ends: look at the clock; hand over what was put in. */
void dp_keeper_begin_turn(struct dp_lcore *lcore);
void dp_keeper_end_turn(struct dp_lcore *lcore);

/* May this message be taken in? Says SL_MESSAGE_DROPS, or why not. */
enum sl_message_drop dp_keeper_admit(struct dp_lcore *lcore, const struct rte_mbuf *m);

/* Put a message into the journal: it has a place now. @return false: there is no room */
bool dp_keeper_put(struct dp_lcore *lcore, struct rte_mbuf *m, uint64_t session);

/* Have what was accepted before, or needs no journal, acknowledged in its turn. */
void dp_keeper_mark(struct dp_lcore *lcore, const struct rte_mbuf *m);

/* A durable message is done: tell the journal, let go of its place. Its buffer is the caller's. */
void dp_keeper_done(struct dp_lcore *lcore, const struct dp_msg *msg, uint64_t backend,
	uint32_t attempts, enum sl_record_outcome outcome);
void dp_keeper_flush_outcomes(struct dp_lcore *lcore);

/* Is there room for the outcomes of so many messages? */
bool dp_keeper_has_room(struct dp_lcore *lcore, uint32_t nb_outcomes);
/** @} */

/** @name Notes of the control thread: note.c. @{ */
int dp_notes_create(struct sl_datapath *dp);
void dp_notes_destroy(struct sl_datapath *dp);
void dp_notes_poll(struct dp_lcore *lcore); /* The first worker, once a turn. */
/** @} */

/** @name Parking: park.c. Worker. @{ */

/* Queue a durable message, or park it. Owns the buffer. */
void dp_park_or_queue(struct dp_lcore *lcore, struct rte_mbuf *m);

/* Put a durable message that was queued, or in flight, in front of its parked ones. */
void dp_park_back(struct dp_lcore *lcore, struct rte_mbuf *m);

/* Park a message that is on disk only; false when there is no room for its place. */
bool dp_park(struct dp_lcore *lcore, uint32_t shard, uint8_t class_index, sl_record_ref ref);

/* Does the flow of such a message have to be parked, and is there no room for it? */
bool dp_park_is_full(const struct dp_lcore *lcore, const struct dp_msg *msg);

/* Forget up to `max` parked messages of a shard, as dead. @return how many are left */
uint32_t dp_park_flush(struct dp_lcore *lcore, uint32_t shard, uint32_t max);

/* Have the next parked messages fetched where queues run low; take in what has come. */
void dp_park_poll(struct dp_lcore *lcore);
/** @} */

/** @name Sessions: session.c. Worker, but for the first two: control thread. @{ */

struct dp_session *dp_session_create(
	struct sl_datapath *dp, uint32_t worker, uint32_t slot, uint32_t window, uint64_t key);
void dp_session_free(struct dp_session *session);

/* How many more messages it takes in this turn. */
uint32_t dp_session_room(const struct dp_session *session, uint64_t now_ns);

/* Give a message its sequence; the session shares its buffer until it is acknowledged. */
uint64_t dp_session_send(struct dp_lcore *lcore, struct dp_session *session, struct rte_mbuf *m);

/* Take an ack. @return false: there is no such session */
bool dp_session_ack(struct dp_lcore *lcore, const struct sl_wire_ack *ack);

/*
 * What is to be sent again now: up to `max` frames that begin with their datagram, as `deliver`
 * hands them on. Takes back what has to go elsewhere.
 */
uint16_t dp_sessions_resend(struct dp_lcore *lcore, void **objs, uint16_t max);

/* Take back what is in flight to the backends of a shard. */
void dp_sessions_leave(struct dp_lcore *lcore, const struct dp_shard *shard);

/* Give up the sessions: everything in flight is parked. */
void dp_sessions_stop(struct dp_lcore *lcore);
/** @} */

/* Make and free the keepers of all workers. */
int dp_keepers_create(struct sl_datapath *dp, char *error, size_t error_len);
void dp_keepers_destroy(struct sl_datapath *dp);

/* What a shard of an at-least-once destination has; by the control thread. */
struct dp_durable *dp_durable_create(uint32_t shard);

#endif /* DURABLE_H */
