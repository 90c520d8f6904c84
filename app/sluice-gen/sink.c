/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "arp.h"
#include "clock.h"
#include "sink.h"

#define PREFETCH_AHEAD 4

int
sink_init(struct sink *s, const struct options *o, const struct traffic *traffic, struct port *port,
	struct rte_mempool *pool, const uint64_t *nb_built)
{
	uint64_t nb_streams = traffic_nb_streams(traffic);
	uint64_t window = RTE_MIN(o->window, o->count);
	int rc;

	memset(s, 0, sizeof(*s));
	s->traffic = traffic;
	s->port = port;
	s->pool = pool;
	s->burst = o->burst;
	s->is_acking = o->acked_window != 0;
	acker_init(&s->acker, o->ack_delay_us * UINT64_C(1000));
	s->verify = o->verify;
	s->is_order_known = !traffic_has_copies(traffic);
	/* A second feed of single messages is right behind the first; one of batches is not. */
	s->has_late_second_feed = o->packer.batch > 1;
	s->nb_built = nb_built;
	s->bound = o->count;
	rc = ledger_init(&s->ledger, window, nb_streams);
	if (rc == -EINVAL)
		fprintf(stderr,
			"sluice-gen: sources x destinations x classes are %" PRIu64
			" streams, and the ledger keeps at most %" PRIu64 "; lower one of them\n",
			nb_streams, LEDGER_STREAMS_MAX);
	if (rc == 0 && o->has_destinations_report) {
		s->delivered_by_destination = calloc(
			traffic->params.destinations.nb, sizeof(*s->delivered_by_destination));
		if (s->delivered_by_destination == NULL)
			rc = -ENOMEM;
	}
	if (rc == -ENOMEM)
		fprintf(stderr,
			"sluice-gen: no memory for the ledger; lower --window, --sources "
			"or --destinations\n");
	return rc;
}

void
sink_fini(struct sink *s)
{
	acker_fini(&s->acker);
	ledger_fini(&s->ledger);
	free(s->delivered_by_destination);
}

uint64_t
sink_nb_bad(const struct sink *s)
{
	uint64_t nb = 0;

	for (unsigned int i = 0; i < SINK_NET_ERRORS; i++)
		nb += s->bad_net[i];
	for (unsigned int i = 0; i < SINK_WIRE_ERRORS; i++)
		nb += s->bad_wire[i];
	return nb;
}

/* May this message come behind its successors, because it was sent again behind them? */
static bool
has_late_copy(const struct sink *s, uint64_t number)
{
	struct traffic_copies copies;

	if (s->is_order_known)
		return false;
	traffic_copies(s->traffic, number, &copies);
	return copies.retransmit_after > 0 || (copies.is_second_feed && s->has_late_second_feed);
}

static void
enter(struct sink *s, const struct sink_found *f, uint64_t now_ns)
{
	const struct traffic_message *m = &f->message;
	enum ledger_verdict verdict;
	uint64_t sent_ns;

	if (!traffic_is_intact(s->traffic, m, f->data, f->len, s->verify == OPTIONS_VERIFY_FULL))
		s->nb_corrupt++;
	verdict = ledger_deliver(
		&s->ledger, m->number, traffic_stream(s->traffic, m), !has_late_copy(s, m->number));
	if (verdict != LEDGER_FIRST && verdict != LEDGER_REORDERED)
		return;
	s->delivered_by_class[m->class_index]++;
	if (s->delivered_by_destination != NULL)
		s->delivered_by_destination[m->destination]++;
	sent_ns = sl_wire_get64(f->data + SL_WIRE_OFF_TIMESTAMP);
	sl_hist_add(&s->latency_ns[m->class_index], now_ns > sent_ns ? now_ns - sent_ns : 0);
}

/* Look into the messages found, whose ledger entries should be in the cache by now. */
static void
enter_all(struct sink *s, uint64_t now_ns)
{
	for (unsigned int i = 0; i < s->nb_found; i++)
		enter(s, &s->found[i], now_ns);
	s->nb_found = 0;
}

/* Is it one of the generator's? Then note it and fetch what entering it will need. */
static void
find(struct sink *s, const uint8_t *data, uint32_t len, uint64_t now_ns)
{
	uint64_t number = sl_wire_get64(data + SL_WIRE_OFF_ID_LOW);
	struct sink_found *f = &s->found[s->nb_found];

	s->nb_messages++;
	if (s->verify == OPTIONS_VERIFY_NONE)
		return;
	if (unlikely(number >= s->bound ||
		    sl_wire_get64(data + SL_WIRE_OFF_ID_HIGH) !=
			    traffic_id_high(s->traffic, number))) {
		s->nb_unknown++;
		return;
	}
	f->data = data;
	f->len = len;
	traffic_message(s->traffic, number, &f->message);
	ledger_prefetch(&s->ledger, traffic_stream(s->traffic, &f->message));
	rte_prefetch0(&s->traffic->destination_keys[f->message.destination]);
	if (++s->nb_found == RTE_DIM(s->found))
		enter_all(s, now_ns);
}

