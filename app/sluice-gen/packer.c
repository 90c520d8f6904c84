/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>

#include "packer.h"

#define TTL 64

static int
schedule_init(struct schedule *s, const struct traffic *traffic, uint64_t count)
{
	uint64_t slots;

	memset(s, 0, sizeof(*s));
	s->traffic = traffic;
	s->end = count;
	s->limit = UINT64_MAX;
	if (!traffic_has_copies(traffic))
		return 0;
	slots = rte_align64pow2((uint64_t)traffic->params.distance + 2);
	s->mask = slots - 1;
	s->due = calloc(slots, sizeof(*s->due));
	s->chains = calloc(slots, sizeof(*s->chains));
	s->timestamp_ns = calloc(slots, sizeof(*s->timestamp_ns));
	return s->due == NULL || s->chains == NULL || s->timestamp_ns == NULL ? -ENOMEM : 0;
}

static void
schedule_fini(struct schedule *s)
{
	free(s->due);
	free(s->chains);
	free(s->timestamp_ns);
}

/* Begin to send what is due behind the message at s->position. */
static void
take_due(struct schedule *s)
{
	uint32_t *due = &s->due[s->position & s->mask];

	s->chain = *due;
	*due = 0;
}

static void
plan_copies(struct schedule *s, uint64_t number, uint64_t now_ns)
{
	struct traffic_copies copies;
	uint32_t *due;

	traffic_copies(s->traffic, number, &copies);
	s->timestamp_ns[number & s->mask] = now_ns;
	s->is_second_feed_due = copies.is_second_feed;
	if (copies.retransmit_after > 0) {
		due = &s->due[(number + copies.retransmit_after) & s->mask];
		s->chains[number & s->mask] = *due;
		*due = (uint32_t)(number & s->mask) + 1;
		s->nb_due++;
	}
	s->position = number;
	take_due(s);
}

static void
take_copy(struct schedule *s, uint64_t number, enum packer_feed feed, struct sending *out)
{
	traffic_message(s->traffic, number, &out->message);
	out->timestamp_ns = s->timestamp_ns[number & s->mask];
	out->sequence = 0;
	out->feed = feed;
	out->is_original = false;
}

static void
take_retransmission(struct schedule *s, struct sending *out)
{
	uint64_t slot = s->chain - 1;

	/* It was sent at most a ring's length before the place it is due at. */
	take_copy(s, s->position - ((s->position - slot) & s->mask), PACKER_FIRST_FEED, out);
	s->chain = s->chains[slot];
	s->nb_due--;
}

/* What the appliance has not acknowledged; it is sent with the time of now, as if it were new. */
static bool
take_again(struct schedule *s, uint64_t now_ns, struct sending *out)
{
	uint64_t number;

	if (!acked_next(s->acked, now_ns, &number, &out->sequence))
		return false;
	traffic_message(s->traffic, number, &out->message);
	out->timestamp_ns = now_ns;
	out->feed = PACKER_FIRST_FEED;
	out->is_original = false;
	return true;
}

static bool
schedule_next(struct schedule *s, uint64_t now_ns, struct sending *out)
{
	uint64_t number;

	if (s->acked != NULL) {
		if (take_again(s, now_ns, out))
			return true;
		if (!acked_has_room(s->acked))
			return false;
	}
	if (unlikely(s->is_second_feed_due)) {
		s->is_second_feed_due = false;
		take_copy(s, s->position, PACKER_SECOND_FEED, out);
		return true;
	}
	if (unlikely(s->chain != 0)) {
		take_retransmission(s, out);
		return true;
	}
	if (likely(s->next < RTE_MIN(s->limit, s->end))) {
		number = s->next++;
		traffic_message(s->traffic, number, &out->message);
		out->timestamp_ns = now_ns;
		out->sequence = s->acked != NULL ? acked_send(s->acked, number, now_ns) : 0;
		out->feed = PACKER_FIRST_FEED;
		out->is_original = true;
		if (s->mask != 0)
			plan_copies(s, number, now_ns);
		return true;
	}
	/* After the last original: the places go on without one, until nothing is due any more. */
	if (s->next < s->end || s->nb_due == 0)
		return false;
	do {
		s->position++;
		take_due(s);
	} while (s->chain == 0);
	take_retransmission(s, out);
	return true;
}

uint32_t
packer_payload_max(uint16_t mtu)
{
	uint32_t overhead = sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr) +
		SL_WIRE_HEADER_LEN;
	uint32_t max = mtu > overhead ? mtu - overhead : 0;

	if (max < sl_wire_message_size(0))
		return 0;
	for (mtu = (uint16_t)max; max > 0 && sl_wire_message_size(max) > mtu;)
		max--;
	return max;
}

