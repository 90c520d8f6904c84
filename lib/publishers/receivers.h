/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef RECEIVERS_H
#define RECEIVERS_H

/**
 * @file
 * The receivers of all sessions: records go in, acks come out. No clock, no thread, no path; memory
 * is taken once. Private to lib/publishers.
 */

#include <stdbool.h>
#include <stdint.h>

#include <sys/queue.h>

#include "sl_record.h"
#include "sl_session.h"
#include "sl_session_index.h"

/* Sessions that wait to be told that they are not known; those beyond are told when they repeat. */
#define REFUSALS_MAX 64

/** Whose slot is it, as a number that is the address's? 0: its session has left it. */
typedef uint64_t (*receivers_address_t)(void *arg, uint32_t publisher, uint64_t session);

struct receivers_params {
	uint32_t nb_max;
	uint32_t window;	  /* Credit, in messages. */
	uint32_t address_window;  /* Of all sessions of an address together; 0: no limit. */
	uint64_t rate_msgs_per_s; /* Of all sessions of an address together; 0: no limit. */
	uint64_t seeds[2];
	receivers_address_t address_of;
	void *arg;
};

/* An address whose sessions share what it may. */
struct receivers_source {
	TAILQ_ENTRY(receivers_source) entry; /* Of those that no session has. */
	uint64_t key;			     /* 0: it was never used. */
	uint32_t nb_sessions;
	/* Messages that its sessions may be granted, reckoned up to then. */
	uint64_t left;
	uint64_t left_ns;
};

TAILQ_HEAD(receivers_source_list, receivers_source);

struct receiver {
	TAILQ_ENTRY(receiver) touched; /* What came in for it has not been acknowledged. */
	TAILQ_ENTRY(receiver) entry;   /* Of those that are free, or in use. */
	uint64_t session;
	uint32_t publisher; /* Whose slot its last record came by. */
	bool is_touched;
	/* Of its last record. */
	uint64_t time_ns;
	uint64_t timestamp_ns; /* 0: not known. */
	uint64_t heard_ns;
	struct receivers_source *source; /* NULL: addresses are not limited. */
	uint64_t allowed;		 /* By its rate: up to this sequence. */
	uint64_t highest;
	uint64_t messages;
	uint64_t duplicates;
	struct sl_session_rx *rx;
};

TAILQ_HEAD(receiver_list, receiver);

struct refusal {
	uint64_t session;
	uint32_t publisher;
};

struct receivers {
	struct receivers_params params;
	uint32_t burst; /* Messages an address whose rate is limited may be ahead of it. */
	size_t rx_size;
	struct receiver *all;
	uint8_t *memory; /* Of their struct sl_session_rx. */
	struct sl_session_index index;
	struct receivers_source *sources; /* As many as receivers. */
	struct sl_session_index by_address;
	struct receivers_source_list unused; /* Known until another needs it. */
	struct receiver_list free;
	struct receiver_list used; /* The one that was looked at longest ago first. */
	struct receiver_list touched;
	uint32_t nb_refusals;
	struct refusal refusals[REFUSALS_MAX];
};

/** @return 0 or -ENOMEM; free with receivers_free() in any case */
int receivers_init(struct receivers *receivers, const struct receivers_params *params);
void receivers_free(struct receivers *receivers);

/** A record is durable. Those that need no ack are passed over. */
void receivers_take(struct receivers *receivers, const struct sl_record *record, uint64_t now_ns);

/** The receiver of a session; NULL: it has none. */
struct receiver *receivers_find(const struct receivers *receivers, uint64_t session);

/** The one to be acknowledged next; NULL: none is left. */
static inline struct receiver *
receivers_next(const struct receivers *receivers)
{
	return TAILQ_FIRST(&receivers->touched);
}

/** What it is told now. */
void receivers_ack(struct receivers *receivers, struct receiver *receiver, uint64_t now_ns,
	struct sl_wire_ack *ack);

/** It has been told. */
void receivers_told(struct receivers *receivers, struct receiver *receiver);

/** Is its session still served? */
typedef bool (*receivers_is_alive_t)(void *arg, const struct receiver *receiver);

/** Look at some, and free those whose session is gone and has been silent for `idle_ns`. */
void receivers_sweep(struct receivers *receivers, uint32_t nb, uint64_t now_ns, uint64_t idle_ns,
	receivers_is_alive_t is_alive, void *arg);

#endif /* RECEIVERS_H */
