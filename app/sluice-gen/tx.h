/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TX_H
#define TX_H

/**
 * @file
 * The sending side: frames from the packer into a TX ring, at a pace.
 *
 * Nothing is dropped: what a full ring refuses is offered again, once a turn. What counts as sent
 * is what the port took. One thread, but for the fields said to be shared.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "options.h"
#include "packer.h"

struct tx_frame {
	uint16_t len;
	uint16_t nb_messages;
	uint16_t nb_originals;
};

struct tx {
	struct packer packer;
	uint16_t port_id;
	uint16_t burst;
	struct rte_mempool *pool;

	/* Frames that are ready, in order. */
	struct rte_mbuf *frames[OPTIONS_BURST_MAX];
	struct tx_frame meta[OPTIONS_BURST_MAX];
	uint16_t first;
	uint16_t nb;
	struct rte_mbuf *stash[OPTIONS_BURST_MAX]; /**< Empty ones for the packer. */
	uint16_t nb_stash;

	double msgs_per_cycle; /**< Pace; 0: flat out. */
	double debt_max;       /**< Messages that may be caught up with after a delay. */
	uint64_t start_tsc;    /**< When the first message was due. */
	uint64_t paced_from;   /**< Number of that message. */
	bool is_stopping;      /**< No new originals. */
	bool has_session;
	struct acked acked; /**< With a session. */

	/* What the port took. */
	uint64_t nb_frames;
	uint64_t nb_messages;
	uint64_t nb_originals;
	uint64_t nb_bytes;
	uint64_t first_ns; /**< Unix time of the first and the last frame. */
	uint64_t last_ns;
	uint64_t stuck_ns; /**< Since when the ring takes nothing; 0: it does. */

	uint64_t nb_turns;
	uint64_t nb_full_turns; /**< The ring took less than it was offered. */
	uint64_t nb_no_mbuf_turns;
	uint64_t busy_cycles; /**< Of turns that moved something; kept by the loop. */

	/* Shared with the sink, which may run on another lcore. */
	uint64_t nb_built __rte_cache_aligned; /**< Originals below have been made. */
	bool is_done;			       /**< Everything has been sent or given up. */
};

/**
 * @param traffic  must outlive @p tx
 * @return 0 or -errno; said on standard error
 */
int tx_init(struct tx *tx, const struct options *options, const struct traffic *traffic,
	uint16_t port_id, struct rte_mempool *pool);

/** Free what is left. What the ring never took is not counted as sent. */
void tx_fini(struct tx *tx);

/** An ack has come, of whatever session. */
void tx_acked(struct tx *tx, const struct sl_wire_ack *ack, uint64_t now_ns);

/** One turn: make frames if none are left, and offer them to the port. @return frames it took */
unsigned int tx_turn(struct tx *tx, uint64_t now_ns, uint64_t now_tsc);

/** Make no new originals; copies that are due are still sent. */
void tx_stop(struct tx *tx);

/** Everything there was to send is in the hands of the port. */
bool tx_is_empty(const struct tx *tx);

#endif /* TX_H */
