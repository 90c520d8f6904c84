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
 * `enqueue` queues it, or *parks* it: then only its place is kept, 10 bytes, and the buffer is
 * free. `dispatch` binds it to a backend whose session has room, `deliver` gives it its sequence
 * there; the session holds the buffer until the backend acknowledges it (`ack_input`), which
 * becomes an outcome in the journal. What is not acknowledged is sent again, to another backend if
 * need be. Parked messages are fetched from the journal by another thread when their queue runs
 * low.
 *
 * A message of an at-least-once topic waits in the topic's queue without being accepted. When its
 * turn comes `fanout` filters duplicates and makes the record, which names each subscriber of that
 * moment; then each has a message of its own, with a place of its own in the record, in a queue of
 * its own, and what is said above holds for it. So a topic has no other messages on disk than those
 * whose subscriber was gone at the start: they are given up there.
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

/* Parts of the ring with outcomes, a worker; those that follow each other are one. */
#define DP_DONES 1024

/* Random numbers got at a time. */
#define DP_RANDOMS 32

/* Frames sent again in one turn. */
#define DP_RESEND_MAX 256

#define DP_CHUNK_REFS 50

/* Places of parked messages, in order. */
struct dp_refs {
	struct dp_refs *next;
	uint16_t begin;
	uint16_t end;
	uint16_t attempts[DP_CHUNK_REFS]; /* How often each was sent, since the last start. */
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
	uint64_t again_ms; /* Not to be fetched before: what is next could not be read. */
};

TAILQ_HEAD(dp_parked_list, dp_parked);

/* A shard of an at-least-once destination. Made by the control thread, then its worker's. */
struct dp_durable {
	uint64_t key;	     /* Of the destination. */
	uint32_t memory_max; /* Messages in memory. */
	uint32_t max_attempts;
	uint64_t requeue_after_ns;
	uint64_t dead_key;   /* Of the destination of what is given up. */
	uint32_t dead_shard; /* Its shard with this worker; UINT32_MAX: none. */
	/* Read by the control thread at any time. */
	uint32_t in_flight;
	uint32_t nb_parked;
	struct dp_parked parked[SL_CONFIG_CLASSES_MAX];
};

/* The session with a backend. */
struct dp_session {
	/* A cache line for what each message and ack touches. */
	struct sl_session_tx *tx;
	uint64_t number;
	uint64_t key; /* Of "DESTINATION/BACKEND". */
	uint32_t slot;
	uint32_t shard;	    /* That it sent for last. */
	uint32_t place;	    /* Among the active ones. */
	uint32_t in_flight; /* Read by the control thread at any time, as the next. */
	bool is_active;	    /* The keeper has it: it has, or had lately, something in flight. */
	bool is_due;
	bool is_stalled;      /* Silent for too long; until it acknowledges something. */
	bool is_avoided;      /* Stalled, and there was another for what it had. */
	bool is_out;	      /* It gets no more. */
	uint16_t reserved;    /* Bound to it in this turn, and not sent yet. */
	uint64_t progress_ns; /* When something was acknowledged last, or it began to wait. */
	uint64_t look_ns;     /* Nothing is to be sent again before. */

	uint64_t retry_ns; /* Avoided: one message may be tried again. */
	uint64_t retry_after_ns;
	uint64_t out_ns;      /* Since when it is out. */
	uint32_t first_shard; /* Of its queue, in all workers. */
	uint32_t partitions;
	/* Read by the control thread at any time. */
	uint64_t retransmitted;
	uint64_t requeued;
	uint64_t dead;
	uint64_t bad_acks;
};

static_assert(offsetof(struct dp_session, retry_ns) == RTE_CACHE_LINE_SIZE,
	"what each touches is a line");

struct dp_session_params {
	uint32_t slot;
	uint32_t window;
	uint64_t key;
	uint32_t first_shard; /* Of the queue that it sends for. */
	uint32_t partitions;
};

/* Its sender begins so many bytes behind it. */
#define DP_SESSION_TX RTE_CACHE_LINE_ROUNDUP(sizeof(struct dp_session))

/* Messages on their way back from the journal. */
struct dp_fetch {
	struct dp_parked *flow;
	uint32_t nb_refs;
	sl_record_ref refs[DP_FETCH_MAX];
	uint16_t attempts[DP_FETCH_MAX];
	/* A buffer each; its data_len is 0 when the record could not be read. */
	struct rte_mbuf *mbufs[DP_FETCH_MAX];
	struct rte_mempool *large; /* For those that do not fit theirs; may be NULL. */
	uint32_t nb_read;	   /* It was put off there: the others come again, */
	uint32_t wait_ms;	   /* not before. */
};

/* A part of the ring with records of outcomes, and perhaps others between them. */
struct dp_done {
	uint64_t begin;
	uint64_t end;
	bool has_letters; /* Of some the dead letters are in the ring, too. */
};

