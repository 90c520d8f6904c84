/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PORT_H
#define PORT_H

/**
 * @file
 * An ethdev port with one queue each way, and its place in the network: the addresses it answers
 * ARP for.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mempool.h>

#include <sl_net.h>

struct port {
	uint16_t id;
	bool is_started;
	bool is_memif;
	bool is_alone;	  /**< A memif that has not met its other end. */
	const char *name; /**< As given by the user. */
	struct rte_ether_addr mac;

	/* Who is asked for by ARP and is this station. */
	rte_be32_t net;
	rte_be32_t mask;
	bool has_net;
	rte_be32_t address; /**< 0: none beside the net. */
	rte_be32_t not_own; /**< In the net, but somebody else; 0: none. */
	uint64_t nb_arp_answered;
};

/** To whom frames have to be addressed. Which IPv4 addresses are its own is told elsewhere. */
static inline struct sl_net_station
port_station(const struct port *port)
{
	return (struct sl_net_station){.mac = port->mac, .address = RTE_BE32(UINT32_MAX)};
}

struct port_params {
	uint16_t mtu;
	uint16_t descriptors;
	bool has_mac; /**< Use port->mac instead of the port's own. */
};

/** Frames an mbuf of the pool must hold, in bytes. */
uint16_t port_mbuf_size(uint16_t mtu);

/**
 * Configure and start a port. port->name says which; port->mac is an input when params->has_mac.
 * @return 0 or -errno; the reason, with its remedy, has been written to standard error
 */
int port_start(struct port *port, const struct port_params *params, struct rte_mempool *pool);

void port_stop(struct port *port);

/** Wait until the link is up. @return 0, -ENETDOWN (said on standard error), -EINTR */
int port_wait_for_link(struct port *port, uint32_t wait_ms, const volatile int *nb_signals);

#endif /* PORT_H */