/* The headers down to UDP. The payload's place and length, or NULL: counted. */
static const uint8_t *
strip_headers(struct sink *s, const uint8_t *data, uint32_t len, uint16_t *payload_len)
{
	unsigned int known_good = s->verify == OPTIONS_VERIFY_FULL ? 0 : SL_NET_UDP_SUM_KNOWN_GOOD;
	const struct sl_net_station station = port_station(s->port);
	const struct rte_ipv4_hdr *ip;
	enum sl_net_error error;
	struct sl_net_eth eth;
	struct sl_net_ip ip4;
	struct sl_net_udp udp;

	error = sl_net_check_eth(data, len, &station, &eth);
	if (unlikely(error != SL_NET_OK || eth.type != RTE_ETHER_TYPE_IPV4)) {
		/* Whatever else is on this wire is none of our business, but for ARP. */
		arp_input(s->port, s->pool, data, len);
		s->nb_ignored++;
		return NULL;
	}
	data += eth.len;
	len -= eth.len;
	ip = (const struct rte_ipv4_hdr *)data;
	/* Any address of the net is ours; a cut header is found out by the check. */
	error = sl_net_check_ip4(data, len, len < sizeof(*ip) ? 0 : ip->dst_addr, 0, &ip4);
	if (error == SL_NET_OK &&
		((ip->dst_addr & s->port->mask) != s->port->net || ip4.proto != IPPROTO_UDP))
		error = SL_NET_IP_NOT_FOR_US;
	if (unlikely(error == SL_NET_IP_NOT_FOR_US || error == SL_NET_IP_UNKNOWN_PROTO)) {
		s->nb_ignored++;
		return NULL;
	}
	if (likely(error == SL_NET_OK)) {
		data += ip4.header_len;
		len = ip4.payload_len;
		/* The backends' ports are the appliance's business. */
		error = sl_net_check_udp(data, len, ip,
			len < sizeof(struct rte_udp_hdr)
				? 0
				: ((const struct rte_udp_hdr *)data)->dst_port,
			known_good, &udp);
	}
	if (unlikely(error != SL_NET_OK)) {
		s->bad_net[error]++;
		return NULL;
	}
	*payload_len = udp.payload_len;
	return data + sizeof(struct rte_udp_hdr);
}

/* The session of the datagram that was parsed. False: it is refused, or there is no memory. */
static bool
begin_session(struct sink *s, const uint8_t *frame, const uint8_t *payload,
	struct acker_session **session)
{
	const struct sl_wire_datagram *d = &s->datagram;
	const uint8_t *first = payload + d->messages[0].offset;

	*session = acker_find(&s->acker, d->session, sl_wire_get64(first + SL_WIRE_OFF_SEQUENCE),
		(const struct rte_ether_hdr *)frame,
		(const struct rte_ipv4_hdr *)(frame + RTE_ETHER_HDR_LEN),
		(const struct rte_udp_hdr *)(payload - sizeof(struct rte_udp_hdr)));
	return *session != NULL;
}

static void
take_frame(struct sink *s, const uint8_t *data, uint32_t len, uint64_t now_ns)
{
	struct sl_wire_datagram *d = &s->datagram;
	struct acker_session *session = NULL;
	enum sl_wire_error error;
	uint16_t payload_len;
	const uint8_t *payload;

	payload = strip_headers(s, data, len, &payload_len);
	if (payload == NULL)
		return;
	error = sl_wire_parse(payload, payload_len, d);
	if (unlikely(error != SL_WIRE_OK)) {
		s->bad_wire[error]++;
		return;
	}
	s->nb_frames++;
	s->nb_bytes += len;
	if (s->is_acking && d->session != 0 && !begin_session(s, data, payload, &session))
		return;
	for (uint16_t i = 0; i < d->nb_messages; i++) {
		const uint8_t *message = payload + d->messages[i].offset;

		if (session == NULL ||
			acker_receive(&s->acker, session,
				sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE), now_ns))
			find(s, message, d->messages[i].len, now_ns);
	}
}

unsigned int
sink_turn(struct sink *s)
{
	struct rte_mbuf *mbufs[OPTIONS_BURST_MAX];
	uint64_t nb_before = s->nb_messages, now_ns;
	const uint8_t *data;
	uint16_t nb;

	s->nb_turns++;
	nb = rte_eth_rx_burst(s->port->id, 0, mbufs, s->burst);
	now_ns = clock_now_ns();
	if (nb == 0) {
		acker_flush(&s->acker, s->port, s->pool, now_ns);
		return 0;
	}
	if (s->nb_built != NULL)
		s->bound = __atomic_load_n(s->nb_built, __ATOMIC_ACQUIRE);
	for (uint16_t i = 0; i < RTE_MIN(nb, PREFETCH_AHEAD); i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint16_t i = 0; i < nb; i++) {
		if (i + PREFETCH_AHEAD < nb)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + PREFETCH_AHEAD], void *));
		data = rte_pktmbuf_read(
			mbufs[i], 0, RTE_MIN(mbufs[i]->pkt_len, sizeof(s->scratch)), s->scratch);
		take_frame(s, data, RTE_MIN(mbufs[i]->pkt_len, sizeof(s->scratch)), now_ns);
		/* What was found in the scratch buffer does not outlive it. */
		if (unlikely(data == s->scratch))
			enter_all(s, now_ns);
	}
	enter_all(s, now_ns);
	rte_pktmbuf_free_bulk(mbufs, nb);
	acker_flush(&s->acker, s->port, s->pool, now_ns);
	if (s->nb_messages != nb_before) {
		if (s->first_ns == 0)
			s->first_ns = now_ns;
		s->last_ns = now_ns;
	}
	return nb;
}