struct dp_keeper {
	struct sl_record_ring *ring;
	uint64_t now_ns;   /* Of this turn, on the path's clock. */
	uint64_t unix_ns;  /* The same in Unix time. */
	uint64_t budget;   /* Bytes that records of new messages may still take in this turn. */
	uint64_t admitted; /* Bytes of those that are admitted and not put yet. */

	struct dp_session **sessions; /* By backend slot; written by the control thread. */
	struct dp_session **active;   /* In no order. */
	uint32_t nb_active;
	uint32_t scan_at;    /* Those before it are still to be looked at in this round. */
	uint32_t nb_randoms; /* Left, for the numbers of sessions that begin anew. */
	uint64_t randoms[DP_RANDOMS];
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
	/* Taken back, and no chunk is free for their places: they keep their buffers until one is.
	 */
	struct sl_sched_msg *unplaced;
	struct sl_sched_msg **unplaced_end;
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

	/* Outcomes on their way into the journal: in its ring, oldest first, and not there yet. */
	uint32_t first_done;
	uint32_t nb_dones;
	struct dp_done dones[DP_DONES];
	uint64_t outcomes_backend;
	uint32_t nb_outcomes;
	bool outcomes_have_letters;
	struct sl_record_outcome_of outcomes[SL_RECORD_OUTCOMES_MAX];
};

/* A message that came to its worker. */
static inline bool
dp_is_durable(const struct dp_lcore *lcore, const struct dp_msg *msg)
{
	return lcore->keeper != NULL && msg->ref != SL_RECORD_REF_NONE;
}

/*
 * Which worker's session a number belongs to, and with which backend's slot: in its lowest bits, as
 * many as this path needs. Those above are random, so that nobody guesses a number.
 */
static inline uint32_t
dp_session_worker(const struct sl_datapath *dp, uint64_t number)
{
	return (uint32_t)(number >> dp->slot_bits) & ((UINT32_C(1) << dp->worker_bits) - 1);
}

static inline uint32_t
dp_session_slot(const struct sl_datapath *dp, uint64_t number)
{
	return (uint32_t)(number & ((UINT64_C(1) << dp->slot_bits) - 1));
}

/** @name Journal: keeper.c. Worker. @{ */

/* The turn begins, or ends: look at the clock; hand over what was put in. */
void dp_keeper_begin_turn(struct dp_lcore *lcore);
void dp_keeper_end_turn(struct dp_lcore *lcore);

/*
 * What the ring needs for records of so many bytes: each end of a segment may have a pad before it.
 * Segments are longer than two records.
 */
static inline uint64_t
dp_keeper_room_for(const struct dp_keeper *keeper, uint64_t bytes)
{
	uint64_t ends = 2 + (2 * bytes >> rte_bsf64(keeper->ring->segment_bytes));

	return bytes > 0 ? bytes + ends * SL_RECORD_LEN_MAX : 0;
}

/* Is there room for a new message's record, beside those admitted? Now: much else was put. */
static inline bool
dp_keeper_fits(const struct dp_keeper *keeper, uint32_t stride)
{
	return keeper->budget >= stride &&
		sl_record_ring_room(keeper->ring) >=
		dp_keeper_room_for(keeper, keeper->admitted + stride);
}

/* The journal's thread has read what was where the next records go: fetch lines of it in time. */
#define DP_KEEPER_AHEAD 512

static inline void
dp_keeper_prefetch(const struct dp_keeper *keeper, unsigned int nb_lines)
{
	const struct sl_record_ring *ring = keeper->ring;
	const uint8_t *at = ring->bytes + ((ring->put + DP_KEEPER_AHEAD) & ring->mask);

	for (unsigned int i = 0; i < nb_lines; i++)
		rte_prefetch0_write(at + i * RTE_CACHE_LINE_SIZE);
}

/* May this message be taken in? Says SL_MESSAGE_DROPS, or why not. */
enum sl_message_drop dp_keeper_admit(struct dp_lcore *lcore, const struct rte_mbuf *m);

/* Put a message into the journal: it has a place now. @return false: there is no room */
bool dp_keeper_put(struct dp_lcore *lcore, struct rte_mbuf *m, uint64_t session);

/* Somebody will be done with this message: after dp_keeper_done() its place is let go. */
static inline void
dp_keeper_hold(struct dp_lcore *lcore, sl_record_ref ref)
{
	const struct sl_datapath_journal *journal = lcore->dp->journal;

	journal->hold(journal->arg, lcore->worker_index, ref);
}

/* Have what was accepted before, or needs no journal, acknowledged in its turn. */
void dp_keeper_mark(struct dp_lcore *lcore, const struct rte_mbuf *m);

/* Is there room for the outcomes of so many messages? */
bool dp_keeper_has_room(struct dp_lcore *lcore, uint32_t nb_outcomes);
/** @} */

/** @name Outcomes: outcome.c. Worker. @{ */

