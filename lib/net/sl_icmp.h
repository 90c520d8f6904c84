/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_ICMP_H
#define SL_ICMP_H

/**
 * @file
 * ICMP and ICMPv6 echo (RFC 792, RFC 4443): requests answered in place, requests written, replies
 * read. Pure functions on bytes, any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>

#include "sl_ip.h"

/** The longest headers in front of an echo's data: Ethernet with a tag, IPv6, ICMPv6. */
#define SL_ICMP_HEADERS_MAX 66

struct sl_icmp_echo {
	struct sl_ip src;
	struct sl_ip dst; /**< Of the same family. */
	uint16_t id;	  /**< Host order. */
	uint16_t sequence;
	const uint8_t *data;
	uint16_t data_len;
};

/**
 * Turn an echo request into its reply, in place: swaps the addresses of the Ethernet and IP
 * headers, sets the type and the checksums.
 *
 * @param frame, len  the frame from its Ethernet header; already passed sl_net_check_eth() and
 *                    sl_net_check_ip()
 * @param eth_len     length of the Ethernet header
 * @param mac         the station's own address
 * @return true when @p frame now holds a reply; false when it was no valid echo request, was sent
 * to a group or came from an address no station can have, and is as it was
 */
bool sl_icmp_reply(uint8_t *frame, size_t len, size_t eth_len, const struct rte_ether_addr *mac);

/**
 * Read an echo reply.
 * @param ip         the packet from its IP header, checked; all of it is there
 * @param[out] echo  its data points into @p ip
 * @return false when it is no echo reply or its checksum is wrong
 */
bool sl_icmp_parse_reply(const uint8_t *ip, struct sl_icmp_echo *echo);

/**
 * Write a frame with an echo request.
 * @param frame  room for SL_ICMP_HEADERS_MAX and the data
 * @param vlan   the port's VLAN, 0 for untagged
 * @return bytes written
 */
size_t sl_icmp_build_request(uint8_t *frame, const struct rte_ether_addr *dst,
	const struct rte_ether_addr *src, uint16_t vlan, const struct sl_icmp_echo *echo);

#endif /* SL_ICMP_H */
