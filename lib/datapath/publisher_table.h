/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PUBLISHER_TABLE_H
#define PUBLISHER_TABLE_H

/**
 * @file
 * The publishers whose sessions an rx lcore serves: where each is answered, and what limits it.
 * Needs no EAL. Private to lib/datapath.
 *
 * A slot belongs to a session as one rx lcore sees it. All datagrams of a session usually come by
 * one flow, and so to one lcore. When they do not (another port, another path), the session has a
 * slot on each of those lcores: what it has received and its credit are of the session and live
 * with the journal's thread; address and last sign of life are of the slot, and acks go where the
 * message came from that became durable last.
 *
 * How many sessions there may be, and at what rate they may send, is of their address: all of one
 * address share one entry of each table that they come by.
 *
 * Threads: a table is its lcore's. The journal's thread raises the credit of slots, takes the
 * strangers and admits those it knows; it and the control thread read slots. The number of a slot
 * may outlive its session: whoever comes with one says which session is meant.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sys/queue.h>

#include <rte_common.h>
#include <rte_ether.h>
#include <rte_ring.h>
#include <rte_seqcount.h>

#include "sl_datapath.h"
#include "sl_gcra.h"
#include "sl_ip.h"
#include "sl_session_index.h"

/* Where a datagram came from. Compared as bytes. */
struct dp_publisher_from {
	struct sl_ip address;
	uint16_t udp_port; /* Host order. */
	uint16_t port_index;
	struct rte_ether_addr mac;
	uint8_t zero[6];
};

static_assert(sizeof(struct dp_publisher_from) == 32, "no padding");

/*
 * A credit word: how far a session may send; whether that is what every session begins with, which
 * its first ack may lower; above, the generation that says whose it is.
 */
#define DP_CREDIT_BITS	47
#define DP_CREDIT_MAX	((UINT64_C(1) << DP_CREDIT_BITS) - 1)
#define DP_CREDIT_BEGIN (UINT64_C(1) << DP_CREDIT_BITS)

struct dp_publisher {
	rte_seqcount_t changes;	       /* Around generation, session, from and source. */
	uint32_t generation;	       /* Sessions it has had. */
	uint64_t session;	       /* 0: it is free. */
	struct dp_publisher_from from; /* Of its last datagram. */
	uint64_t source;	       /* Key of its first message's. */
	_Atomic uint64_t seen_ms;
	_Atomic uint64_t credit;
	uint32_t address; /* Its entry. */
	_Atomic uint64_t messages;
	_Atomic uint64_t over_limit;
} __rte_cache_aligned;

static_assert(sizeof(struct dp_publisher) == 2 * RTE_CACHE_LINE_SIZE, "two cache lines");

/* An address that sessions come from, here. */
struct dp_publisher_address {
	TAILQ_ENTRY(dp_publisher_address) entry; /* Of those that no session has. */
	uint64_t key;				 /* 0: it was never used. */
	uint64_t rate_next;			 /* Of its struct sl_gcra. */
	uint32_t nb_sessions;
};

TAILQ_HEAD(dp_publisher_address_list, dp_publisher_address);

/* What is to be done with a message; from the second on in the order of the nodes' edges. */
enum dp_publisher_verdict {
	DP_PUBLISHER_TAKE,
	DP_PUBLISHER_OVER_CREDIT,
	DP_PUBLISHER_OVER_RATE,
	DP_PUBLISHER_TOO_MANY_SESSIONS,
	DP_PUBLISHER_UNKNOWN_SESSION,
	DP_PUBLISHER_VERDICTS
};

struct dp_publisher_params {
	uint32_t first; /* Number of its first slot. */
	uint32_t nb_slots;
	uint32_t per_address_max;
	uint32_t begin_credit;	 /* Until its first ack. */
	uint32_t address_window; /* Credit of all sessions of an address together; 0: no limit. */
	uint32_t idle_ms;
	uint64_t rate_msgs_per_s; /* Of an address; 0: no limit */
	uint32_t burst_msgs;
	uint64_t ticks_per_s;
	uint64_t seeds[2]; /* Random. */
};

/* Sessions that were asked about, or turned away, lately. */
#define DP_ASKED 256

struct dp_publisher_table {
	struct dp_publisher_params params;
	struct dp_publisher *slots;
	uint32_t *free;
	uint32_t nb_free;
	struct sl_session_index by_session;
	struct sl_session_index by_address;	/* By its hash. */
	struct dp_publisher_address *addresses; /* As many as slots. */
	/*
	 * What no session has. Known until another needs it, the one left longest ago first: who
	 * goes away and comes back does not begin anew.
	 */
	struct dp_publisher_address_list unused;
	struct sl_gcra rate; /* What an address's begins with. */
	struct sl_gcra ask_rate;
	uint32_t sweep_at;
	uint32_t sweep; /* Slots a millisecond. */
	struct {
		uint64_t session;
		uint64_t until_ms;
	} asked[DP_ASKED];
	struct rte_ring *strangers; /* To the journal's thread, */
	struct rte_ring *admitted;  /* and back. */
	/* Read by other threads at any time. */
	_Atomic uint64_t now_ms;
	_Atomic uint64_t expired;
	_Atomic uint64_t over_limit;
	_Atomic uint64_t turned_away;
	_Atomic uint32_t nb_sessions;
};

/**
 * @param slots  the table's own share of all: params->nb_slots, zeroed
 * @return 0 or -ENOMEM; free with dp_publisher_table_free()
 */
int dp_publisher_table_init(struct dp_publisher_table *table,
	const struct dp_publisher_params *params, struct dp_publisher *slots);

/** Also of one that is all zero, or was made in part. */
void dp_publisher_table_free(struct dp_publisher_table *table);

/**
 * A datagram of a session has come, with a message of that sequence that wants an ack. Finds its
 * slot, and gives it one when the session may begin.
 *
 * @param session   not 0
 * @param sequence  not 0
 * @param now_ms, now  the turn, in ms and ticks
 * @param[out] verdict  why there is none
 * @return NULL: its messages are not taken
 */
struct dp_publisher *dp_publisher_find(struct dp_publisher_table *table, uint64_t session,
	uint64_t sequence, uint64_t source, const struct dp_publisher_from *from, uint64_t now_ms,
	uint64_t now, enum dp_publisher_verdict *verdict);

/** May it send this message now? Then it has. */
enum dp_publisher_verdict dp_publisher_take(struct dp_publisher_table *table,
	struct dp_publisher *slot, uint64_t sequence, uint64_t now);

static inline uint32_t
dp_publisher_number(const struct dp_publisher_table *table, const struct dp_publisher *slot)
{
	return table->params.first + (uint32_t)(slot - table->slots);
}

/** Once a millisecond: take in those admitted, let go of some that are idle. */
void dp_publisher_poll(struct dp_publisher_table *table, uint64_t now_ms);

/** @name Other threads. @{ */

/** What a slot said at one moment. */
struct dp_publisher_seen {
	uint32_t generation;
	uint64_t session;
	uint64_t source;
	struct dp_publisher_from from;
};

/** @return false: it is changing just now */
bool dp_publisher_read(const struct dp_publisher *slot, struct dp_publisher_seen *seen);

/** Raise the credit of the session that was seen in a slot. */
void dp_publisher_raise_credit(
	struct dp_publisher *slot, const struct dp_publisher_seen *seen, uint64_t limit);
/** @} */

#endif /* PUBLISHER_TABLE_H */
