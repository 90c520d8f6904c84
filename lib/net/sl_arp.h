/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_ARP_H
#define SL_ARP_H

/**
 * @file
 * ARP for IPv4 over Ethernet (RFC 826): read a packet, write a packet. What to make of it is the
 * neighbour table's business (sl_neigh.h). Pure functions on bytes, any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_arp.h>
#include <rte_ether.h>

/** The longest frame sl_arp_build() writes: a tagged one, padded to the Ethernet minimum. */
#define SL_ARP_FRAME_MAX 64

struct sl_arp {
	bool is_request;
	struct rte_ether_addr sender_mac;
	rte_be32_t sender_ip;
	struct rte_ether_addr target_mac;
	rte_be32_t target_ip;
};

/**
 * Read the ARP packet behind an Ethernet header.
 * @return false when it is cut short, not Ethernet and IPv4, neither request nor reply, or comes
 * from an address no station can have (multicast, broadcast, all zero).
 */
bool sl_arp_parse(const uint8_t *data, size_t len, struct sl_arp *out);

/**
 * Write a frame with an ARP packet; @p arp's sender is the frame's source.
 * @param dst   where the frame goes: the neighbour, or broadcast
 * @param vlan  the port's VLAN, 0 for untagged
 * @return bytes written, at most SL_ARP_FRAME_MAX
 */
size_t sl_arp_build(
	uint8_t *frame, const struct rte_ether_addr *dst, uint16_t vlan, const struct sl_arp *arp);

#endif /* SL_ARP_H */
