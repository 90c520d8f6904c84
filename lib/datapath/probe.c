/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <time.h>

#include "apply.h"
#include "publisher.h"
#include "sl_icmp.h"

/* Health checks that go the way of messages: the control thread's side of probes and echoes. */

#define TTL 64

/* What an echo request carries: as much as a message's headers, so that it is no exception. */
#define ECHO_DATA 32

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
sl_datapath_receive_subscribes(
	struct sl_datapath *dp, struct sl_datapath_subscribe *subscribes, uint32_t max)
{
	struct dp_publisher_from from;
	struct sl_wire_subscribe wire;
	struct rte_mbuf *m;
	uint32_t n;

	RTE_BUILD_BUG_ON(SL_WIRE_NAME_MAX != SL_CONFIG_NAME_MAX);
	for (n = 0; n < max && rte_ring_sc_dequeue(dp->subscribe_ring, (void **)&m) == 0; n++) {
		dp_publisher_read_from(dp, m, &from);
		memcpy(&wire, rte_pktmbuf_mtod(m, const void *), sizeof(wire));
		subscribes[n] = (struct sl_datapath_subscribe){
			.from = from.address,
			.from_port = from.udp_port,
			.port_index = from.port_index,
			.is_leave = wire.is_leave,
			.is_durable = wire.is_durable,
			.credit = wire.credit,
			.ttl_ms = wire.ttl_ms,
		};
		memcpy(subscribes[n].destination, wire.destination, sizeof(wire.destination));
		memcpy(subscribes[n].backend, wire.backend, sizeof(wire.backend));
		rte_pktmbuf_free(m);
	}
	return n;
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

/* Write a probe behind its headers, and send it. */
static bool
send_probe(struct sl_datapath *dp, uint32_t port_index, const struct rte_ether_addr *mac,
	const struct sl_net_flow *flow, const struct sl_wire_probe *probe)
{
	const struct dp_port *port = &dp->ports[port_index];
	struct rte_mbuf *m = sl_datapath_alloc(dp);
	uint8_t *frame, *payload;
	uint16_t eth_len, len, sum;

	if (m == NULL)
		return false;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	eth_len = sl_net_put_eth(
		frame, mac, &port->station.mac, port->station.vlan, sl_net_flow_type(flow));
	payload = frame + eth_len + flow->headers_len;
	len = (uint16_t)sl_wire_put_probe(payload, dp->config->epoch, probe);
	sum = sl_net_sum(payload, len);
	sl_net_flow_write(flow, frame + eth_len, len,
		port->is_udp_sum_sent || !sl_net_flow_is_ip4(flow) ? &sum : NULL);
	m->data_len = (uint16_t)(eth_len + flow->headers_len + len);
	m->pkt_len = m->data_len;
	return sl_datapath_send(dp, port_index, m);
}

/* Where a backend's frames go. False when that is not known, or the link is down. */
static bool
find_way(const struct sl_datapath *dp, const struct dp_named_backend *backend,
	struct rte_ether_addr *mac)
{
	const struct dp_backend *b = &dp->backends[backend->slot];
	uint64_t word = atomic_load(&dp->next_hop_words[b->next_hop]);

	memcpy(mac, &word, sizeof(*mac));
	return (word & DP_NEXT_HOP_USABLE) != 0 &&
		atomic_load(&dp->ports[backend->port_index].is_up);
}

bool
sl_datapath_send_probe(
	struct sl_datapath *dp, uint32_t destination, uint32_t backend, uint64_t nonce)
{
	const struct dp_named_backend *b = &dp_destination_at(dp, destination)->backends[backend];
	const struct sl_wire_probe probe = {.nonce = nonce};
	struct rte_ether_addr mac;

	return find_way(dp, b, &mac) &&
		send_probe(dp, b->port_index, &mac, &dp->backends[b->slot].flow, &probe);
}

void
sl_datapath_answer_probe(struct sl_datapath *dp, const struct sl_datapath_probe *asked,
	uint32_t in_flight, uint64_t latency_ns)
{
	const struct sl_wire_probe answer = {
		.nonce = asked->nonce,
		.is_reply = true,
		.in_flight = in_flight,
		.latency_ns = latency_ns,
	};
	struct sl_ip own = dp_port_address(&dp->ports[asked->port_index], &asked->from);
	struct sl_net_flow flow;

	/* One frame from a station that is many must not become an answer to all of them. */
	if (!sl_net_is_unicast(&asked->from) || !rte_is_valid_assigned_ether_addr(&asked->from_mac))
		return;
	sl_net_flow_init(&flow, &own, &asked->from, rte_cpu_to_be_16(dp->config->udp_port),
		rte_cpu_to_be_16(asked->from_port), TTL);
	send_probe(dp, asked->port_index, &asked->from_mac, &flow, &answer);
}

bool
sl_datapath_send_echo(struct sl_datapath *dp, uint32_t destination, uint32_t backend, uint16_t id,
	uint16_t sequence)
{
	const struct dp_named_backend *b = &dp_destination_at(dp, destination)->backends[backend];
	const struct dp_port *port = &dp->ports[b->port_index];
	static const uint8_t data[ECHO_DATA];
	const struct sl_icmp_echo echo = {
		.src = dp_port_address(port, &b->address),
		.dst = b->address,
		.id = id,
		.sequence = sequence,
		.data = data,
		.data_len = sizeof(data),
	};
	struct rte_ether_addr mac;
	struct rte_mbuf *m;

	if (!find_way(dp, b, &mac))
		return false;
	m = sl_datapath_alloc(dp);
	if (m == NULL)
		return false;
	m->data_len = (uint16_t)sl_icmp_build_request(rte_pktmbuf_mtod(m, uint8_t *), &mac,
		&port->station.mac, port->station.vlan, &echo);
	m->pkt_len = m->data_len;
	return sl_datapath_send(dp, b->port_index, m);
}
