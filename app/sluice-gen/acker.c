/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include <sl_net.h>
#include <sl_wire.h>

#include "acker.h"

#define WINDOW 65536u
#define TTL    64

void
acker_fini(struct acker *a)
{
	for (unsigned int i = 0; i < ACKER_SESSIONS; i++)
		free(a->sessions[i].rx);
}

/* In the place of the one that was used longest ago. */
static struct acker_session *
begin(struct acker *a, uint64_t number)
{
	const struct sl_session_rx_params params = {.session = number, .window = WINDOW};
	size_t size = RTE_ALIGN_CEIL(sl_session_rx_memory_size(&params), (size_t)64);
	struct acker_session *s = &a->sessions[0];

	for (unsigned int i = 1; i < ACKER_SESSIONS; i++) {
		if (a->sessions[i].used < s->used)
			s = &a->sessions[i];
	}
	if (s->rx == NULL)
		s->rx = aligned_alloc(64, size);
	if (s->rx == NULL)
		return NULL;
	memset(s->rx, 0, size);
	sl_session_rx_init(s->rx, &params);
	a->nb_due -= s->is_due;
	s->is_due = false;
	s->is_refused = false;
	s->number = number;
	return s;
}

struct acker_session *
acker_find(struct acker *a, uint64_t number, uint64_t sequence, const struct rte_ether_hdr *eth,
	const struct rte_ipv4_hdr *ip, const struct rte_udp_hdr *udp)
{
	struct acker_session *s = a->latest;
	bool is_known = true;

	if (s == NULL || s->number != number) {
		s = NULL;
		for (unsigned int i = 0; i < ACKER_SESSIONS && s == NULL; i++) {
			if (a->sessions[i].number == number)
				s = &a->sessions[i];
		}
		is_known = s != NULL;
		if (s == NULL)
			s = begin(a, number);
		if (s == NULL)
			return NULL;
		a->latest = s;
	}
	if (!is_known)
		s->is_refused = !sl_session_rx_may_begin(sequence);
	s->used = a->turn;
	s->mac = eth->src_addr;
	s->ip = ip->src_addr;
	s->own_ip = ip->dst_addr;
	s->port = udp->src_port;
	s->own_port = udp->dst_port;
	if (!s->is_due)
		a->nb_due++;
	s->is_due = true;
	return s->is_refused ? NULL : s;
}

bool
acker_receive(struct acker_session *s, uint64_t sequence)
{
	return sl_session_rx_receive(s->rx, sequence) == SL_SESSION_NEW;
}

static bool
send_ack(struct acker_session *s, struct port *port, struct rte_mempool *pool)
{
	struct sl_ip own = sl_ip_from_v4(s->own_ip), peer = sl_ip_from_v4(s->ip);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct sl_wire_ack ack;
	struct sl_net_flow flow;
	uint8_t *frame, *payload;
	uint16_t eth_len, len, sum;

	if (m == NULL)
		return false;
	memset(&ack, 0, sizeof(ack));
	if (s->is_refused)
		sl_session_refuse(s->number, &ack);
	else
		sl_session_rx_ack(s->rx, WINDOW, &ack);
	sl_net_flow_init(&flow, &own, &peer, s->own_port, s->port, TTL);
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	eth_len = sl_net_put_eth(frame, &s->mac, &port->mac, 0, RTE_ETHER_TYPE_IPV4);
	payload = frame + eth_len + flow.headers_len;
	len = (uint16_t)sl_wire_put_ack(payload, 0, &ack);
	sum = sl_net_sum(payload, len);
	sl_net_flow_write(&flow, frame + eth_len, len, &sum);
	m->data_len = (uint16_t)(eth_len + flow.headers_len + len);
	m->pkt_len = m->data_len;
	if (rte_eth_tx_burst(port->id, 0, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

void
acker_flush(struct acker *a, struct port *port, struct rte_mempool *pool)
{
	a->turn++;
	for (unsigned int i = 0; i < ACKER_SESSIONS && a->nb_due > 0; i++) {
		struct acker_session *s = &a->sessions[i];

		if (!s->is_due || !send_ack(s, port, pool))
			continue;
		s->is_due = false;
		a->nb_due--;
	}
}
