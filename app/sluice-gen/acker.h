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
	uint64_t number;     /**< 0: free. */
	uint64_t used;	     /**< The turn it was used in last. */
	uint64_t acked_ns;   /**< The last time, */
	uint64_t due_ns;     /**< and when the next ack is due; 0: at once. */
	uint64_t highest;    /**< Of the sequences that have come, */
	uint64_t highest_ns; /**< and when. */
	struct sl_session_rx *rx;
	struct rte_ether_addr mac; /**< Of whom it is with. */
	rte_be32_t ip;
	rte_be32_t own_ip;
	rte_be16_t port;
	rte_be16_t own_port;
	uint32_t unacked;
	bool is_due;	 /**< For an ack. */
	bool is_refused; /**< It is not known: that is what to say. */
};

struct acker {
	struct acker_session sessions[ACKER_SESSIONS];
	struct acker_session *latest;
	uint64_t turn;
	uint64_t delay_ns;
	uint64_t next_ns; /**< None is due before. */
	uint32_t nb_due;
};

/** @param delay_ns  between two acks of a session; the first after a pause goes at once */
void acker_init(struct acker *acker, uint64_t delay_ns);
void acker_fini(struct acker *acker);

/**
 * The session a frame belongs to, whose first message has this sequence; the headers are the
 * frame's own. NULL: it is not known, and cannot begin there; it will be refused.
 */
struct acker_session *
acker_find(struct acker *acker, uint64_t number, uint64_t sequence, const struct rte_ether_hdr *eth,
	const struct rte_ipv4_hdr *ip, const struct rte_udp_hdr *udp);

/** A message of it has come. @return whether it is the first time */
bool acker_receive(
	struct acker *acker, struct acker_session *session, uint64_t sequence, uint64_t now_ns);

/** Send what acks are due. What the port does not take is sent at the next turn. */
void acker_flush(struct acker *acker, struct port *port, struct rte_mempool *pool, uint64_t now_ns);

#endif /* ACKER_H */
