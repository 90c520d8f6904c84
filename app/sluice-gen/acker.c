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

/* So many messages do not wait: a sender's congestion window is never smaller. */
#define ACK_EVERY 16

void
acker_init(struct acker *a, uint64_t delay_ns)
{
	a->delay_ns = delay_ns;
	a->next_ns = UINT64_MAX;
}

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
	s->acked_ns = 0;
	s->highest = 0;
	s->unacked = 0;
	return s;
}

static void
set_due(struct acker *a, struct acker_session *s, uint64_t at_ns)
{
	if (!s->is_due)
		a->nb_due++;
	s->is_due = true;
	s->due_ns = at_ns;
	a->next_ns = RTE_MIN(a->next_ns, at_ns);
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
	if (s->is_refused)
		set_due(a, s, 0);
	else if (!s->is_due)
		set_due(a, s, s->acked_ns + a->delay_ns);
	return s->is_refused ? NULL : s;
}

bool
acker_receive(struct acker *a, struct acker_session *s, uint64_t sequence, uint64_t now_ns)
{
	bool is_new = sl_session_rx_receive(s->rx, sequence) == SL_SESSION_NEW;

	if (sequence > s->highest) {
		s->highest = sequence;
		s->highest_ns = now_ns;
	}
	/* An ack was lost, or a message. */
	if (!is_new || sl_session_rx_cumulative(s->rx) < s->highest || ++s->unacked >= ACK_EVERY)
		set_due(a, s, 0);
	return is_new;
}

static bool
send_ack(struct acker_session *s, struct port *port, struct rte_mempool *pool, uint64_t now_ns)
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
	if (s->is_refused) {
		sl_session_refuse(s->number, &ack);
	} else {
		sl_session_rx_ack(s->rx, WINDOW, &ack);
		ack.ack_delay_ns = (uint32_t)RTE_MIN(now_ns - s->highest_ns, UINT32_MAX);
	}
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
acker_flush(struct acker *a, struct port *port, struct rte_mempool *pool, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	a->turn++;
	if (now_ns < a->next_ns)
		return;
	for (unsigned int i = 0, left = a->nb_due; left > 0; i++) {
		struct acker_session *s = &a->sessions[i];

		if (!s->is_due)
			continue;
		left--;
		if (now_ns < s->due_ns || !send_ack(s, port, pool, now_ns)) {
			next_ns = RTE_MIN(next_ns, s->due_ns);
			continue;
		}
		s->is_due = false;
		s->acked_ns = now_ns;
		s->unacked = 0;
		a->nb_due--;
	}
	a->next_ns = next_ns;
}
