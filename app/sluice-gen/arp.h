/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef ARP_H
#define ARP_H

/**
 * @file
 * ARP as the generator needs it: answer for the addresses of a port, and find the appliance once.
 */

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "port.h"

/**
 * Handle a received frame when it is ARP: a question for an address of the port is answered.
 * @param data, len  the frame; @p pool is where the answer is taken from
 * @return true when it was ARP. The frame stays the caller's.
 */
bool arp_input(struct port *port, struct rte_mempool *pool, const uint8_t *data, uint32_t len);

/** Take in what has arrived on a port that is only sent from: ARP is answered, the rest freed. */
void arp_poll(struct port *port, struct rte_mempool *pool);

/**
 * Ask for the link-layer address of @p ip until it answers.
 * @param others, nb_others  ports that must answer ARP meanwhile, @p port among them
 * @return 0, -EINTR, or -EHOSTUNREACH (said on standard error)
 */
int arp_resolve(struct port *port, struct port *others, unsigned int nb_others,
	struct rte_mempool *pool, rte_be32_t ip, uint32_t wait_ms, const volatile int *nb_signals,
	struct rte_ether_addr *mac);

#endif /* ARP_H */
