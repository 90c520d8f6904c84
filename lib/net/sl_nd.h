/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_ND_H
#define SL_ND_H

/**
 * @file
 * Neighbour discovery for IPv6 over Ethernet (RFC 4861): solicitations and advertisements, read
 * and written; and the report that makes a switch which listens to MLD (RFC 3810) send the
 * solicitations here. What to make of them is the neighbour table's business (sl_neigh.h). Pure
 * functions on bytes, any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>

#include "sl_ip.h"

/** The longest frames sl_nd_build() and sl_nd_build_report() write. */
#define SL_ND_FRAME_MAX	       90
#define SL_ND_REPORT_FRAME_MAX 94

struct sl_nd {
	bool is_solicitation; /**< Else an advertisement. */
	/* Of advertisements. */
	bool is_from_router;
	bool is_solicited;
	bool is_override;
	struct sl_ip src; /**< Unset: who asks has no address yet, and looks whether it is free. */
	struct sl_ip dst;
	struct sl_ip target;
	bool has_mac;
	struct rte_ether_addr mac; /**< Of the sender of a solicitation, of an advertised target. */
};

/** Is a packet, whole from its checked IPv6 header, a solicitation or an advertisement? */
bool sl_nd_is_nd(const uint8_t *ip);

/**
 * Read a solicitation or an advertisement.
 * @param ip  as for sl_nd_is_nd(), which holds
 * @return false when RFC 4861 (7.1.1, 7.1.2) makes it invalid, or the link-layer address in it is
 * one no station can have
 */
bool sl_nd_parse(const uint8_t *ip, struct sl_nd *out);

/**
 * Write a frame with a solicitation or an advertisement.
 * @param dst   where the frame goes: the neighbour, or the group's address
 * @param src   the port's own address
 * @param vlan  the port's VLAN, 0 for untagged
 * @return bytes written, at most SL_ND_FRAME_MAX
 */
size_t sl_nd_build(uint8_t *frame, const struct rte_ether_addr *dst,
	const struct rte_ether_addr *src, uint16_t vlan, const struct sl_nd *nd);

/**
 * Write a frame that reports to switches and routers that @p group is listened to here (MLDv2).
 * @return bytes written, at most SL_ND_REPORT_FRAME_MAX
 */
size_t sl_nd_build_report(
	uint8_t *frame, const struct rte_ether_addr *src, uint16_t vlan, const struct sl_ip *group);

#endif /* SL_ND_H */
