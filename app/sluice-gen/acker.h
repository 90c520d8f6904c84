/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef ACKER_H
#define ACKER_H

/**
 * @file
 * The sink's side of sessions: what it has of each, and the acks that say so.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mempool.h>
#include <rte_udp.h>

#include <sl_session.h>

#include "port.h"

#define ACKER_SESSIONS 256

struct acker_session {
	uint64_t number; /**< 0: free. */
	uint64_t used;	 /**< The turn it was used in last. */
	struct sl_session_rx *rx;
	struct rte_ether_addr mac; /**< Of whom it is with. */
	rte_be32_t ip;
	rte_be32_t own_ip;
	rte_be16_t port;
	rte_be16_t own_port;
	bool is_due;	 /**< For an ack. */
	bool is_refused; /**< It is not known: that is what to say. */
};

struct acker {
	struct acker_session sessions[ACKER_SESSIONS];
	struct acker_session *latest;
	uint64_t turn;
	uint32_t nb_due;
};

void acker_fini(struct acker *acker);

/**
 * The session a frame belongs to, whose first message has this sequence; the headers are the
 * frame's own. NULL: it is not known, and cannot begin there; it will be refused.
 */
struct acker_session *
acker_find(struct acker *acker, uint64_t number, uint64_t sequence, const struct rte_ether_hdr *eth,
	const struct rte_ipv4_hdr *ip, const struct rte_udp_hdr *udp);

/** A message of it has come. @return whether it is the first time */
bool acker_receive(struct acker_session *session, uint64_t sequence);

/** Send what acks are due. What the port does not take is sent at the next turn. */
void acker_flush(struct acker *acker, struct port *port, struct rte_mempool *pool);

#endif /* ACKER_H */
