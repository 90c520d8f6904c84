/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SINK_H
#define SINK_H

/**
 * @file
 * The receiving side: frames are checked down to the payload's last byte and entered in the ledger.
 * One thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include <sl_hist.h>
#include <sl_net.h>
#include <sl_wire.h>

#include "acker.h"
#include "ledger.h"
#include "options.h"
#include "port.h"
#include "traffic.h"

#define SINK_NET_ERRORS	 (SL_NET_UDP_UNKNOWN_PORT + 1)
#define SINK_WIRE_ERRORS (SL_WIRE_EMPTY + 1)

/** A message of the burst, between finding it and looking into it. */
struct sink_found {
	const uint8_t *data;
	uint32_t len;
	struct traffic_message message;
};

struct sink {
	const struct traffic *traffic;
	struct port *port;
	struct rte_mempool *pool;
	uint16_t burst;
	enum options_verify verify;
	bool is_acking;	     /**< Sessions are answered. */
	bool is_order_known; /**< No message has a later copy. */
	bool has_late_second_feed;
	const uint64_t *nb_built; /**< The generator's; NULL when it is elsewhere. */
	uint64_t bound;		  /**< Numbers from here on have not been sent: as just read. */

	struct ledger ledger;
	uint64_t nb_messages; /**< All that arrived, whatever became of them. */
	uint64_t nb_corrupt;
	uint64_t nb_unknown;
	uint64_t delivered_by_class[TRAFFIC_CLASSES_MAX];
	uint64_t *delivered_by_destination; /**< NULL: not counted. */
	struct sl_hist latency_ns[TRAFFIC_CLASSES_MAX];

	uint64_t nb_frames; /**< With messages in them. */
	uint64_t nb_bytes;
	uint64_t nb_ignored; /**< ARP, and what is not for the sink. */
	uint64_t bad_net[SINK_NET_ERRORS];
	uint64_t bad_wire[SINK_WIRE_ERRORS];
	uint64_t first_ns; /**< Unix time of the first and the last message. */
	uint64_t last_ns;

	uint64_t nb_turns;
	uint64_t busy_cycles; /**< Of turns that moved something; kept by the loop. */

	struct acker acker;
	struct sink_found found[SL_WIRE_MESSAGES_MAX];
	unsigned int nb_found;
	struct sl_wire_datagram datagram;
	uint8_t scratch[OPTIONS_MTU_MAX + RTE_ETHER_HDR_LEN]; /**< For frames in segments. */
};

/**
 * @param nb_built  how many originals the generator has made, or NULL; read at every turn
 * @return 0 or -errno; said on standard error
 */
int sink_init(struct sink *sink, const struct options *options, const struct traffic *traffic,
	struct port *port, struct rte_mempool *pool, const uint64_t *nb_built);

void sink_fini(struct sink *sink);

/** One turn: take a burst from the port. @return frames taken */
unsigned int sink_turn(struct sink *sink);

/** Frames that arrived damaged: headers, checksums, or a datagram of another layout. */
uint64_t sink_nb_bad(const struct sink *sink);

#endif /* SINK_H */
