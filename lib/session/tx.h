/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TX_H
#define TX_H

/* What a sender keeps. */

#include <stddef.h>

#include <rte_common.h>

#include "sl_session.h"

#define NONE UINT32_MAX

/*
 * A message in flight is in one of these. Those sent once stand in the order of their sequence and
 * need no list; they are looked at in that order, each until it is known to be lost or not.
 */
enum list_id {
	LIST_AGAIN,  /* Lost more than once, or asked for by a timeout: goes before LIST_LOST. */
	LIST_LOST,   /* To be sent again, by sequence. */
	LIST_RESENT, /* Sent again, by time. */
	LISTS,
	LIST_NONE = LISTS,
};

struct entry {
	void *msg;
	uint64_t sent_ns; /* The last time. */
	uint32_t next;	  /* In its list: the place of another. */
	uint32_t prev;
	uint32_t attempts;
	uint32_t list;
};

_Static_assert(sizeof(struct entry) == 32, "the header says so");

struct list {
	uint32_t first;
	uint32_t last;
};

/* An ack touches so many cache lines of it; a message the first. */
#define HOT_LINES 4

struct sl_session_tx {
	/* What a message touches. */
	uint64_t mask; /* Of entries. */
	struct entry *entries;
	uint64_t next;
	uint64_t acked; /* All up to this one, what was selective counted. */
	uint64_t credit_limit;
	uint32_t in_flight;
	uint32_t cwnd;
	uint32_t window;
	uint32_t nb_selective; /* Bits that are set. */
	uint64_t timer_ns;     /* The timeout counts from here. */

	/* And an ack. */
	uint64_t session;
	uint64_t scan;	      /* The first not looked at yet: everything before was decided. */
	uint64_t highest;     /* That the receiver has said. */
	uint64_t hidden_from; /* Of these the last ack could not tell: no room in it. */
	uint64_t hidden_to;
	uint64_t latest;      /* The highest acknowledged that was sent once. */
	uint64_t latest_sent; /* When what was sent last of all acknowledged was. */
	uint64_t recovery_ns; /* Losses of what was sent before have been answered. */

	uint64_t rtt_min;
	uint64_t rtt_latest;
	uint64_t srtt;
	uint64_t rttvar;
	uint32_t nb_lost;   /* In LIST_AGAIN and LIST_LOST. */
	uint32_t nb_probes; /* May be sent beyond the congestion window. */
	uint32_t reorder;   /* Messages. */
	uint32_t delay;	    /* Eighths. */
	uint32_t timeouts;  /* In a row. */
	uint32_t nb_old;    /* Acks, since one that was not. */
	uint32_t ssthresh;
	bool is_heard; /* There was an ack. */

	uint64_t rtt_initial_ns; /* As in sl_session_tx_params. */
	uint64_t rto_min_ns;
	uint64_t rto_max_ns;
	uint64_t ack_delay_max_ns;
	struct list lists[LISTS];
	uint32_t cwnd_acked;
	uint32_t initial_credit;

	/* And what only losses and their like do. */
	uint64_t bit_mask; /* Of the bits of what was acknowledged selectively. */
	uint64_t *bits;
	uint64_t tuned_ns; /* What was sent before has been learnt from. */
	uint32_t nb_clean; /* Losses since reordering was seen. */
	uint64_t retransmitted;
	uint64_t spurious;
	uint64_t bad_acks;
} __rte_cache_aligned;

_Static_assert(sizeof(struct sl_session_tx) == 320, "the header says so");
_Static_assert(offsetof(struct sl_session_tx, bit_mask) == HOT_LINES * RTE_CACHE_LINE_SIZE,
	"what an ack touches");

#endif /* TX_H */