/*
 * A durable message is done: tell the journal. Its place is let go when that is durable. Its buffer
 * is the caller's.
 */
void dp_keeper_done(struct dp_lcore *lcore, const struct dp_msg *msg, uint64_t backend,
	uint32_t attempts, enum sl_record_outcome outcome);
void dp_keeper_flush_outcomes(struct dp_lcore *lcore);

/* The one that is done has a dead letter in the ring: it stays until that is durable. */
static inline void
dp_keeper_has_letter(struct dp_lcore *lcore)
{
	lcore->keeper->outcomes_have_letters = true;
}

/* Let go of those whose outcomes are durable; before anything is put in the turn. */
void dp_keeper_release(struct dp_lcore *lcore);
/** @} */

/** @name Notes of the control thread: note.c. @{ */
int dp_notes_create(struct sl_datapath *dp);
void dp_notes_destroy(struct sl_datapath *dp);
void dp_notes_poll(struct dp_lcore *lcore); /* The first worker, once a turn. */
/** @} */

/** @name Parking: park.c. Worker. @{ */

/* Queue a durable message, or park it. Owns the buffer. */
void dp_park_or_queue(struct dp_lcore *lcore, struct rte_mbuf *m);

/* Park what would be parked if it were queued there. @return false: it is to be queued */
bool dp_park_if_must(
	struct dp_lcore *lcore, uint32_t shard, const struct dp_msg *msg, sl_record_ref ref);

/* Is there room for the places of so many messages? */
bool dp_park_has_room(const struct dp_lcore *lcore, uint32_t nb);

/* Put a durable message that was queued, or in flight, in front of its parked ones. Owns it. */
void dp_park_back(struct dp_lcore *lcore, struct rte_mbuf *m);

/* Park a message that is on disk only; false when there is no room for its place. */
bool dp_park(struct dp_lcore *lcore, uint32_t shard, uint8_t class_index, sl_record_ref ref);

/* Does the flow of such a message have to be parked, and is there no room for it? */
bool dp_park_is_full(const struct dp_lcore *lcore, const struct dp_msg *msg);

/* Forget up to `max` parked messages of a shard, as dead. @return how many are left */
uint32_t dp_park_flush(struct dp_lcore *lcore, uint32_t shard, uint32_t max);

/* Take in what has come, and give those a place that have none. */
void dp_park_take_in(struct dp_lcore *lcore);

/* The same; and have the next parked messages fetched where queues run low. */
void dp_park_poll(struct dp_lcore *lcore);
/** @} */

/** @name Sessions: session.c. Worker, but for the first two: control thread. @{ */

struct dp_session *
dp_session_create(struct sl_datapath *dp, uint32_t worker, const struct dp_session_params *params);
void dp_session_free(struct dp_session *session);

/* How many more messages it takes in this turn. */
uint32_t
dp_session_room(const struct dp_lcore *lcore, const struct dp_session *session, uint64_t now_ns);

/* Give a message its sequence; the session shares its buffer until it is acknowledged. */
uint64_t dp_session_send(struct dp_lcore *lcore, struct dp_session *session, struct rte_mbuf *m);

/* The session of this worker that has a number; NULL: there is none. */
static inline struct dp_session *
dp_session_of(const struct dp_lcore *lcore, uint64_t number)
{
	uint32_t slot = dp_session_slot(lcore->dp, number);
	struct dp_session *session = NULL;

	if (likely(slot < lcore->dp->nb_backends))
		session = lcore->keeper->sessions[slot];
	return session != NULL && session->number == number ? session : NULL;
}

/* Take an ack. @return false: there is no such session */
bool dp_session_ack(struct dp_lcore *lcore, const struct sl_wire_ack *ack);

/* Have what acks touch fetched, stage after stage, for several at a time. */
void dp_session_prefetch(const struct dp_lcore *lcore, uint64_t number);
void dp_session_prefetch_messages(const struct dp_lcore *lcore, const struct dp_session *session,
	const struct sl_wire_ack *ack);

/*
 * What is to be sent again now: up to `max` frames that begin with their datagram, as `deliver`
 * hands them on. Takes back what has to go elsewhere.
 */
uint16_t dp_sessions_resend(struct dp_lcore *lcore, void **objs, uint16_t max);

/* Take back what is in flight to the backends of a shard, and to those it had. */
void dp_sessions_leave(struct dp_lcore *lcore, uint32_t shard);

/* Give up the sessions: everything in flight is parked. */
void dp_sessions_stop(struct dp_lcore *lcore);
/** @} */

/* Make and free the keepers of all workers. */
int dp_keepers_create(struct sl_datapath *dp, char *error, size_t error_len);
void dp_keepers_destroy(struct sl_datapath *dp);

/* What a shard of an at-least-once destination has; by the control thread. */
struct dp_durable *dp_durable_create(uint32_t shard);

#endif /* DURABLE_H */
