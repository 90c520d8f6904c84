/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <time.h>

#include "dp.h"

/* Health checks that go the way of messages: the control thread's side of probes and echoes. */

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Who sent it, from the headers in front of what probe_input has left in the buffer. */
static void
read_sender(const struct rte_mbuf *m, struct sl_datapath_probe *probe)
{
	const uint8_t *udp = rte_pktmbuf_mtod(m, const uint8_t *) - sizeof(struct rte_udp_hdr);
	const uint8_t *ip = udp - m->l3_len;
	const uint8_t *eth = ip - dp_msg_const(m)->eth_len;

	probe->from_port = rte_be_to_cpu_16(((const struct rte_udp_hdr *)udp)->src_port);
	rte_ether_addr_copy(&((const struct rte_ether_hdr *)eth)->src_addr, &probe->from_mac);
	if (ip[0] >> 4 == 4)
		probe->from = sl_ip_from_v4(((const struct rte_ipv4_hdr *)ip)->src_addr);
	else
		memcpy(probe->from.bytes, ((const struct rte_ipv6_hdr *)ip)->src_addr,
			sizeof(probe->from.bytes));
}

uint32_t
sl_datapath_receive_probes(struct sl_datapath *dp, struct sl_datapath_probe *probes, uint32_t max)
{
	double ns_per_cycle = 1e9 / (double)dp->tsc_hz;
	struct sl_wire_probe wire;
	struct rte_mbuf *m;
	uint32_t n;

	for (n = 0; n < max && rte_ring_sc_dequeue(dp->probe_ring, (void **)&m) == 0; n++) {
		struct sl_datapath_probe *probe = &probes[n];

		memset(probe, 0, sizeof(*probe));
		read_sender(m, probe);
		memcpy(&wire, rte_pktmbuf_mtod(m, const void *), sizeof(wire));
		probe->port_index = dp->port_of_id[m->port]->index;
		probe->nonce = wire.nonce;
		probe->is_reply = wire.is_reply;
		probe->in_flight = wire.in_flight;
		probe->latency_ns = wire.latency_ns;
		probe->received_ns = monotonic_ns() -
			(uint64_t)((double)(rte_rdtsc() - dp_msg_const(m)->sched.time) *
				ns_per_cycle);
		rte_pktmbuf_free(m);
	}
	return n;
}
