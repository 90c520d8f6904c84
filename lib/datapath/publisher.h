/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PUBLISHER_H
#define PUBLISHER_H

/**
 * @file
 * All publishers of a path, and the buffers that acks to them are written in. Private to
 * lib/datapath.
 *
 * Acks are written by the journal's thread, which is no lcore: it may be put aside at any moment,
 * so it must not be found in the middle of anything that an lcore could have to wait for, as it
 * would be in the pool of buffers. So the worker that sends the control thread's frames gives it
 * empty buffers over one ring and takes finished frames over another; both have one producer and
 * one consumer.
 */

#include "dp.h"
#include "publisher_table.h"

struct dp_publishers {
	struct dp_publisher *slots;
	uint32_t nb_slots;
	size_t slots_size;
	uint32_t nb_tables;
	struct dp_publisher_table *tables; /* One an rx lcore. */
	uint32_t next_table;		   /* That strangers are taken from next. */
	struct rte_ring *empty;
	struct rte_ring *finished;
	_Atomic uint64_t no_buffer;
	/* Of the worker that sends. */
	uint16_t nb_held;
	struct rte_mbuf *held[DP_ACKS_HELD];
};

/* Where the datagram in a frame came from, by the headers in front of it. */
static inline void
dp_publisher_read_from(
	const struct sl_datapath *dp, const struct rte_mbuf *m, struct dp_publisher_from *from)
{
	const uint8_t *udp = rte_pktmbuf_mtod(m, const uint8_t *) - sizeof(struct rte_udp_hdr);
	const uint8_t *ip = udp - m->l3_len;
	const uint8_t *eth = ip - dp_msg_const(m)->eth_len;

	*from = (struct dp_publisher_from){
		.udp_port = rte_be_to_cpu_16(((const struct rte_udp_hdr *)udp)->src_port),
		.port_index = (uint16_t)dp->port_of_id[m->port]->index,
	};
	rte_ether_addr_copy(&((const struct rte_ether_hdr *)eth)->src_addr, &from->mac);
	if (likely(sl_net_is_ip4(ip)))
		from->address = sl_ip_from_v4(((const struct rte_ipv4_hdr *)ip)->src_addr);
	else
		from->address = sl_ip_from_v6(((const struct rte_ipv6_hdr *)ip)->src_addr);
}

/* One frame from a station that is many must not become an answer to all of them. */
static inline bool
dp_publisher_can_be_told(const struct dp_publisher_from *from)
{
	return sl_net_is_unicast(&from->address) && rte_is_valid_assigned_ether_addr(&from->mac);
}

#endif /* PUBLISHER_H */