int
packer_init(struct packer *p, const struct traffic *traffic, const struct packer_params *params,
	uint64_t count, bool has_destinations)
{
	struct sl_ip src, dst;

	memset(p, 0, sizeof(*p));
	p->traffic = traffic;
	p->params = *params;
	if (sl_wire_message_size(traffic->payload_max) + SL_WIRE_HEADER_LEN + PACKER_HEADERS_LEN -
			RTE_ETHER_HDR_LEN >
		params->mtu)
		return -EMSGSIZE;
	src = sl_ip_from_v4(params->src_ip);
	dst = sl_ip_from_v4(params->dst_ip);
	sl_net_put_eth(
		(uint8_t *)&p->eth, &params->dst_mac, &params->src_mac, 0, RTE_ETHER_TYPE_IPV4);
	for (unsigned int i = 0; i < PACKER_NB_FEEDS; i++) {
		p->open[i].feed = i;
		sl_net_flow_init(&p->flows[i], &src, &dst,
			rte_cpu_to_be_16((uint16_t)(params->src_port + i)),
			rte_cpu_to_be_16(params->dst_port), TTL);
	}
	if (has_destinations) {
		p->nb_by_destination = calloc(
			traffic->params.destinations.nb, sizeof(*p->nb_by_destination));
		if (p->nb_by_destination == NULL)
			return -ENOMEM;
	}
	return schedule_init(&p->schedule, traffic, count);
}

void
packer_fini(struct packer *p)
{
	schedule_fini(&p->schedule);
	free(p->nb_by_destination);
}

static uint64_t
session_of(const struct packer *p)
{
	return p->schedule.acked != NULL ? p->schedule.acked->session : 0;
}

void
packer_give(struct packer *p, enum packer_feed feed, uint8_t *frame, void *cookie)
{
	struct datagram *d = &p->open[feed];

	d->frame = frame;
	d->cookie = cookie;
	d->nb_messages = 0;
	d->nb_originals = 0;
	d->end = sl_wire_put_header(frame + PACKER_HEADERS_LEN, 0, session_of(p));
}

void
packer_set_session(struct packer *p, struct acked *acked)
{
	p->schedule.acked = acked;
}

void
packer_renew(struct packer *p)
{
	for (unsigned int i = 0; i < PACKER_NB_FEEDS; i++) {
		struct datagram *d = &p->open[i];

		d->nb_messages = 0;
		d->end = sl_wire_put_header(d->frame + PACKER_HEADERS_LEN, 0, session_of(p));
	}
	p->has_held = false;
}

static struct datagram *
close_datagram(struct packer *p, struct datagram *d)
{
	uint8_t *payload = d->frame + PACKER_HEADERS_LEN;
	uint16_t len = (uint16_t)(d->end - payload), sum;

	memcpy(d->frame, &p->eth, sizeof(p->eth));
	if (p->params.has_udp_checksum)
		sum = sl_net_sum(payload, len);
	sl_net_flow_write(&p->flows[d->feed], d->frame + sizeof(p->eth), len,
		p->params.has_udp_checksum ? &sum : NULL);
	d->frame_len = (uint16_t)(d->end - d->frame);
	return d;
}

static inline void
count_original(struct packer *p, const struct traffic_message *m)
{
	p->nb_by_class[m->class_index]++;
	if (p->nb_by_destination != NULL)
		p->nb_by_destination[m->destination]++;
}

void
packer_uncount(struct packer *p, uint64_t number)
{
	struct traffic_message m;

	for (; number < p->schedule.next; number++) {
		traffic_message(p->traffic, number, &m);
		p->nb_by_class[m.class_index]--;
		if (p->nb_by_destination != NULL)
			p->nb_by_destination[m.destination]--;
	}
}

/*
 * A datagram is full. The second feed never leads: what a receiver has from it first would be ahead
 * of its predecessors, which still wait in the first feed's datagram.
 */
static struct datagram *
hand_out(struct packer *p, struct datagram *d)
{
	struct datagram *first = &p->open[PACKER_FIRST_FEED];

	if (d->feed == PACKER_SECOND_FEED && first->nb_messages > 0) {
		p->is_second_full = true;
		d = first;
	}
	return close_datagram(p, d);
}

/* Into a message that begins here with its tag and length. */
static void
put_sequence(uint8_t *p, uint64_t sequence)
{
	for (p++; *p & 0x80; p++)
		;
	sl_wire_put64(p + 1 + SL_WIRE_OFF_SEQUENCE, sequence);
}

struct datagram *
packer_fill(struct packer *p, uint64_t now_ns)
{
	struct sending *s = &p->held;
	struct datagram *d;
	uint8_t *begin;

	if (unlikely(p->is_second_full)) {
		p->is_second_full = false;
		return close_datagram(p, &p->open[PACKER_SECOND_FEED]);
	}
	while (p->has_held || schedule_next(&p->schedule, now_ns, s)) {
		d = &p->open[s->feed];
		if (d->nb_messages > 0 &&
			d->end + sl_wire_message_size(s->message.payload_len) >
				d->frame + RTE_ETHER_HDR_LEN + p->params.mtu) {
			p->has_held = true;
			return hand_out(p, d);
		}
		begin = d->end;
		d->end = traffic_put(p->traffic, &s->message, s->timestamp_ns, d->end);
		if (s->sequence != 0)
			put_sequence(begin, s->sequence);
		d->nb_messages++;
		if (s->is_original) {
			d->nb_originals++;
			count_original(p, &s->message);
		}
		p->has_held = false;
		if (d->nb_messages == p->params.batch)
			return hand_out(p, d);
	}
	return NULL;
}

struct datagram *
packer_flush(struct packer *p)
{
	for (unsigned int i = 0; i < PACKER_NB_FEEDS; i++) {
		if (p->open[i].nb_messages > 0)
			return close_datagram(p, &p->open[i]);
	}
	return NULL;
}
